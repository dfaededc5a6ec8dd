//! CANCEL through the proxy (RFC 3261 16.10), and the operator's end of everything.

use tipring_router::Command;

use crate::world::{CALLER, ONE, TWO, World, kinds, one};

#[test]
fn proxy_cancel() {
    let mut world = World::new();
    let sent = world.request("INVITE", "200", "");
    let (first, second) = (one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE"));
    world.answer(&first, "180 Ringing", "one", "");
    let reason = "SIP;cause=487;text=\"enough\"";
    let sent = world.cancel("200", &format!("Reason: {reason}\r\n"));
    assert_eq!(kinds(&sent, CALLER), ["200"], "to the CANCEL, at once");
    let cancel = one(&sent, ONE, "CANCEL");
    assert_eq!(cancel.header("Reason"), Some(reason));
    assert_eq!(cancel.uri(), first.uri());
    assert_eq!(
        kinds(&sent, TWO),
        [""; 0],
        "RFC 3261 9.1: nothing was heard of it"
    );
    let sent = world.answer(&second, "180 Ringing", "two", "");
    assert_eq!(kinds(&sent, TWO), ["CANCEL"]);
    let sent = world.answer(&second, "486 Busy Here", "two", "");
    assert_eq!(kinds(&sent, CALLER), [""; 0]);
    let sent = world.answer(&first, "487 Request Terminated", "one", "");
    assert_eq!(kinds(&sent, CALLER), ["487"]);
    world.assert_idle();
}

#[test]
fn a_cancelled_serial_fork_tries_nobody_else() {
    let mut world = World::new();
    let first = one(&world.request("INVITE", "300", ""), ONE, "INVITE");
    world.answer(&first, "180 Ringing", "one", "");
    world.cancel("300", "");
    let sent = world.answer(&first, "487 Request Terminated", "one", "");
    assert_eq!(
        (kinds(&sent, TWO), kinds(&sent, CALLER)),
        (vec![], vec!["487".to_owned()])
    );
    world.assert_idle();
}

#[test]
fn an_answer_that_crosses_the_cancel_passes() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    world.answer(&invite, "180 Ringing", "b", "");
    world.cancel("100", "");
    let sent = world.answer(&invite, "200 OK", "b", "");
    assert_eq!(kinds(&sent, CALLER), ["200"]);
    let late = world.cancel("100", "");
    assert_eq!(kinds(&late, CALLER), ["200"], "a copy of the CANCEL");
    world.assert_idle();
}

#[test]
fn a_cancelled_branch_that_never_answers_is_a_487() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    world.answer(&invite, "180 Ringing", "b", "");
    world.cancel("100", "");
    let sent = world.seconds(33.0);
    assert!(kinds(&sent, CALLER).contains(&"487".to_owned()));
    world.assert_idle();
}

#[test]
fn while_the_name_is_looked_up_a_cancel_ends_it_at_once() {
    let mut world = World::new();
    world.request("INVITE", "600", "");
    let sent = world.cancel("600", "");
    assert_eq!(kinds(&sent, CALLER), ["200", "487"]);
    world.assert_idle();
}

#[test]
fn ending_everything_cancels_what_rings() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    world.answer(&invite, "180 Ringing", "b", "");
    let sent = world.command(&Command::EndAll);
    assert_eq!(
        (kinds(&sent, ONE), kinds(&sent, CALLER)),
        (vec!["CANCEL".to_owned()], vec!["503".to_owned()])
    );
    let refused = world.request("INVITE", "100", "");
    assert_eq!(kinds(&refused, CALLER), ["503"], "it drains");
    world.assert_idle();
}
