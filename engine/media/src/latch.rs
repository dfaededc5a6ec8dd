//! Where one end's packets come from and are sent to: the signalled address, or the one its first packets
//! moved it to. What a packet holds is not read here; the caller says whether it may move the latch.
//!
//! What this leaves open: with [`Latching::Latch`] whoever hits the port with well-formed RTP within the
//! window and before the true peer's first packet gets the stream (and a true peer behind NAT is then a
//! stranger; one whose packets come from the signalled address within the window gets it back). The
//! ports are drawn, the window is short and begins only with the signalled address, and the true peer's
//! first packet ends it. [`Latching::LatchSameHost`] leaves this to
//! processes of the signalled host (or behind its NAT), [`Latching::Strict`] to who forges the signalled
//! address and port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stack::Time;

use crate::config::Latching;

/// The address of one end, and until when a packet from elsewhere may move it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latch {
    address: Option<SocketAddr>,
    /// The end of the window; [`Time::ZERO`] once latched.
    open_until: Time,
    rule: Latching,
}

/// What a latch says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It came from the stream's address.
    Known,
    /// It came from elsewhere, and that is the stream's address from now on.
    Moved,
    /// It came from elsewhere.
    Stranger,
}

impl Latch {
    /// A latch that admits nobody until an address is signalled.
    pub(crate) fn new(rule: Latching) -> Latch {
        Latch {
            rule,
            ..Latch::default()
        }
    }

    /// The same rule without an address.
    pub(crate) fn anew(&self) -> Latch {
        Latch::new(self.rule)
    }

    /// Where packets are sent to.
    #[inline]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether packets may still move it, the window permitting.
    pub(crate) fn is_open(&self) -> bool {
        self.open_until != Time::ZERO
    }

    /// Signalling names a new address: the window opens anew. An address it is latched to already is
    /// proven, and opens nothing.
    pub(crate) fn signal(&mut self, now: Time, address: SocketAddr, window: Duration) {
        let proven = self.address == Some(address) && !self.is_open();
        self.address = Some(address);
        if !proven && self.rule != Latching::Strict {
            self.open_until = end_of(now, window);
        } else {
            self.open_until = Time::ZERO;
        }
    }

    /// Another rule from now on. It opens nothing that is closed, and the strict one closes the window.
    pub(crate) fn set_rule(&mut self, rule: Latching) {
        self.rule = rule;
        if rule == Latching::Strict {
            self.open_until = Time::ZERO;
        }
    }

    /// Lets the window of a latch that is still open end later.
    pub(crate) fn extend(&mut self, now: Time, window: Duration) {
        if self.is_open() {
            self.open_until = end_of(now, window);
        }
    }

    /// A packet has come from the signalled address after all: that is the stream's, and stays it.
    pub(crate) fn return_to(&mut self, address: SocketAddr) {
        self.address = Some(address);
        self.open_until = Time::ZERO;
    }

    /// Judges the sender of a packet. It may move to `host` alone when one is given (RTCP, which follows
    /// its RTP). Only a packet that `proves` itself latches.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        now: Time,
        from: SocketAddr,
        host: Option<IpAddr>,
        proves: impl FnOnce() -> bool,
    ) -> Admission {
        let known = self.address.is_some_and(|address| same(address, from));
        if known && !self.is_open() {
            return Admission::Known;
        }
        self.judge(now, from, host, known, proves)
    }

    /// [`Latch::admit`] while the latch is open, or for a stranger.
    #[cold]
    fn judge(
        &mut self,
        now: Time,
        from: SocketAddr,
        host: Option<IpAddr>,
        known: bool,
        proves: impl FnOnce() -> bool,
    ) -> Admission {
        if known {
            if proves() {
                self.open_until = Time::ZERO;
            }
            return Admission::Known;
        }
        if now >= self.open_until || !self.reaches(from.ip(), host) || !proves() {
            return Admission::Stranger;
        }
        self.address = Some(from);
        self.open_until = Time::ZERO;
        Admission::Moved
    }

    fn reaches(&self, ip: IpAddr, host: Option<IpAddr>) -> bool {
        match (host, self.rule) {
            (_, Latching::Strict) => false,
            (Some(host), _) => host == ip,
            (None, Latching::Latch) => true,
            (None, Latching::LatchSameHost) => {
                self.address.is_some_and(|address| address.ip() == ip)
            }
        }
    }
}

/// The end of a window, which is never the zero that says latched.
fn end_of(now: Time, window: Duration) -> Time {
    (now + window).max(Time::from_nanos(1))
}

/// Whether two addresses are one. The flow label and the scope of IPv6 are the receiver's view and no
/// part of what is signalled.
#[inline]
pub(crate) fn same(one: SocketAddr, other: SocketAddr) -> bool {
    match (one, other) {
        (SocketAddr::V4(one), SocketAddr::V4(other)) => one == other,
        (one, other) => one.port() == other.port() && one.ip() == other.ip(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(3);

    fn at(second: u64) -> Time {
        Time::from_nanos(second * 1_000_000_000)
    }

    fn address(host: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, host], port).into()
    }

    fn signalled(rule: Latching) -> Latch {
        let mut latch = Latch::new(rule);
        latch.signal(at(10), address(1, 4000), WINDOW);
        latch
    }

    fn admit(latch: &mut Latch, second: u64, from: SocketAddr) -> Admission {
        latch.admit(at(second), from, None, || true)
    }

    #[test]
    fn nobody_is_admitted_before_an_address_is_signalled() {
        let mut latch = Latch::new(Latching::Latch);
        assert_eq!(admit(&mut latch, 0, address(1, 4000)), Admission::Stranger);
    }

    #[test]
    fn the_first_packet_moves_it_and_the_second_does_not() {
        let mut latch = signalled(Latching::Latch);
        assert_eq!(admit(&mut latch, 11, address(7, 9)), Admission::Moved);
        assert_eq!(latch.address(), Some(address(7, 9)));
        assert_eq!(admit(&mut latch, 11, address(8, 9)), Admission::Stranger);
        assert_eq!(admit(&mut latch, 11, address(1, 4000)), Admission::Stranger);
        assert_eq!(admit(&mut latch, 99, address(7, 9)), Admission::Known);
    }

    #[test]
    fn the_signalled_address_itself_ends_the_window() {
        let mut latch = signalled(Latching::Latch);
        assert_eq!(admit(&mut latch, 11, address(1, 4000)), Admission::Known);
        assert_eq!(admit(&mut latch, 11, address(7, 9)), Admission::Stranger);
    }

    #[test]
    fn after_the_window_the_signalled_address_alone_is_admitted() {
        let mut latch = signalled(Latching::Latch);
        assert_eq!(admit(&mut latch, 13, address(7, 9)), Admission::Stranger);
        assert_eq!(admit(&mut latch, 99, address(1, 4000)), Admission::Known);
    }

    #[test]
    fn rules_bound_where_it_may_move() {
        for (rule, host, port) in [
            (Latching::Strict, Admission::Stranger, Admission::Stranger),
            (
                Latching::LatchSameHost,
                Admission::Stranger,
                Admission::Moved,
            ),
            (Latching::Latch, Admission::Moved, Admission::Moved),
        ] {
            assert_eq!(admit(&mut signalled(rule), 11, address(7, 9)), host);
            assert_eq!(admit(&mut signalled(rule), 11, address(1, 9)), port);
        }
    }

    #[test]
    fn what_proves_nothing_neither_moves_nor_ends_the_window() {
        let mut latch = signalled(Latching::Latch);
        for (from, admission) in [
            (address(7, 9), Admission::Stranger),
            (address(1, 4000), Admission::Known),
        ] {
            assert_eq!(latch.admit(at(11), from, None, || false), admission);
        }
        assert_eq!(admit(&mut latch, 11, address(7, 9)), Admission::Moved);
    }

    #[test]
    fn with_a_host_it_moves_there_alone() {
        let mut latch = signalled(Latching::Latch);
        let host = Some(address(5, 0).ip());
        let mut admit = |from| latch.admit(at(11), from, host, || true);
        assert_eq!(admit(address(7, 9)), Admission::Stranger);
        assert_eq!(admit(address(5, 9)), Admission::Moved);
    }

    #[test]
    fn signalling_moves_it_and_opens_the_window_unless_the_address_is_proven() {
        let mut latch = signalled(Latching::Latch);
        admit(&mut latch, 11, address(7, 9));
        latch.signal(at(20), address(7, 9), WINDOW);
        assert_eq!(admit(&mut latch, 21, address(8, 9)), Admission::Stranger);
        latch.signal(at(20), address(2, 4000), WINDOW);
        assert_eq!(admit(&mut latch, 21, address(8, 9)), Admission::Moved);
    }

    #[test]
    fn another_rule_bounds_an_open_window_and_opens_none() {
        for (rule, host) in [
            (Latching::Strict, Admission::Stranger),
            (Latching::LatchSameHost, Admission::Stranger),
            (Latching::Latch, Admission::Moved),
        ] {
            let mut latch = signalled(Latching::LatchSameHost);
            latch.set_rule(rule);
            assert_eq!(admit(&mut latch, 11, address(7, 9)), host, "{rule:?}");
        }
        for rule in [Latching::Latch, Latching::LatchSameHost] {
            let mut latch = signalled(Latching::Strict);
            latch.set_rule(rule);
            assert_eq!(admit(&mut latch, 11, address(1, 9)), Admission::Stranger);
            let mut latch = signalled(Latching::Latch);
            admit(&mut latch, 11, address(7, 9));
            latch.set_rule(rule);
            assert_eq!(admit(&mut latch, 11, address(7, 8)), Admission::Stranger);
        }
    }

    #[test]
    fn only_an_open_window_is_extended() {
        let mut latch = signalled(Latching::Latch);
        latch.extend(at(12), WINDOW);
        assert_eq!(admit(&mut latch, 14, address(7, 9)), Admission::Moved);
        latch.extend(at(14), WINDOW);
        assert_eq!(admit(&mut latch, 14, address(8, 9)), Admission::Stranger);
    }

    #[test]
    fn scope_and_flow_label_of_ipv6_do_not_count() {
        let one: std::net::SocketAddrV6 = "[2001:db8::1]:4000".parse().unwrap();
        let mut other = one;
        other.set_scope_id(3);
        assert!(same(one.into(), other.into()));
        assert!(!same(one.into(), address(1, 4000)));
    }
}
