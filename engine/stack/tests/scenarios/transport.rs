//! Where responses go (RFC 3261 18.2.2, RFC 3581) and those without a transaction (8.2.7).

use std::net::SocketAddr;

use stack::transport::{response_destination, stateless_response};
use stack::{Flow, Outbox};
use wire::{Index, Limits, Message, Via};

use crate::stage::{peer, request};

fn destination(via: &str, source: &str) -> String {
    let via = format!("SIP/2.0/UDP {via}");
    let via = Via::parse(via.as_bytes()).unwrap();
    response_destination(&via, source.parse().unwrap()).to_string()
}

#[test]
fn responses_go_where_the_via_says() {
    let source = "192.0.2.7:40000";
    assert_eq!(destination("192.0.2.7", source), "192.0.2.7:5060");
    assert_eq!(destination("192.0.2.7:5070", source), "192.0.2.7:5070");
    assert_eq!(destination("host.example:5070", source), "192.0.2.7:5070");
    assert_eq!(
        destination("10.0.0.1:5070;rport", source),
        "192.0.2.7:40000"
    );
    assert_eq!(
        destination("10.0.0.1:5070;received=10.9.9.9", source),
        "192.0.2.7:5070"
    );
    assert_eq!(
        destination("10.0.0.1:5070;maddr=192.0.2.8", source),
        "192.0.2.8:5070"
    );
    assert_eq!(
        destination("10.0.0.1;maddr=192.0.2.8;rport", source),
        "192.0.2.8:5060"
    );
    assert_eq!(
        destination("10.0.0.1:5070;maddr=host.example", source),
        "192.0.2.7:5070"
    );
    assert_eq!(
        destination("[2001:db8::1]:5070", "[2001:db8::2]:9"),
        "[2001:db8::2]:5070"
    );
}

fn stateless(text: &str, source: Flow, code: u16) -> Vec<(SocketAddr, String)> {
    let mut index = Index::new();
    let message = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
    let mut out = Outbox::new();
    stateless_response(&message, source, code, b"", b"Retry-After: 5\r\n", &mut out);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    out.iter()
        .map(|(flow, bytes)| (flow.remote, text(bytes)))
        .collect()
}

fn tag_of(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("To:")).unwrap();
    line.split(";tag=").nth(1).unwrap().to_owned()
}

#[test]
fn a_stateless_response_is_complete() {
    let mut source = peer();
    source.remote.set_port(40_000);
    let sent = stateless(&request("INVITE", "x"), source, 503);
    assert_eq!(sent[0].0, peer().remote);
    let tag = tag_of(&sent[0].1);
    assert!(tag.starts_with("tprs") && tag.len() == 20);
    insta::assert_snapshot!(sent[0].1.replace(&tag, "TAG").replace("\r\n", "\n"), @r"
    SIP/2.0 503 Service Unavailable
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx
    From: <sip:a@192.0.2.1>;tag=a
    Call-ID: one
    CSeq: 1 INVITE
    Timestamp: 54
    To: <sip:b@192.0.2.9>;tag=TAG
    Retry-After: 5
    Content-Length: 0
    ");
}

#[test]
fn every_copy_of_a_request_gets_the_same_tag_and_others_another() {
    let tag = |text: &str| tag_of(&stateless(text, peer(), 503).remove(0).1);
    let invite = request("INVITE", "x");
    assert_eq!(tag(&invite), tag(&invite));
    assert_ne!(
        tag(&invite),
        tag(&invite.replace("Call-ID: one", "Call-ID: two"))
    );
    assert_ne!(tag(&invite), tag(&request("INVITE", "y")));
    let tagged = invite.replace("<sip:b@192.0.2.9>", "<sip:b@192.0.2.9>;tag=z");
    assert_eq!(tag(&tagged), "z");
}

#[test]
fn an_ack_is_never_answered() {
    assert_eq!(stateless(&request("ACK", "x"), peer(), 400), []);
}
