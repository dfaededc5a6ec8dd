//! RFC 3325 and RFC 3323 as far as a proxy may: whose asserted identity passes, and to whom.

use tipring_router::Peer;

use crate::world::{CALLER, ONE, Sent, TWO, World, answer_text, kinds, one};

const ASSERTED: &str = "P-Asserted-Identity: \"A\" <sip:+4930123@carrier.example>\r\n\
     P-Asserted-Identity: <tel:+4930123>\r\n";

fn peer(trusted: bool) -> Peer {
    Peer {
        trusted,
        ..Peer::default()
    }
}

/// A world where these are trusted: the caller, the first callee; the second one is a stranger always.
fn world_trusting(caller: bool, callee: bool) -> World {
    World::with_peers([("127.0.0.9", peer(caller)), ("127.0.0.2", peer(callee))])
}

fn passed(world: &mut World, method: &str, more: &str) -> Sent {
    one(&world.request(method, "100", more), ONE, method)
}

#[test]
fn while_nobody_is_trusted_all_passes() {
    let mut world = world_trusting(false, false);
    let more = format!("{ASSERTED}Privacy: id;user;critical\r\n");
    let invite = passed(&mut world, "INVITE", &more);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("id;user;critical"));
}

#[test]
fn an_identity_is_believed_from_the_trusted_alone() {
    for (caller, callee, passes) in [(true, true, 2), (true, false, 2), (false, true, 0)] {
        for method in ["INVITE", "MESSAGE", "SUBSCRIBE"] {
            let mut world = world_trusting(caller, callee);
            let more = format!("{ASSERTED}P-Preferred-Identity: <sip:x@y>\r\nX-Other: z\r\n");
            let request = passed(&mut world, method, &more);
            assert_eq!(request.values("P-Asserted-Identity").len(), passes);
            // RFC 3325 6: the wish of one who is not trusted goes no further.
            let preferred = request.header("P-Preferred-Identity");
            assert_eq!(preferred.is_some(), caller, "{method} {caller} {callee}");
            assert_eq!(request.header("X-Other"), Some("z"));
            assert!(request.text.contains("X-Odd :  \"kept\"\r\n"));
        }
    }
}

#[test]
fn who_asks_for_id_is_named_to_the_trusted_alone() {
    let more = format!("{ASSERTED}Privacy: id\r\nProxy-Require: privacy\r\nSubject: x\r\n");
    let invite = passed(&mut world_trusting(true, true), "INVITE", &more);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("id"));
    assert_eq!(invite.header("Proxy-Require"), Some("privacy"));
    let invite = passed(&mut world_trusting(true, false), "INVITE", &more);
    // RFC 3323 5: it has been done, so nobody is to do it again.
    for hidden in ["P-Asserted-Identity", "Privacy", "Proxy-Require"] {
        assert_eq!(invite.header(hidden), None, "{hidden}");
    }
    assert_eq!(invite.header("Subject"), Some("x"));
    let none = format!("{ASSERTED}Privacy: none\r\nHistory-Info: <sip:x@y>;index=1\r\n");
    let invite = passed(&mut world_trusting(true, false), "INVITE", &none);
    assert_eq!(invite.values("P-Asserted-Identity").len(), 2);
    assert_eq!(invite.header("Privacy"), Some("none"));
    assert_eq!(invite.header("History-Info"), Some("<sip:x@y>;index=1"));
}

#[test]
fn each_branch_of_a_fork_is_told_what_its_callee_may_know() {
    let mut world = world_trusting(true, true);
    let sent = world.request("INVITE", "200", &format!("{ASSERTED}Privacy: id\r\n"));
    let (known, stranger) = (one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE"));
    assert_eq!(known.values("P-Asserted-Identity").len(), 2);
    assert_eq!(stranger.values("P-Asserted-Identity").len(), 0);
    assert_eq!(
        (known.header("Privacy"), stranger.header("Privacy")),
        (Some("id"), None)
    );
}

#[test]
fn what_only_a_back_to_back_user_agent_can_hide_is_left_to_one() {
    let more = format!("{ASSERTED}Privacy: user;id;header\r\nSubject: x\r\nUser-Agent: u\r\n");
    let invite = passed(&mut world_trusting(true, false), "INVITE", &more);
    assert_eq!(invite.header("P-Asserted-Identity"), None);
    // RFC 3323 5: a level that was not given is still asked for.
    assert_eq!(invite.header("Privacy"), Some("user;header"));
    for kept in ["Subject", "User-Agent"] {
        assert!(invite.header(kept).is_some(), "{kept}");
    }
    assert_eq!(invite.value("From"), "\"A\" <sip:a@a.example>;tag=a");
}

#[test]
fn history_is_hidden_from_strangers() {
    let more = "History-Info: <sip:x@y>;index=1\r\nPrivacy: history\r\n\
                Diversion: <sip:d@e>;reason=unknown\r\n";
    let invite = passed(&mut world_trusting(true, false), "INVITE", more);
    let history = invite.value("History-Info");
    assert_eq!(history, "<sip:anonymous@anonymous.invalid>;index=1");
    assert_eq!(
        (invite.header("Diversion"), invite.header("Privacy")),
        (None, None)
    );
}

#[test]
fn critical_privacy_that_a_proxy_cannot_give_is_500() {
    for (privacy, failure) in [
        ("user;critical", Some("user")),
        ("header;session;x;critical", Some("header, session, x")),
        ("id;history;critical", None),
        ("user", None),
    ] {
        for (method, user) in [("INVITE", "100"), ("MESSAGE", "100"), ("INVITE", "400")] {
            let mut world = world_trusting(true, false);
            let sent = world.request(method, user, &format!("Privacy: {privacy}\r\n"));
            let Some(failure) = failure else {
                one(&sent, ONE, method);
                continue;
            };
            let refused = one(&sent, CALLER, "500");
            let start = format!("SIP/2.0 500 Privacy Failure: {failure}");
            assert_eq!(refused.start(), start);
            assert_eq!(kinds(&sent, ONE), [""; 0]);
        }
    }
    // The trusted may do it themselves.
    let invite = passed(
        &mut world_trusting(true, true),
        "INVITE",
        "Privacy: user;critical\r\n",
    );
    assert_eq!(invite.header("Privacy"), Some("user;critical"));
}

#[test]
fn privacy_is_required_of_a_proxy_only_as_far_as_it_goes() {
    for (caller, privacy, option, refused) in [
        (true, "id", "privacy", None),
        (true, "id;critical", "PRIVACY", None),
        (true, "id", "privacy, x", Some("x")),
        (true, "user", "privacy", Some("privacy")),
        // There is no network to keep an identity in.
        (false, "id", "privacy", Some("privacy")),
    ] {
        let mut world = world_trusting(caller, false);
        let more = format!("Privacy: {privacy}\r\nProxy-Require: {option}\r\n");
        let sent = world.request("INVITE", "100", &more);
        match refused {
            None => drop(one(&sent, ONE, "INVITE")),
            Some(option) => {
                let refused = one(&sent, CALLER, "420");
                assert_eq!(refused.header("Unsupported"), Some(option));
            }
        }
    }
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
        let invite = passed(&mut world, "INVITE", "");
        for status in ["180 Ringing", "200 OK"] {
            let sent = world.answer(&invite, status, "b", said);
            let answer = one(&sent, CALLER, status.split(' ').next().expect("a code"));
            let asserted = answer.header("P-Asserted-Identity").is_some();
            assert_eq!(asserted, passes, "{caller} {callee} {status}");
            assert_eq!(answer.header("Privacy").is_some(), caller);
            assert_eq!(answer.header("Server"), Some("s"));
        }
        let message = passed(&mut world, "MESSAGE", "");
        let answer = one(&world.answer(&message, "200 OK", "b", said), CALLER, "200");
        assert_eq!(answer.header("P-Asserted-Identity").is_some(), passes);
        // One that waits for the other branches, and goes back as the best.
        let sent = world.request("INVITE", "200", "");
        let (one_, two) = (one(&sent, ONE, "INVITE"), one(&sent, TWO, "INVITE"));
        world.receive(ONE, &answer_text(&one_, "486 Busy Here", "b", said));
        let sent = world.receive(TWO, &answer_text(&two, "480 Away", "c", said));
        let best = one(&sent, CALLER, "486");
        assert_eq!(best.header("P-Asserted-Identity").is_some(), passes);
    }
}

#[test]
fn inside_a_dialog_it_is_the_same() {
    let mut world = world_trusting(true, false);
    let invite = passed(&mut world, "INVITE", "");
    world.answer(&invite, "200 OK", "b", "");
    let text = format!(
        "BYE sip:a@{CALLER} SIP/2.0\r\nVia: SIP/2.0/UDP {ONE};branch=z9hG4bKx\r\n\
         Route: {route}\r\nMax-Forwards: 70\r\nFrom: {to};tag=b\r\nTo: {from}\r\n{call}\
         CSeq: 7 BYE\r\n{ASSERTED}Privacy: session;critical\r\nContent-Length: 0\r\n\r\n",
        route = invite.value("Record-Route"),
        to = invite.value("To"),
        from = invite.value("From"),
        call = invite.lines("Call-ID"),
    );
    // A stranger's identity is none, and its BYE arrives whatever it calls critical.
    let bye = one(&world.receive(ONE, &text), CALLER, "BYE");
    assert_eq!(bye.header("P-Asserted-Identity"), None);
    assert_eq!(bye.header("Privacy"), Some("session;critical"));
}
