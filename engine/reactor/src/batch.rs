//! What a caller hands to [`crate::Reactor::flush`]: payloads and who gets them. Plain values.

use std::net::SocketAddr;

use crate::socket::SocketId;

/// Datagrams to send, printed one behind the other into `bytes`.
#[derive(Debug, Default)]
pub struct SendBatch {
    /// The payloads. Reused: a flush leaves an empty vector with room from an earlier batch.
    pub bytes: Vec<u8>,
    /// Who gets which range.
    pub sends: Vec<Send>,
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Send {
    /// The socket it leaves from.
    pub socket: SocketId,
    /// The peer.
    pub to: SocketAddr,
    /// Where its payload begins in the batch's bytes.
    pub start: u32,
    /// Where its payload ends.
    pub end: u32,
    /// Whether it may leave together with others to this peer.
    pub coalesce: Coalesce,
}

/// How a datagram may share a send with others from its socket to its peer. Only datagrams of the
/// same kind share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// Not at all.
    #[default]
    Never,
    /// With others of any size: all but the last get bytes added behind their payload. For text
    /// protocols that carry a length.
    Padded,
    /// With others of the same size, the last of which may be shorter; no byte is ever added. For
    /// protocols whose datagrams end where their payload does.
    Equal,
}

impl SendBatch {
    /// Appends a datagram with a copy of `payload`.
    pub fn push(&mut self, socket: SocketId, to: SocketAddr, coalesce: Coalesce, payload: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(payload);
        self.sends.push(Send {
            socket,
            to,
            start,
            end: self.bytes.len() as u32,
            coalesce,
        });
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_one_another() {
        let mut batch = SendBatch::default();
        assert!(batch.is_empty());
        let to = "192.0.2.1:5060".parse().unwrap();
        batch.push(SocketId(0), to, Coalesce::Never, b"one");
        batch.push(SocketId(1), to, Coalesce::Padded, b"two!");
        let ranges: Vec<(u32, u32)> = batch.sends.iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(ranges, [(0, 3), (3, 7)]);
        assert_eq!(batch.bytes, b"onetwo!");
        assert!(!batch.is_empty());
    }
}
