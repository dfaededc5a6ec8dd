//! Redirections (RFC 3261 16.7 step 4): passed back, or followed where the route says so.

use crate::world::{CALLER, ONE, THREE, TWO, World, kinds, one};

#[test]
fn without_recurse_a_redirection_passes() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    let sent = world.answer(&invite, "302 Moved Temporarily", "b", "");
    let moved = one(&sent, CALLER, "302");
    assert_eq!(moved.header("Contact"), Some("<sip:b@127.0.0.2:5070>"));
    world.assert_idle();
}

/// A 302 with these Contacts and no other.
fn redirected(
    world: &mut World,
    request: &crate::world::Sent,
    contacts: &str,
) -> Vec<crate::world::Sent> {
    let text = crate::world::answer_text(request, "302 Moved Temporarily", "b", "");
    let own = format!("Contact: <sip:b@{}>\r\n", request.to);
    let text = text.replace(&own, &format!("Contact: {contacts}\r\n"));
    world.receive(&request.to.to_string(), &text)
}

#[test]
fn proxy_3xx_recursion() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "400", ""), ONE, "INVITE");
    let contacts = "<sip:c@127.0.0.3:5070>;q=0.3, <sip:d@127.0.0.4:5070>;q=0.9";
    let sent = redirected(&mut world, &invite, contacts);
    assert_eq!(kinds(&sent, CALLER), [""; 0]);
    assert_eq!(kinds(&sent, ONE), ["ACK"]);
    let next = one(&sent, THREE, "INVITE");
    assert_eq!(next.uri(), "sip:d@127.0.0.4:5070");
    assert_eq!(next.header("Max-Forwards"), Some("69"));
    let sent = world.answer(&next, "404 Not Found", "d", "");
    let last = one(&sent, TWO, "INVITE");
    let sent = world.answer(&last, "200 OK", "c", "");
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    assert_eq!(world.counters().proxied_recursions, 1);
    world.assert_idle();
}

#[test]
fn a_redirection_in_a_circle_ends() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "400", ""), ONE, "INVITE");
    let sent = redirected(&mut world, &invite, "<sip:c@127.0.0.3:5070>");
    let next = one(&sent, TWO, "INVITE");
    let sent = redirected(&mut world, &next, "<sip:400@127.0.0.2:5070>");
    assert_eq!(kinds(&sent, CALLER), ["408"], "no final response is left");
    world.assert_idle();
}

#[test]
fn contacts_that_cannot_be_tried_go_back() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "400", ""), ONE, "INVITE");
    let contacts = "<sips:s@127.0.0.4>, <sip:c@127.0.0.3:5070>";
    let sent = redirected(&mut world, &invite, contacts);
    let next = one(&sent, TWO, "INVITE");
    let sent = world.answer(&next, "486 Busy Here", "c", "");
    let moved = one(&sent, CALLER, "302");
    assert_eq!(moved.values("Contact"), ["<sips:s@127.0.0.4>"]);
    world.assert_idle();
}

#[test]
fn a_redirected_branch_hands_its_breadth_on() {
    let mut world = World::new();
    let sent = world.request("INVITE", "900", "Max-Breadth: 2\r\n");
    let first = one(&sent, ONE, "INVITE");
    let other = one(&sent, TWO, "INVITE");
    // Two Contacts at once would be one too many: the second waits until nobody rings.
    let contacts = "<sip:c@127.0.0.4:5070>, <sip:d@127.0.0.4:5070>";
    let sent = redirected(&mut world, &first, contacts);
    let third = one(&sent, THREE, "INVITE");
    assert_eq!(third.header("Max-Breadth"), Some("1"));
    world.answer(&other, "486 Busy Here", "b", "");
    let sent = world.answer(&third, "486 Busy Here", "c", "");
    let last = one(&sent, THREE, "INVITE");
    assert_eq!(last.uri(), "sip:d@127.0.0.4:5070");
    let sent = world.answer(&last, "486 Busy Here", "d", "");
    assert_eq!(kinds(&sent, CALLER), ["486"]);
    world.assert_idle();
}

#[test]
fn the_branches_of_one_request_are_bounded() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "400", ""), ONE, "INVITE");
    let contacts: Vec<String> = (0..40)
        .map(|n| format!("<sip:{n}@127.0.0.3:5070>"))
        .collect();
    let sent = redirected(&mut world, &invite, &contacts.join(", "));
    assert_eq!(kinds(&sent, TWO).len(), 15, "with the first one sixteen");
    for request in sent.iter().filter(|sent| sent.kind() == "INVITE") {
        world.answer(request, "486 Busy Here", "c", "");
    }
    world.assert_idle();
}
