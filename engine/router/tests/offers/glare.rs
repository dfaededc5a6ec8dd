//! Offers that meet (RFC 3261 14, RFC 3311 5.2): each way, each pair of methods.

use super::world::{kinds, one, sdp};
use super::{
    CALLEE, CALLER, Sent, World, calling, connected, hang_up, refused, retries_within_ten,
};

/// A request of this party with the next CSeq.
fn sends(world: &mut World, party: &str, method: &str, body: &str) -> Vec<Sent> {
    match party {
        CALLER => world.caller_sends(method, "", body),
        _ => world.callee_sends(method, "x", "", body),
    }
}

fn other(party: &str) -> &'static str {
    match party {
        CALLER => CALLEE,
        _ => CALLER,
    }
}

#[test]
fn an_offer_that_meets_another_is_491_and_a_second_of_the_same_side_500() {
    for party in [CALLER, CALLEE] {
        for (first, second) in [
            ("UPDATE", "UPDATE"),
            ("UPDATE", "INVITE"),
            ("INVITE", "UPDATE"),
            ("INVITE", "INVITE"),
        ] {
            let what = format!("{first}, {second} of {party}");
            let mut world = connected();
            let sent = sends(&mut world, party, first, &sdp(2, 4000, ""));
            let waiting = one(&sent, other(party), first);

            let sent = sends(&mut world, other(party), second, &sdp(2, 6000, ""));
            assert_eq!(refused(&sent, other(party)), 491, "{what}");
            let sent = sends(&mut world, party, second, &sdp(3, 4000, ""));
            assert_eq!(refused(&sent, party), 500, "{what}");
            retries_within_ten(&sent);
            assert!(world.counters().untimely > 0 || (first, second) == ("INVITE", "INVITE"));

            let sent = world.answer(&waiting, "200 OK", "", "", &sdp(2, 6000, ""));
            one(&sent, party, "200");
            if first == "INVITE" {
                let cseq = World::cseq_of(&one(&sent, party, "200"));
                match party {
                    CALLER => drop(world.ack(cseq, "")),
                    _ => drop(world.callee_acks(cseq, "x", "")),
                }
            }
            let sent = sends(&mut world, other(party), second, &sdp(4, 6000, ""));
            one(&sent, party, second);
        }
    }
}

#[test]
fn a_refused_offer_makes_room_for_the_next() {
    for party in [CALLER, CALLEE] {
        for code in [
            "488 Not Acceptable Here",
            "491 Request Pending",
            "401 Unauthorized",
        ] {
            let mut world = connected();
            let sent = sends(&mut world, party, "UPDATE", &sdp(2, 4000, ""));
            world.answer(&one(&sent, other(party), "UPDATE"), code, "", "", "");
            let sent = sends(&mut world, other(party), "UPDATE", &sdp(2, 6000, ""));
            one(&sent, party, "UPDATE");
        }
    }
}

#[test]
fn an_update_without_an_offer_meets_nothing_but_another_update() {
    for party in [CALLER, CALLEE] {
        let mut world = connected();
        sends(&mut world, party, "INVITE", &sdp(2, 4000, ""));
        for from in [CALLER, CALLEE] {
            let sent = sends(&mut world, from, "UPDATE", "");
            one(&sent, other(from), "UPDATE");
            // RFC 3311 5.2: before the final response to the one before.
            let sent = sends(&mut world, from, "UPDATE", "");
            assert_eq!(refused(&sent, from), 500);
            retries_within_ten(&sent);
        }
    }
}

#[test]
fn an_update_before_the_first_answer_waits() {
    let mut world = calling("");
    world.ring("180 Ringing", "x", "", "");
    let sent = world.caller_sends("UPDATE", "", &sdp(2, 4000, ""));
    assert_eq!(refused(&sent, CALLER), 500);
    retries_within_ten(&sent);
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(1, 6000, ""));
    assert_eq!(refused(&sent, CALLEE), 491);
    world.ring("183 Session Progress", "x", "", &sdp(1, 6000, ""));
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6000, ""));
    one(&sent, CALLER, "UPDATE");
}

#[test]
fn other_requests_cross_while_an_offer_waits() {
    let mut world = connected();
    world.caller_sends("UPDATE", "", &sdp(2, 4000, ""));
    for method in ["INFO", "MESSAGE"] {
        let sent = world.callee_sends(method, "x", "", &sdp(1, 6000, ""));
        assert_eq!(kinds(&sent, CALLER), [method]);
        let sent = world.caller_sends(method, "", "");
        assert_eq!(kinds(&sent, CALLEE), [method]);
    }
}

#[test]
fn an_answer_that_is_still_in_its_ack_is_waited_for() {
    for party in [CALLER, CALLEE] {
        let mut world = connected();
        let sent = sends(&mut world, party, "INVITE", "");
        let delayed = one(&sent, other(party), "INVITE");
        let sent = world.answer(&delayed, "200 OK", "", "", &sdp(2, 6000, ""));
        let cseq = World::cseq_of(&one(&sent, party, "200"));
        // The next one overtakes the ACK: the 2xx's offer has no answer yet (RFC 3261 14.2).
        let sent = sends(&mut world, party, "INVITE", &sdp(3, 4000, ""));
        assert_eq!(refused(&sent, party), 491);
        let sent = sends(&mut world, party, "UPDATE", &sdp(3, 4000, ""));
        assert_eq!(refused(&sent, party), 491);
        let sent = match party {
            CALLER => world.ack(cseq, &sdp(2, 4000, "")),
            _ => world.callee_acks(cseq, "x", &sdp(2, 4000, "")),
        };
        assert_eq!(one(&sent, other(party), "ACK").body(), sdp(2, 4000, ""));
        let sent = sends(&mut world, party, "INVITE", &sdp(3, 4000, ""));
        one(&sent, other(party), "INVITE");
    }
}

#[test]
fn an_answer_in_the_first_ack_passes() {
    let mut world = super::world::world();
    world.call("5", "", "");
    world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    let sent = world.ack(1, &sdp(1, 4000, ""));
    assert_eq!(one(&sent, CALLEE, "ACK").body(), sdp(1, 4000, ""));
    // Repeated, it goes no further: the callee has it.
    assert!(world.ack(1, &sdp(1, 4000, "")).is_empty());
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6000, ""));
    let update = one(&sent, CALLER, "UPDATE");
    world.answer(&update, "200 OK", "", "", &sdp(2, 4000, ""));
    let sent = world.caller_sends("BYE", "", "");
    assert!(
        world.ack(1, "").is_empty(),
        "an ACK after the BYE is nothing"
    );
    world.ok(&one(&sent, CALLEE, "BYE"));
    world.assert_idle();
}

#[test]
fn an_offer_nobody_answers_in_time_ends_the_call() {
    // RFC 3261 12.2.1.2: silence is a 408.
    let mut world = connected();
    world.caller_sends("UPDATE", "", &sdp(2, 4000, ""));
    let sent = world.seconds(33);
    one(&sent, CALLEE, "BYE");
    one(&sent, CALLER, "BYE");
}

#[test]
fn an_update_answered_without_a_description_leaves_no_offer_open() {
    let mut world = connected();
    let sent = world.caller_sends("UPDATE", "", &sdp(2, 4000, ""));
    world.answer(&one(&sent, CALLEE, "UPDATE"), "200 OK", "", "", "");
    let sent = world.callee_sends("UPDATE", "x", "", &sdp(2, 6000, ""));
    let update = one(&sent, CALLER, "UPDATE");
    world.answer(&update, "200 OK", "", "", &sdp(3, 4000, ""));
    hang_up(world);
}
