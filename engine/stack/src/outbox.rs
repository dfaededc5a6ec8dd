//! The finished datagrams of one turn, printed one after the other into one buffer. Nothing is sent here.

use std::ops::Range;

use crate::Flow;

/// One finished datagram: where it goes and which bytes of the outbox it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where it goes.
    pub flow: Flow,
    /// Offset of its first byte.
    pub start: u32,
    /// Offset behind its last byte.
    pub end: u32,
}

/// Finished datagrams of one turn, in the order in which they must leave.
///
/// The buffers keep their size between turns: after warm-up pushing allocates nothing. A turn's
/// bytes must stay below 4 GiB; what would pass that is dropped.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Adds the datagram that `print` appends and returns where its bytes are.
    pub fn push(&mut self, flow: Flow, print: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        print(&mut self.bytes);
        let end = self.bytes.len();
        if let (Ok(first), Ok(last)) = (u32::try_from(start), u32::try_from(end)) {
            self.datagrams.push(Datagram {
                flow,
                start: first,
                end: last,
            });
        }
        start..end
    }

    /// Adds a datagram that is already printed.
    pub fn push_bytes(&mut self, flow: Flow, bytes: &[u8]) {
        self.push(flow, |out| out.extend_from_slice(bytes));
    }

    /// Lends the end of the buffer to `print`, hands what it printed to `read` and forgets it: a
    /// scratch for messages that are kept now and sent later.
    pub(crate) fn scratch<T>(
        &mut self,
        print: impl FnOnce(&mut Vec<u8>),
        read: impl FnOnce(&[u8]) -> T,
    ) -> T {
        let start = self.bytes.len();
        print(&mut self.bytes);
        let value = read(self.bytes.get(start..).unwrap_or_default());
        self.bytes.truncate(start);
        value
    }

    /// The bytes of a datagram, by the range [`Outbox::push`] returned; empty when out of range.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// How many datagrams wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets all datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }

    /// Every datagram in order.
    pub fn iter(&self) -> impl Iterator<Item = (Flow, &[u8])> {
        self.iter_from(0)
    }

    /// Every datagram in order from this one on, counted from 0.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = (Flow, &[u8])> {
        let datagrams = self.datagrams.get(first..).unwrap_or_default();
        datagrams.iter().map(|datagram| {
            let range = datagram.start as usize..datagram.end as usize;
            (datagram.flow, self.bytes.get(range).unwrap_or_default())
        })
    }

    /// Both buffers, for a sender that takes them and leaves empty ones in their place.
    pub fn parts_mut(&mut self) -> (&mut Vec<u8>, &mut Vec<Datagram>) {
        (&mut self.bytes, &mut self.datagrams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        Flow {
            listener: 1,
            remote: ([192, 0, 2, 1], port).into(),
        }
    }

    #[test]
    fn keeps_order_and_bytes() {
        let mut out = Outbox::new();
        let first = out.push(flow(1), |bytes| bytes.extend_from_slice(b"one"));
        out.push_bytes(flow(2), b"three");
        assert_eq!(out.bytes(first), b"one");
        let all: Vec<_> = out.iter().collect();
        assert_eq!(all, [(flow(1), &b"one"[..]), (flow(2), &b"three"[..])]);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn scratch_leaves_nothing() {
        let mut out = Outbox::new();
        out.push_bytes(flow(1), b"kept");
        let copy = out.scratch(|bytes| bytes.extend_from_slice(b"gone"), <[u8]>::to_vec);
        assert_eq!(copy, b"gone");
        assert_eq!(out.iter().collect::<Vec<_>>(), [(flow(1), &b"kept"[..])]);
    }

    #[test]
    fn clear_empties() {
        let mut out = Outbox::new();
        out.push_bytes(flow(1), b"x");
        out.clear();
        assert!(out.is_empty());
        assert_eq!(out.bytes(0..1), b"");
    }
}
