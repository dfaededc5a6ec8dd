//! A media section: its m= line (RFC 8866 5.14) and what its lines, and the session level behind
//! them, say of it.

use super::attribute::{self, Direction, Rtcp, RtpMap};
use super::connection::Connection;
use super::line::{Line, Lines, Words};
use crate::lex::{number, split_around};
use crate::span::Span;
use memchr::memchr;

/// The kinds of media a router tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `image`: T.38.
    Image,
    /// `application`
    Application,
    /// `message`
    Message,
    /// Any other.
    Other,
}

impl Kind {
    fn parse(word: &[u8]) -> Kind {
        const ALL: [(&[u8], Kind); 5] = [
            (b"audio", Kind::Audio),
            (b"video", Kind::Video),
            (b"image", Kind::Image),
            (b"application", Kind::Application),
            (b"message", Kind::Message),
        ];
        ALL.into_iter()
            .find(|(known, _)| word.eq_ignore_ascii_case(known))
            .map_or(Kind::Other, |(_, kind)| kind)
    }
}

/// What an m= line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// The media type.
    pub kind: Kind,
    /// The port; 0 is a refused or ended stream.
    pub port: u16,
    /// How many ports, the `2` of `49170/2`; 1 when it is not said.
    pub ports: u16,
    /// Place of the port and its count.
    pub port_span: Span,
    /// The transport protocol, as written: `RTP/AVP`, `udptl`.
    pub proto: &'a [u8],
    formats: &'a [u8],
}

impl<'a> MediaLine<'a> {
    fn parse(line: &Line<'a>) -> Option<MediaLine<'a>> {
        let mut words = Words::new(line.value, line.value_span.start);
        let (kind, _) = words.next()?;
        let (place, port_span) = words.next()?;
        let (proto, _) = words.next()?;
        let (port, ports) = split_around(place, memchr(b'/', place).unwrap_or(place.len()));
        let count = |word| number(word).and_then(|count| u16::try_from(count).ok());
        Some(MediaLine {
            kind: Kind::parse(kind),
            port: count(port)?,
            ports: count(ports).unwrap_or(1).max(1),
            port_span,
            proto,
            formats: words.rest(),
        })
    }

    /// The formats: of RTP payload types, of udptl `t38`.
    pub fn formats(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Words::new(self.formats, 0).map(|(word, _)| word)
    }

    /// The payload types among the formats.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.formats().filter_map(attribute::payload_type)
    }

    /// A profile of RTP: `RTP/AVP`, `RTP/SAVPF`, `UDP/TLS/RTP/SAVPF`.
    pub fn is_rtp(&self) -> bool {
        starts_with(self.proto, b"RTP/") || starts_with(self.proto, b"UDP/TLS/RTP/")
    }

    /// T.38 over UDP (RFC 3362, T.38 annex D).
    pub fn is_udptl(&self) -> bool {
        self.proto.eq_ignore_ascii_case(b"udptl")
    }
}

fn starts_with(bytes: &[u8], front: &[u8]) -> bool {
    bytes
        .get(..front.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(front))
}

/// A media section.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// Its m= line.
    pub line: Line<'a>,
    /// What that says.
    pub media: MediaLine<'a>,
    session: Lines<'a>,
    lines: Lines<'a>,
}

impl<'a> Media<'a> {
    pub(super) fn new(line: Line<'a>, session: Lines<'a>, lines: Lines<'a>) -> Option<Media<'a>> {
        let media = MediaLine::parse(&line)?;
        Some(Media {
            line,
            media,
            session,
            lines,
        })
    }

    /// The lines after the m= line.
    pub fn lines(&self) -> Lines<'a> {
        self.lines.clone()
    }

    /// Its own c= line.
    pub fn own_connection(&self) -> Option<Line<'a>> {
        self.lines().find_kind(b'c')
    }

    /// Its c= value, or that of the session.
    pub fn connection(&self) -> Option<Connection<'a>> {
        let line = self.own_connection();
        let line = line.or_else(|| self.session.clone().find_kind(b'c'))?;
        Connection::parse(line.value)
    }

    /// Its direction, or that of the session; sendrecv when nothing is said (RFC 8866 6.7).
    pub fn direction(&self) -> Direction {
        let own = self.lines().direction();
        own.or_else(|| self.session.clone().direction())
            .unwrap_or_default()
    }

    /// The first of its attributes called `name`: the value.
    pub fn attribute(&self, name: &'static str) -> Option<&'a [u8]> {
        self.lines().attributes(name).next()
    }

    /// Where it wants RTCP, when it says so.
    pub fn rtcp(&self) -> Option<Rtcp<'a>> {
        Rtcp::parse(self.attribute("rtcp")?)
    }

    /// It would have RTCP on the RTP port (RFC 5761 5.1.1, RFC 8858 3).
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some() || self.attribute("rtcp-mux-only").is_some()
    }

    /// Its rtpmap lines that can be read.
    pub fn rtpmaps(&self) -> impl Iterator<Item = RtpMap<'a>> + use<'a> {
        self.lines().attributes("rtpmap").filter_map(RtpMap::parse)
    }

    /// What it maps this payload type to.
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'a>> {
        self.rtpmaps().find(|map| map.payload_type == payload_type)
    }

    /// RTP clock rate in Hz of a payload type: mapped, or fixed by RFC 3551.
    pub fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        match self.rtpmap(payload_type) {
            Some(map) => Some(map.clock_rate),
            None => attribute::static_clock_rate(payload_type),
        }
    }

    /// The format parameters of a payload type (RFC 8866 6.15).
    pub fn fmtp(&self, payload_type: u8) -> Option<&'a [u8]> {
        self.lines().attributes("fmtp").find_map(|value| {
            let mut words = Words::new(value, 0);
            let (format, _) = words.next()?;
            (attribute::payload_type(format) == Some(payload_type)).then(|| words.rest())
        })
    }

    /// Milliseconds of media in a packet (RFC 8866 6.4).
    pub fn ptime(&self) -> Option<u32> {
        number(self.attribute("ptime")?)
    }
}
