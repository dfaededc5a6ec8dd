//! Offer and answer (RFC 3264) of a party that sends back what it hears: which stream it takes, in which
//! format, and the text that says so. Nothing here knows calls or ports in use.

use std::net::{IpAddr, SocketAddr};

use media::{Family, Local, Remote};
use smallvec::SmallVec;
use wire::print;
use wire::sdp::{Direction, Kind, Media, Session, print_address};

/// The codecs an echo can stand for: name, clock rate in Hz, channels, and the payload type that needs no
/// rtpmap (RFC 3551 6).
const CODECS: [(&[u8], u32, u8, Option<u8>); 5] = [
    (b"PCMA", 8_000, 1, Some(8)),
    (b"PCMU", 8_000, 1, Some(0)),
    (b"G722", 8_000, 1, Some(9)),
    (b"G729", 8_000, 1, Some(18)),
    (b"opus", 48_000, 2, None),
];

/// Formats of our own offer, its m= line aside. RFC 3551 4.5.6: G.729 is said without annex B, so that
/// silence is not described by what an echo would repeat late.
const OWN_FORMATS: &str = "RTP/AVP 8 0 9 18 96 101\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:18 G729/8000\r\n\
    a=fmtp:18 annexb=no\r\n\
    a=rtpmap:96 opus/48000/2\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=ptime:20\r\n\
    a=rtcp-mux\r\n\
    a=sendrecv\r\n";

/// Why no stream of a description can be echoed; the later, the nearer one came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unusable {
    /// There is no audio.
    NoAudio,
    /// Its profile needs keys we do not have, or is none of RTP.
    Transport,
    /// It is at an address we cannot reach.
    Address,
    /// None of its formats is one of ours.
    Format,
}

impl Unusable {
    /// The warn-code and text of RFC 3261 20.43.
    pub(super) fn warning(self) -> (&'static str, &'static str) {
        match self {
            Unusable::NoAudio => ("304", "Media type not available"),
            Unusable::Transport => ("302", "Incompatible transport protocol"),
            Unusable::Address => ("301", "Incompatible network address formats"),
            Unusable::Format => ("305", "Incompatible media format"),
        }
    }
}

/// The stream that is taken.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Index of its m= line.
    pub(super) line: usize,
    /// Of its address.
    pub(super) family: Family,
    pub(super) remote: Remote,
    /// The codec, and telephone-event when it is there.
    formats: SmallVec<[u8; 2]>,
    /// Ours.
    direction: Direction,
}

/// The first stream that can be echoed, where `serves` tells whether a family has ports here.
pub(super) fn choose(
    session: &Session<'_>,
    serves: impl Fn(Family) -> bool,
) -> Result<Choice, Unusable> {
    let mut nearest = Unusable::NoAudio;
    for (line, media) in session.media().iter().enumerate() {
        match judge(line, media, &serves) {
            Ok(choice) => return Ok(choice),
            Err(reason) => nearest = nearest.max(reason),
        }
    }
    Err(nearest)
}

fn judge(
    line: usize,
    media: &Media<'_>,
    serves: impl Fn(Family) -> bool,
) -> Result<Choice, Unusable> {
    let said = &media.media;
    if said.kind != Kind::Audio || said.port == 0 {
        return Err(Unusable::NoAudio);
    }
    if ![b"RTP/AVP".as_slice(), b"RTP/AVPF"]
        .iter()
        .any(|known| said.proto.eq_ignore_ascii_case(known))
    {
        return Err(Unusable::Transport);
    }
    let connection = media.connection().ok_or(Unusable::Address)?;
    let held = connection.is_unspecified();
    let family = match connection.host.ip() {
        Some(address) => Family::of(address),
        None if held && connection.ipv6 => Family::V6,
        None if held => Family::V4,
        // A name would have to be looked up before the answer.
        None => return Err(Unusable::Address),
    };
    if !serves(family) {
        return Err(Unusable::Address);
    }
    let formats = formats(media).ok_or(Unusable::Format)?;
    let address = connection.host.ip().filter(|_| !held);
    Ok(Choice {
        line,
        family,
        remote: remote(media, address, &formats),
        formats,
        direction: direction(media, held),
    })
}

/// The first codec we know, and the telephone-event that goes with its clock (RFC 4733 2.5.1.1).
fn formats(media: &Media<'_>) -> Option<SmallVec<[u8; 2]>> {
    let codec = media
        .media
        .payload_types()
        .find(|&it| is_codec(media, it))?;
    let clock = media.clock_rate(codec);
    let is_event = |map: &wire::sdp::RtpMap<'_>| map.name.eq_ignore_ascii_case(b"telephone-event");
    let offered = |it: &u8| media.rtpmap(*it).as_ref().is_some_and(is_event);
    let events: SmallVec<[u8; 2]> = media.media.payload_types().filter(offered).collect();
    let same = events.iter().find(|&&it| media.clock_rate(it) == clock);
    let event = same.or_else(|| events.first()).copied();
    Some(std::iter::once(codec).chain(event).collect())
}

fn is_codec(media: &Media<'_>, payload_type: u8) -> bool {
    let map = media.rtpmap(payload_type);
    CODECS
        .iter()
        .any(|&(name, clock, channels, fixed)| match map {
            Some(map) => {
                map.name.eq_ignore_ascii_case(name)
                    && (map.clock_rate, map.channels) == (clock, channels)
            }
            None => fixed == Some(payload_type),
        })
}

fn remote(media: &Media<'_>, address: Option<IpAddr>, formats: &[u8]) -> Remote {
    let rates = formats
        .iter()
        .filter_map(|&it| Some((it, media.clock_rate(it)?)));
    let rtcp = media.rtcp().and_then(|rtcp| {
        let own = rtcp.connection.and_then(|connection| connection.host.ip());
        Some(SocketAddr::new(own.or(address)?, rtcp.port))
    });
    let direction = media.direction();
    Remote {
        rtp: address.map(|address| SocketAddr::new(address, media.media.port)),
        rtcp: rtcp.filter(|_| address.is_some()),
        rtcp_mux: media.rtcp_mux(),
        sends: direction.sends(),
        receives: direction.receives() && address.is_some(),
        rates: rates.collect(),
    }
}

/// What we do in return. RFC 3264 8.4: nothing is sent to 0.0.0.0, whatever the direction.
fn direction(media: &Media<'_>, held: bool) -> Direction {
    match (media.direction().reversed(), held) {
        (Direction::SendRecv, true) => Direction::RecvOnly,
        (Direction::SendOnly, true) => Direction::Inactive,
        (direction, _) => direction,
    }
}

/// The answer to `offer`, from behind the o= line.
pub(super) fn print_answer(out: &mut Vec<u8>, offer: &Session<'_>, choice: &Choice, local: &Local) {
    print_session(
        out,
        local,
        offer.lines().find_kind(b't').map(|line| line.value),
    );
    for (line, media) in offer.media().iter().enumerate() {
        if line == choice.line {
            print_stream(out, media, choice, local.rtp_port);
        } else {
            print_refused(out, media);
        }
    }
}

/// An offer of our own, from behind the o= line.
pub(super) fn print_offer(out: &mut Vec<u8>, local: &Local) {
    print_session(out, local, None);
    out.extend_from_slice(b"m=audio ");
    print::number(out, local.rtp_port.into());
    out.push(b' ');
    out.extend_from_slice(OWN_FORMATS.as_bytes());
}

/// What was described before, as an offer: with the wish to be heard (RFC 6337 5.3).
pub(super) fn print_offer_again(out: &mut Vec<u8>, described: &[u8]) {
    for line in described.split_inclusive(|&byte| byte == b'\n') {
        let name = line.strip_prefix(b"a=").map(<[u8]>::trim_ascii_end);
        match name.and_then(Direction::parse) {
            Some(_) => out.extend_from_slice(b"a=sendrecv\r\n"),
            None => out.extend_from_slice(line),
        }
    }
}

/// RFC 3264 6: the t= line of an answer is that of its offer.
fn print_session(out: &mut Vec<u8>, local: &Local, time: Option<&[u8]>) {
    out.extend_from_slice(b"s=-\r\nc=");
    print_address(out, local.address);
    out.extend_from_slice(b"\r\nt=");
    out.extend_from_slice(time.unwrap_or(b"0 0"));
    out.extend_from_slice(b"\r\n");
}

fn print_stream(out: &mut Vec<u8>, media: &Media<'_>, choice: &Choice, port: u16) {
    out.extend_from_slice(b"m=audio ");
    print::number(out, port.into());
    out.push(b' ');
    out.extend_from_slice(media.media.proto);
    for &format in &choice.formats {
        out.push(b' ');
        print::number(out, format.into());
    }
    out.extend_from_slice(b"\r\n");
    for &format in &choice.formats {
        print_format(out, media, format);
    }
    if let Some(ptime) = media.ptime() {
        out.extend_from_slice(format!("a=ptime:{ptime}\r\n").as_bytes());
    }
    if choice.remote.rtcp_mux {
        out.extend_from_slice(b"a=rtcp-mux\r\n");
    }
    out.extend_from_slice(format!("a={}\r\n", choice.direction.name()).as_bytes());
}

/// rtpmap and fmtp as they were offered: what comes back is what was sent.
fn print_format(out: &mut Vec<u8>, media: &Media<'_>, format: u8) {
    for name in ["rtpmap", "fmtp"] {
        let own = |value: &&[u8]| {
            let word = value.split(|byte| byte.is_ascii_whitespace()).next();
            word == Some(format.to_string().as_bytes())
        };
        if let Some(value) = media.lines().attributes(name).find(own) {
            out.extend_from_slice(format!("a={name}:").as_bytes());
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// RFC 3264 6: a stream that is not taken has port 0; its formats say nothing, but there must be some.
fn print_refused(out: &mut Vec<u8>, media: &Media<'_>) {
    let (line, port) = (&media.line, media.media.port_span);
    let before = port.start.saturating_sub(line.value_span.start);
    let after = port.end.saturating_sub(line.value_span.start);
    out.extend_from_slice(b"m=");
    out.extend_from_slice(line.value.get(..usize::from(before)).unwrap_or_default());
    out.push(b'0');
    out.extend_from_slice(line.value.get(usize::from(after)..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}
