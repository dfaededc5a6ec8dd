//! The attributes a router asks for: direction (RFC 8866 6.7), rtpmap (6.6), rtcp (RFC 3605).

use super::connection::Connection;
use super::line::Words;
use crate::lex::number;

/// Which way media goes, as the describing party sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Reads the name of the attribute.
    pub fn parse(name: &[u8]) -> Option<Direction> {
        const ALL: [(&[u8], Direction); 4] = [
            (b"sendrecv", Direction::SendRecv),
            (b"sendonly", Direction::SendOnly),
            (b"recvonly", Direction::RecvOnly),
            (b"inactive", Direction::Inactive),
        ];
        ALL.into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|(_, direction)| direction)
    }

    /// The describing party sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// The describing party wants to receive.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// What the other party says to agree (RFC 3264 6.1).
    pub fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }

    /// The name of the attribute.
    pub fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}

/// Where RTCP is wanted (RFC 3605 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp<'a> {
    /// The port.
    pub port: u16,
    /// The address, when it is not that of RTP.
    pub connection: Option<Connection<'a>>,
}

impl<'a> Rtcp<'a> {
    /// Reads `port [IN IP4 address]`.
    pub fn parse(value: &'a [u8]) -> Option<Rtcp<'a>> {
        let mut words = Words::new(value, 0);
        let port = u16::try_from(number(words.next()?.0)?).ok()?;
        Some(Rtcp {
            port,
            connection: Connection::parse(words.rest()),
        })
    }
}

/// What a payload type carries (RFC 8866 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding name; case means nothing.
    pub name: &'a [u8],
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels; 1 when it is not said.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    /// Reads `payload-type name/clock[/channels]`.
    pub fn parse(value: &'a [u8]) -> Option<RtpMap<'a>> {
        let mut words = Words::new(value, 0).map(|(word, _)| word);
        let payload_type = payload_type(words.next()?)?;
        let mut parts = words.next()?.split(|&byte| byte == b'/');
        let (name, clock_rate) = (parts.next()?, number(parts.next()?)?);
        let channels = parts.next().and_then(number);
        Some(RtpMap {
            payload_type,
            name,
            clock_rate,
            channels: channels.and_then(|n| u8::try_from(n).ok()).unwrap_or(1),
        })
    }
}

/// A payload type: 0 to 127.
pub(super) fn payload_type(word: &[u8]) -> Option<u8> {
    u8::try_from(number(word)?).ok().filter(|&kind| kind < 128)
}

/// Clock rate of a payload type that needs no rtpmap (RFC 3551 6).
pub(super) fn static_clock_rate(payload_type: u8) -> Option<u32> {
    Some(match payload_type {
        0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => 8_000,
        6 => 16_000,
        10 | 11 => 44_100,
        16 => 11_025,
        17 => 22_050,
        14 | 25 | 26 | 28 | 31..=34 => 90_000,
        _ => return None,
    })
}
