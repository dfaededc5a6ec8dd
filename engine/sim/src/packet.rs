//! Packets of media on the virtual wire: how they are marked, so that each is known again wherever it
//! comes out, and what is kept of each that crosses the router's edge. Nothing is judged here.

use std::fmt;
use std::net::SocketAddr;

use stack::Time;
use wire::rtp::Header;

use crate::agent::{AgentId, Side};
use crate::tape::{Peer, name_of, seconds};

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// T.38.
    Udptl,
}

/// Who made a packet, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The party; `None` for the stranger.
    pub author: Option<AgentId>,
    /// Number of the author's dialog.
    pub dialog: u8,
    /// Index of the m= line.
    pub line: u8,
    /// Counts the author's packets.
    pub serial: u32,
}

/// Bytes of a mark and of the word before it.
const MARK: usize = 16;
const WORD: &[u8; 4] = b"MARK";
const STRANGER: u8 = b's';

impl Mark {
    fn print(&self, out: &mut Vec<u8>) {
        let (call, side) = match self.author {
            Some(AgentId { call, side }) => (call as u16, side.letter() as u8),
            None => (0, STRANGER),
        };
        out.extend_from_slice(WORD);
        out.extend_from_slice(&call.to_be_bytes());
        out.extend_from_slice(&[side, self.dialog, self.line, 0, 0, 0]);
        out.extend_from_slice(&self.serial.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Mark> {
        let start = bytes.len().checked_sub(MARK)?;
        let bytes: &[u8; MARK] = bytes.get(start..)?.try_into().ok()?;
        let [
            w0,
            w1,
            w2,
            w3,
            c0,
            c1,
            side,
            dialog,
            line,
            _,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
        ] = *bytes;
        let side = match side {
            b'a' => Some(Side::Caller),
            b'b' => Some(Side::Callee),
            _ => None,
        };
        let call = usize::from(u16::from_be_bytes([c0, c1]));
        ([w0, w1, w2, w3] == *WORD).then_some(Mark {
            author: side.map(|side| AgentId { call, side }),
            dialog,
            line,
            serial: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }
}

/// Prints a packet of this form that ends with the mark.
pub(crate) fn print(form: Form, ssrc: u32, mark: &Mark) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    match form {
        Form::Rtp => Header {
            marker: false,
            payload_type: 8,
            sequence: mark.serial as u16,
            timestamp: mark.serial.wrapping_mul(160),
            ssrc,
        }
        .print(&mut out),
        // An empty receiver report, and an APP packet for the mark (RFC 3550 6.4.2, 6.7).
        Form::Rtcp => {
            wire::rtcp::receiver_report(&mut out, ssrc, &[]);
            out.extend_from_slice(&[0x80, 204, 0, 5]);
            out.extend_from_slice(&ssrc.to_be_bytes());
        }
        Form::Udptl => out.extend_from_slice(&[0, mark.serial as u8]),
    }
    mark.print(&mut out);
    out
}

/// A packet that crossed the router's edge.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When.
    pub at: Time,
    /// It entered.
    pub inbound: bool,
    /// The router's port, as peers are told of it.
    pub ours: SocketAddr,
    /// The far end's address.
    pub remote: SocketAddr,
    /// Whose that is.
    pub peer: Peer,
    /// What it is.
    pub form: Form,
    /// Its source, of RTP.
    pub ssrc: u32,
    /// Its mark; the router's own have none.
    pub mark: Option<Mark>,
    /// Its bytes.
    pub length: usize,
    /// The stranger made it and gave it the address of a party.
    pub forged: bool,
}

impl Packet {
    pub(crate) fn new(at: Time, inbound: bool, ends: [SocketAddr; 2], bytes: &[u8]) -> Packet {
        let [ours, remote] = ends;
        let header = Header::read(bytes);
        let form = match header {
            Some(_) if wire::rtp::is_rtcp(bytes) => Form::Rtcp,
            Some(_) => Form::Rtp,
            None => Form::Udptl,
        };
        Packet {
            at,
            inbound,
            ours,
            remote,
            peer: Peer::Nobody,
            form,
            ssrc: header.map_or(0, |header| header.ssrc),
            mark: Mark::read(bytes),
            length: bytes.len(),
            forged: false,
        }
    }

    /// The party it goes to or comes from.
    pub fn agent(&self) -> Option<AgentId> {
        match self.peer {
            Peer::Agent(id) => Some(id),
            _ => None,
        }
    }

    /// The party that made it, and the dialog it is of.
    pub(crate) fn speaker(&self) -> (Option<AgentId>, u8) {
        (self.author(), self.mark.map_or(0, |mark| mark.dialog))
    }

    /// The party that made it.
    pub fn author(&self) -> Option<AgentId> {
        self.mark?.author
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.inbound { "->" } else { "<-" };
        let (seconds, who) = (seconds(self.at), name_of(self.peer));
        let Packet {
            ours, remote, form, ..
        } = self;
        write!(
            f,
            "{seconds:>11.6}  {who:<10} {arrow} {form:?} {remote} {arrow} {ours}"
        )?;
        match self.mark {
            None => write!(f, " of the router's own"),
            Some(Mark {
                author,
                line,
                serial,
                ..
            }) => {
                let author = name_of(author.map_or(Peer::Stranger, Peer::Agent));
                write!(f, " {serial} of {author}, line {line}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_known_again() {
        let ends = ["192.0.2.1:4000", "192.0.2.2:5000"].map(|text| text.parse().expect("one"));
        let caller = AgentId {
            call: 3,
            side: Side::Caller,
        };
        for form in [Form::Rtp, Form::Rtcp, Form::Udptl] {
            for author in [Some(caller), None] {
                let mark = Mark {
                    author,
                    dialog: 1,
                    line: 2,
                    serial: 70_000,
                };
                let bytes = print(form, 9, &mark);
                let packet = Packet::new(Time::ZERO, true, ends, &bytes);
                assert_eq!((packet.form, packet.mark), (form, Some(mark)));
            }
        }
        let packet = Packet::new(Time::ZERO, true, ends, b"anything of more than 16 bytes");
        assert_eq!(packet.mark, None);
    }
}
