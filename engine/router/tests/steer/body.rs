//! Bodies that are more than a description, and what of a description does not cross.

use crate::*;

#[test]
fn candidates_and_other_traces_of_the_transport_are_withheld() {
    let mut world = World::new();
    let sections = "a=ice-lite\r\na=group:BUNDLE 0 1\r\na=group:LS 0 1\r\nm=audio 4000 RTP/AVP 0\r\n\
        a=candidate:1 1 UDP 1 10.0.0.9 4000 typ host\r\na=end-of-candidates\r\na=ice-ufrag:x\r\n\
        a=ice-pwd:y\r\na=mid:0\r\na=x-unknown:1\r\na=crypto:1 AES_CM inline:k\r\ny=?\r\n";
    let offer = sdp("10.0.0.9", 1, sections);
    let invite = world.invite("7", "", &offer);
    assert_eq!(
        invite.lines("a="),
        [
            "a=group:LS 0 1",
            "a=mid:0",
            "a=x-unknown:1",
            "a=crypto:1 AES_CM inline:k"
        ]
    );
    assert_eq!(invite.lines("y="), ["y=?"]);
    assert!(!invite.body().contains("10.0.0.9"));
}

#[test]
fn a_multipart_passes_but_for_its_description() {
    let mut world = World::new();
    let isup = "--b1\r\nContent-Type: application/ISUP\r\n\r\n10.0.0.9\x01\r\n--b1\r\n";
    let part = "Content-Type: application/sdp\r\n\r\n";
    let rest = "\r\n--b1--\r\nepilogue";
    let body = format!("{isup}{part}{}{rest}", audio("10.0.0.9", 4000));
    let kind = "Content-Type: multipart/mixed;boundary=b1\r\n";
    let invite = world.invite("7", kind, &body);
    let seen = invite.body();
    let inner = seen
        .strip_prefix(isup)
        .and_then(|seen| seen.strip_prefix(part));
    let inner = inner
        .and_then(|seen| seen.strip_suffix(rest))
        .expect("the parts around it");
    assert!(
        inner.starts_with("v=0\r\no=- ") && !inner.contains("10.0.0.9"),
        "{inner}"
    );
    assert_eq!(
        inner.lines().last(),
        Some(format!("m=audio {} RTP/AVP 0", invite.port(0)).as_str())
    );
    world.answer(Callee, &invite, 200, "", &audio("10.0.0.2", 6000));
    world.ack(Caller, "");
    let sent = world
        .packet("10.0.0.2:6000", invite.port(0))
        .map(|(to, _)| to);
    assert_eq!(sent.as_deref(), Some("10.0.0.9:4000"));
    world.hang_up();
}

#[test]
fn other_bodies_and_other_messages_keep_theirs() {
    let mut world = World::new();
    world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let kind = "Content-Type: application/dtmf-relay\r\n";
    let info = world.request(Caller, "INFO", kind, "Signal=5");
    assert_eq!(info.body(), "Signal=5");
    world.answer(Callee, &info, 200, "", "");
    world.hang_up();
}

#[test]
fn a_description_where_none_belongs_tells_no_address_and_changes_nothing() {
    let mut world = World::new();
    let (invite, ok) = world.call("7", &audio("10.0.0.9", 4000), &audio("10.0.0.2", 6000));
    let reinvite = world.request(Caller, "INVITE", "", &audio("10.0.0.9", 4000));
    let refusal = world.answer(Callee, &reinvite, 488, "", &audio("10.0.0.2", 6500));
    assert!(!refusal.body().contains("10.0.0.2"), "{refusal:?}");
    let sent = world.packet("10.0.0.9:4000", ok.port(0));
    assert_eq!(sent, Some(("10.0.0.2:6000".to_owned(), invite.port(0))));
    world.hang_up();
}
