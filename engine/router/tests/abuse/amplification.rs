//! How much leaves for what came in, when whoever sent it may be somebody else: one datagram for each at
//! most, and no byte that the RFC does not ask for. And that nothing tells what runs here.

use std::time::Duration;

use tipring_router::Abuse;

use super::world::{CALLEE, NEIGHBOUR, STRANGER, TRUNK, World, answer, later};

/// Longer than any transaction.
const MINUTE: Duration = Duration::from_secs(60);
/// What a response must say beyond its request: `received` and a value for `rport` (RFC 3581 4), a To tag
/// (RFC 3261 8.2.6.2) of at most 40 characters, Content-Length.
const REQUIRED: usize =
    ";received=192.0.2.66".len() + "=5080".len() + 40 + "Content-Length: 0\r\n".len();
/// What a 200 to OPTIONS should say beside (RFC 3261 11.2).
const OPTIONS: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, \
    NOTIFY, REFER\r\nAccept: */*\r\nAccept-Encoding: *\r\nAccept-Language: *\r\nSupported: 100rel, timer\r\n";

/// What leaves for one request of a stranger until the last timer has fired: datagrams and bytes.
fn leaves(world: &mut World, request: &str) -> (usize, usize) {
    world.receive(STRANGER, request);
    world.pass(MINUTE);
    let bytes = world.sent.iter().map(|(_, text)| text.len()).sum();
    (world.sent.len(), bytes)
}

/// A request that is as short as it may be.
fn short(method: &str) -> String {
    let user = if method == "OPTIONS" { "" } else { "1@" };
    format!(
        "{method} sip:{user}127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;rport;branch=z9hG4bK1\r\n\
         Max-Forwards: 0\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:1@b>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

#[test]
fn a_stranger_gets_one_datagram_for_each_with_nothing_in_it_that_is_not_asked_for() {
    let vias = "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKx\r\n".repeat(40);
    let with = |method: &str, more: &str| short(method).replace("Max-", &format!("{more}Max-"));
    for request in [
        short("INVITE"),
        short("REGISTER"),
        short("MESSAGE"),
        short("SUBSCRIBE"),
        short("NOTIFY"),
        short("BYE"),
        short("CANCEL"),
        short("UNHEARDOF"),
        short("INVITE").replace("To: <sip:1@b>", "To: <sip:1@b>;tag=none"),
        with("INVITE", &vias),
        with("INVITE", "Content-Length: 9\r\n"),
        with("INVITE", "Call-ID: twice\r\n"),
        short("INVITE").replace("CSeq: 1 INVITE\r\n", ""),
        short("INVITE").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        short("INVITE").replace("sip:1@127.0.0.1", "sips:1@127.0.0.1"),
        with("INVITE", "Require: a, b, c, d, e, f, g\r\n"),
        with("INVITE", "Proxy-Require: a, b, c, d, e, f, g\r\n"),
        with("BYE", "To: <sip:b@b>;tag=none\r\n").replacen("To: <sip:1@b>\r\n", "", 1),
    ] {
        let (datagrams, bytes) = leaves(&mut World::new(Abuse::default()), &request);
        assert!(datagrams <= 1, "{datagrams} datagrams for {request}");
        let allow = if request.contains("BYE") { 0 } else { ALLOW };
        assert!(
            bytes <= request.len() + REQUIRED + allow,
            "{bytes} bytes for {}: {request}",
            request.len()
        );
    }
}

/// RFC 3261 21.4.6 wants Allow in a 405, 20.5 says how it looks.
const ALLOW: usize =
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, \
    NOTIFY, REFER\r\n"
        .len();

#[test]
fn a_call_as_callers_send_it_is_refused_with_fewer_bytes_than_it_has() {
    let mut world = World::new(Abuse::default());
    let more =
        "User-Agent: a telephone\r\nAllow: INVITE, ACK, CANCEL, BYE\r\nSupported: 100rel\r\n";
    let invite = world.request("INVITE", "1", STRANGER, more);
    let (datagrams, bytes) = leaves(&mut world, &invite);
    assert_eq!(datagrams, 1);
    assert!(bytes <= invite.len(), "{bytes} for {}", invite.len());
}

#[test]
fn copies_of_a_call_are_refused_once_each() {
    let mut world = World::new(Abuse::default());
    let invite = world.invite("7", STRANGER);
    world.receive(STRANGER, &invite);
    world.receive(STRANGER, &invite.replace("z9hG4bK", "z9hG4bKother"));
    world.pass(MINUTE);
    assert_eq!(world.count(STRANGER, "SIP/2.0 482 "), 1);
}

#[test]
fn options_gets_what_the_rfc_recommends_and_nothing_else() {
    let request = short("OPTIONS");
    let (datagrams, bytes) = leaves(&mut World::new(Abuse::default()), &request);
    assert_eq!(datagrams, 1);
    assert!(
        bytes <= request.len() + REQUIRED + OPTIONS.len() + 40,
        "{bytes}"
    );
}

#[test]
fn garbage_and_scanners_get_nothing() {
    let scanner = "User-Agent: sipvicious\r\nMax-";
    for request in [
        "\0\u{1}\u{2}garbage".to_owned(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        short("ACK"),
        short("OPTIONS").replace("Max-", scanner),
    ] {
        let sent = leaves(&mut World::new(Abuse::default()), &request);
        assert_eq!(sent, (0, 0), "{request}");
    }
}

#[test]
fn a_refusal_is_repeated_for_those_who_are_known_and_for_whoever_heard_that_it_rings() {
    let mut world = World::new(Abuse::default());
    let (stranger, trunk) = (world.invite("1", STRANGER), world.invite("1", TRUNK));
    world.receive(STRANGER, &stranger);
    world.receive(TRUNK, &trunk);
    world.receive(STRANGER, &stranger);
    world.pass(MINUTE);
    assert_eq!(
        world.count(STRANGER, "SIP/2.0 404 "),
        2,
        "one for each INVITE"
    );
    assert!(world.count(TRUNK, "SIP/2.0 404 ") > 5);

    // Its sender does not send the INVITE again: RFC 3261 17.1.1.2.
    let invite = world.invite("7", NEIGHBOUR);
    world.receive(NEIGHBOUR, &invite);
    let seen = world.last_to(CALLEE).to_owned();
    world.receive(CALLEE, &answer(&seen, 180));
    world.receive(CALLEE, &answer(&seen, 486));
    world.pass(MINUTE);
    assert!(world.count(NEIGHBOUR, "SIP/2.0 486 ") > 5);
}

#[test]
fn the_acknowledged_refusal_of_a_stranger_ends_its_transaction() {
    let mut world = World::new(Abuse::default());
    let invite = world.invite("1", STRANGER);
    world.receive(STRANGER, &invite);
    let tag = super::to_tag(world.last_to(STRANGER));
    let ack = later(&invite, "ACK", 1, &tag, "").replace("CSeq: 1 INVITE", "CSeq: 1 ACK");
    assert_eq!(world.code(STRANGER, &ack), 0);
    world.pass(MINUTE);
    let counters = world.counters();
    assert_eq!(counters.server_transactions, 0);
    assert_eq!(counters.transactions.no_ack, 0);
}

#[test]
fn nothing_tells_what_runs_here_unless_it_is_configured() {
    let probing = Duration::from_secs(20);
    for name in [None, Some("a name".to_owned())] {
        let mut world = World::with(Abuse::default(), |config| {
            config.timers.in_dialog_probe = Some(probing);
            config.server_name = name.clone();
        });
        super::establish(&mut world);
        for method in [
            "OPTIONS",
            "INVITE",
            "REGISTER",
            "BYE",
            "CANCEL",
            "UNHEARDOF",
        ] {
            let request =
                short(method).replace("branch=z9hG4bK1", &format!("branch=z9hG4bK{method}"));
            world.receive(NEIGHBOUR, &request);
        }
        world.receive(
            NEIGHBOUR,
            &short("INVITE").replace("CSeq: 1 INVITE\r\n", ""),
        );
        // The legs are asked, answer nothing, and the call is ended.
        world.pass(MINUTE * 2);
        assert!(world.sent.len() > 12, "{}", world.sent.len());
        let tells = |text: &str| text.to_lowercase().contains("tipring");
        let names = |text: &&str| text.contains("\r\nServer:") || text.contains("\r\nUser-Agent:");
        let texts = || world.sent.iter().map(|(_, text)| text.as_str());
        assert!(!texts().any(tells));
        match &name {
            None => assert_eq!(texts().find(names), None),
            Some(_) => assert!(texts().any(|text| text.contains("\r\nServer: a name\r\n"))),
        }
    }
}
