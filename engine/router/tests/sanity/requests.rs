//! Copies, loops and spirals, and what is required of whom.

use crate::world::{CALLEE, CALLER, request, world};

const URI: &str = "sip:7@router.example";

#[test]
fn a_copy_of_a_request_is_482_and_starts_no_call() {
    let mut world = world();
    world.call();
    let copy = request("INVITE", URI, "other", "");
    assert_eq!(world.code("127.0.0.8:5060", &copy), 482);
    assert_eq!((world.router.calls(), world.counters().merged), (1, 1));
    let options = request("OPTIONS", "sip:router.example", "x", "");
    assert_eq!(world.code(CALLER, &options), 200);
    let copy = request("OPTIONS", "sip:router.example", "y", "");
    assert_eq!(world.code(CALLER, &copy), 482);
}

/// The INVITE as a proxy behind us sends it, with so many Vias of others between its own and ours.
fn sent_back(invite: &str, uri: &str, others: usize) -> String {
    let others = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother\r\n".repeat(others);
    let (start, rest) = invite.split_once("\r\n").expect("lines");
    assert!(start.starts_with("INVITE "), "{start}");
    let own = format!("Via: SIP/2.0/UDP {CALLEE};branch=z9hG4bKproxy\r\n");
    format!("INVITE {uri} SIP/2.0\r\n{own}{others}{rest}")
}

#[test]
fn what_comes_back_unchanged_is_a_loop() {
    for others in [0, 1, 14] {
        let mut world = world();
        let invite = world.call();
        let back = sent_back(&invite.text, invite.uri(), others);
        assert_eq!(world.code(CALLEE, &back), 482, "{others}");
        assert_eq!((world.router.calls(), world.counters().looped), (1, 1));
    }
}

#[test]
fn what_comes_back_with_another_request_uri_spirals() {
    let mut world = world();
    let invite = world.call();
    let back = sent_back(&invite.text, "sip:77@router.example", 0);
    let sent = world.receive(CALLEE, &back);
    assert!(
        sent.iter()
            .any(|sent| sent.text.starts_with("INVITE sip:77@")),
        "{sent:?}"
    );
    assert_eq!((world.router.calls(), world.counters().looped), (2, 0));
}

#[test]
fn a_forged_token_is_no_loop_and_the_search_has_an_end() {
    let mut world = world();
    let invite = world.call();
    let branch = invite
        .value("Via")
        .split_once("branch=")
        .expect("a branch")
        .1;
    let last = if branch.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &branch[..branch.len() - 1]);
    let back = sent_back(&invite.text.replace(branch, &forged), invite.uri(), 0);
    world.receive(CALLEE, &back);
    assert_eq!(world.counters().looped, 0);
    let mut world = crate::world::world();
    let invite = world.call();
    // Deeper than is looked: Max-Forwards ends it.
    world.receive(CALLEE, &sent_back(&invite.text, invite.uri(), 40));
    assert_eq!(world.counters().looped, 0);
}

#[test]
fn what_is_asked_of_proxies_is_asked_of_a_calls_router_alone() {
    let mut world = world();
    let proxies = "Proxy-Require: nothing, Privacy, more\r\n";
    let sent = world.receive(CALLER, &request("INVITE", URI, "a", proxies));
    let answer = sent.first().expect("an answer");
    assert!(
        answer.text.starts_with("SIP/2.0 420 Bad Extension\r\n"),
        "{answer:?}"
    );
    assert_eq!(answer.value("Unsupported"), "nothing, more");
    let options = request("OPTIONS", "sip:router.example", "b", proxies);
    assert_eq!(world.code(CALLER, &options), 200);
    assert_eq!(world.router.calls(), 0);
}

#[test]
fn an_options_is_checked_as_any_request_is() {
    let mut world = world();
    let required = "Require: timer, Nothing\r\nRequire: 100rel, more\r\n";
    let sent = world.receive(
        CALLER,
        &request("OPTIONS", "sip:router.example", "a", required),
    );
    let answer = sent.first().expect("an answer");
    assert!(answer.text.starts_with("SIP/2.0 420 "), "{answer:?}");
    assert_eq!(answer.value("Unsupported"), "Nothing, more");
    let scheme = request("OPTIONS", "soap.beep://192.0.2.1", "b", "");
    let scheme = scheme.replace("CSeq: 1", "CSeq: 2");
    assert_eq!(world.code(CALLER, &scheme), 416);
}

#[test]
fn one_that_drains_says_so_to_options() {
    let mut world = world();
    let (command, mut out) = (tipring_router::Command::Drain, stack::Outbox::new());
    world.router.command(stack::Time::ZERO, &command, &mut out);
    let options = request("OPTIONS", "sip:router.example", "a", "");
    assert_eq!(world.code(CALLER, &options), 503);
}

#[test]
fn an_invite_has_exactly_one_contact() {
    let mut world = world();
    for (contact, phrase) in [
        ("", "Missing Contact Header"),
        ("Contact: <sip:a@h>, <sip:b@h>\r\n", "More Than One Contact"),
        (
            "Contact: <sip:a@h>\r\nm: <sip:b@h>\r\n",
            "More Than One Contact",
        ),
        ("Contact: *\r\n", "Malformed Contact Header"),
    ] {
        let good = format!("Contact: <sip:a@{CALLER}>\r\n");
        let invite = request("INVITE", URI, &phrase.len().to_string(), "");
        let invite = invite.replace(&good, contact);
        let invite = invite.replace("Call-ID: one", &format!("Call-ID: {}", contact.len()));
        let sent = world.receive(CALLER, &invite);
        let answer = sent.first().expect("an answer");
        assert!(
            answer
                .text
                .starts_with(&format!("SIP/2.0 400 {phrase}\r\n")),
            "{answer:?}"
        );
    }
}
