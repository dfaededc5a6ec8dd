//! The media of a call whose route says `steerMedia`: where its messages and its end meet
//! `Steering`. A call without it pays a test for `None`.

use media::StreamId;
use stack::{ServerId, Time};
use wire::Message;

use super::Call;
use super::print::Reason;
use super::setup::Refusal;
use crate::core::{Core, Side};
use crate::local;
use crate::steer::{Blocked, Crossed, Untimely};

impl Call {
    /// The body of a request of this side on the other leg.
    pub(super) fn crossing(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        request: &Message<'_>,
    ) -> Result<Crossed, Blocked> {
        let peer = self.leg(from).peer.remote.ip();
        match &mut self.steering {
            None => Ok(Crossed::AsIs),
            Some(steering) => steering.cross(core, now, (from, peer), server, request, true),
        }
    }

    /// The body of an answer of this side, or of its ACK, on the other leg.
    pub(crate) fn crossing_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        from: Side,
        server: ServerId,
        message: &Message<'_>,
    ) -> Crossed {
        let crossed = self.crossing(core, now, from, server, message);
        // Neither can be refused, so neither is ever blocked.
        crossed.unwrap_or(Crossed::Withheld)
    }

    /// The body of an answer of the callee that the caller is told of later, by an offer of ours.
    pub(super) fn crossing_unsent(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<'_>,
    ) -> Crossed {
        let from = (Side::Callee, self.callee.peer.remote.ip());
        let server = self.server;
        let crossed = self
            .steering
            .as_mut()
            .map(|steering| steering.cross(core, now, from, server, response, false));
        crossed.map_or(Crossed::AsIs, |crossed| {
            crossed.unwrap_or(Crossed::Withheld)
        })
    }

    /// The request in this transaction failed or did not leave: an offer in it is as if it had never
    /// been.
    pub(crate) fn offer_failed(&mut self, core: &mut Core, now: Time, server: ServerId) {
        self.offers.over(server);
        if let Some(steering) = &mut self.steering {
            steering.failed(core, now, server);
        }
    }

    /// The caller's answer to an offer the router made of the callee's: it goes no further.
    pub(super) fn caller_told(&mut self, core: &mut Core, now: Time, response: &Message<'_>) {
        let peer = self.caller.peer.remote.ip();
        if let Some(steering) = &mut self.steering {
            steering.take(core, now, (Side::Caller, peer), response);
        }
    }

    /// Its streams through the router, each with the index of its m= line.
    pub(crate) fn streams(&self) -> Vec<(usize, StreamId)> {
        let steering = self.steering.as_ref();
        steering.map_or_else(Vec::new, |steering| steering.streams())
    }

    /// No media goes on after the call.
    pub(super) fn end_media(&mut self, core: &mut Core, now: Time) {
        if let Some(steering) = &mut self.steering {
            steering.end(core, now);
        }
    }
}

/// The answer to a request that may not cross: its code and header lines. Inside a call a lack of ports
/// is 500 and not 503, which RFC 3261 21.5.4 lets a peer take for the end of more than this request.
pub(crate) fn refusal(core: &mut Core, blocked: Blocked, listener: u16, first: bool) -> Refusal {
    let (code, extra) = match blocked {
        Blocked::Unreadable => (488, warning(core, listener, "399", "Unreadable SDP")),
        Blocked::TooMany => (488, warning(core, listener, "399", "Too Many Streams")),
        // RFC 3261 20.43.
        Blocked::Unserved => {
            let text = "Incompatible network address formats";
            (488, warning(core, listener, "301", text))
        }
        Blocked::NoPorts => (503, no_ports(core, "No Media Ports")),
        Blocked::NotConfigured => (503, no_ports(core, "No Media Configured")),
        Blocked::Untimely(Untimely::Glare) => (491, Vec::new()),
        // RFC 3261 14.2: a random time between 0 and 10 seconds.
        Blocked::Untimely(Untimely::Twice) => {
            let seconds = core.random.next_u64() % 11;
            (500, local::retry_after(seconds))
        }
    };
    let code = if code == 503 && !first { 500 } else { code };
    Refusal {
        extra,
        ..Refusal::code(code)
    }
}

fn no_ports(core: &mut Core, text: &str) -> Vec<u8> {
    let mut extra = core.retry_after();
    extra.extend_from_slice(Reason::q850(34, text).as_bytes());
    extra
}

fn warning(core: &Core, listener: u16, code: &str, text: &str) -> Vec<u8> {
    local::warning(&core.door(listener).host_port, code, text)
}
