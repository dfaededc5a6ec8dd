//! What holds for every message: no bytes make the reader panic, what is printed is read back,
//! and the freedoms the grammar gives (case, compact forms, folds, one line or several) change
//! nothing that is read.
#![allow(missing_docs, reason = "a test")]

use proptest::prelude::*;
use proptest::sample::{Index as Position, select};
use std::net::SocketAddr;
use wire::{HeaderName, Index, Limits, Message, NameAddr, Params, Parts, Uri, Values, Via, print};

/// Reads everything there is to read.
fn read_all(message: &Message<'_>) {
    let _ = (
        message.start_line(),
        message.method(),
        message.method_token(),
        message.reason(),
    );
    let _ = (
        message.top_via(),
        message.from(),
        message.to(),
        message.contact(),
        message.cseq(),
    );
    let _ = (
        message.max_forwards(),
        message.rack(),
        message.has_sdp(),
        message.check_mandatory(),
    );
    let _ = (
        message.requires("x"),
        message.supports("x"),
        Uri::parse(message.request_uri()),
    );
    for header in message.headers() {
        for value in Values::new(header.value) {
            let _ = (
                Via::parse(value),
                NameAddr::parse(value).map(|address| address.uri_parsed()),
            );
            Params::new(value).for_each(drop);
        }
    }
    let source: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let mut out = Vec::new();
    print::response_head(&mut out, message, source);
    print::passing_headers(&mut out, message, &print::Policy::dropping(&[]));
}

fn read_or_salvage(bytes: &[u8]) {
    let (mut index, mut other) = (Index::new(), Index::new());
    if let Ok(message) = Message::parse(bytes, &mut index, &Limits::default()) {
        assert!(message.bytes().len() <= bytes.len());
        read_all(&message);
    }
    if let Some(message) = other.salvage(bytes) {
        read_all(&message);
    }
}

const SOUND: &str = "INVITE sip:bob@[2001:db8::1]:5061;lr SIP/2.0\r\n\
     Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKa, SIP/2.0/TCP h;received=::1;ttl=1\r\n\
     From: \"A \\\" B\" <sip:a@b>;tag=1\r\nt:\r\n sip:c@d;tag=2\r\n\
     Call-ID: x@y\r\nCSeq: 1 INVITE\r\n\
     m: *, <tel:+1;x=y>;q=1\r\nMax-Forwards: 70\r\nRAck: 1 2 INVITE\r\nRequire: a,\r\n\tb\r\n\
     c: multipart/mixed;boundary=\"b\"\r\n\r\n--b\r\nc: application/sdp\r\n\r\nv=0\r\n--b--\r\n";

/// Pieces that make a random text look enough like a message to get somewhere.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "\r\n",
        "\r\n ",
        "\r",
        "\n",
        ":",
        ";",
        ",",
        "\"",
        "\\",
        "<",
        ">",
        "@",
        "[",
        "]",
        "=",
        " ",
        "/",
        "SIP/2.0",
        "INVITE",
        "sip:",
        "Via: SIP/2.0/UDP ",
        "From: ",
        "To: ",
        "i: ",
        "CSeq: 1 ",
        "l: ",
        "Contact: ",
        "tag=",
        "branch",
        "rport",
        "received=",
        "192.0.2.1",
        "::1",
        "0",
        "99999999999",
        "multipart/mixed;boundary=b",
        "--b",
        "--",
        "application/sdp",
        "\0",
        "\u{e9}",
    ];
    prop_oneof![
        9 => select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_or_salvage(&bytes);
    }

    #[test]
    fn no_fragments_panic(
        start in select(vec!["", "INVITE sip:a@b SIP/2.0\r\n", "SIP/2.0 200 OK\r\n"]),
        fragments in prop::collection::vec(fragment(), 0..80),
        end in select(vec!["", "\r\n", "\r\n\r\n", "\r\n\r\nbody"]),
    ) {
        let bytes = [start.as_bytes(), &fragments.concat(), end.as_bytes()].concat();
        read_or_salvage(&bytes);
    }

    #[test]
    fn no_damage_to_a_sound_message_panics(
        damage in prop::collection::vec((any::<Position>(), fragment()), 1..6),
        cut in any::<Position>(),
    ) {
        let mut bytes = SOUND.as_bytes().to_vec();
        for (at, piece) in damage {
            let at = at.index(bytes.len());
            bytes.splice(at..(at + piece.len()).min(bytes.len()), piece);
        }
        read_or_salvage(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        read_or_salvage(&bytes);
    }
}

/// One header as it will be read back: its name and its values.
type Written = (HeaderName, Vec<String>);

/// Headers whose values are lists of tokens.
fn headers() -> impl Strategy<Value = Vec<Written>> {
    use HeaderName::*;
    let names = vec![
        Allow,
        Supported,
        Require,
        AllowEvents,
        ContentEncoding,
        Unsupported,
    ];
    let values = prop::collection::vec("[!-+./-9A-~--]{0,9}[a-z]", 1..4).prop_filter(
        "no separators",
        |values| {
            values
                .iter()
                .all(|value| !value.contains(['"', '<', '>', ',']))
        },
    );
    prop::collection::vec((select(names), values), 0..8)
}

/// How one header is spelled.
#[derive(Clone, Debug)]
struct Style {
    compact: bool,
    upper: bool,
    several_lines: bool,
    before_colon: String,
    space: String,
}

fn style() -> impl Strategy<Value = Style> {
    let fold = "[ \\t]{0,2}(\\r\\n[ \\t]{1,2})?";
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        "[ \\t]{0,2}",
        fold,
    )
        .prop_map(
            |(compact, upper, several_lines, before_colon, space)| Style {
                compact,
                upper,
                several_lines,
                before_colon,
                space,
            },
        )
}

impl Style {
    fn name(&self, name: HeaderName) -> String {
        match name.compact() {
            Some(letter) if self.compact => char::from(letter).to_string(),
            _ => name.as_str().to_owned(),
        }
    }

    fn write(&self, (name, values): &Written) -> String {
        let name = self.name(*name);
        let name = if self.upper {
            name.to_uppercase()
        } else {
            name.to_lowercase()
        };
        let Style {
            before_colon,
            space,
            ..
        } = self;
        if self.several_lines {
            let line = |value| format!("{name}{before_colon}:{space}{value}{space}\r\n");
            return values.iter().map(line).collect();
        }
        let values = values.join(&format!("{space},{space}"));
        format!("{name}{before_colon}:{space}{values}{space}\r\n")
    }
}

proptest! {
    #[test]
    fn spelling_changes_nothing(headers in headers(), styles in prop::collection::vec(style(), 8)) {
        let mut text = "OPTIONS sip:a SIP/2.0\r\n".to_owned();
        headers.iter().zip(&styles).for_each(|(header, style)| text += &style.write(header));
        text += "\r\n";
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        for name in HeaderName::ALL {
            let expected: Vec<&str> = headers
                .iter()
                .filter(|(header, _)| *header == name)
                .flat_map(|(_, values)| values.iter().map(String::as_str))
                .collect();
            let found: Vec<&str> =
                message.values(name).map(|value| str::from_utf8(value).unwrap()).collect();
            prop_assert_eq!(found, expected, "{:?} in {:?}", name, text);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(
        uri in "sip:[a-z]{1,8}@[a-z]{1,8}(:[1-9][0-9]{0,3})?",
        headers in prop::collection::vec(
            ("[A-Za-z][A-Za-z-]{0,20}x", "[!-~]([ -~]{0,60}[!-~])?"),
            0..20,
        ),
        body in prop::collection::vec(any::<u8>(), 0..2000),
        rubbish in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = b"\r\n\r\n".to_vec();
        print::request_line(&mut bytes, b"MESSAGE", uri.as_bytes());
        for (name, value) in &headers {
            print::header(&mut bytes, name, value.as_bytes());
        }
        print::end(&mut bytes, &body);
        let length = bytes.len() - 4;
        bytes.extend(rubbish);
        let mut index = Index::new();
        let message = Message::parse(&bytes, &mut index, &Limits::default()).unwrap();
        prop_assert_eq!(message.request_uri(), uri.as_bytes());
        prop_assert_eq!(message.body(), &body[..]);
        prop_assert_eq!(message.bytes().len(), length);
        let read: Vec<_> = message
            .headers()
            .map(|header| (text(header.token), text(header.value)))
            .take(headers.len())
            .collect();
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn multipart_parts_are_read_back(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..6),
    ) {
        prop_assume!(bodies.iter().all(|body| !body.windows(2).any(|two| two == b"--")));
        let mut bytes = Vec::new();
        for body in &bodies {
            bytes.extend_from_slice(b"--b\r\nContent-Type: x/y\r\n\r\n");
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"--b--\r\n");
        let parts = Parts::new(b"multipart/mixed;boundary=b", &bytes).unwrap();
        let read: Vec<_> = parts.map(|part| part.body.to_vec()).collect();
        prop_assert_eq!(read, bodies);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_sound_message_is_sound() {
    let mut index = Index::new();
    let message = Message::parse(SOUND.as_bytes(), &mut index, &Limits::default()).unwrap();
    assert_eq!(message.check_mandatory(), Ok(()));
    assert!(message.requires("B") && !message.requires("c") && message.has_sdp());
    assert_eq!(message.rack().unwrap().unwrap().cseq, 2);
    assert_eq!(message.to_tag(), Some(&b"2"[..]));
    read_all(&message);
}

#[test]
fn the_longest_datagram_is_read() {
    let mut bytes = b"MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n".to_vec();
    bytes.resize(65_535, b'x');
    let mut index = Index::new();
    let message = Message::parse(&bytes, &mut index, &Limits::default()).unwrap();
    assert_eq!(message.bytes().len(), 65_535);
    assert_eq!(message.body().len(), 65_535 - 45);
}

/// Via, From, To, Call-ID and CSeq, without one of them or with one twice.
#[test]
fn mandatory_headers_are_missed_by_name() {
    use wire::ParseError::*;
    let lines = [
        ("Via: SIP/2.0/UDP h\r\n", MissingVia, None),
        (
            "From: <sip:a@b>;tag=1\r\n",
            MissingFrom,
            Some(DuplicateFrom),
        ),
        ("To: <sip:a@b>\r\n", MissingTo, Some(DuplicateTo)),
        ("Call-ID: 1\r\n", MissingCallId, Some(DuplicateCallId)),
        ("CSeq: 1 BYE\r\n", MissingCSeq, Some(DuplicateCSeq)),
    ];
    let check = |count: &dyn Fn(usize) -> usize, extra: &str| {
        let lines = lines
            .iter()
            .enumerate()
            .map(|(at, line)| line.0.repeat(count(at)));
        let text = format!(
            "BYE sip:a SIP/2.0\r\n{}{extra}\r\n",
            lines.collect::<String>()
        );
        let mut index = Index::new();
        let limits = Limits::default();
        Message::parse(text.as_bytes(), &mut index, &limits)
            .unwrap()
            .check_mandatory()
    };
    assert_eq!(check(&|_| 1, ""), Ok(()));
    for (left_out, (_, missing, duplicate)) in lines.iter().enumerate() {
        assert_eq!(check(&|at| usize::from(at != left_out), ""), Err(*missing));
        let twice = check(&|at| 1 + usize::from(at == left_out), "");
        assert_eq!(twice.err(), *duplicate);
    }
    for (line, error) in [
        ("Max-Forwards: 256\r\n", BadMaxForwards),
        ("Max-Forwards: x\r\n", BadMaxForwards),
        (
            "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
            DuplicateMaxForwards,
        ),
    ] {
        assert_eq!(check(&|_| 1, line), Err(error), "{line}");
    }
}
