//! REFER and its NOTIFYs inside a call: what they say of the other leg is written anew.

use crate::world::{A, B, C, World, one};

const FRAGMENT: &str = "Event: refer;id=ID\r\nSubscription-State: active;expires=60\r\n\
    Content-Type: message/sipfrag;version=2.0\r\n\r\n\
    SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 127.0.0.2:5070\r\nCall-ID: secret\r\n";

#[test]
fn a_blind_transfer_crosses_and_its_progress_comes_back() {
    let mut world = World::new(1);
    let (mut a, mut b) = world.connect(A, "0-a", "sip:7@127.0.0.1");
    let more = "Refer-To: <sip:8@127.0.0.1>\r\nReferred-By: \"A\" <sip:a@127.0.0.9:5080>\r\n\
        Refer-Sub: true\r\nSupported: norefersub\r\n";
    let refer = one(&world.request(&mut a, "REFER", more), "REFER");
    assert_eq!(refer.to.to_string(), B);
    assert_eq!(refer.value("Refer-To"), "<sip:8@127.0.0.1>");
    assert_eq!(refer.value("Referred-By"), "\"A\" <sip:a@127.0.0.1>");
    assert_eq!(refer.value("Refer-Sub"), "true");
    assert_eq!(refer.value("Supported"), "norefersub");
    assert_eq!(
        one(&world.answer(&refer, "202 Accepted", ""), "202")
            .to
            .to_string(),
        A
    );
    let invite = one(&world.invite(B, "0-b", "sip:8@127.0.0.1", ""), "INVITE");
    assert_eq!(invite.to.to_string(), C);

    let cseq = refer.value("CSeq").split(' ').next().unwrap_or_default();
    let notify = FRAGMENT.replace("ID", cseq);
    let notify = one(&world.request(&mut b, "NOTIFY", &notify), "NOTIFY");
    assert_eq!(notify.value("Event"), format!("refer;id={}", a.cseq));
    assert_eq!(notify.body(), "SIP/2.0 180 Ringing\r\n");
    assert_eq!(notify.value("Content-Length"), "21");
    one(&world.answer(&notify, "200 OK", ""), "200");
    let stop = format!("Event: refer;id={}\r\nExpires: 0\r\n", a.cseq);
    let stop = one(&world.request(&mut a, "SUBSCRIBE", &stop), "SUBSCRIBE");
    assert_eq!(stop.value("Event"), format!("refer;id={cseq}"));
    one(&world.answer(&stop, "200 OK", ""), "200");

    let (mut b_c, _) = world.pick_up(&invite);
    world.hang_up(&mut a);
    world.hang_up(&mut b_c);
    assert_eq!(world.sum(|it| it.referred), 1);
    world.assert_idle();
}

#[test]
fn each_refer_of_a_dialog_has_its_own_number_on_either_leg() {
    let mut world = World::new(1);
    let (mut a, mut b) = world.connect(A, "0-a", "sip:7@127.0.0.1");
    let mut numbers = Vec::new();
    for user in 0..12 {
        // The other leg's count is another one.
        if user % 3 == 0 {
            let info = one(&world.request(&mut a, "INFO", ""), "INFO");
            world.answer(&info, "405 No", "");
        }
        let more = format!("Refer-To: <sip:8{user}@127.0.0.1>\r\n");
        let refer = one(&world.request(&mut a, "REFER", &more), "REFER");
        world.answer(&refer, "202 Accepted", "");
        let number = refer.value("CSeq").split(' ').next().unwrap_or_default();
        numbers.push((a.cseq, number.to_owned()));
    }
    for (at, (own, other)) in numbers.iter().enumerate() {
        let more = format!("Event: REFER ;x=y; id={other}\r\nSubscription-State: active\r\n");
        let notify = one(&world.request(&mut b, "NOTIFY", &more), "NOTIFY");
        // The oldest of so many are forgotten.
        let expected = match at {
            4.. => format!("refer;id={own};x=y"),
            _ => format!("REFER ;x=y; id={other}"),
        };
        assert_eq!(notify.value("Event"), expected);
        world.answer(&notify, "200 OK", "");
    }
    world.hang_up(&mut b);
    world.assert_idle();
}

#[test]
fn other_subscriptions_and_bodies_pass_as_they_are() {
    let mut world = World::new(1);
    let (_, mut b) = world.connect(A, "0-a", "sip:7@127.0.0.1");
    for (event, body) in [
        ("dialog;id=1", "SIP/2.0 200 OK\r\nX: y\r\n"),
        ("refer", "INVITE sip:8@127.0.0.3 SIP/2.0\r\n"),
    ] {
        let more = format!("Event: {event}\r\nContent-Type: message/sipfrag\r\n\r\n{body}");
        let notify = one(&world.request(&mut b, "NOTIFY", &more), "NOTIFY");
        assert_eq!(notify.value("Event"), event);
        // What is no status line is nothing that a notification of REFER may hold.
        let expected = if event == "refer" { "" } else { body };
        assert_eq!(notify.body(), expected);
        world.answer(&notify, "200 OK", "");
    }
    world.hang_up(&mut b);
    world.assert_idle();
}

#[test]
fn a_reference_to_the_router_is_by_the_address_its_receiver_knows() {
    let mut world = World::new(1);
    let (mut a, mut b) = world.connect(A, "0-a", "sip:6@127.0.0.1");
    for (reference, expected) in [
        ("<sip:8@127.0.0.1>", "<sip:8@gw6.example:5060>"),
        (
            "\"C\" <sip:8@127.0.0.1:5060;x=y?Subject=z>;p=q",
            "\"C\" <sip:8@gw6.example:5060;x=y?Subject=z>;p=q",
        ),
        ("sip:8@127.0.0.1;p=q", "<sip:8@gw6.example:5060>;p=q"),
        ("<sip:8@127.0.0.1:5061>", "<sip:8@127.0.0.1:5061>"),
        ("<sip:8@elsewhere.example>", "<sip:8@elsewhere.example>"),
        ("<sip:127.0.0.1>", "<sip:gw6.example:5060>"),
        ("<tel:+4930>", "<tel:+4930>"),
        ("<http://127.0.0.1/>", "<http://127.0.0.1/>"),
    ] {
        let more =
            format!("Refer-To: {reference}\r\nReferred-By: <sip:a@a.example>;cid=\"x@y\"\r\n");
        let refer = one(&world.request(&mut a, "REFER", &more), "REFER");
        assert_eq!(refer.value("Refer-To"), expected, "{reference}");
        assert_eq!(refer.value("Referred-By"), "<sip:a@a.example>;cid=\"x@y\"");
        world.answer(&refer, "603 Decline", "");
    }
    let back = one(
        &world.request(&mut b, "REFER", "r: sip:8@gw6.example\r\n"),
        "REFER",
    );
    assert_eq!(back.value("Refer-To"), "<sip:8@127.0.0.1:5060>");
    world.answer(&back, "202 Accepted", "");
    world.hang_up(&mut a);
    world.assert_idle();
}

#[test]
fn a_refer_with_several_references_or_an_unreadable_one_is_400() {
    let mut world = World::new(1);
    let (mut a, _) = world.connect(A, "0-a", "sip:7@127.0.0.1");
    for more in [
        "Refer-To: <sip:8@h>\r\nRefer-To: <sip:9@h>\r\n",
        "Refer-To: <sip:8@h>, <sip:9@h>\r\n",
        "Refer-To: <8>\r\n",
    ] {
        one(&world.request(&mut a, "REFER", more), "400");
    }
    // What has none is for the other party to judge.
    let refer = one(&world.request(&mut a, "REFER", ""), "REFER");
    world.answer(&refer, "400 Missing Refer-To", "");
    world.hang_up(&mut a);
    world.assert_idle();
}
