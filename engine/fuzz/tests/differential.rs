//! Our reader of messages against another's (ezk-sip-types), on the torture messages, the fuzzing corpus
//! and generated messages. Both must come to the same verdict and read the same values. Where they do not,
//! a row of `KNOWN` says why by the RFC; a difference without a row fails the test.
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use bytesstr::BytesStr;
use ezk_sip_types::header::typed::{CSeq, CallID, ContentLength, FromTo, Via};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::{Headers, Name};
use wire::{HeaderName, Index, Limits, Message};

/// What both read of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Read {
    method: String,
    code: u16,
    call_id: String,
    cseq: (u32, String),
    tags: [Option<String>; 2],
    branches: Vec<Option<String>>,
    body: usize,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ours(bytes: &[u8]) -> Result<Read, String> {
    let mut index = Index::new();
    let message = Message::parse(bytes, &mut index, &Limits::default());
    let message = message.map_err(|error| error.name().to_owned())?;
    message
        .check_mandatory()
        .map_err(|error| error.name().to_owned())?;
    let cseq = message.cseq().map_err(|error| error.name().to_owned())?;
    let vias = message.values(HeaderName::Via).map(wire::Via::parse);
    let branches: Result<Vec<_>, _> = vias.map(|via| Ok(via?.branch.map(text))).collect();
    Ok(Read {
        method: if message.is_request() {
            text(message.method_token())
        } else {
            String::new()
        },
        code: message.code(),
        call_id: text(message.call_id()),
        cseq: (cseq.number, text(cseq.token)),
        tags: [message.from_tag().map(text), message.to_tag().map(text)],
        branches: branches.map_err(|error: wire::ParseError| error.name().to_owned())?,
        body: message.body().len(),
    })
}

/// The other crate gives parts; they are put together here as its own documentation does.
fn theirs(bytes: &[u8]) -> Result<Read, String> {
    let source = Bytes::copy_from_slice(bytes);
    let mut lines = PullParser::new(&source, 0);
    let mut start = None;
    let mut headers = Headers::new();
    for line in &mut lines {
        let line = line.map_err(|_| "incomplete")?;
        let line = str::from_utf8(line).map_err(|_| "not UTF-8")?;
        if start.is_none() {
            let read: MessageLine = line.parse().map_err(|_| "start line")?;
            start = Some(read);
        } else {
            let (_, header) = Line::parse(&source, line).map_err(|_| "header line")?;
            headers.insert(header.name, header.value);
        }
    }
    let start = start.ok_or("no start line")?;
    let get = |name: Name| {
        headers
            .get::<FromTo>(name)
            .map_err(|error| error.to_string())
    };
    let (from, to) = (get(Name::FROM)?, get(Name::TO)?);
    let cseq: CSeq = headers.get_named().map_err(|error| error.to_string())?;
    let call_id: CallID = headers.get_named().map_err(|error| error.to_string())?;
    let vias: Vec<Via> = headers.get_named().map_err(|error| error.to_string())?;
    let rest = bytes.len() - lines.head_end().min(bytes.len());
    let length = headers.try_get_named::<ContentLength>();
    let length = length.transpose().map_err(|error| error.to_string())?;
    let body = length.map_or(rest, |length| length.0);
    if body > rest {
        return Err("body cut off".to_owned());
    }
    let tag = |tag: Option<BytesStr>| tag.map(|tag| tag.to_string());
    let branch = |via: &Via| {
        via.params
            .get_val("branch")
            .map(|branch| branch.to_string())
    };
    Ok(Read {
        method: start
            .request_method()
            .map(ToString::to_string)
            .unwrap_or_default(),
        code: match &start {
            MessageLine::Response(line) => line.code.into_u16(),
            MessageLine::Request(_) => 0,
        },
        call_id: call_id.0.to_string(),
        cseq: (cseq.cseq, cseq.method.to_string()),
        tags: [tag(from.tag), tag(to.tag)],
        branches: vias.iter().map(branch).collect(),
        body,
    })
}

/// One way in which the two differ: our verdict or the value, theirs, and why ours is right by the RFC.
/// There is no row for the opposite: that is a defect of ours, to be mended.
type Row = (&'static str, &'static str, &'static str);

const KNOWN: &[Row] = &[
    (
        "bad_from",
        "ok",
        "RFC 4475 3.1.2.15: a display name that is not tokens must be quoted",
    ),
    (
        "bad_to",
        "ok",
        "RFC 4475 3.1.2.6: a quotation that does not end",
    ),
    (
        "bad_via",
        "ok",
        "RFC 4475 3.1.2.1: parameters without names",
    ),
    (
        "bad_request_uri",
        "ok",
        "RFC 3261 7.1, 19.1.1: white space, brackets or headers in it",
    ),
    (
        "conflicting_content_length",
        "ok",
        "RFC 4475 3.3.9: two lengths, and they differ",
    ),
    (
        "cseq_mismatch",
        "ok",
        "RFC 3261 8.1.1.5; they leave this to their user",
    ),
    (
        "duplicate_from",
        "ok",
        "RFC 4475 3.3.8; they take the first one",
    ),
    (
        "duplicate_to",
        "ok",
        "RFC 3261 20: one To; they take the first one",
    ),
    ("duplicate_call_id", "ok", "RFC 3261 20: one Call-ID"),
    ("duplicate_cseq", "ok", "RFC 3261 20: one CSeq"),
    (
        "duplicate_max_forwards",
        "ok",
        "RFC 3261 20: one Max-Forwards; they do not look",
    ),
    (
        "bad_cseq",
        "ok",
        "RFC 3261 25.1: words behind the method; they ignore them",
    ),
    (
        "ok",
        "start line",
        "RFC 4475 3.3.2: an unknown scheme is read, and answered 416",
    ),
    (
        "ok",
        "From",
        "RFC 3261 25.1: quoted pairs, folds around a semicolon; RFC 4475 3.3.4: any scheme",
    ),
    (
        "branch",
        "unescaped",
        "RFC 3261 25.1: a branch is a token, and % is a letter of it",
    ),
];

/// How the two differ on a message, as `KNOWN` names it.
fn difference(bytes: &[u8]) -> Option<(String, String)> {
    let (ours, theirs) = (ours(bytes), theirs(bytes));
    match (ours, theirs) {
        (Err(_), Err(_)) => None,
        (Ok(ours), Ok(theirs)) if ours == theirs => None,
        (Ok(ours), Ok(theirs)) => Some(differing(&ours, &theirs)),
        (ours, theirs) => Some((verdict(ours), verdict(theirs))),
    }
}

fn verdict(read: Result<Read, String>) -> String {
    match read {
        Ok(_) => "ok".to_owned(),
        // `header Name(From) was found but ...`: the name is enough.
        Err(words) => match words.split_once("Name(") {
            Some((_, name)) => name.split(')').next().unwrap_or_default().to_owned(),
            None => words,
        },
    }
}

fn differing(ours: &Read, theirs: &Read) -> (String, String) {
    let but_branches = Read {
        branches: theirs.branches.clone(),
        ..ours.clone()
    };
    let escaped = |branch: &Option<String>| branch.as_ref().is_some_and(|text| text.contains('%'));
    if but_branches == *theirs && ours.branches.iter().any(escaped) {
        return ("branch".to_owned(), "unescaped".to_owned());
    }
    (format!("{ours:?}"), format!("{theirs:?}"))
}

fn is_known((ours, theirs): &(String, String)) -> bool {
    KNOWN
        .iter()
        .any(|(our, their, ..)| our == ours && their == theirs)
}

fn torture() -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/torture");
    let entries = fs::read_dir(directory).expect("the torture messages");
    let read = |path: PathBuf| {
        (
            path.display().to_string(),
            fs::read(path).expect("a message"),
        )
    };
    entries
        .map(|entry| read(entry.expect("an entry").path()))
        .collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let text = include_str!("../corpus/parse.hex");
    text.lines()
        .map(|line| (line.to_owned(), bytes(line)))
        .collect()
}

/// The torture messages with each of their lines left out once, or said twice.
fn damaged() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for (name, bytes) in torture() {
        let lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        for at in 0..lines.len() {
            let (before, after) = lines.split_at(at);
            messages.push((
                format!("{name} without {at}"),
                [before, &after[1..]].concat().concat(),
            ));
            messages.push((
                format!("{name} twice {at}"),
                [before, &after[..1], after].concat().concat(),
            ));
        }
    }
    messages
}

/// Sound messages in every spelling both must read alike.
fn generated() -> Vec<(String, Vec<u8>)> {
    let starts = [
        "INVITE sip:bob@example.com:5070 SIP/2.0",
        "SIP/2.0 486 Busy Here",
        "SIP/2.0 200 ",
    ];
    let vias = [
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport",
        "v: SIP/2.0/TCP h.example;branch=z9hG4bK2, SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK3",
        "VIA : SIP/2.0/UDP 192.0.2.1;received=192.0.2.9;branch=z9hG4bK4\r\nVia: SIP/2.0/UDP b;branch=5",
    ];
    let parties = [
        "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>",
        "f: \"A, \\\"quoted\\\" name\" <sip:a@example.com;lr>;tag=1\r\nt: B <sips:b@example.com>;x=y;tag=2",
        "From: sip:a@example.com;tag=1\r\nTo:\r\n <sip:b@example.com:5061>;tag=2",
    ];
    let ends = [
        "Content-Length: 0\r\n\r\n",
        "l: 4\r\n\r\nbodybeyond",
        "Subject: x\r\n\ty\r\n\r\nall of it",
    ];
    let mut messages = Vec::new();
    for start in starts {
        for via in vias {
            for party in parties {
                for end in ends {
                    let text = format!(
                        "{start}\r\n{via}\r\n{party}\r\nCall-ID: x@y\r\nCSeq: 4294967 INVITE\r\n{end}"
                    );
                    messages.push((text.clone(), text.into_bytes()));
                }
            }
        }
    }
    messages
}

fn unexplained(messages: Vec<(String, Vec<u8>)>) -> Vec<String> {
    let found = messages.into_iter().filter_map(|(name, bytes)| {
        let (ours, theirs) = difference(&bytes).filter(|difference| !is_known(difference))?;
        Some(format!("{name}\n  we:   {ours}\n  they: {theirs}"))
    });
    found.collect()
}

#[test]
fn every_difference_is_explained() {
    for messages in [torture(), damaged(), corpus(), generated()] {
        assert!(messages.len() > 50);
        let wrong = unexplained(messages);
        assert!(
            wrong.is_empty(),
            "{} differences:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// What neither refuses is compared by value: enough of it must be left.
#[test]
fn sound_messages_are_read_by_both() {
    let read = |messages: Vec<(String, Vec<u8>)>| {
        let both = messages
            .iter()
            .filter(|(_, bytes)| ours(bytes).is_ok() && theirs(bytes).is_ok());
        both.count()
    };
    assert!(generated().iter().all(|(_, bytes)| ours(bytes).is_ok()));
    // They do not read the quoted pairs in one of three display names.
    assert_eq!(read(generated()), generated().len() / 3 * 2);
    assert!(read(torture()) >= 30, "{}", read(torture()));
}

#[test]
fn every_row_is_needed() {
    let all = torture()
        .into_iter()
        .chain(damaged())
        .chain(corpus())
        .chain(generated());
    let found: Vec<_> = all.filter_map(|(_, bytes)| difference(&bytes)).collect();
    for (ours, theirs, why) in KNOWN {
        let row = (ours.to_string(), theirs.to_string());
        assert!(
            found.contains(&row),
            "{ours} against {theirs} ({why}) does not happen"
        );
    }
}
