//! What a REGISTER does to the bindings, and what its 200 tells of them.

use std::sync::Arc;

use tipring_router::{Command, Directory};

use crate::world::{Register, directory, world};

#[test]
fn a_contact_is_registered_refreshed_told_and_removed() {
    let mut world = world();
    let one = "<sip:alice@192.0.2.7>";
    assert_eq!(world.fetched(), [""; 0]);
    assert_eq!(world.registered(&[one]), [format!("{one};expires=3600")]);
    world.milliseconds(600_500);
    // What is left is rounded up.
    assert_eq!(world.fetched(), [format!("{one};expires=3000")]);
    let refreshed = world.registered(&["<sip:alice@192.0.2.7>;expires=120"]);
    assert_eq!(refreshed, [format!("{one};expires=120")]);
    assert_eq!(
        world.registered(&["<sip:alice@192.0.2.7>;expires=0"]),
        [""; 0]
    );
    assert_eq!(world.fetched(), [""; 0]);
    let counted = world.counters().registrar;
    assert_eq!(
        (counted.requests, counted.accepted, counted.fetched),
        (6, 3, 3)
    );
}

#[test]
fn all_contacts_are_listed_with_what_they_came_with() {
    let mut world = world();
    let listed = world.registered(&[
        "\"Desk\" <sip:alice@192.0.2.7:5070;transport=udp>;q=0.70;audio;methods=\"INVITE,ACK\";expires=90",
        "sip:alice@phone.example;q=0.051",
        "<tel:+15551234>",
    ]);
    assert_eq!(
        listed,
        [
            "<sip:alice@192.0.2.7:5070;transport=udp>;audio;methods=\"INVITE,ACK\";q=0.7;expires=90",
            "<sip:alice@phone.example>;q=0.051;expires=3600",
            "<tel:+15551234>;expires=3600",
        ]
    );
    // Users are apart from each other.
    let mut other = Register::contacts(&[]);
    (other.to, other.call_id) = ("sip:bob@example.com", "bob-1");
    assert_eq!(world.send(&other).values("Contact"), [""; 0]);
}

#[test]
fn the_interval_is_the_contacts_own_else_the_headers_else_ours_and_never_too_long() {
    let mut world = world();
    for (header, parameter, expires) in [
        ("", "", 3600),
        ("Expires: 600", "", 600),
        ("Expires: 600", ";expires=700", 700),
        ("Expires: 10", ";expires=700", 700),
        ("Expires: never", "", 3600),
        ("", ";expires=99999999999", 7200),
    ] {
        let contact = format!("<sip:alice@192.0.2.7>{parameter}");
        let mut register = Register::contacts(&[&contact]);
        if !header.is_empty() {
            register = register.with(header);
        }
        let answer = world.send(&register);
        let expected = format!("<sip:alice@192.0.2.7>;expires={expires}");
        assert_eq!(answer.values("Contact"), [expected], "{header} {parameter}");
    }
}

#[test]
fn a_binding_ends_to_the_second() {
    let mut world = world();
    world.registered(&[
        "<sip:alice@192.0.2.7>;expires=60",
        "<sip:alice@192.0.2.8>;expires=61",
    ]);
    world.milliseconds(59_999);
    assert_eq!(world.fetched().len(), 2);
    world.milliseconds(1);
    assert_eq!(world.fetched(), ["<sip:alice@192.0.2.8>;expires=1"]);
    world.seconds(1);
    assert_eq!(world.fetched(), [""; 0]);
}

#[test]
fn a_star_removes_everything_and_stands_alone() {
    let mut world = world();
    world.registered(&["<sip:alice@192.0.2.7>", "<sip:alice@192.0.2.8>"]);
    for (contacts, expires) in [
        (&["*"][..], ""),
        (&["*"], "Expires: 1"),
        (&["*", "<sip:alice@192.0.2.7>"], "Expires: 0"),
        (&["<sip:alice@192.0.2.7>", "*"], "Expires: 0"),
    ] {
        let register = Register::contacts(contacts);
        let register = if expires.is_empty() {
            register
        } else {
            register.with(expires)
        };
        assert_eq!(
            world.send(&register).kind(),
            "400",
            "{contacts:?} {expires}"
        );
    }
    assert_eq!(world.fetched().len(), 2);
    let answer = world.send(&Register::contacts(&["*"]).with("Expires: 0"));
    assert_eq!((answer.kind(), answer.values("Contact").len()), ("200", 0));
    assert_eq!(world.fetched(), [""; 0]);
}

#[test]
fn an_old_cseq_changes_nothing() {
    let mut world = world();
    let mut register = Register::contacts(&["<sip:alice@192.0.2.7>"]);
    register.cseq = Some(50);
    assert_eq!(world.send(&register).kind(), "200");
    let mut late = Register::contacts(&["<sip:alice@192.0.2.7>;expires=0"]);
    late.cseq = Some(49);
    let answer = world.send(&late);
    assert_eq!(answer.start(), "SIP/2.0 500 CSeq Out Of Order");
    assert_eq!(world.fetched().len(), 1);
    // Another Call-ID has a CSeq of its own: the phone was started anew.
    (late.call_id, late.cseq) = ("alice-2", Some(1));
    assert_eq!(world.send(&late).kind(), "200");
    assert_eq!(world.fetched(), [""; 0]);
    assert_eq!(world.counters().registrar.out_of_order, 1);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_does_nothing() {
    let mut world = world();
    let text = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKsame\r\n\
        From: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\nCall-ID: x\r\n\
        CSeq: 1 REGISTER\r\nContact: <sip:alice@192.0.2.7>\r\nContent-Length: 0\r\n\r\n";
    let first = world.receive("192.0.2.7:5060", text);
    assert_eq!(first[0].kind(), "200");
    assert_eq!(world.receive("192.0.2.7:5060", text), first);
    assert_eq!(world.counters().registrar.requests, 1);
}

#[test]
fn a_removed_user_loses_his_bindings_and_the_others_keep_theirs() {
    let mut world = world();
    world.registered(&["<sip:alice@192.0.2.7>"]);
    let mut bob = Register::contacts(&["<sip:bob@192.0.2.8>"]);
    (bob.to, bob.call_id) = ("sip:bob@example.com", "bob-1");
    assert_eq!(world.send(&bob).kind(), "200");
    let mut fewer = directory();
    assert!(fewer.remove_user("example.com", "alice"));
    world.command(&Command::Directory(Arc::new(fewer)));
    assert_eq!(world.register(&[]).kind(), "404");
    world.command(&Command::Directory(Arc::new(directory())));
    assert_eq!(world.fetched(), [""; 0]);
    bob.more.clear();
    assert_eq!(world.send(&bob).values("Contact").len(), 1);
    // Without a domain there is no registrar, as if there never had been.
    world.command(&Command::Directory(Arc::new(Directory::default())));
    assert_eq!(world.register(&[]).kind(), "405");
}
