//! An RTP endpoint for what sipp cannot check: a pair of sockets that sends packets which carry a mark, and
//! hears what comes back. Packets are built and read by hand; it knows no codec and keeps no clock.

use crate::failure::Failure;
use crate::house;
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a packet that must arrive is sent again and again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long is listened between two of them: one packet time of a telephone.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Bytes of an RTP header without sources and extension (RFC 3550 5.1).
const HEADER_BYTES: usize = 12;
/// Bytes of 20 ms of G.711.
const PAYLOAD_BYTES: usize = 160;

/// What a packet looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// RTP (RFC 3550 5.1).
    Rtp,
    /// RTCP: a sender report and a CNAME (RFC 3550 6.4, 6.5).
    Rtcp,
    /// T.38 over udptl: no version bits, a sequence number first.
    Udptl,
}

/// Which of the two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The even port: RTP, udptl, and RTCP when both share a port (RFC 5761).
    Even,
    /// The odd port: RTCP.
    Odd,
}

/// A pair of sockets.
#[derive(Debug)]
pub(crate) struct Endpoint {
    even: UdpSocket,
    odd: UdpSocket,
    /// Where it hears RTP; RTCP on the next port.
    pub(crate) address: SocketAddr,
    /// Its synchronization source.
    pub(crate) source: u32,
    /// The payload type of what it sends.
    pub(crate) payload_type: u8,
    sequence: Cell<u16>,
}

/// A packet that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

impl Endpoint {
    /// Binds an even port of `ip` and the next one.
    pub(crate) fn bind(ip: IpAddr) -> Result<Endpoint, Failure> {
        let address = SocketAddr::new(ip, house::free_ports(&[ip], 2)?);
        let bound = |address: SocketAddr| {
            UdpSocket::bind(address).map_err(Failure::machine(format!("no RTP on {address}")))
        };
        Ok(Endpoint {
            even: bound(address)?,
            odd: bound(above(address))?,
            address,
            source: 0x7e57_0000 | u32::from(address.port()),
            payload_type: 0,
            sequence: Cell::new(1),
        })
    }

    /// Sends one packet of this shape with this mark from a socket of the pair.
    pub(crate) fn send(
        &self,
        shape: Shape,
        channel: Channel,
        to: SocketAddr,
        mark: &str,
    ) -> Result<(), Failure> {
        let packet = match shape {
            Shape::Rtp => self.rtp(mark),
            Shape::Rtcp => self.rtcp(mark),
            Shape::Udptl => self.udptl(mark),
        };
        let sent = self.socket(channel).send_to(&packet, to);
        sent.map(drop)
            .or_else(|error| match error.kind() {
                // An ICMP error of an earlier packet: this one was not the cause.
                ErrorKind::ConnectionRefused => Ok(()),
                _ => Err(error),
            })
            .map_err(Failure::machine(format!("sending {shape:?} to {to}")))
    }

    /// The next packet within `limit`.
    pub(crate) fn hear(
        &self,
        channel: Channel,
        limit: Duration,
    ) -> Result<Option<Packet>, Failure> {
        let machine = || Failure::machine(format!("hearing at {}", self.address));
        let socket = self.socket(channel);
        let mut buffer = [0; 2048];
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            socket.set_read_timeout(Some(left)).map_err(machine())?;
            match socket.recv_from(&mut buffer) {
                Ok((n, from)) => {
                    let bytes = buffer[..n].to_vec();
                    return Ok(Some(Packet { from, bytes }));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) if is_passing(e.kind()) => continue,
                Err(e) => return Err(machine()(e)),
            }
        }
    }

    /// All that has arrived by now.
    pub(crate) fn drain(&self, channel: Channel) -> Result<Vec<Packet>, Failure> {
        let mut heard = Vec::new();
        while let Some(packet) = self.hear(channel, Duration::from_millis(1))? {
            heard.push(packet);
        }
        Ok(heard)
    }

    fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Even => &self.even,
            Channel::Odd => &self.odd,
        }
    }

    fn next_sequence(&self) -> u16 {
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        sequence
    }

    fn rtp(&self, mark: &str) -> Vec<u8> {
        let sequence = self.next_sequence();
        let mut packet = vec![0x80, self.payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend(told(mark));
        packet.resize(HEADER_BYTES + PAYLOAD_BYTES, 0xd5);
        packet
    }

    // RFC 3550 6.4.1, 6.5: SR without report blocks, SDES with one CNAME.
    fn rtcp(&self, mark: &str) -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(self.source.to_be_bytes());
        packet.extend([0; 20]);
        let name = told(mark);
        let mut item = self.source.to_be_bytes().to_vec();
        item.extend([1, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        item.extend(name);
        // The list of items ends with a zero; chunks are whole words.
        item.resize((item.len() / 4 + 1) * 4, 0);
        packet.extend([
            0x81,
            202,
            0,
            u8::try_from(item.len() / 4).unwrap_or(u8::MAX),
        ]);
        packet.extend(item);
        packet
    }

    fn udptl(&self, mark: &str) -> Vec<u8> {
        let mut packet = self.next_sequence().to_be_bytes().to_vec();
        packet.extend(told(mark));
        packet
    }
}

impl Packet {
    /// Whether it carries this mark.
    pub(crate) fn has(&self, mark: &str) -> bool {
        let mark = told(mark);
        self.bytes.windows(mark.len()).any(|part| part == mark)
    }

    /// The payload type of RTP.
    pub(crate) fn payload_type(&self) -> Option<u8> {
        self.bytes.get(1).map(|byte| byte & 0x7f)
    }

    /// The synchronization source of RTP.
    pub(crate) fn source(&self) -> Option<u32> {
        let four = self.bytes.get(8..HEADER_BYTES)?;
        four.try_into().ok().map(u32::from_be_bytes)
    }

    /// What follows the header of RTP.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }

    /// Whether it is RTCP that reports on `source` (RFC 3550 6.4.1, 6.4.2: SR and RR carry blocks of 24
    /// bytes, which begin with the source they are about).
    pub(crate) fn reports_on(&self, source: u32) -> bool {
        let first_block = match self.bytes.get(1) {
            Some(200) => 28,
            Some(201) => 8,
            _ => return false,
        };
        let blocks = usize::from(self.bytes.first().map_or(0, |byte| byte & 0x1f));
        let block = |index: usize| self.bytes.get(first_block + 24 * index..);
        let about = |index| block(index).is_some_and(|b| b.starts_with(&source.to_be_bytes()));
        (0..blocks).any(about)
    }
}

/// Sends packets with `mark` from one end until the other hears one; returns all that was heard on the way,
/// the marked packet last.
pub(crate) fn carry(
    (from, to): (&Endpoint, SocketAddr),
    at: &Endpoint,
    (shape, channel): (Shape, Channel),
    mark: &str,
) -> Result<Vec<Packet>, Failure> {
    let mut heard = Vec::new();
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        from.send(shape, channel, to, mark)?;
        while let Some(packet) = at.hear(channel, PACKET_TIME)? {
            let arrived = packet.has(mark);
            heard.push(packet);
            if arrived {
                return Ok(heard);
            }
        }
    }
    let (source, sink) = (from.address, at.address);
    Err(Failure::Timeout(format!(
        "{shape:?} {mark:?} from {source} by way of {to} at {sink} ({channel:?} port)"
    )))
}

/// The next port.
pub(crate) fn above(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().saturating_add(1))
}

/// The mark as it stands in a packet: fenced, so that no mark is the beginning of another.
fn told(mark: &str) -> Vec<u8> {
    format!("[{mark}]").into_bytes()
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused | ErrorKind::Interrupted | ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::bind([127, 0, 0, 1].into()).unwrap()
    }

    #[test]
    fn a_pair_is_even_and_odd() {
        let endpoint = endpoint();
        assert_eq!(endpoint.address.port() % 2, 0);
        assert_eq!(above(endpoint.address), endpoint.odd.local_addr().unwrap());
    }

    #[test]
    fn a_marked_packet_is_carried_and_what_came_before_is_told() {
        let (one, two) = (endpoint(), endpoint());
        one.send(Shape::Rtp, Channel::Even, two.address, "early")
            .unwrap();
        let heard = carry(
            (&one, two.address),
            &two,
            (Shape::Rtp, Channel::Even),
            "late",
        )
        .unwrap();
        assert!(heard[0].has("early") && !heard[0].has("earl"));
        let last = heard.last().unwrap();
        assert!(last.has("late"));
        assert_eq!(last.source(), Some(one.source));
        assert_eq!(last.payload_type(), Some(0));
        assert_eq!(last.payload().len(), PAYLOAD_BYTES);
        assert_eq!(last.from, one.address);
    }

    #[test]
    fn rtcp_is_whole_words_and_no_rtp() {
        let one = endpoint();
        for mark in ["a", "ab", "abc", "abcd"] {
            let bytes = one.rtcp(mark);
            assert_eq!(bytes.len() % 4, 0);
            let words = usize::from(bytes[31]);
            assert_eq!(bytes.len(), 28 + 4 + 4 * words, "length of SDES");
            assert_eq!(bytes.last(), Some(&0), "the list of items ends");
            let packet = Packet {
                from: one.address,
                bytes,
            };
            assert_eq!(packet.bytes[1], 200, "SR first");
            assert!(packet.has(mark));
            assert!(!packet.reports_on(one.source), "no report block");
        }
    }

    #[test]
    fn a_report_is_about_the_sources_of_its_blocks() {
        let mut bytes = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.resize(32, 0);
        let from = "127.0.0.1:9".parse().unwrap();
        let packet = Packet { from, bytes };
        assert!(packet.reports_on(2));
        assert!(!packet.reports_on(1), "that is who reports");
    }
}
