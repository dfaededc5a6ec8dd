//! A datagram and everything `wire` can read of it. Nothing panics; whatever is read is part of the
//! datagram; reading again reads the same; and what is printed from a message is a message.

use std::net::SocketAddr;

use wire::{
    HeaderName, Index, Limits, Message, NameAddr, Params, Parts, StartLine, Uri, Values, Via, print,
};

/// As much as the index can hold: what is printed may be longer than what was read.
const WIDE: Limits = Limits {
    headers_max: usize::MAX,
    header_bytes_max: usize::MAX,
    start_line_bytes_max: usize::MAX,
};

/// Reads `bytes` as a datagram.
pub fn run(bytes: &[u8]) {
    let (mut index, mut other) = (Index::new(), Index::new());
    if let Ok(message) = Message::parse(bytes, &mut index, &Limits::default()) {
        is_inside(bytes, message.bytes());
        is_stable(&message);
        is_printed_back(&message);
        look_at(bytes, &message);
    }
    if let Some(message) = other.salvage(bytes) {
        look_at(bytes, &message);
    }
}

fn look_at(bytes: &[u8], message: &Message<'_>) {
    read_values(message);
    for header in message.headers() {
        for part in [header.token, header.value, header.line] {
            is_inside(bytes, part);
        }
        read_as_anything(header.value);
    }
    is_inside(bytes, message.body());
    if message.is_request() {
        is_answered(message);
    }
    passes(message);
}

fn is_inside(whole: &[u8], part: &[u8]) {
    let (whole, part) = (whole.as_ptr_range(), part.as_ptr_range());
    let nothing = part.start == part.end;
    assert!(nothing || (whole.start <= part.start && part.end <= whole.end));
}

fn read_values(message: &Message<'_>) {
    let values = (message.top_via(), message.from(), message.to());
    let _ = (values, message.contact(), message.cseq(), message.rack());
    let _ = (message.method(), message.method_token(), message.code());
    let _ = (message.from_tag(), message.to_tag(), message.max_forwards());
    let _ = (message.requires("100rel"), message.supports("timer"));
    let _ = Uri::parse(message.request_uri());
    if message.check_mandatory().is_ok() {
        assert!(message.top_via().is_ok() && message.from().is_ok() && message.to().is_ok());
        assert!(message.cseq().is_ok() && !message.call_id().is_empty());
    }
    if let Some(description) = message.session_description() {
        is_inside(message.body(), description);
        let _ = wire::sdp::Session::parse(description);
    }
}

fn read_as_anything(value: &[u8]) {
    for value in Values::new(value) {
        let _ = Via::parse(value).map(|via| (via.rport, via.received));
        if let Ok(address) = NameAddr::parse(value) {
            let _ = (address.tag(), address.uri_parsed());
        }
        let _ = Params::new(value).well_formed();
        Params::new(value).for_each(drop);
    }
}

/// What was read once is read again from the message alone.
fn is_stable(message: &Message<'_>) {
    let mut index = Index::new();
    let again = Message::parse(message.bytes(), &mut index, &Limits::default());
    let again = again.expect("the message without what surrounded it");
    assert_eq!(again.bytes(), message.bytes());
    assert_eq!(again.body(), message.body());
    assert!(again.headers().eq(message.headers()));
}

/// The message printed anew from its values has the same values.
fn is_printed_back(message: &Message<'_>) {
    let mut out = Vec::new();
    match message.start_line() {
        StartLine::Request { token, uri, .. } => print::request_line(&mut out, token, uri),
        StartLine::Response { code, reason } => print::status_line(&mut out, code, reason),
    }
    let kept = || {
        message
            .headers()
            .filter(|header| header.name != HeaderName::ContentLength)
    };
    for header in kept() {
        let name = str::from_utf8(header.token).expect("a header name is a token");
        print::header(&mut out, name, header.value);
    }
    print::end(&mut out, message.body());
    if out.len() > usize::from(u16::MAX) || kept().count() > 200 {
        return;
    }
    let mut index = Index::new();
    let again = Message::parse(&out, &mut index, &WIDE).expect("a printed message");
    assert_eq!(again.body(), message.body());
    assert_eq!(again.request_uri(), message.request_uri());
    assert_eq!(again.code(), message.code());
    let values = |message: &Message<'_>| -> Vec<_> {
        let pairs = message
            .headers()
            .map(|header| (header.name, header.value.to_vec()));
        pairs
            .filter(|(name, _)| *name != HeaderName::ContentLength)
            .collect()
    };
    assert_eq!(values(&again), values(message));
}

/// The head of a response to this request reads back as one, for the same transaction.
fn is_answered(request: &Message<'_>) {
    let source = SocketAddr::from(([192, 0, 2, 1], 5060));
    let mut out = Vec::new();
    print::status_line(&mut out, 400, b"");
    print::response_head(&mut out, request, source);
    out.extend_from_slice(b";tag=ours\r\n");
    print::end(&mut out, b"");
    if out.len() > usize::from(u16::MAX) {
        return;
    }
    let mut index = Index::new();
    let response = Message::parse(&out, &mut index, &WIDE).expect("a response");
    assert_eq!(response.code(), 400);
    for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
        assert_eq!(response.header(name), request.header(name));
    }
    let (vias, asked) = (
        response.lines(HeaderName::Via),
        request.lines(HeaderName::Via),
    );
    assert_eq!(vias.count(), asked.count());
    if let (Ok(ours), Ok(theirs)) = (response.top_via(), request.top_via()) {
        assert_eq!((ours.branch, ours.sent_by), (theirs.branch, theirs.sent_by));
    }
}

/// The headers that pass to the other leg are lines of a message there.
fn passes(message: &Message<'_>) {
    let dropped = [HeaderName::Via, HeaderName::ContentLength, HeaderName::To];
    let mut out = Vec::new();
    print::request_line(&mut out, b"MESSAGE", b"sip:a@b");
    print::passing_headers(&mut out, message, &print::Policy::dropping(&dropped));
    print::end(&mut out, b"");
    let mut index = Index::new();
    if out.len() > usize::from(u16::MAX) || message.headers().count() > 200 {
        return;
    }
    let passed = Message::parse(&out, &mut index, &WIDE).expect("what passes is a message");
    let kept = message
        .headers()
        .filter(|header| !dropped.contains(&header.name));
    assert_eq!(passed.headers().count(), kept.count() + 1);
    if let Some(parts) = message
        .content_type()
        .and_then(|kind| Parts::new(kind, message.body()))
    {
        parts.for_each(|part| is_inside(message.body(), part.body));
    }
}
