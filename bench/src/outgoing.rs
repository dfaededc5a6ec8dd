//! What one socket will send at the end of a loop turn: bytes printed back to back in a few lanes, and neighbours of one size
//! to one address joined into runs the kernel cuts apart (UDP_SEGMENT). Lanes are flushed in order, so the messages of a call
//! keep theirs while equal messages of different calls come to lie side by side.

use std::net::UdpSocket;

use crate::io::{Address, Run, Sender};

/// Datagrams in one run at most; the kernel's own limit is 64 on older kernels.
const RUN_DATAGRAMS_MAX: usize = 64;
/// Bytes in one run at most, below the 65,507 that fit a UDP super-packet.
const RUN_BYTES_MAX: usize = 60_000;
/// A datagram larger than this is sent alone: a segment has to fit an Ethernet MTU with IPv6.
const SEGMENT_BYTES_MAX: usize = 1_432;

/// Which messages share a lane; a lower lane leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneName {
    /// INVITE requests and 100 responses.
    First,
    /// ACK requests and 180 responses.
    Second,
    /// 200 responses to INVITE.
    Third,
    /// BYE requests, their 200, and what is rare.
    Last,
}

/// Prints datagrams to one address after another and joins neighbours.
#[derive(Default)]
struct Lane {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

impl Lane {
    fn push(&mut self, to: Address, join: bool, print: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        print(&mut self.bytes);
        let length = self.bytes.len() - start;
        if join && self.extend_last_run(to, length) {
            return;
        }
        self.runs.push(Run {
            to,
            start: start as u32,
            end: self.bytes.len() as u32,
            segment: length as u16,
        });
    }

    /// Joins the datagram just printed to the last run when that run is still open: same address, every datagram so far of
    /// the segment size, and this one no longer than it.
    fn extend_last_run(&mut self, to: Address, length: usize) -> bool {
        let Some(run) = self.runs.last_mut() else {
            return false;
        };
        let (segment, bytes) = (usize::from(run.segment), (run.end - run.start) as usize);
        let open = bytes.is_multiple_of(segment) && bytes / segment < RUN_DATAGRAMS_MAX;
        let fits = length <= segment
            && segment <= SEGMENT_BYTES_MAX
            && bytes + length <= RUN_BYTES_MAX
            && run.to == to;
        if open && fits {
            run.end += length as u32;
        }
        open && fits
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
    }
}

/// The lanes of one socket.
pub(crate) struct Outgoing {
    lanes: [Lane; 4],
    join: bool,
    datagrams: u64,
    refused: u64,
}

impl Outgoing {
    /// Empty lanes; `join` allows UDP_SEGMENT.
    pub(crate) fn new(join: bool) -> Outgoing {
        Outgoing {
            lanes: Default::default(),
            join,
            datagrams: 0,
            refused: 0,
        }
    }

    /// Prints one datagram to be sent at the end of the turn.
    pub(crate) fn push(&mut self, lane: LaneName, to: Address, print: impl FnOnce(&mut Vec<u8>)) {
        self.lanes[lane as usize].push(to, self.join, print);
        self.datagrams += 1;
    }

    /// Sends everything, lane by lane.
    pub(crate) fn flush(&mut self, socket: &UdpSocket, sender: &mut Sender) {
        for lane in self.lanes.iter_mut().filter(|lane| !lane.runs.is_empty()) {
            self.refused += sender.send(socket, &lane.bytes, &lane.runs);
            lane.clear();
        }
    }

    /// Takes what waits, in the order it would leave, for tests without sockets.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        for lane in &mut self.lanes {
            for run in &lane.runs {
                let bytes = &lane.bytes[run.start as usize..run.end as usize];
                taken.extend(bytes.chunks(usize::from(run.segment)).map(<[u8]>::to_vec));
            }
            lane.clear();
        }
        taken
    }

    /// Datagrams printed so far.
    pub(crate) fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Sends the kernel refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn address(port: u16) -> Address {
        Address::from(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// The runs that datagrams of these (port, length) pairs become, as (bytes, segment).
    fn runs(datagrams: &[(u16, usize)], join: bool) -> Vec<(u32, u16)> {
        let mut lane = Lane::default();
        for &(port, length) in datagrams {
            lane.push(address(port), join, |out| {
                out.extend(std::iter::repeat_n(b'x', length))
            });
        }
        lane.runs
            .iter()
            .map(|run| (run.end - run.start, run.segment))
            .collect()
    }

    #[test]
    fn equal_neighbours_join_and_a_shorter_one_closes_the_run() {
        assert_eq!(
            runs(&[(1, 500), (1, 500), (1, 400), (1, 400)], true),
            [(1400, 500), (400, 400)]
        );
    }

    #[test]
    fn a_longer_datagram_or_another_address_starts_a_run() {
        assert_eq!(runs(&[(1, 400), (1, 500)], true), [(400, 400), (500, 500)]);
        assert_eq!(runs(&[(1, 400), (2, 400)], true), [(400, 400), (400, 400)]);
    }

    #[test]
    fn runs_stay_within_the_kernel_limits() {
        assert_eq!(runs(&vec![(1, 100); 65], true), [(6400, 100), (100, 100)]);
        assert!(
            runs(&vec![(1, 1400); 60], true)
                .iter()
                .all(|&(bytes, _)| bytes <= 60_000)
        );
        assert_eq!(
            runs(&[(1, 2000), (1, 2000)], true),
            [(2000, 2000), (2000, 2000)]
        );
    }

    #[test]
    fn joining_can_be_switched_off() {
        assert_eq!(runs(&[(1, 400), (1, 400)], false), [(400, 400), (400, 400)]);
    }
}
