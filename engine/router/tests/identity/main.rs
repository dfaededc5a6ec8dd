//! RFC 3325 and RFC 3323: who is calling, told or hidden between a caller and a callee of whom one, both
//! or nobody is trusted.

#[path = "../flows/world.rs"]
#[expect(dead_code, reason = "the world of other tests too")]
mod world;

use std::sync::Arc;

use tipring_router::{Peer, Peers};
use world::{CALLEE, CALLER, Sent, World, kinds, one, world_configured};

const ASSERTED: &str = "P-Asserted-Identity: \"A\" <sip:+4930123@carrier.example>\r\n\
     P-Asserted-Identity: <tel:+4930123>\r\n";

/// A world where these of the two parties are trusted; with neither, nobody is.
fn world_trusting(caller: bool, callee: bool) -> World {
    world_with_trusted(&[("127.0.0.9", caller), ("127.0.0.2", callee)])
}

/// A world where somebody is trusted, but neither party.
fn world_of_strangers() -> World {
    world_with_trusted(&[("127.0.0.77", true)])
}

fn world_with_trusted(peers: &[(&str, bool)]) -> World {
    let peer = |&(address, trusted): &(&str, bool)| {
        let address = address.parse().expect("an address");
        let peer = Peer {
            trusted,
            ..Peer::default()
        };
        (address, 32, peer)
    };
    let peers = Peers::new(peers.iter().map(peer));
    world_configured(|config| config.peers = Arc::new(peers))
}

/// The INVITE the callee gets when the caller says this.
fn invited(world: &mut World, more: &str) -> Sent {
    let sent = world.call("5", more, "");
    one(&sent, CALLEE, "INVITE")
}

#[test]
fn while_nobody_is_trusted_all_passes() {
    let mut world = world_trusting(false, false);
    let more = format!("{ASSERTED}Privacy: id;user\r\nSubject: x\r\n");
    let invite = invited(&mut world, &more);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("id;user"));
    assert_eq!(invite.header("Subject"), Some("x"));
    assert!(
        invite
            .header("From")
            .is_some_and(|from| from.contains("a@a.example"))
    );
}

#[test]
fn an_identity_is_believed_from_the_trusted_alone() {
    for (caller, callee, passes) in [(true, true, 2), (true, false, 2), (false, true, 0)] {
        let mut world = world_trusting(caller, callee);
        let more = format!("{ASSERTED}P-Preferred-Identity: <sip:x@y>\r\nX-Other: z\r\n");
        let invite = invited(&mut world, &more);
        let asserted = invite.values("P-Asserted-Identity");
        assert_eq!(asserted.len(), passes, "{caller} {callee}");
        let preferred = invite.header("P-Preferred-Identity").is_some();
        assert_eq!(preferred, caller, "{caller} {callee}");
        assert_eq!(invite.header("X-Other"), Some("z"));
    }
    let invite = invited(&mut world_of_strangers(), ASSERTED);
    assert_eq!(invite.header("P-Asserted-Identity"), None);
}

#[test]
fn who_asks_for_id_is_named_to_the_trusted_alone() {
    let more = format!("{ASSERTED}Privacy: id\r\nSubject: x\r\nRemote-Party-ID: <sip:a@b>\r\n");
    let invite = invited(&mut world_trusting(true, true), &more);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("id"));
    let invite = invited(&mut world_trusting(true, false), &more);
    for hidden in ["P-Asserted-Identity", "Remote-Party-ID", "Privacy"] {
        assert_eq!(invite.header(hidden), None, "{hidden}");
    }
    assert_eq!(invite.header("Subject"), Some("x"));
    assert!(
        invite
            .header("From")
            .is_some_and(|from| from.contains("a@a.example"))
    );
}

#[test]
fn none_is_obeyed_and_passed_on() {
    let more = format!("{ASSERTED}Privacy: none\r\nHistory-Info: <sip:x@y>;index=1\r\n");
    let invite = invited(&mut world_trusting(true, false), &more);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("none"));
    assert_eq!(invite.header("History-Info"), Some("<sip:x@y>;index=1"));
}

#[test]
fn user_privacy_hides_the_caller_from_strangers() {
    let more = format!(
        "{ASSERTED}Privacy: user;critical\r\nSubject: x\r\nCall-Info: <http://a>\r\n\
         Organization: o\r\nUser-Agent: u\r\nReply-To: <sip:a@a>\r\nX-Other: z\r\n"
    );
    let mut world = world_trusting(true, false);
    let invite = invited(&mut world, &more);
    for hidden in [
        "P-Asserted-Identity",
        "Privacy",
        "Subject",
        "Call-Info",
        "Organization",
        "User-Agent",
        "Reply-To",
    ] {
        assert_eq!(invite.header(hidden), None, "{hidden}");
    }
    assert_eq!(invite.header("X-Other"), Some("z"));
    let from = invite.header("From").expect("From");
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=";
    assert!(from.starts_with(anonymous), "{from}");
    // The dialog has one From.
    world.ring("200 OK", "x", "", "");
    world.ack(1, "");
    let sent = world.caller_sends("BYE", "Privacy: user\r\nUser-Agent: u\r\n", "");
    let bye = one(&sent, CALLEE, "BYE");
    assert_eq!(bye.header("From"), Some(from));
    assert_eq!(
        (bye.header("User-Agent"), bye.header("Privacy")),
        (None, None)
    );

    let invite = invited(&mut world_trusting(true, true), &more);
    assert_eq!(invite.header("User-Agent"), Some("u"));
    assert!(
        invite
            .header("From")
            .is_some_and(|from| from.contains("a@a.example"))
    );
}

#[test]
fn what_a_callee_says_of_itself_is_treated_alike() {
    let said = "P-Asserted-Identity: <sip:b@b.example>\r\nPrivacy: id\r\nServer: s\r\n";
    for (caller, callee, passes) in [
        (true, true, true),
        (false, true, false),
        (true, false, false),
    ] {
        let mut world = world_trusting(caller, callee);
        invited(&mut world, "");
        for status in ["180 Ringing", "200 OK"] {
            let sent = world.ring(status, "x", said, "");
            let code = status.split(' ').next().expect("a code");
            let answer = one(&sent, CALLER, code);
            let asserted = answer.header("P-Asserted-Identity").is_some();
            assert_eq!(asserted, passes, "{caller} {callee} {status}");
            assert_eq!(answer.header("Privacy").is_some(), caller);
            assert_eq!(answer.header("Server"), Some("s"));
        }
        world.ack(1, "");
        let sent = world.caller_sends("INFO", "", "");
        let sent = world.answer(&one(&sent, CALLEE, "INFO"), "200 OK", "", said, "");
        let answer = one(&sent, CALLER, "200");
        assert_eq!(answer.header("P-Asserted-Identity").is_some(), passes);
    }
}

#[test]
fn critical_privacy_that_cannot_be_given_is_500() {
    for (privacy, failure) in [
        ("session;critical", Some("session")),
        ("user;session;x;critical", Some("session, x")),
        ("x;critical", Some("x")),
        ("session", None),
        ("user;id;header;history;critical", None),
    ] {
        let mut world = world_trusting(true, false);
        let sent = world.call("5", &format!("Privacy: {privacy}\r\n"), "");
        let Some(failure) = failure else {
            one(&sent, CALLEE, "INVITE");
            continue;
        };
        let refused = one(&sent, CALLER, "500");
        let line = format!("SIP/2.0 500 Privacy Failure: {failure}\r\n");
        assert!(refused.text.starts_with(&line), "{}", refused.text);
        assert_eq!(kinds(&sent, CALLEE), [] as [&str; 0]);
    }
    // The trusted do it themselves.
    let invite = invited(
        &mut world_trusting(true, true),
        "Privacy: session;critical\r\n",
    );
    assert_eq!(invite.header("Privacy"), Some("session;critical"));
}

#[test]
fn what_was_not_done_is_still_asked_for() {
    let invite = invited(
        &mut world_trusting(true, false),
        "Privacy: id;session;x\r\n",
    );
    assert_eq!(invite.header("Privacy"), Some("session;x"));
    // Media through the router is what `session` asks for.
    let mut world = world_trusting(true, false);
    let sent = world.call(
        "4",
        "Privacy: session;critical\r\n",
        &world::sdp(1, 4000, ""),
    );
    assert_eq!(one(&sent, CALLEE, "INVITE").header("Privacy"), None);
}

#[test]
fn private_history_and_diversions_keep_their_place_and_lose_their_address() {
    let history = "History-Info: <sip:boss@a.example?Reason=SIP%3Bcause%3D302>;index=1, \
         <sip:secret@a.example?Privacy=history&x=y>;index=1.1\r\n";
    let diversion = "Diversion: <sip:one@a>;privacy=full, <sip:two@a>;reason=no-answer\r\n";
    let more = format!("{history}{diversion}");
    let invite = invited(&mut world_trusting(true, false), &more);
    assert_eq!(
        invite.values("History-Info"),
        [
            "<sip:boss@a.example?Reason=SIP%3Bcause%3D302>;index=1",
            "<sip:anonymous@anonymous.invalid>;index=1.1"
        ]
    );
    assert_eq!(invite.values("Diversion"), ["<sip:two@a>;reason=no-answer"]);

    let invite = invited(
        &mut world_trusting(true, false),
        &format!("{more}Privacy: history\r\n"),
    );
    assert_eq!(
        invite.values("History-Info"),
        [
            "<sip:anonymous@anonymous.invalid>;index=1",
            "<sip:anonymous@anonymous.invalid>;index=1.1"
        ]
    );
    assert_eq!(invite.header("Privacy"), None);
    let invite = invited(&mut world_trusting(true, true), &more);
    assert_eq!(invite.values("History-Info").len(), 1);
    assert!(invite.text.contains("secret@a.example"));
}

#[test]
fn identity_and_session_timers_meet_in_one_message() {
    let timer = tipring_router::SessionTimer {
        session_expires_s: 1800,
        min_se_s: 90,
        refreshes: tipring_router::Refreshes::Auto,
    };
    let trusted = Peer {
        trusted: true,
        ..Peer::default()
    };
    let address = "127.0.0.9".parse().expect("an address");
    let mut world = world_configured(|config| {
        config.peers = Arc::new(Peers::new([(address, 32, trusted)]));
        config.session_timer = Some(timer);
    });
    let more =
        format!("{ASSERTED}Privacy: id\r\nSupported: timer, path\r\nSession-Expires: 600\r\n");
    let invite = invited(&mut world, &more);
    assert_eq!(invite.header("P-Asserted-Identity"), None);
    assert_eq!(invite.values("Supported"), ["path", "timer"]);
    assert_eq!(invite.header("Session-Expires"), Some("1800"));
    let sent = world.ring("200 OK", "x", "P-Asserted-Identity: <sip:b@b>\r\n", "");
    let answer = one(&sent, CALLER, "200");
    assert_eq!(answer.header("P-Asserted-Identity"), None);
    assert_eq!(answer.header("Session-Expires"), Some("600;refresher=uac"));
}
