//! What each leg agrees on.

use super::world::{CALLEE, CALLER, World, kinds, one, sdp, world};
use super::{KNOWS, expires, timed, timed_by, up, with_expires};
use tipring_router::Refreshes;

#[test]
fn without_timers_of_the_routers_own_all_passes() {
    let mut world = world();
    world.call(
        "5",
        "Supported: timer\r\nSession-Expires: 20;refresher=uac\r\nMin-SE: 10\r\n",
        "",
    );
    let invite = world.invite.clone().expect("an INVITE");
    assert_eq!(expires(&invite), Some("20;refresher=uac"));
    assert_eq!(invite.header("Min-SE"), Some("10"));
    let refused = world.ring("422 Session Interval Too Small", "x", "Min-SE: 90\r\n", "");
    let refused = one(&refused, CALLER, "422");
    assert_eq!(refused.header("Min-SE"), Some("90"));
}

#[test]
fn an_interval_below_ours_is_422_with_min_se() {
    let mut world = timed();
    let sent = world.call("5", &with_expires(KNOWS, "89"), "");
    let refused = one(&sent, CALLER, "422");
    assert_eq!(refused.header("Min-SE"), Some("90"));
    assert!(world.invite.is_none());
    assert_eq!(world.counters().session_intervals_refused, 1);
    world.assert_idle();
}

#[test]
fn who_knows_no_timers_is_not_refused_for_what_a_proxy_asked() {
    let mut world = timed();
    world.call("5", &with_expires("", "5"), "");
    let sent = world.ring("200 OK", "x", "", "");
    let answer = one(&sent, CALLER, "200");
    assert_eq!((expires(&answer), answer.header("Require")), (None, None));
}

#[test]
fn each_leg_has_its_own_interval_and_refresher() {
    let mut world = timed();
    let asked =
        "Supported: timer, path\r\nRequire: timer\r\nSession-Expires: 600\r\nMin-SE: 300\r\n";
    world.call("5", asked, &sdp(1, 4000, ""));
    let invite = world.invite.clone().expect("an INVITE");
    assert_eq!(expires(&invite), Some("1800"));
    assert_eq!(invite.header("Min-SE"), Some("90"));
    assert_eq!(invite.values("Supported"), ["path", "timer"]);
    assert_eq!(invite.header("Require"), None);

    let said = "Supported: replaces\r\nRequire: timer\r\nSession-Expires: 900;refresher=uas\r\n";
    let sent = world.ring("200 OK", "x", said, &sdp(1, 6000, ""));
    let answer = one(&sent, CALLER, "200");
    assert_eq!(expires(&answer), Some("600;refresher=uac"));
    assert_eq!(answer.values("Require"), ["timer"]);
    assert_eq!(answer.values("Supported"), ["replaces", "timer"]);
    assert_eq!(answer.header("Min-SE"), None);
}

#[test]
fn the_refresher_is_the_callers_choice_then_the_configurations() {
    for (refreshes, asked, to_callee, to_caller) in [
        (Refreshes::Auto, "1800", "1800", "uac"),
        (Refreshes::Peer, "1800", "1800;refresher=uas", "uac"),
        (Refreshes::Router, "1800", "1800;refresher=uac", "uas"),
        (
            Refreshes::Router,
            "1800;refresher=uac",
            "1800;refresher=uac",
            "uac",
        ),
        (
            Refreshes::Peer,
            "1800;refresher=uas",
            "1800;refresher=uas",
            "uas",
        ),
    ] {
        let mut world = timed_by(refreshes);
        world.call("5", &with_expires(KNOWS, asked), "");
        let invite = world.invite.clone().expect("an INVITE");
        assert_eq!(expires(&invite), Some(to_callee));
        let sent = world.ring("200 OK", "x", "", "");
        let expected = format!("1800;refresher={to_caller}");
        assert_eq!(expires(&one(&sent, CALLER, "200")), Some(&*expected));
    }
}

#[test]
fn a_422_of_the_callee_is_answered_with_a_longer_interval_and_not_passed_on() {
    let mut world = timed();
    world.call("5", KNOWS, &sdp(1, 4000, ""));
    let first = world.invite.take().expect("an INVITE");
    world.answer(&first, "180 Ringing", "early", "", "");
    let sent = world.answer(
        &first,
        "422 Session Interval Too Small",
        "x",
        "Min-SE: 3600\r\n",
        "",
    );
    assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
    one(&sent, CALLEE, "ACK");
    let again = one(&sent, CALLEE, "INVITE");
    assert_eq!(World::cseq_of(&again), World::cseq_of(&first) + 1);
    for same in ["Call-ID", "From", "To", "Contact", "Max-Forwards"] {
        assert_eq!(again.header(same), first.header(same), "{same}");
    }
    assert_ne!(again.header("Via"), first.header("Via"));
    assert_eq!(again.body(), first.body());
    assert_eq!(
        (expires(&again), again.header("Min-SE")),
        (Some("3600"), Some("3600"))
    );
    assert_eq!(again.values("Supported"), ["timer"]);

    world.ring(
        "200 OK",
        "y",
        &with_expires(KNOWS, "3600;refresher=uas"),
        "",
    );
    let sent = world.ack(1, "");
    let ack = one(&sent, CALLEE, "ACK");
    assert_eq!(World::cseq_of(&ack), 2);
    assert!(ack.header("To").is_some_and(|to| to.ends_with(";tag=y")));
    assert_eq!(world.counters().session_intervals_raised, 1);
    let sent = world.caller_sends("BYE", "", "");
    world.ok(&one(&sent, CALLEE, "BYE"));
    world.assert_idle();
}

#[test]
fn a_callee_that_is_never_content_ends_the_call_with_500() {
    let mut world = timed();
    let mut sent = world.call("5", KNOWS, "");
    for min_se in [2000, 3000, 4000, 5000] {
        assert_eq!(kinds(&sent, CALLER), [] as [&str; 0]);
        let invite = one(&sent, CALLEE, "INVITE");
        let more = format!("Min-SE: {min_se}\r\n");
        sent = world.answer(&invite, "422 Session Interval Too Small", "x", &more, "");
    }
    let refused = one(&sent, CALLER, "500");
    let reason = refused.header("Reason").expect("a Reason");
    assert!(reason.starts_with("SIP;cause=422"), "{reason}");
    world.ack(1, "");
    world.assert_idle();
}

#[test]
fn a_422_that_asks_for_no_more_than_it_got_is_not_tried_again() {
    let mut world = timed();
    world.call("5", KNOWS, "");
    let sent = world.ring(
        "422 Session Interval Too Small",
        "x",
        "Min-SE: 1800\r\n",
        "",
    );
    assert_eq!(kinds(&sent, CALLEE), ["ACK"]);
    one(&sent, CALLER, "500");
}

#[test]
fn a_cancel_after_a_422_is_for_the_second_invite() {
    let mut world = timed();
    world.call("5", KNOWS, "");
    let sent = world.ring(
        "422 Session Interval Too Small",
        "x",
        "Min-SE: 3600\r\n",
        "",
    );
    let again = one(&sent, CALLEE, "INVITE");
    world.answer(&again, "180 Ringing", "y", "", "");
    let sent = world.cancel();
    let cancel = one(&sent, CALLEE, "CANCEL");
    assert_eq!(cancel.header("Via"), again.header("Via"));
    world.ok(&cancel);
    world.answer(&again, "487 Request Terminated", "y", "", "");
    world.ack(1, "");
    world.assert_idle();
}

#[test]
fn a_refresh_inside_the_call_passes_with_the_interval_of_the_other_leg() {
    let callee = with_expires(KNOWS, "700;refresher=uas");
    let mut world = up(timed(), &with_expires(KNOWS, "600"), &callee);
    let asked = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\nMin-SE: 100\r\n";
    let sent = world.caller_sends("UPDATE", asked, "");
    let update = one(&sent, CALLEE, "UPDATE");
    assert_eq!(expires(&update), Some("700;refresher=uas"));
    assert_eq!(update.header("Min-SE"), None);
    let said = with_expires("Require: timer\r\n", "650;refresher=uas");
    let sent = world.answer(&update, "200 OK", "", &said, "");
    let answer = one(&sent, CALLER, "200");
    assert_eq!(expires(&answer), Some("600;refresher=uac"));
    assert_eq!(answer.values("Require"), ["timer"]);
}

#[test]
fn a_refresh_that_comes_too_often_is_422_and_goes_no_further() {
    let mut world = up(timed(), KNOWS, KNOWS);
    for method in ["UPDATE", "INVITE"] {
        let sent = world.caller_sends(method, &with_expires(KNOWS, "30"), "");
        assert_eq!(one(&sent, CALLER, "422").header("Min-SE"), Some("90"));
        assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    }
}

#[test]
fn regression_a_422_to_a_request_passed_on_is_no_fault_of_its_sender() {
    let mut world = up(timed(), KNOWS, KNOWS);
    let sent = world.caller_sends("INVITE", KNOWS, &sdp(2, 4002, ""));
    let invite = one(&sent, CALLEE, "INVITE");
    let sent = world.answer(
        &invite,
        "422 Session Interval Too Small",
        "",
        "Min-SE: 3600\r\n",
        "",
    );
    let refused = one(&sent, CALLER, "500");
    assert!(refused.header("Retry-After").is_some());
    assert_eq!(refused.header("Min-SE"), None);
    let sent = world.caller_sends("INVITE", KNOWS, &sdp(2, 4002, ""));
    let invite = one(&sent, CALLEE, "INVITE");
    assert_eq!(expires(&invite), Some("3600;refresher=uac"));
    assert_eq!(invite.header("Min-SE"), Some("3600"));
}

#[test]
fn before_the_answer_there_is_no_session_to_refresh() {
    let mut world = timed();
    world.call("5", KNOWS, "");
    world.ring("180 Ringing", "x", KNOWS, "");
    let sent = world.caller_sends("UPDATE", &with_expires(KNOWS, "600"), "");
    let update = one(&sent, CALLEE, "UPDATE");
    assert_eq!(expires(&update), None);
    let sent = world.answer(
        &update,
        "200 OK",
        "",
        &with_expires("", "100;refresher=uas"),
        "",
    );
    assert_eq!(expires(&one(&sent, CALLER, "200")), None);
}

#[test]
fn an_early_answer_begins_the_callers_session_and_the_200_the_callees() {
    let mut world = timed();
    world.call("7", &with_expires(KNOWS, "600"), &sdp(1, 4000, ""));
    let invite = world.invite.clone().expect("an INVITE");
    assert_eq!(expires(&invite), Some("1800"));
    assert_eq!(invite.values("Supported"), ["100rel", "timer"]);
    let sent = world.ring("183 Session Progress", "x", KNOWS, &sdp(1, 6000, ""));
    let answer = one(&sent, CALLER, "200");
    assert_eq!(expires(&answer), Some("600;refresher=uac"));
    world.ack(1, "");
    // A refresh of the caller need not wait for the callee.
    let sent = world.caller_sends("UPDATE", &with_expires(KNOWS, "600;refresher=uac"), "");
    let update = one(&sent, CALLEE, "UPDATE");
    let sent = world.answer(&update, "200 OK", "", "", "");
    assert_eq!(
        expires(&one(&sent, CALLER, "200")),
        Some("600;refresher=uac")
    );
    world.ring("200 OK", "x", &with_expires(KNOWS, "400;refresher=uac"), "");
    let sent = world.seconds(200);
    let refresh = one(&sent, CALLEE, "UPDATE");
    assert_eq!(expires(&refresh), Some("400;refresher=uac"));
}
