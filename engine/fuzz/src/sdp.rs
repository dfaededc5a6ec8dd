//! A session description and edits of it. Reading never panics; every line lies where it says; an
//! edited body is what a plain model of lines makes of it, so that no line nobody touched changes; and a
//! description whose m= lines and first line were left alone can still be read.

use wire::Span;
use wire::sdp::{Connection, Edits, Line, Media, MediaLine, Session};

use crate::choices::Choices;

/// The first bytes choose the edits, the others are the body.
pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let plan = choices.bytes(12);
    let body = choices.bytes(usize::MAX);
    let Ok(session) = Session::parse(body) else {
        return;
    };
    look_at(&session);
    edit(&session, plan);
}

fn look_at(session: &Session<'_>) {
    let _ = (session.origin(), session.name(), session.direction());
    let _ = session
        .connection()
        .map(|connection: Connection<'_>| connection.is_unspecified());
    let mut end = session.lines().span().end;
    for media in session.media() {
        assert_eq!(media.line.span.start, end, "sections follow each other");
        end = media.lines().span().end;
        look_at_media(media);
    }
    assert_eq!(usize::from(end), session.bytes().len());
}

fn look_at_media(media: &Media<'_>) {
    let _ = (
        media.connection(),
        media.direction(),
        media.rtcp(),
        media.rtcp_mux(),
    );
    let _ = (media.ptime(), media.rtpmaps().count());
    let said: &MediaLine<'_> = &media.media;
    for payload_type in said.payload_types() {
        let _ = (media.clock_rate(payload_type), media.fmtp(payload_type));
        let _ = media.rtpmap(payload_type);
    }
    let _ = (said.is_rtp(), said.is_udptl(), said.formats().count());
}

/// What is done to one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Keep,
    Remove,
    Replace,
    Insert,
}

const WORDS: &[u8] = b"a=x-put:1\r\n";
const VALUE: &[u8] = b"put";

fn act(plan: &[u8], at: usize) -> Act {
    let byte = plan
        .get(at % plan.len().max(1))
        .copied()
        .unwrap_or_default();
    match byte.wrapping_add(at as u8) % 8 {
        0 => Act::Remove,
        1 => Act::Replace,
        2 => Act::Insert,
        _ => Act::Keep,
    }
}

fn edit(session: &Session<'_>, plan: &[u8]) {
    let body = session.bytes();
    let (mut edits, mut expected) = (Edits::new(), Vec::new());
    for (at, line) in all_lines(session).enumerate() {
        let act = match at {
            0 => Act::Keep,
            _ if line.kind == b'm' => Act::Keep,
            _ => act(plan, at),
        };
        perform(act, &line, &mut edits);
        model(act, &line, body, &mut expected);
    }
    let mut printed = Vec::new();
    edits.print(body, &mut printed);
    assert_eq!(printed, expected);
    if printed.len() <= usize::from(u16::MAX) {
        let again = Session::parse(&printed).expect("an edited description");
        assert_eq!(again.media().len(), session.media().len());
    }
}

fn all_lines<'a>(session: &Session<'a>) -> impl Iterator<Item = Line<'a>> {
    let of_media = |media: &Media<'a>| std::iter::once(media.line).chain(media.lines());
    let media: Vec<_> = session.media().iter().flat_map(of_media).collect();
    session.lines().chain(media)
}

fn perform(act: Act, line: &Line<'_>, edits: &mut Edits) {
    match act {
        Act::Keep => {}
        Act::Remove => edits.remove(line.span),
        Act::Replace => edits.replace(line.value_span, |out| out.extend_from_slice(VALUE)),
        Act::Insert => edits.insert(line.span.start, |out| out.extend_from_slice(WORDS)),
    }
}

fn model(act: Act, line: &Line<'_>, body: &[u8], out: &mut Vec<u8>) {
    let whole = line.span.of(body);
    let place = |at: u16| usize::from(at - line.span.start);
    assert_eq!(line.value, line.value_span.of(body));
    match act {
        Act::Keep => out.extend_from_slice(whole),
        Act::Remove => {}
        Act::Insert => {
            out.extend_from_slice(WORDS);
            out.extend_from_slice(whole);
        }
        Act::Replace => {
            let Span { start, end } = line.value_span;
            out.extend_from_slice(whole.get(..place(start)).unwrap_or_default());
            out.extend_from_slice(VALUE);
            out.extend_from_slice(whole.get(place(end)..).unwrap_or_default());
        }
    }
}
