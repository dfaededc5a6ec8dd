//! Attended transfers: A talks to B and to C and refers one to the other, on whichever shards the calls are.

use crate::world::{A, B, C, Line, Sent, World, one};

/// A, in both of its calls, and what B and C have of them.
struct Consulted {
    a_b: Line,
    b: Line,
    a_c: Line,
    c: Line,
}

fn consulted(world: &mut World, first: &str, second: &str) -> Consulted {
    let (a_b, b) = world.connect(A, first, "sip:7@127.0.0.1");
    let (a_c, c) = world.connect(A, second, "sip:8@127.0.0.1");
    Consulted { a_b, b, a_c, c }
}

/// The INVITE that B makes of the reference it was sent.
fn follow(world: &mut World, refer: &Sent, call_id: &str) -> Vec<Sent> {
    let reference = refer.value("Refer-To").trim_matches(['<', '>']);
    let (uri, header) = reference.split_once("?Replaces=").expect("a Replaces");
    let value = header.replace("%3b", ";").replace("%3d", "=");
    let more = format!("Replaces: {value}\r\nRequire: replaces\r\n");
    let from = refer.to.to_string();
    world.invite(&from, call_id, uri, &more)
}

/// C gets an INVITE that names its own dialog with the router; it does as it is told.
fn replaced(world: &mut World, invite: &Sent, mut c: Line) {
    assert_eq!(invite.to.to_string(), c.own);
    assert_eq!(invite.uri(), format!("sip:party@{}", c.own));
    let (to, from) = (c.local_tag(), c.remote_tag());
    let expected = format!("{};to-tag={to};from-tag={from}", c.call_id);
    assert_eq!(invite.value("Replaces"), expected);
    assert_eq!(invite.value("Require"), "replaces");
    let (mut caller, mut fresh) = world.pick_up(invite);
    let bye = one(&world.request(&mut c, "BYE", ""), "BYE");
    assert_eq!(
        bye.to.to_string(),
        A,
        "A is released by the one it referred to"
    );
    world.answer(&bye, "200 OK", "");
    let info = one(&world.request(&mut caller, "INFO", ""), "INFO");
    assert_eq!(info.to.to_string(), fresh.own);
    world.answer(&info, "200 OK", "");
    world.hang_up(&mut fresh);
}

#[test]
fn the_one_referred_replaces_the_transferor_at_the_other_end() {
    // Both calls on one shard, B's INVITE on it too, or each somewhere else.
    for (first, second, third, asked) in [
        ("0-a", "0-b", "0-c", 0),
        ("0-a", "1-b", "0-c", 1),
        ("1-a", "0-b", "0-c", 0),
        ("0-a", "1-b", "2-c", 1),
        ("0-a", "0-b", "1-c", 1),
    ] {
        let mut world = World::new(3);
        let mut all = consulted(&mut world, first, second);
        let more = all.a_c.refer_to();
        let refer = one(&world.request(&mut all.a_b, "REFER", &more), "REFER");
        assert_eq!(refer.to.to_string(), B);
        world.answer(&refer, "202 Accepted", "");
        let sent = follow(&mut world, &refer, third);
        replaced(&mut world, &one(&sent, "INVITE"), all.c);
        world.hang_up(&mut all.b);
        assert_eq!(world.sum(|it| it.dialogs_asked), asked, "{second} {third}");
        assert_eq!(world.sum(|it| it.dialogs_found), 1);
        world.assert_idle();
    }
}

#[test]
fn the_transferor_may_have_been_called_by_either() {
    let mut world = World::new(2);
    // C calls A, A calls B: A's dialog of the call with C is one that the router began.
    let (c, mut a_c) = world.connect(C, "0-c", "sip:7@127.0.0.1");
    let (mut a_b, mut other) = world.connect(B, "1-a", "sip:8@127.0.0.1");
    let more = a_c.refer_to();
    let refer = one(&world.request(&mut a_b, "REFER", &more), "REFER");
    let text = follow(&mut world, &refer, "1-d");
    let invite = one(&text, "INVITE");
    let expected = format!(
        "{};to-tag={};from-tag={}",
        c.call_id,
        c.local_tag(),
        c.remote_tag()
    );
    assert_eq!(invite.value("Replaces"), expected);
    assert_eq!(invite.uri(), format!("sip:party@{C}"));
    world.answer(&invite, "603 Decline", "x");
    world.answer(&refer, "202 Accepted", "");
    world.hang_up(&mut a_c);
    world.hang_up(&mut other);
    world.assert_idle();
}

#[test]
fn nothing_of_the_transferors_dialog_is_told_to_others() {
    let mut world = World::new(1);
    let mut all = consulted(&mut world, "0-secretive", "0-hidden-call");
    let more = all.a_c.refer_to();
    let refer = one(&world.request(&mut all.a_b, "REFER", &more), "REFER");
    world.answer(&refer, "202 Accepted", "");
    let sent = follow(&mut world, &refer, "0-c");
    let invite = one(&sent, "INVITE");
    for text in [&refer.text, &invite.text] {
        for secret in ["hidden-call", all.a_c.local_tag(), A, "127.0.0.9"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // What B was told names A's dialog, and not what C is to be told of its own.
    assert!(
        !invite.text.contains(all.a_c.remote_tag()),
        "{}",
        invite.text
    );
    world.answer(&invite, "486 Busy", "x");
    world.hang_up(&mut all.a_b);
    world.hang_up(&mut all.a_c);
    world.assert_idle();
}

/// A names the router as it likes, in the reference to its dialog with C.
fn refer_by(all: &Consulted, host: &str) -> String {
    let more = all.a_c.refer_to();
    let (before, rest) = more.split_once('@').expect("a user");
    let (_, after) = rest.split_once('?').expect("a header");
    format!("{before}@{host}?{after}")
}

#[test]
fn a_dialog_of_ours_is_shielded_by_whatever_address_it_is_named() {
    for (second, asked) in [("0-hidden-call", 0), ("1-hidden-call", 1)] {
        for host in ["127.0.0.1:5999", "elsewhere.example", "192.0.2.7;x=y"] {
            let mut world = World::new(2);
            let mut all = consulted(&mut world, "0-secretive", second);
            let more = refer_by(&all, host);
            let refer = one(&world.request(&mut all.a_b, "REFER", &more), "REFER");
            assert_eq!(world.sum(|it| it.dialogs_asked), asked, "{host}");
            for secret in ["hidden-call", all.a_c.local_tag(), host] {
                assert!(!refer.text.contains(secret), "{secret} in {}", refer.text);
            }
            world.answer(&refer, "202 Accepted", "");
            let sent = follow(&mut world, &refer, "0-c");
            replaced(&mut world, &one(&sent, "INVITE"), all.c);
            world.hang_up(&mut all.b);
            world.assert_idle();
        }
    }
}

#[test]
fn a_dialog_that_is_not_ours_passes_as_it_is_named() {
    for call_id in ["0-second", "1-second"] {
        let mut world = World::new(2);
        let mut all = consulted(&mut world, "0-first", call_id);
        // The tag is one of ours, but not of this dialog.
        let more = refer_by(&all, "elsewhere.example").replace("-second", "-guessed");
        let refer = one(&world.request(&mut all.a_b, "REFER", &more), "REFER");
        assert_eq!(refer.lines("Refer-To"), more);
        world.answer(&refer, "603 Decline", "");
        world.hang_up(&mut all.a_b);
        world.hang_up(&mut all.a_c);
        world.assert_idle();
    }
}

#[test]
fn a_reference_whose_owner_does_not_answer_is_refused() {
    let mut world = World::new(2);
    let mut all = consulted(&mut world, "0-first", "1-second");
    world.deaf = true;
    let more = refer_by(&all, "elsewhere.example");
    assert_eq!(world.request(&mut all.a_b, "REFER", &more), []);
    one(&world.seconds(3), "500");
    world.deaf = false;
    let refer = one(&world.request(&mut all.a_b, "REFER", &more), "REFER");
    world.answer(&refer, "603 Decline", "");
    world.hang_up(&mut all.a_b);
    world.hang_up(&mut all.a_c);
    world.assert_idle();
}

#[test]
fn a_party_that_names_its_dialog_itself_is_understood() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", "sip:8@127.0.0.1");
    for (relation, value) in [
        ("Replaces", a_c.replaces()),
        ("Join", a_c.replaces()),
        ("Replaces", format!("{};x=y", a_c.replaces())),
    ] {
        let more = format!("{relation}: {value}\r\n");
        let sent = world.invite(B, &format!("0-{}", value.len()), "sip:7@127.0.0.1", &more);
        let invite = one(&sent, "INVITE");
        assert_eq!(invite.to.to_string(), C, "not where the routing DB says");
        let expected = format!(
            "{};to-tag={};from-tag={}",
            c.call_id,
            c.local_tag(),
            c.remote_tag()
        );
        assert_eq!(invite.value(relation), expected);
        world.answer(&invite, "488 No", "x");
        world.seconds(40);
    }
    world.hang_up(&mut c);
    world.assert_idle();
}

#[test]
fn a_word_that_is_lost_costs_the_transfer_and_nothing_else() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", "sip:8@127.0.0.1");
    world.deaf = true;
    let more = format!("Replaces: {}\r\n", a_c.replaces());
    let sent = world.invite(B, "0-b", "sip:7@127.0.0.1", &more);
    assert!(sent.iter().all(|sent| sent.kind() == "100"), "{sent:#?}");
    let late = world.seconds(3);
    assert!(late.iter().any(|sent| sent.kind() == "500"), "{late:#?}");
    world.hang_up(&mut c);
    world.assert_idle();
}

#[test]
fn an_invite_that_waits_while_the_router_drains_is_refused() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", "sip:8@127.0.0.1");
    let more = format!("Replaces: {}\r\n", a_c.replaces());
    world.drains = true;
    let sent = world.invite(B, "0-b", "sip:7@127.0.0.1", &more);
    let refused = one(&sent, "503");
    let seconds: u32 = refused.value("Retry-After").parse().expect("a number");
    assert!((5..=10).contains(&seconds), "{seconds}");
    world.hang_up(&mut c);
    world.assert_idle();
}

#[test]
fn an_invite_that_waits_can_be_cancelled() {
    let mut world = World::new(2);
    let (a_c, mut c) = world.connect(A, "1-b", "sip:8@127.0.0.1");
    world.deaf = true;
    let more = format!("Replaces: {}\r\n", a_c.replaces());
    world.invite(B, "0-b", "sip:7@127.0.0.1", &more);
    let sent = world.cancel(B, "0-b", "sip:7@127.0.0.1");
    one(&sent, "200");
    one(&sent, "487");
    world.deaf = false;
    world.hang_up(&mut c);
    world.assert_idle();
    assert_eq!(world.sum(|it| it.calls_started), 1);
}
