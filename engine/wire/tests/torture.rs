//! The torture messages of RFC 4475 and RFC 5118, each with what becomes of it here. The files
//! are the RFCs' own archives, named as there; those of RFC 5118, whose archive has bare line
//! feeds, were given the line ends the RFC describes, and the few that end before the blank line
//! after their headers were given it.
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use wire::ParseError::{self, *};
use wire::{HeaderName, Index, Limits, Message, Method, Parts, Scheme, StartLine, Uri, Via, print};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn load(name: &str) -> Vec<u8> {
    let path = directory().join(format!("{name}.dat"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything an element checks before it looks at what the message wants.
fn verdict(bytes: &[u8]) -> Result<(), ParseError> {
    let mut index = Index::new();
    let message = Message::parse(bytes, &mut index, &Limits::default())?;
    message.check_mandatory()?;
    message.contact().map(|_| ())
}

/// Every message: RFC and section, name, verdict. Where the verdict is not what the RFC's text
/// leads one to expect, the line says why.
const VERDICTS: &[(&str, &str, Result<(), ParseError>)] = &[
    ("4475 3.1.1.1", "wsinv", Ok(())),
    ("4475 3.1.1.2", "intmeth", Ok(())),
    ("4475 3.1.1.3", "esc01", Ok(())),
    ("4475 3.1.1.4", "escnull", Ok(())),
    ("4475 3.1.1.5", "esc02", Ok(())),
    ("4475 3.1.1.6", "lwsdisp", Ok(())),
    ("4475 3.1.1.7", "longreq", Ok(())),
    ("4475 3.1.1.8", "dblreq", Ok(())),
    ("4475 3.1.1.9", "semiuri", Ok(())),
    ("4475 3.1.1.10", "transports", Ok(())),
    ("4475 3.1.1.11", "mpart01", Ok(())),
    ("4475 3.1.1.12", "unreason", Ok(())),
    ("4475 3.1.1.13", "noreason", Ok(())),
    ("4475 3.1.2.1", "badinv01", Err(BadVia)),
    ("4475 3.1.2.2", "clerr", Err(TruncatedBody)),
    ("4475 3.1.2.3", "ncl", Err(BadContentLength)),
    ("4475 3.1.2.4", "scalar02", Err(BadMaxForwards)),
    ("4475 3.1.2.5", "scalarlg", Err(BadCSeq)),
    ("4475 3.1.2.6", "quotbal", Err(BadTo)),
    ("4475 3.1.2.7", "ltgtruri", Err(BadRequestUri)),
    ("4475 3.1.2.8", "lwsruri", Err(BadRequestUri)),
    ("4475 3.1.2.9", "lwsstart", Err(BadRequestUri)),
    ("4475 3.1.2.10", "trws", Err(BadStartLine)),
    ("4475 3.1.2.11", "escruri", Err(BadRequestUri)),
    // Only who reads Date would see its time zone.
    ("4475 3.1.2.12", "baddate", Ok(())),
    ("4475 3.1.2.13", "regbadct", Err(BadContact)),
    ("4475 3.1.2.14", "badaspec", Err(BadTo)),
    ("4475 3.1.2.15", "baddn", Err(BadFrom)),
    ("4475 3.1.2.16", "badvers", Err(BadVersion)),
    ("4475 3.1.2.17", "mismatch01", Err(CSeqMismatch)),
    ("4475 3.1.2.18", "mismatch02", Err(CSeqMismatch)),
    ("4475 3.1.2.19", "bigcode", Err(BadStatusCode)),
    // A branch of the cookie alone is for the transaction layer to treat as none.
    ("4475 3.2.1", "badbranch", Ok(())),
    ("4475 3.3.1", "insuf", Err(MissingFrom)),
    ("4475 3.3.2", "unkscm", Ok(())),
    ("4475 3.3.3", "novelsc", Ok(())),
    ("4475 3.3.4", "unksm2", Ok(())),
    ("4475 3.3.5", "bext01", Ok(())),
    ("4475 3.3.6", "invut", Ok(())),
    ("4475 3.3.7", "regaut01", Ok(())),
    ("4475 3.3.8", "multi01", Err(DuplicateFrom)),
    ("4475 3.3.9", "mcl01", Err(ConflictingContentLength)),
    // A second Via in a response is for its transaction user to refuse.
    ("4475 3.3.10", "bcast", Ok(())),
    ("4475 3.3.11", "zeromf", Ok(())),
    ("4475 3.3.12", "cparam01", Ok(())),
    ("4475 3.3.13", "cparam02", Ok(())),
    ("4475 3.3.14", "regescrt", Ok(())),
    ("4475 3.3.15", "sdp01", Ok(())),
    ("4475 3.4.1", "inv2543", Ok(())),
    ("5118 4.1", "ipv6-good", Ok(())),
    ("5118 4.2", "ipv6-bad", Err(BadRequestUri)),
    ("5118 4.3", "port-ambiguous", Ok(())),
    ("5118 4.4", "port-unambiguous", Ok(())),
    ("5118 4.5", "via-received-param-with-delim", Ok(())),
    ("5118 4.5", "via-received-param-no-delim", Ok(())),
    // Valid but for the Content-Length the RFC gives it, which is more than the body it shows.
    ("5118 4.6", "ipv6-in-sdp", Err(TruncatedBody)),
    ("5118 4.7", "mult-ip-in-header", Ok(())),
    ("5118 4.8", "mult-ip-in-sdp", Ok(())),
    ("5118 4.9", "ipv4-mapped-ipv6", Ok(())),
    ("5118 4.10", "ipv6-bug-abnf-3-colons", Err(BadRequestUri)),
    ("5118 4.10", "ipv6-correct-abnf-2-colons", Ok(())),
];

#[test]
fn every_message_has_its_verdict() {
    let wrong: Vec<_> = VERDICTS
        .iter()
        .filter_map(|&(section, name, expected)| {
            let found = verdict(&load(name));
            (found != expected).then(|| format!("{section} {name}: {found:?}, not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_is_listed_once() {
    let listed: Vec<_> = VERDICTS
        .iter()
        .map(|&(_, name, _)| format!("{name}.dat"))
        .collect();
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    let files: BTreeSet<_> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(distinct.len(), listed.len());
    assert_eq!(distinct, files);
}

/// Calls `check` with the message called `name`, which must be one.
fn with_message(name: &str, check: impl FnOnce(Message<'_>)) {
    let bytes = load(name);
    let mut index = Index::new();
    check(Message::parse(&bytes, &mut index, &Limits::default()).unwrap());
}

#[test]
fn the_short_tortuous_invite_is_read_to_the_last_value() {
    with_message("wsinv", |message| {
        let vias: Vec<_> = message
            .values(HeaderName::Via)
            .map(|value| Via::parse(value).unwrap())
            .map(|via| (via.transport, via.sent_by, via.branch.unwrap()))
            .collect();
        let expected: [(&[u8], &[u8], &[u8]); 3] = [
            (b"UDP", b"192.0.2.2", b"390skdjuw"),
            (b"TCP", b"spindle.example.com", b"z9hG4bK9ikj8"),
            (b"UDP", b"192.168.255.111", b"z9hG4bK30239"),
        ];
        assert_eq!(vias, expected);
        assert_eq!(message.to_tag(), Some(&b"1918181833n"[..]));
        assert_eq!(message.from_tag(), Some(&b"98asjd8"[..]));
        assert_eq!(message.from().unwrap().display, br#""J Rosenberg \\\"""#);
        assert_eq!(message.max_forwards(), Ok(Some(68)));
        assert_eq!(message.cseq().unwrap().number, 9);
        let contact = message.contact().unwrap().unwrap();
        assert_eq!(contact.display, br#""Quoted string \"\"""#);
        assert_eq!(contact.uri, b"sip:jdrosen@example.com");
        assert_eq!(contact.param("newparam"), Some(&b"newvalue"[..]));
        assert_eq!(contact.param("secondparam"), Some(&b""[..]));
        assert_eq!(contact.param("q"), Some(&b"0.33"[..]));
        assert!(message.has_sdp());
    });
}

#[test]
fn odd_but_sound_start_lines() {
    with_message("intmeth", |message| {
        let StartLine::Request { method, token, uri } = message.start_line() else {
            panic!()
        };
        assert_eq!(method, Method::Other);
        assert_eq!(token, b"!interesting-Method0123456789_*+`.%indeed'~");
        let uri = Uri::parse(uri).unwrap();
        assert!(
            uri.user
                .starts_with(b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
        );
        assert!(uri.password.is_some());
        assert_eq!(
            message.call_id(),
            b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
        );
    });
    with_message("noreason", |message| {
        assert_eq!(
            message.start_line(),
            StartLine::Response {
                code: 100,
                reason: b""
            }
        );
    });
    with_message("unreason", |message| {
        assert!(!str::from_utf8(message.reason()).unwrap().is_ascii());
    });
    with_message("esc02", |message| {
        assert_eq!(message.method_token(), b"RE%47IST%45R")
    });
}

#[test]
fn odd_but_sound_uris() {
    with_message("semiuri", |message| {
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(
            (uri.user, uri.params),
            (&b"user;par=u%40example.net"[..], &b""[..])
        );
    });
    with_message("unkscm", |message| {
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(uri.scheme, Scheme::Other(b"nobodyKnowsThisScheme"));
    });
    with_message("ipv6-correct-abnf-2-colons", |message| {
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(uri.host.ip(), "2001:db8::192.0.2.1".parse().ok());
    });
}

#[test]
fn bodies_end_where_the_message_says() {
    with_message("dblreq", |message| {
        assert_eq!(message.body(), b"");
        assert!(message.bytes().ends_with(b"\r\n\r\n"));
    });
    with_message("mpart01", |message| {
        assert_eq!(message.body().len(), 553);
        let kinds: Vec<_> = Parts::new(message.content_type().unwrap(), message.body())
            .unwrap()
            .map(|part| part.content_type)
            .collect();
        assert_eq!(kinds, [&b"text/plain"[..], b"application/octet-stream"]);
    });
}

#[test]
fn both_spellings_of_received_are_read() {
    for name in [
        "via-received-param-with-delim",
        "via-received-param-no-delim",
    ] {
        with_message(name, |message| {
            let received = message.top_via().unwrap().received;
            assert_eq!(received, "2001:db8::9:255".parse().ok(), "{name}");
        });
    }
}

#[test]
fn refused_requests_can_still_be_answered() {
    for &(_, name, verdict) in VERDICTS.iter().filter(|(_, _, verdict)| verdict.is_err()) {
        let bytes = load(name);
        let mut index = Index::new();
        let salvaged = index.salvage(&bytes);
        assert_eq!(salvaged.is_some(), !bytes.starts_with(b"SIP/"), "{name}");
        let Some(message) = salvaged else { continue };
        if verdict != Err(MissingFrom) {
            assert!(!message.call_id().is_empty(), "{name}");
        }
        let mut head = Vec::new();
        print::response_head(&mut head, &message, "192.0.2.1:5060".parse().unwrap());
        let head = String::from_utf8(head).unwrap();
        assert!(
            head.to_ascii_lowercase().contains("cseq: "),
            "{name}: {head}"
        );
    }
}
