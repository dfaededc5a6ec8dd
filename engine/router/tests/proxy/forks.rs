//! Forking (RFC 3261 16.6, 16.7): targets at once and one after the other, timer C, unreachable targets.

use crate::world::{CALLER, ONE, TWO, World, kinds, one};

#[test]
fn proxy_parallel_fork_cancels_losers() {
    let mut world = World::new();
    let sent = world.request("INVITE", "200", "");
    let (first, second) = (one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE"));
    assert_eq!(second.uri(), "sip:other@127.0.0.3:5070");
    assert_ne!(first.values("Via")[0], second.values("Via")[0]);
    for invite in [&first, &second] {
        let ringing = world.answer(invite, "180 Ringing", "b", "");
        assert_eq!(kinds(&ringing, CALLER), ["180"]);
    }
    let answered = world.answer(&second, "200 OK", "two", "");
    assert_eq!(kinds(&answered, CALLER), ["200"]);
    let cancel = one(&answered, ONE, "CANCEL");
    assert_eq!(cancel.values("Via"), [first.values("Via")[0]]);
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(cancel.header("Reason"), Some(reason));
    let ended = world.answer(&first, "487 Request Terminated", "one", "");
    assert_eq!(
        (kinds(&ended, ONE), kinds(&ended, CALLER)),
        (vec!["ACK".to_owned()], vec![])
    );
    world.answer(&cancel, "200 OK", "one", "");
    assert_eq!(world.counters().proxied_branches, 2);
    world.assert_idle();
}

#[test]
fn a_loser_that_answers_all_the_same_is_heard() {
    let mut world = World::new();
    let sent = world.request("INVITE", "200", "");
    let (first, second) = (one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE"));
    world.answer(&second, "200 OK", "two", "");
    let crossed = world.answer(&first, "200 OK", "one", "");
    assert_eq!(kinds(&crossed, CALLER), ["200"], "RFC 3261 16.7 step 5");
    let late = world.answer(&first, "180 Ringing", "one", "");
    assert_eq!(kinds(&late, CALLER), [""; 0]);
    world.assert_idle();
}

#[test]
fn proxy_serial_fork() {
    let mut world = World::new();
    let sent = world.request("INVITE", "300", "");
    assert_eq!(kinds(&sent, TWO), [""; 0], "the lower q waits");
    let first = one(&sent, ONE, "INVITE");
    let sent = world.answer(&first, "486 Busy Here", "one", "");
    assert_eq!(kinds(&sent, CALLER), [""; 0]);
    let second = one(&sent, TWO, "INVITE");
    assert_eq!(second.header("Max-Breadth"), Some("60"));
    assert!(second.text.ends_with("hello"));
    let answered = world.answer(&second, "200 OK", "two", "");
    assert_eq!(kinds(&answered, CALLER), ["200"]);
    world.assert_idle();
}

#[test]
fn who_rings_too_long_is_cancelled_and_the_next_one_rings() {
    let mut world = World::new();
    let sent = world.request("INVITE", "300", "");
    let first = one(&sent, ONE, "INVITE");
    world.answer(&first, "180 Ringing", "one", "");
    let sent = world.seconds(10.0);
    assert_eq!(
        (kinds(&sent, ONE), kinds(&sent, TWO)),
        (vec!["CANCEL".to_owned()], vec![])
    );
    let sent = world.answer(&first, "487 Request Terminated", "one", "");
    let second = one(&sent, TWO, "INVITE");
    world.answer(&second, "180 Ringing", "two", "");
    world.seconds(10.0);
    let ended = world.answer(&second, "487 Request Terminated", "two", "");
    assert_eq!(
        kinds(&ended, CALLER),
        ["408"],
        "no 487: the caller did not cancel"
    );
    world.assert_idle();
}

#[test]
fn who_is_silent_is_passed_over_without_waiting_for_it() {
    let mut world = World::new();
    let first = one(&world.request("INVITE", "800", ""), ONE, "INVITE");
    let sent = world.seconds(5.1);
    let second = one(&sent, TWO, "INVITE");
    // It speaks at last, and is told that it is too late.
    let sent = world.answer(&first, "180 Ringing", "one", "");
    assert_eq!(
        (kinds(&sent, ONE), kinds(&sent, CALLER)),
        (vec!["CANCEL".to_owned()], vec![])
    );
    let ended = world.answer(&second, "603 Decline", "two", "");
    assert_eq!(kinds(&ended, CALLER), ["603"]);
    world.assert_idle();
}

#[test]
fn proxy_timer_c() {
    let mut world = World::new();
    let invite = one(&world.request("INVITE", "100", ""), ONE, "INVITE");
    world.answer(&invite, "180 Ringing", "b", "");
    assert_eq!(kinds(&world.seconds(180.0), ONE), [""; 0]);
    world.answer(&invite, "180 Ringing", "b", "");
    assert_eq!(
        kinds(&world.seconds(180.0), ONE),
        [""; 0],
        "each 18x starts it again"
    );
    let sent = world.seconds(5.2);
    assert_eq!(kinds(&sent, ONE), ["CANCEL"]);
    let ended = world.answer(&invite, "487 Request Terminated", "b", "");
    assert_eq!(kinds(&ended, CALLER), ["408"]);
    world.assert_idle();
}

#[test]
fn nobody_answers_is_a_408() {
    let mut world = World::new();
    world.request("INVITE", "100", "");
    assert!(kinds(&world.seconds(33.0), CALLER).contains(&"408".to_owned()));
    world.assert_idle();
}

#[test]
fn an_unreachable_target_gives_way_to_the_next() {
    let mut world = World::new();
    world.request("INVITE", "300", "");
    let second = one(&world.unreachable(ONE), TWO, "INVITE");
    let ended = world.answer(&second, "503 Service Unavailable", "two", "");
    assert_eq!(kinds(&ended, CALLER), ["500"], "RFC 3261 16.7 step 6");
    world.assert_idle();
}
