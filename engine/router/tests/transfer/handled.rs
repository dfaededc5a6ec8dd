//! REFERs that the router carries out itself.

use std::time::Duration;

use tipring_router::EndedBy;

use crate::world::{A, B, C, Line, Sent, World, one};

const SEVEN: &str = "sip:7@127.0.0.1";
const OFFER: &str = "v=0\r\no=c 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n\
    m=audio 3000 RTP/AVP 0\r\n";
const ANSWER: &str = "v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
    m=audio 2000 RTP/AVP 0\r\n";

/// The status that a notification tells, and whether it is the last.
fn told(sent: &[Sent]) -> Vec<(String, bool)> {
    let notify = sent.iter().filter(|sent| sent.kind() == "NOTIFY");
    let told = notify.map(|sent| {
        assert_eq!(sent.value("Content-Type"), "message/sipfrag;version=2.0");
        let line = sent.body().strip_prefix("SIP/2.0 ").expect("a status line");
        let last = sent.value("Subscription-State") == "terminated;reason=noresource";
        assert!(
            last || sent
                .value("Subscription-State")
                .starts_with("active;expires=")
        );
        (line.trim_end().to_owned(), last)
    });
    told.collect()
}

fn status(code: &str, last: bool) -> Vec<(String, bool)> {
    vec![(code.to_owned(), last)]
}

/// A and B talk, and A has referred B to C: the INVITE that C gets.
fn referred(world: &mut World, a: &mut Line, more: &str) -> Sent {
    let more = format!("Refer-To: <sip:8@127.0.0.1>\r\n{more}");
    let sent = world.request(a, "REFER", &more);
    assert_eq!(one(&sent, "202").to.to_string(), A);
    let silent = more.contains("Refer-Sub: false");
    let expected = if silent {
        Vec::new()
    } else {
        status("100 Trying", false)
    };
    assert_eq!(told(&sent), expected);
    let refer_sub = if silent { "false" } else { "" };
    assert_eq!(one(&sent, "202").value("Refer-Sub"), refer_sub);
    let invite = one(&sent, "INVITE");
    assert_eq!(invite.to.to_string(), C);
    assert_eq!(invite.uri(), format!("sip:8@{C}"));
    assert_eq!(invite.body(), "", "the target makes the offer");
    assert!(!invite.text.contains("127.0.0.9"), "{}", invite.text);
    invite
}

/// C answers, B is offered what C says, and both are joined; what A is sent with that.
fn joined(world: &mut World, invite: &Sent, b: &Line) -> (Line, Vec<Sent>) {
    let sent = world.answer_with(invite, "200 OK", "c-tag", OFFER);
    let again = one(&sent, "INVITE");
    assert_eq!(again.to.to_string(), b.own);
    assert_eq!(again.value("Call-ID"), b.call_id);
    assert_eq!(again.body(), OFFER);
    let sent = world.answer_with(&again, "200 OK", "", ANSWER);
    let acks: Vec<_> = sent.iter().filter(|sent| sent.kind() == "ACK").collect();
    let [first, second] = acks[..] else {
        panic!("{sent:#?}")
    };
    assert_eq!((first.to.to_string(), first.body()), (b.own.clone(), ""));
    assert_eq!((second.to.to_string().as_str(), second.body()), (C, ANSWER));
    assert_eq!(second.value("Content-Type"), "application/sdp");
    (Line::of_callee(invite, "c-tag"), sent)
}

/// B and C talk, whoever of them ends it.
fn talk_and_end(world: &mut World, b: &mut Line, c: &mut Line) {
    let info = one(&world.request(c, "INFO", ""), "INFO");
    assert_eq!(info.to.to_string(), b.own);
    world.answer(&info, "200 OK", "");
    let again = one(&world.request(b, "INVITE", ""), "INVITE");
    assert_eq!(again.to.to_string(), C);
    let answered = one(&world.answer(&again, "200 OK", ""), "200");
    assert_eq!(answered.to.to_string(), b.own);
    one(&world.request(b, "ACK", ""), "ACK");
    let bye = one(&world.request(b, "BYE", ""), "BYE");
    assert_eq!(bye.to.to_string(), C);
    world.answer(&bye, "200 OK", "");
    world.assert_idle();
}

#[test]
fn the_target_takes_the_transferors_place() {
    let mut world = World::handling(1);
    let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
    let invite = referred(&mut world, &mut a, "Referred-By: <sip:a@127.0.0.9>\r\n");
    assert_eq!(invite.value("Referred-By"), "<sip:a@127.0.0.1>");
    let ringing = world.answer(&invite, "180 Ringing", "c-tag");
    assert_eq!(told(&ringing), status("180 Ringing", false));
    assert_eq!(
        one(&ringing, "NOTIFY").value("Event"),
        format!("refer;id={}", a.cseq)
    );
    let again = world.answer(&invite, "180 Ringing", "c-tag");
    assert_eq!(told(&again), [], "nothing new");
    let (mut c, sent) = joined(&mut world, &invite, &b);
    assert_eq!(told(&sent), status("200 OK", true));
    let bye = one(&sent, "BYE");
    assert_eq!(bye.to.to_string(), A);
    world.answer(&bye, "200 OK", "");
    one(&world.request(&mut a, "INFO", ""), "481");
    // Its own BYE has crossed ours (RFC 3261 15.1.2).
    let crossed = one(&world.request(&mut a, "BYE", ""), "200");
    assert_eq!(crossed.to.to_string(), A);
    let mut stranger = a.clone();
    stranger.call_id = "0-guessed".to_owned();
    one(&world.request(&mut stranger, "BYE", ""), "481");
    assert_eq!(world.sum(|it| it.transfers_done), 1);
    assert!(world.records.is_empty(), "the call goes on");
    talk_and_end(&mut world, &mut b, &mut c);
    let [record] = &world.records[..] else {
        panic!("{:#?}", world.records)
    };
    assert_eq!((record.transfers, record.ended_by), (1, EndedBy::Callee));
    // The parties it names are those it began with.
    assert_eq!(record.caller.call_id, a.call_id);
}

#[test]
fn a_callee_may_transfer_its_caller() {
    let mut world = World::handling(1);
    let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
    let sent = world.request(&mut b, "REFER", "Refer-To: <sip:8@127.0.0.1>\r\n");
    assert_eq!(one(&sent, "202").to.to_string(), B);
    let invite = one(&sent, "INVITE");
    let (mut c, sent) = joined(&mut world, &invite, &a);
    assert_eq!(one(&sent, "BYE").to.to_string(), B);
    talk_and_end(&mut world, &mut a, &mut c);
}

#[test]
fn a_target_that_is_busy_leaves_the_call_as_it_was() {
    let mut world = World::handling(1);
    let (mut a, b) = world.connect(A, "0-a", SEVEN);
    for _ in 0..2 {
        let invite = referred(&mut world, &mut a, "");
        one(
            &world.request(&mut a, "REFER", "Refer-To: <sip:8@127.0.0.1>\r\n"),
            "491",
        );
        let sent = world.answer(&invite, "486 Busy Here", "c-tag");
        assert_eq!(told(&sent), status("486 Busy Here", true));
    }
    let info = one(&world.request(&mut a, "INFO", ""), "INFO");
    assert_eq!(info.to.to_string(), b.own);
    world.answer(&info, "200 OK", "");
    world.hang_up(&mut a);
    assert_eq!(world.sum(|it| it.transfers_failed), 2);
    world.assert_idle();
}

#[test]
fn a_transferor_may_hang_up_before_the_target_answers() {
    for busy in [false, true] {
        let mut world = World::handling(1);
        let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
        let invite = referred(&mut world, &mut a, "");
        let sent = world.request(&mut a, "BYE", "");
        assert_eq!(one(&sent, "200").to.to_string(), A);
        assert_eq!(sent.len(), 1, "{sent:#?}");
        one(&world.request(&mut b, "INFO", ""), "500");
        assert_eq!(told(&world.answer(&invite, "180 Ringing", "c-tag")), []);
        if busy {
            let sent = world.answer(&invite, "486 Busy", "c-tag");
            let mut byes = sent.iter().filter(|sent| sent.kind() == "BYE");
            let bye = byes
                .find(|bye| bye.to.to_string() == B)
                .expect("B is told")
                .clone();
            assert!(bye.value("Reason").contains("cause=486"), "{}", bye.text);
            world.answer(&bye, "200 OK", "");
            world.assert_idle();
        } else {
            let (mut c, sent) = joined(&mut world, &invite, &b);
            assert_eq!(told(&sent), []);
            assert!(sent.iter().all(|sent| sent.kind() != "BYE"), "{sent:#?}");
            talk_and_end(&mut world, &mut b, &mut c);
        }
    }
}

#[test]
fn who_has_hung_up_is_not_asked_whether_it_lives() {
    let mut world = World::probing(Duration::from_secs(4));
    let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
    let invite = referred(&mut world, &mut a, "");
    world.answer(&invite, "180 Ringing", "c-tag");
    one(&world.request(&mut a, "BYE", ""), "200");
    let mut asked = Vec::new();
    for _ in 0..8 {
        let sent = world.seconds(1);
        for options in sent.iter().filter(|sent| sent.kind() == "OPTIONS") {
            asked.push(options.to.to_string());
            world.answer(options, "200 OK", "");
        }
    }
    asked.dedup();
    assert_eq!(asked, [B]);
    let (mut c, _) = joined(&mut world, &invite, &b);
    talk_and_end(&mut world, &mut b, &mut c);
}

#[test]
fn without_a_subscription_nothing_is_told() {
    let mut world = World::handling(1);
    let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
    let invite = referred(
        &mut world,
        &mut a,
        "Refer-Sub: false\r\nSupported: norefersub\r\n",
    );
    let (mut c, sent) = joined(&mut world, &invite, &b);
    assert_eq!(told(&sent), []);
    one(&sent, "BYE");
    talk_and_end(&mut world, &mut b, &mut c);
}

#[test]
fn who_knows_of_no_subscription_is_told_no_more() {
    let mut world = World::handling(1);
    let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
    let sent = world.request(&mut a, "REFER", "Refer-To: <sip:8@127.0.0.1>\r\n");
    world.answer(&one(&sent, "NOTIFY"), "481 Gone", "");
    let (mut c, sent) = joined(&mut world, &one(&sent, "INVITE"), &b);
    assert_eq!(told(&sent), []);
    talk_and_end(&mut world, &mut b, &mut c);
}

#[test]
fn a_transferee_that_refuses_the_target_keeps_the_transferor() {
    let mut world = World::handling(1);
    let (mut a, _) = world.connect(A, "0-a", SEVEN);
    let invite = referred(&mut world, &mut a, "");
    let sent = world.answer_with(&invite, "200 OK", "c-tag", OFFER);
    let sent = world.answer(&one(&sent, "INVITE"), "488 Not Acceptable Here", "");
    assert_eq!(told(&sent), status("488 Not Acceptable Here", true));
    let bye = one(&sent, "BYE");
    assert_eq!(bye.to.to_string(), C);
    let acks = sent.iter().filter(|sent| sent.kind() == "ACK");
    assert_eq!(acks.filter(|ack| ack.to.to_string() == C).count(), 1);
    world.answer(&bye, "200 OK", "");
    world.hang_up(&mut a);
    world.assert_idle();
}

#[test]
fn a_target_without_an_offer_cannot_be_joined() {
    let mut world = World::handling(1);
    let (mut a, _) = world.connect(A, "0-a", SEVEN);
    let invite = referred(&mut world, &mut a, "");
    let sent = world.answer(&invite, "200 OK", "c-tag");
    assert_eq!(told(&sent), status("488 Not Acceptable Here", true));
    assert_eq!(one(&sent, "ACK").to.to_string(), C);
    world.answer(&one(&sent, "BYE"), "200 OK", "");
    world.hang_up(&mut a);
    world.assert_idle();
}

#[test]
fn a_target_that_rings_too_long_is_cancelled() {
    let mut world = World::handling(1);
    let (mut a, _) = world.connect(A, "0-a", SEVEN);
    let sent = world.request(&mut a, "REFER", "Refer-To: <sip:4@127.0.0.1>\r\n");
    let invite = one(&sent, "INVITE");
    world.answer(&invite, "180 Ringing", "c-tag");
    let sent = world.seconds(21);
    let cancel = sent
        .iter()
        .find(|sent| sent.kind() == "CANCEL")
        .expect("CANCEL");
    assert!(told(&sent).contains(&("408 Request Timeout".to_owned(), true)));
    let cancel = cancel.clone();
    world.answer(&cancel, "200 OK", "c-tag");
    // It has picked up meanwhile: its dialog ends at once.
    let sent = world.answer_with(&invite, "200 OK", "c-tag", OFFER);
    one(&sent, "ACK");
    world.answer(&one(&sent, "BYE"), "200 OK", "");
    world.hang_up(&mut a);
    world.assert_idle();
}

#[test]
fn the_terms_of_the_targets_route_are_those_of_the_call_from_then_on() {
    let mut world = World::handling(1);
    let (mut a, b) = world.connect(A, "0-a", SEVEN);
    let sent = world.request(&mut a, "REFER", "Refer-To: <sip:4@127.0.0.1>\r\n");
    let (_, sent) = joined(&mut world, &one(&sent, "INVITE"), &b);
    world.answer(&one(&sent, "BYE"), "200 OK", "");
    let early = world.seconds(59);
    assert!(early.iter().all(|sent| sent.kind() != "BYE"), "{early:#?}");
    let late = world.seconds(2);
    for party in [B, C] {
        let bye = late
            .iter()
            .find(|it| it.kind() == "BYE" && it.to.to_string() == party);
        let bye = bye.expect("a BYE").clone();
        world.answer(&bye, "200 OK", "");
    }
    world.assert_idle();
}

#[test]
fn a_transferee_that_hangs_up_ends_it_all() {
    for answered in [false, true] {
        let mut world = World::handling(1);
        let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
        let invite = referred(&mut world, &mut a, "");
        world.answer(&invite, "180 Ringing", "c-tag");
        let mut again = None;
        if answered {
            let sent = world.answer_with(&invite, "200 OK", "c-tag", OFFER);
            again = Some(one(&sent, "INVITE"));
            one(&world.request(&mut a, "INVITE", ""), "491");
        }
        let sent = world.request(&mut b, "BYE", "");
        assert_eq!(told(&sent), status("487 Request Terminated", true));
        let of = |party: &str, kind: &str| {
            let found = sent
                .iter()
                .find(|it| it.kind() == kind && it.to.to_string() == party);
            found
                .unwrap_or_else(|| panic!("{kind} to {party}: {sent:#?}"))
                .clone()
        };
        world.answer(&of(A, "BYE"), "200 OK", "");
        if let Some(again) = again {
            // B had not seen the CANCEL: its 2xx is ACKed whatever became of the call.
            let late = world.answer_with(&again, "200 OK", "", ANSWER);
            assert_eq!(one(&late, "ACK").to.to_string(), B);
            of(C, "ACK");
            world.answer(&of(C, "BYE"), "200 OK", "");
        } else {
            world.answer(&of(C, "CANCEL"), "200 OK", "c-tag");
            world.answer(&invite, "487 Request Terminated", "c-tag");
        }
        world.assert_idle();
    }
}

#[test]
fn a_reference_that_no_route_has_is_refused_and_one_that_asks_for_more_passes() {
    let mut world = World::handling(1);
    let (mut a, _) = world.connect(A, "0-a", SEVEN);
    one(
        &world.request(&mut a, "REFER", "Refer-To: <sip:3@127.0.0.1>\r\n"),
        "404",
    );
    for reference in [
        "sip:8@127.0.0.1;method=SUBSCRIBE",
        "sip:8@127.0.0.1?Subject=x",
        "http://example.com",
        "sip:8@h?Replaces=1%3bto-tag%3d2%3bfrom-tag%3d3",
    ] {
        let more = format!("Refer-To: <{reference}>\r\n");
        let refer = one(&world.request(&mut a, "REFER", &more), "REFER");
        assert_eq!(refer.to.to_string(), B, "{reference}");
        world.answer(&refer, "603 Decline", "");
    }
    world.hang_up(&mut a);
    world.assert_idle();
}

#[test]
fn a_target_whose_name_must_be_looked_up_waits_for_its_address() {
    for address in [Some("127.0.0.3"), None] {
        let mut world = World::handling(1);
        let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
        let sent = world.request(&mut a, "REFER", "Refer-To: <sip:5@127.0.0.1>\r\n");
        assert_eq!(told(&sent), status("100 Trying", false));
        assert!(sent.iter().all(|sent| sent.kind() != "INVITE"), "{sent:#?}");
        let sent = world.resolved("c.example", address);
        match address {
            Some(_) => {
                let (mut c, _) = joined(&mut world, &one(&sent, "INVITE"), &b);
                talk_and_end(&mut world, &mut b, &mut c);
            }
            None => {
                assert_eq!(told(&sent), status("503 Service Unavailable", true));
                world.hang_up(&mut a);
                world.assert_idle();
            }
        }
    }
}

#[test]
fn a_consulted_party_replaces_the_transferor_when_its_call_is_here() {
    for (second, handled) in [("0-c", true), ("1-c", false)] {
        let mut world = World::handling(2);
        let (mut a, mut b) = world.connect(A, "0-a", SEVEN);
        let (a_c, mut c) = world.connect(A, second, "sip:8@127.0.0.1");
        let sent = world.request(&mut a, "REFER", &a_c.refer_to());
        if !handled {
            assert_eq!(one(&sent, "REFER").to.to_string(), B);
            world.hang_up(&mut c);
            world.hang_up(&mut a);
            world.assert_idle();
            continue;
        }
        let invite = one(&sent, "INVITE");
        let expected = format!(
            "{};to-tag={};from-tag={}",
            c.call_id,
            c.local_tag(),
            c.remote_tag()
        );
        assert_eq!(invite.value("Replaces"), expected);
        let (mut fresh, sent) = joined(&mut world, &invite, &b);
        assert_eq!(one(&sent, "BYE").to.to_string(), A);
        world.hang_up(&mut c);
        talk_and_end(&mut world, &mut b, &mut fresh);
    }
}
