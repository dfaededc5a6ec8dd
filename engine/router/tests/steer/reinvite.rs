//! Later offers: streams that move, come, go and change what they carry; and offers that come to
//! nothing.

use crate::*;

fn agreed() -> (World, u16, u16) {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    (world, ok.port(0), invite.port(0))
}

/// Where the callee's packets go.
fn caller_is_at(world: &mut World, port: u16) -> Option<String> {
    world.packet("10.0.0.2:6000", port).map(|(to, _)| to)
}

#[test]
fn a_stream_moves_when_its_offer_is_answered() {
    let (mut world, to_caller, to_callee) = agreed();
    let reinvite = world.request(Caller, "INVITE", "", &audio("10.0.0.8", 4100));
    assert_eq!(reinvite.port(0), to_callee, "our port stays");
    assert_eq!(
        caller_is_at(&mut world, to_callee).as_deref(),
        Some("10.0.0.9:4000")
    );
    let ok = world.answer(Callee, &reinvite, 200, "", &audio("10.0.0.2", 6000));
    assert_eq!(ok.port(0), to_caller);
    assert_eq!(
        caller_is_at(&mut world, to_callee).as_deref(),
        Some("10.0.0.8:4100")
    );
    world.ack(Caller, "");
    world.hang_up();
}

#[test]
fn a_rejected_offer_leaves_everything_as_it_was() {
    for code in [488, 491, 603] {
        let (mut world, _, to_callee) = agreed();
        let offer = sdp(
            "10.0.0.8",
            2,
            "m=audio 4100 RTP/AVP 0\r\nm=video 4200 RTP/AVP 31\r\n",
        );
        let reinvite = world.request(Caller, "INVITE", "", &offer);
        assert_eq!(world.router.counters().media.streams, 2);
        assert_eq!(world.answer(Callee, &reinvite, code, "", "").code(), code);
        assert_eq!(world.router.counters().media.streams, 1);
        assert_eq!(
            caller_is_at(&mut world, to_callee).as_deref(),
            Some("10.0.0.9:4000")
        );
        // The next offer finds no trace of it.
        let update = world.request(Callee, "UPDATE", "", &audio("10.0.0.2", 6000));
        world.answer(Caller, &update, 200, "", &audio("10.0.0.9", 4000));
        assert_eq!(
            caller_is_at(&mut world, to_callee).as_deref(),
            Some("10.0.0.9:4000")
        );
        world.hang_up();
    }
}

#[test]
fn an_offer_that_nobody_answers_leaves_everything_as_it_was() {
    let (mut world, _, to_callee) = agreed();
    let offer = sdp(
        "10.0.0.8",
        2,
        "m=audio 4100 RTP/AVP 0\r\nm=video 4200 RTP/AVP 31\r\n",
    );
    let update = world.request(Caller, "UPDATE", "", &offer);
    assert_eq!(world.answer(Callee, &update, 200, "", "").code(), 200);
    assert_eq!(world.router.counters().media.streams, 1);
    assert_eq!(
        caller_is_at(&mut world, to_callee).as_deref(),
        Some("10.0.0.9:4000")
    );
    world.hang_up();
}

#[test]
fn a_stream_is_added_dropped_and_taken_up_again() {
    let (mut world, _, _) = agreed();
    let lines = |address, video| {
        let sections = format!("m=audio 4000 RTP/AVP 0\r\nm=video {video} RTP/AVP 31\r\n");
        sdp(address, 1, &sections)
    };
    for (video, streams) in [(4200, 2), (0, 1), (4300, 2)] {
        let reinvite = world.request(Caller, "INVITE", "", &lines("10.0.0.9", video));
        assert_eq!(reinvite.port(1) == 0, video == 0);
        let ok = world.answer(Callee, &reinvite, 200, "", &lines("10.0.0.2", video));
        assert_eq!(ok.port(1) == 0, video == 0);
        world.ack(Caller, "");
        assert_eq!(world.router.counters().media.streams, streams);
        if video > 0 {
            let sent = world.packet(&format!("10.0.0.9:{video}"), ok.port(1));
            let to = format!("10.0.0.2:{video}");
            assert_eq!(sent, Some((to, reinvite.port(1))));
        }
    }
    world.hang_up();
}

#[test]
fn fax_takes_the_place_of_speech_on_the_same_line() {
    let (mut world, to_caller, to_callee) = agreed();
    let fax = |address, port| sdp(address, 2, &format!("m=image {port} udptl t38\r\n"));
    let reinvite = world.request(Callee, "INVITE", "", &fax("10.0.0.2", 6600));
    assert_eq!(
        reinvite.lines("m="),
        [format!("m=image {to_caller} udptl t38")]
    );
    let ok = world.answer(Caller, &reinvite, 200, "", &fax("10.0.0.9", 4600));
    world.ack(Callee, "");
    let udptl = [0, 1, 1, 6, 0];
    let sent = world.datagram("10.0.0.9:4600", to_caller, &udptl);
    assert_eq!(sent, Some(("10.0.0.2:6600".to_owned(), to_callee)));
    assert_eq!(ok.port(0), to_callee);
    world.hang_up();
}

#[test]
fn a_fax_that_is_refused_leaves_the_speech() {
    let (mut world, to_caller, to_callee) = agreed();
    let fax = sdp("10.0.0.2", 2, "m=image 6600 udptl t38\r\n");
    let reinvite = world.request(Callee, "INVITE", "", &fax);
    let refusal = world.answer(Caller, &reinvite, 488, "", "");
    assert_eq!(refusal.code(), 488);
    assert_eq!(
        caller_is_at(&mut world, to_callee).as_deref(),
        Some("10.0.0.9:4000")
    );
    let sent = world.packet("10.0.0.9:4000", to_caller).map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.2:6000"));
    world.hang_up();
}

#[test]
fn a_reinvite_without_offer_is_answered_with_one() {
    let (mut world, to_caller, to_callee) = agreed();
    let reinvite = world.request(Caller, "INVITE", "", "");
    let ok = world.answer(Callee, &reinvite, 200, "", &audio("10.0.0.2", 6100));
    assert_eq!(ok.port(0), to_caller);
    // The callee's offer moves nothing before the ACK.
    let before = world.packet("10.0.0.9:4000", to_caller).map(|(to, _)| to);
    assert_eq!(before.as_deref(), Some("10.0.0.2:6000"));
    let ack = world.ack(Caller, &audio("10.0.0.9", 4000));
    assert_eq!(ack.port(0), to_callee);
    let after = world.packet("10.0.0.9:4000", to_caller).map(|(to, _)| to);
    assert_eq!(after.as_deref(), Some("10.0.0.2:6100"));
    world.hang_up();
}
