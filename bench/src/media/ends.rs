//! The media sockets of all callers and all callees. A few of them serve every call: whoever relays tells its streams apart by
//! its own ports, and what comes back is told apart by its payload.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::io::{bind, drops, note_arrivals};

/// Pairs of neighbouring ports tried before giving up.
const TRIES: usize = 200;

/// Pairs of an RTP and an RTCP socket, first the callers' lanes, then as many of the callees.
pub(crate) struct Ends {
    pub(crate) rtp: Vec<UdpSocket>,
    pub(crate) rtcp: Vec<UdpSocket>,
    lanes: usize,
}

impl Ends {
    /// Opens `lanes` pairs for each party on ports of the kernel's choice.
    pub(crate) fn open(address: IpAddr, lanes: usize) -> io::Result<Ends> {
        let lanes = lanes.max(1);
        let pairs: Vec<_> = (0..2 * lanes)
            .map(|_| open_pair(address))
            .collect::<io::Result<_>>()?;
        let (rtp, rtcp) = pairs.into_iter().unzip();
        Ok(Ends { rtp, rtcp, lanes })
    }

    /// RTP addresses of the callers and of the callees.
    pub(crate) fn addresses(&self) -> io::Result<[Vec<SocketAddr>; 2]> {
        let all: Vec<_> = self
            .rtp
            .iter()
            .map(UdpSocket::local_addr)
            .collect::<io::Result<_>>()?;
        let (callers, callees) = all.split_at(self.lanes);
        Ok([callers.to_vec(), callees.to_vec()])
    }

    /// Number of the pair that lane `lane` of a party (0 caller, 1 callee) uses.
    pub(crate) fn pair(&self, party: usize, lane: usize) -> usize {
        party * self.lanes + lane % self.lanes
    }

    /// The party a pair belongs to.
    pub(crate) fn party(&self, pair: usize) -> usize {
        usize::from(pair >= self.lanes)
    }

    /// Datagrams the kernel dropped here.
    pub(crate) fn drops(&self) -> u64 {
        let all = self.rtp.iter().chain(&self.rtcp);
        all.map(|socket| drops(socket).unwrap_or(0)).sum()
    }
}

/// An even port and the next one (RFC 3550 11).
fn open_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..TRIES {
        let rtp = bind(SocketAddr::new(address, 0), false)?;
        let port = rtp.local_addr()?.port();
        if port % 2 != 0 {
            continue;
        }
        if let Ok(rtcp) = bind(SocketAddr::new(address, port + 1), false) {
            note_arrivals(&rtp)?;
            return Ok((rtp, rtcp));
        }
    }
    Err(io::Error::other("no two neighbouring ports are free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_neighbours_and_belong_to_a_party() {
        let ends = Ends::open([127, 0, 0, 1].into(), 2).unwrap();
        let [callers, callees] = ends.addresses().unwrap();
        assert_eq!((callers.len(), callees.len()), (2, 2));
        for (rtp, rtcp) in callers.iter().chain(&callees).zip(&ends.rtcp) {
            assert_eq!(rtp.port() % 2, 0);
            assert_eq!(rtcp.local_addr().unwrap().port(), rtp.port() + 1);
        }
        assert_eq!((ends.pair(0, 3), ends.pair(1, 2)), (1, 2));
        assert_eq!([0, 1, 2, 3].map(|pair| ends.party(pair)), [0, 0, 1, 1]);
        assert_eq!(ends.drops(), 0);
    }
}
