//! Who refreshes, and what becomes of a session that nobody refreshes.

use super::world::{CALLEE, CALLER, Sent, World, kinds, one, sdp};
use super::{KNOWS, expires, timed, timed_by, timed_in, up, with_expires};
use tipring_router::Refreshes;

/// Said by a party that knows session timers, and no UPDATE.
const NO_UPDATE: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n";

/// A call whose callee, refreshed by the router, says this; the caller refreshes itself every hour.
fn refreshed(callee: &str) -> World {
    let caller = with_expires(KNOWS, "1800;refresher=uac");
    up(timed(), &caller, &with_expires(callee, "180;refresher=uac"))
}

#[track_caller]
fn assert_ended(world: &mut World, sent: &[Sent], text: &str) {
    let expected = format!("SIP;cause=408;text=\"{text}\"");
    for party in [CALLER, CALLEE] {
        let bye = one(sent, party, "BYE");
        assert_eq!(bye.header("Reason"), Some(&*expected));
        world.ok(&bye);
    }
    assert_eq!(world.counters().sessions_expired, 1);
    world.assert_idle();
}

#[test]
fn the_router_refreshes_at_half_of_the_interval_with_update() {
    let mut world = refreshed(KNOWS);
    for _ in 0..3 {
        assert!(world.seconds(89).is_empty());
        let sent = world.seconds(1);
        assert_eq!(sent.len(), 1, "{sent:#?}");
        let update = one(&sent, CALLEE, "UPDATE");
        assert_eq!(expires(&update), Some("180;refresher=uac"));
        assert_eq!(update.values("Supported"), ["timer"]);
        assert!(update.header("Contact").is_some() && update.body().is_empty());
        let said = with_expires("Require: timer\r\n", "180;refresher=uac");
        assert!(world.answer(&update, "200 OK", "", &said, "").is_empty());
    }
    assert_eq!(world.counters().session_refreshes, 3);
}

#[test]
fn a_peer_without_update_gets_the_description_it_had_in_a_reinvite() {
    let mut world = refreshed(NO_UPDATE);
    let first = world.invite.clone().expect("an INVITE");
    let sent = world.seconds(90);
    let invite = one(&sent, CALLEE, "INVITE");
    assert_eq!(invite.body(), first.body());
    assert_eq!(invite.header("Content-Type"), Some("application/sdp"));
    assert_eq!(expires(&invite), Some("180;refresher=uac"));
    let said = with_expires("", "180;refresher=uac");
    let sent = world.answer(&invite, "200 OK", "", &said, &sdp(1, 6000, ""));
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    let ack = one(&sent, CALLEE, "ACK");
    assert_eq!(World::cseq_of(&ack), World::cseq_of(&invite));
}

#[test]
fn what_a_reinvite_changed_is_what_a_refresh_says() {
    let mut world = refreshed(NO_UPDATE);
    let sent = world.caller_sends("INVITE", KNOWS, &sdp(2, 4444, ""));
    let changed = one(&sent, CALLEE, "INVITE");
    world.answer(&changed, "200 OK", "", NO_UPDATE, &sdp(2, 6000, ""));
    world.ack(2, "");
    // One that was refused is as if it had never been.
    let sent = world.caller_sends("INVITE", KNOWS, &sdp(3, 4555, ""));
    let refused = one(&sent, CALLEE, "INVITE");
    world.answer(&refused, "488 Not Acceptable Here", "", "", "");
    world.ack(3, "");
    let sent = world.seconds(900);
    let refresh = one(&sent, CALLEE, "INVITE");
    assert_eq!(refresh.body(), changed.body());
}

#[test]
fn a_caller_without_update_is_refreshed_with_the_answer_it_had() {
    let caller = with_expires(NO_UPDATE, "180;refresher=uas");
    let mut world = up(timed(), &caller, &with_expires(KNOWS, "1800;refresher=uas"));
    let sent = world.seconds(90);
    let invite = one(&sent, CALLER, "INVITE");
    assert_eq!(invite.body(), sdp(1, 6000, ""));
    let sent = world.answer(&invite, "200 OK", "", "", &sdp(1, 4000, ""));
    assert_eq!(kinds(&sent, CALLER), ["ACK"]);
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
}

#[test]
fn peers_that_know_no_timers_are_refreshed_by_the_router() {
    let mut world = timed();
    world.call("5", "", &sdp(1, 4000, ""));
    let sent = world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    assert_eq!(expires(&one(&sent, CALLER, "200")), None);
    world.ack(1, "");
    let sent = world.seconds(899);
    assert!(sent.is_empty(), "{sent:#?}");
    let sent = world.seconds(1);
    // One after the other: there is one offer at a time.
    let to_callee = one(&sent, CALLEE, "INVITE");
    assert_eq!(to_callee.body(), sdp(1, 4000, ""));
    world.answer(&to_callee, "200 OK", "", "", &sdp(1, 6000, ""));
    let sent = world.seconds(3);
    let to_caller = one(&sent, CALLER, "INVITE");
    assert_eq!(to_caller.body(), sdp(1, 6000, ""));
    world.answer(&to_caller, "200 OK", "", "", &sdp(1, 4000, ""));
    assert_eq!(world.counters().session_refreshes, 2);
    // Whatever such a peer answers, it is there.
    let sent = world.seconds(897);
    let invite = one(&sent, CALLEE, "INVITE");
    world.answer(&invite, "488 Not Acceptable Here", "", "", "");
    let sent = world.seconds(20);
    assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    assert_eq!(world.counters().sessions_expired, 0);
}

#[test]
fn regression_a_late_refresh_of_a_peer_without_timers_is_no_end() {
    let mut world = up(timed_in(6, 2, Refreshes::Auto), "", "");
    let sent = world.seconds(3);
    let to_callee = one(&sent, CALLEE, "INVITE");
    // While the callee takes its time, the caller's interval passes.
    world.seconds(4);
    world.answer(&to_callee, "200 OK", "", "", &sdp(1, 6000, ""));
    let sent = world.seconds(2);
    one(&sent, CALLER, "INVITE");
    assert_eq!(world.counters().sessions_expired, 0);
}

#[test]
fn a_session_the_peer_does_not_refresh_ends_before_it_expires() {
    for (refresher, interval, before) in [("uac", 90, 60), ("uac", 600, 568)] {
        let caller = with_expires(KNOWS, &format!("{interval};refresher={refresher}"));
        let mut world = up(timed(), &caller, &with_expires(KNOWS, "1800;refresher=uas"));
        let sent = world.seconds(before - 1);
        assert!(sent.is_empty(), "{sent:#?}");
        let sent = world.seconds(1);
        assert_ended(&mut world, &sent, "Session Timer Expired");
    }
}

#[test]
fn a_refresh_of_the_peer_postpones_the_end() {
    let caller = with_expires(KNOWS, "90;refresher=uac");
    let mut world = up(timed(), &caller, &with_expires(KNOWS, "1800;refresher=uas"));
    for _ in 0..4 {
        world.seconds(45);
        let sent = world.caller_sends("UPDATE", &caller, "");
        let update = one(&sent, CALLEE, "UPDATE");
        world.answer(
            &update,
            "200 OK",
            "",
            &with_expires("", "1800;refresher=uas"),
            "",
        );
    }
    let sent = world.seconds(60);
    assert_ended(&mut world, &sent, "Session Timer Expired");
}

#[test]
fn a_refresh_answered_481_or_not_at_all_ends_the_call() {
    let mut world = refreshed(KNOWS);
    let sent = world.seconds(90);
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.answer(&update, "481 Call/Transaction Does Not Exist", "", "", "");
    assert_ended(&mut world, &sent, "Session Refresh Failed");

    let mut world = refreshed(KNOWS);
    let sent = world.seconds(90 + 32);
    let byes: Vec<Sent> = sent.into_iter().filter(|it| it.kind() == "BYE").collect();
    assert_ended(&mut world, &byes, "Session Refresh Failed");
}

#[test]
fn a_refresh_that_meets_an_offer_is_tried_again() {
    let mut world = refreshed(NO_UPDATE);
    let sent = world.seconds(90);
    let invite = one(&sent, CALLEE, "INVITE");
    // No other offer meanwhile, on either leg.
    for sent in [
        world.caller_sends("INVITE", KNOWS, &sdp(2, 4000, "")),
        world.caller_sends("UPDATE", KNOWS, &sdp(2, 4000, "")),
        world.callee_sends("INVITE", "x", NO_UPDATE, &sdp(2, 6000, "")),
    ] {
        assert_eq!(sent.len(), 1, "{sent:#?}");
        assert_eq!(sent.first().map(Sent::kind), Some("491"));
    }
    let sent = world.answer(&invite, "491 Request Pending", "", "", "");
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    // RFC 3261 14.1: the owner of the Call-ID waits 2.1 to 4 s.
    let sent = world.pass(std::time::Duration::from_millis(2_099));
    assert!(!kinds(&sent, CALLEE).contains(&"INVITE".to_owned()));
    let sent = world.seconds(2);
    one(&sent, CALLEE, "INVITE");
}

#[test]
fn a_refresh_waits_for_a_reinvite_that_is_under_way() {
    let mut world = refreshed(NO_UPDATE);
    world.seconds(89);
    let sent = world.caller_sends("INVITE", KNOWS, &sdp(2, 4002, ""));
    let invite = one(&sent, CALLEE, "INVITE");
    let sent = world.seconds(2);
    assert!(!kinds(&sent, CALLEE).iter().any(|kind| kind == "UPDATE"));
    let again = sent.iter().filter(|it| it.kind() == "INVITE");
    assert!(again.clone().all(|it| it.text == invite.text), "{sent:#?}");
}

#[test]
fn a_refresh_refused_for_its_interval_is_sent_with_a_longer_one() {
    let mut world = refreshed(KNOWS);
    let sent = world.seconds(90);
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.answer(
        &update,
        "422 Session Interval Too Small",
        "",
        "Min-SE: 600\r\n",
        "",
    );
    let again = one(&sent, CALLEE, "UPDATE");
    assert_eq!(expires(&again), Some("600;refresher=uac"));
    assert_eq!(again.header("Min-SE"), Some("600"));
    world.answer(
        &again,
        "200 OK",
        "",
        &with_expires("", "600;refresher=uac"),
        "",
    );
    assert!(world.seconds(299).is_empty());
    one(&world.seconds(1), CALLEE, "UPDATE");
}

#[test]
fn a_refresh_refused_by_a_peer_with_timers_is_tried_until_the_end_is_near() {
    let mut world = refreshed(KNOWS);
    let mut refused = 0;
    for _ in 0..180 {
        for update in world.seconds(1) {
            if update.kind() == "BYE" {
                continue;
            }
            refused += 1;
            world.answer(&update, "500 Server Internal Error", "", "", "");
        }
    }
    assert!((2..10).contains(&refused), "{refused}");
    assert_eq!(world.counters().sessions_expired, 1);
}

#[test]
fn regression_a_peer_that_answered_405_is_sent_no_other_update() {
    let mut world = refreshed(KNOWS);
    let update = one(&world.seconds(90), CALLEE, "UPDATE");
    let allow = "Allow: INVITE, ACK, BYE\r\n";
    world.answer(&update, "405 Method Not Allowed", "", allow, "");
    let sent = world.seconds(90);
    assert!(
        !kinds(&sent, CALLEE).contains(&"UPDATE".to_owned()),
        "{sent:#?}"
    );
    assert_eq!(world.counters().sessions_expired, 1);
}

#[test]
fn an_update_the_peer_does_not_know_after_all_is_no_end() {
    let mut world = refreshed("Supported: timer\r\nAllow: INVITE\r\n");
    let sent = world.callee_sends("INFO", "x", "", "");
    world.ok(&one(&sent, CALLER, "INFO"));
    let sent = world.seconds(90);
    one(&sent, CALLEE, "INVITE");
}

#[test]
fn a_call_that_ends_with_a_refresh_under_way_leaves_nothing() {
    for refreshes in [Refreshes::Auto, Refreshes::Router] {
        let mut world = timed_by(refreshes);
        world.call("5", NO_UPDATE, &sdp(1, 4000, ""));
        let callee = with_expires(NO_UPDATE, "180;refresher=uac");
        world.ring("200 OK", "x", &callee, &sdp(1, 6000, ""));
        world.ack(1, "");
        let sent = world.seconds(90);
        let invite = one(&sent, CALLEE, "INVITE");
        world.answer(&invite, "100 Trying", "", "", "");
        let sent = world.caller_sends("BYE", "", "");
        let bye = one(&sent, CALLEE, "BYE");
        world.ok(&bye);
        // The 2xx crosses the BYE: it is ACKed all the same.
        let sent = world.answer(&invite, "200 OK", "x", "", &sdp(1, 6000, ""));
        assert!(kinds(&sent, CALLEE).contains(&"ACK".to_owned()));
        world.assert_idle();
    }
}

#[test]
fn a_steered_call_is_refreshed_with_the_routers_own_addresses() {
    let mut world = timed();
    world.call("4", NO_UPDATE, &sdp(1, 4000, ""));
    world.ring("183 Session Progress", "x", NO_UPDATE, &sdp(1, 6000, ""));
    world.ack(1, "");
    world.ring(
        "200 OK",
        "x",
        &with_expires(NO_UPDATE, "100;refresher=uac"),
        &sdp(1, 6000, ""),
    );
    let first = world.invite.clone().expect("an INVITE");
    let sent = world.seconds(50);
    let invite = one(&sent, CALLEE, "INVITE");
    assert_eq!(invite.body(), first.body());
    assert!(invite.body().contains("IN IP4 127.0.0.1"));
    assert!(!invite.body().contains("127.0.0.9"));
    let sent = world.answer(&invite, "200 OK", "", "", &sdp(1, 6000, ""));
    one(&sent, CALLEE, "ACK");
}
