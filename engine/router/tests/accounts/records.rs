//! One record for each call, whatever becomes of it, and for each INVITE that is refused.

use std::time::Duration;

use stack::Time;
use tipring_router::{Accounting, CallRecord, Command, EndedBy};

use crate::world::{CALLEE, CALLER, one, sdp, world_configured};
use crate::{accounted, connected, hang_up, record, told};

/// Who ended it, with which code and cause, and in which words.
fn end(record: &CallRecord) -> (EndedBy, u16, u8, &str) {
    (record.ended_by, record.code, record.cause, &record.reason)
}

fn second(second: u64) -> Time {
    Time::from_nanos(second * 1_000_000_000)
}

#[test]
fn an_answered_call_is_told_with_both_legs_and_its_times() {
    let mut world = accounted();
    connected(&mut world, "5");
    world.seconds(30);
    let invite = world.invite.clone().expect("an INVITE");
    hang_up(&mut world, "");
    let record = record(&mut world);
    assert_eq!(end(&record), (EndedBy::Caller, 200, 16, ""));
    assert_eq!((record.began, record.rang), (second(0), Some(second(1))));
    assert_eq!(
        (record.answered, record.ended),
        (Some(second(3)), second(33))
    );
    assert_eq!(record.caller.call_id, "call-1");
    assert_eq!(record.caller.from, "<sip:a@a.example>;tag=a");
    assert_eq!(record.caller.to, "<sip:b@b.example>");
    assert_eq!(record.caller.request_uri, "sip:5@127.0.0.1");
    assert_eq!(record.caller.address, CALLER.parse().ok());
    let callee = record.callee.as_ref().expect("a callee");
    assert_eq!(callee.call_id, invite.value("Call-ID"));
    assert_eq!(callee.from, invite.value("From"));
    assert_eq!(callee.to, invite.value("To"));
    assert_eq!(callee.request_uri, invite.uri());
    assert_eq!(callee.address, CALLEE.parse().ok());
    assert_eq!(record.route, "^5");
    let why = "record 3, pattern ^5, found in the trie of literals and prefixes";
    assert_eq!(record.why, why);
    assert_eq!((record.id.len(), record.transfers), (32, 0));
    world.assert_idle();
    assert!(told(&mut world).records.is_empty(), "one record a call");
}

#[test]
fn the_callee_hangs_up_with_a_cause_of_its_own() {
    let mut world = accounted();
    connected(&mut world, "5");
    let reason = "Reason: Q.850;cause=27;text=\"Out Of Order\"\r\n";
    let sent = world.callee_sends("BYE", "b", reason, "");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Callee, 200, 27, "Out Of Order"));
    let bye = one(&sent, CALLER, "BYE");
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn a_busy_callee_has_ended_the_call() {
    let mut world = accounted();
    world.call("5", "", "");
    world.ring("486 Busy Here", "b", "", "");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Callee, 486, 17, ""));
    assert_eq!((told.rang, told.answered), (None, None));
}

#[test]
fn a_cancelled_call_was_ended_by_its_caller() {
    let mut world = accounted();
    world.call("5", "", "");
    world.ring("180 Ringing", "b", "", "");
    world.cancel();
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Caller, 487, 16, ""));
    assert!(told.rang.is_some());
    world.ring("487 Request Terminated", "b", "", "");
    assert!(crate::told(&mut world).records.is_empty());
}

#[test]
fn a_callee_that_says_nothing_is_given_up_by_the_router() {
    let mut world = accounted();
    world.call("5", "", "");
    world.seconds(40);
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Router, 408, 102, "No Answer"));
    assert_eq!(told.ended, second(32));
}

#[test]
fn a_time_limit_is_the_routers_end() {
    let mut world = accounted();
    world.call("6", "", &sdp(1, 2000, ""));
    world.ring("180 Ringing", "b", "", "");
    world.seconds(25);
    let told = record(&mut world);
    let expected = (EndedBy::Router, 480, 19, "No Answer From User");
    assert_eq!(end(&told), expected);
}

#[test]
fn a_call_without_a_route_is_told_without_a_callee() {
    let mut world = accounted();
    world.call("1", "", "");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Router, 404, 1, ""));
    assert_eq!(
        (&*told.id, &*told.route, told.callee.as_ref()),
        ("", "", None)
    );
    assert_eq!(told.caller.request_uri, "sip:1@127.0.0.1");
    assert_eq!(told.caller.address, CALLER.parse().ok());
}

#[test]
fn a_call_refused_after_routing_names_its_route() {
    let mut world = accounted();
    let sent = world.call("5", "Proxy-Require: none-such\r\n", "");
    one(&sent, CALLER, "420");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Router, 420, 127, ""));
    assert_eq!((&*told.route, told.callee.as_ref()), ("^5", None));
}

#[test]
fn a_fork_is_one_call() {
    let mut world = accounted();
    world.call("5", "", "");
    for tag in ["b", "c"] {
        world.ring("180 Ringing", tag, "", "");
    }
    world.ring("200 OK", "c", "", &sdp(1, 3000, ""));
    world.ack(1, "");
    world.ring("200 OK", "b", "", &sdp(2, 3002, ""));
    assert!(told(&mut world).records.is_empty());
    hang_up(&mut world, "");
    assert_eq!(end(&record(&mut world)), (EndedBy::Caller, 200, 16, ""));
    world.seconds(70);
    assert!(told(&mut world).records.is_empty());
}

#[test]
fn an_echo_is_a_call_with_one_leg() {
    let mut world = accounted();
    world.call("8", "", &sdp(1, 3000, ""));
    world.ack(1, "");
    world.seconds(5);
    world.caller_sends("BYE", "", "");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Caller, 200, 16, ""));
    assert_eq!((&*told.route, told.callee.as_ref()), ("echo", None));
    assert_eq!((told.answered, told.ended), (Some(second(0)), second(5)));
    assert_eq!(told.media.len(), 1);
    world.assert_idle();
}

#[test]
fn early_media_given_as_an_answer_ends_as_an_answered_call() {
    let mut world = accounted();
    world.call("7", "", &sdp(1, 2000, ""));
    world.ring("183 Session Progress", "b", "", &sdp(1, 3000, ""));
    world.ack(1, "");
    world.seconds(2);
    let sent = world.ring("486 Busy Here", "b", "", "");
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Callee, 200, 17, ""));
    let bye = one(&sent, CALLER, "BYE");
    world.ok(&bye);
    world.assert_idle();
}

#[test]
fn the_streams_of_a_steered_call_are_in_its_record() {
    let mut world = accounted();
    world.call("4", "", &sdp(1, 2000, ""));
    world.ring("183 Session Progress", "b", "", &sdp(1, 3000, ""));
    world.ack(1, "");
    world.ring("200 OK", "b", "", &sdp(1, 3000, ""));
    world.seconds(1);
    for number in 0..3u16 {
        let mut packet = vec![0x80, 8];
        packet.extend(number.to_be_bytes());
        packet.extend([0; 168]);
        // Each party's port takes it: both have said this host.
        for socket in 1..=8 {
            world.receive_rtp(socket, "127.0.0.2:2000", &packet);
        }
    }
    hang_up(&mut world, "");
    let told = record(&mut world);
    let [stream] = told.media[..] else {
        panic!("{told:#?}");
    };
    let packets = |of: &media::Reception| of.packets;
    let (caller, callee) = (stream.summary.from_caller, stream.summary.from_callee);
    assert_eq!((stream.line, packets(&caller), packets(&callee)), (0, 3, 3));
}

#[test]
fn every_call_is_told_when_the_router_ends_them_all() {
    let mut world = accounted();
    connected(&mut world, "5");
    world.call = "call-2".to_owned();
    world.call("5", "", "");
    world.command(&Command::EndAll);
    let told = told(&mut world).records;
    let ends: Vec<_> = told.iter().map(|told| end(told)).collect();
    let shutdown = "Router Shutdown";
    let expected = [
        (EndedBy::Router, 200, 41, shutdown),
        (EndedBy::Router, 503, 41, shutdown),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn who_never_acknowledges_is_ended_by_the_router() {
    let mut world = accounted();
    world.call("5", "", "");
    world.ring("200 OK", "b", "", "");
    world.seconds(40);
    let told = record(&mut world);
    assert_eq!(end(&told), (EndedBy::Router, 200, 102, "No ACK"));
}

#[test]
fn records_are_made_only_while_they_are_wanted() {
    let mut world = world_configured(|_| {});
    connected(&mut world, "5");
    let on = Accounting {
        records: true,
        ..Accounting::default()
    };
    // The call that is there has no account, and gets none.
    world.command(&Command::Accounting(on));
    hang_up(&mut world, "");
    world.pass(Duration::from_secs(40));
    assert!(told(&mut world).records.is_empty());
    world.invite = None;
    world.call = "call-2".to_owned();
    connected(&mut world, "5");
    world.command(&Command::Accounting(Accounting::default()));
    hang_up(&mut world, "");
    world.call("1", "", "");
    assert!(told(&mut world).records.is_empty());
}
