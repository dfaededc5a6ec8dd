//! In-dialog probing: OPTIONS inside each leg of a connected call, to find a peer that has lost its
//! dialog or is gone without a BYE. The legs take turns, half an interval apart; no probe waits for
//! another, and an answer changes nothing unless it says that the dialog is gone.

use std::time::Duration;

use stack::{Outbox, Time};
use wire::Method;

use super::print::Reason;
use super::{After, Call};
use crate::core::{Alarm, Core, Purpose, Side};

/// What a probe says: an OPTIONS names what its sender takes (RFC 3261 11.1).
pub(crate) const ACCEPT: &[u8] = b"Accept: application/sdp\r\n";

impl Call {
    /// The call is connected.
    pub(super) fn start_probing(&mut self, core: &mut Core, now: Time) {
        if let Some(first) = first_probe(core) {
            core.disarm(&mut self.probe);
            self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), Some(first));
        }
    }

    /// One leg is due; the other one is next.
    pub(super) fn on_probe_due(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        out: &mut Outbox,
    ) -> After {
        let next = core.timers.in_dialog_probe.map(|interval| interval / 2);
        self.probe = core.arm(now, self.id, Alarm::Probe(side.other()), next);
        if !self.has_left(side) {
            self.send_probe(core, now, side, out);
        }
        After::Keep
    }

    /// RFC 3261 11.2 allows OPTIONS inside a dialog; it makes none and refreshes nothing.
    fn send_probe(&mut self, core: &mut Core, now: Time, side: Side, out: &mut Outbox) {
        let probe = self.own(side, Method::Options, Purpose::Probe);
        let sent = probe.send(
            core,
            now,
            |request, out| request.print_own(out, ACCEPT),
            out,
        );
        core.counters.probes += u64::from(sent.is_some());
    }

    /// A probe was answered, will never be (408), or could not be delivered (503).
    pub(crate) fn on_probe_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if !self.is_connected() {
            return After::Keep;
        }
        match failed_probe(core, code) {
            Some(reason) => self.end_both(core, now, &reason, out),
            None => After::Keep,
        }
    }
}

/// When the first probe of a call is due: after a random part of the interval, so that calls which began
/// together are not probed together. `None` without probing.
pub(crate) fn first_probe(core: &mut Core) -> Option<Duration> {
    let interval = core.timers.in_dialog_probe?;
    let nanoseconds = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    let first = core.random.next_u64() % nanoseconds.max(1);
    Some(Duration::from_nanos(first))
}

/// Why a call ends whose probe was answered with this code, if it does; that is counted.
///
/// RFC 3261 12.2.1.2: 408 and 481 mean that the peer has no dialog any more. RFC 5057 5.1 has 404 and some
/// others end it too; many peers answer an OPTIONS so that they carry calls for all the same, and a call
/// that works is not ended for it. Nor is it for one ICMP error, which may pass.
pub(crate) fn failed_probe(core: &mut Core, code: u16) -> Option<Reason> {
    if !matches!(code, 408 | 481) {
        return None;
    }
    core.counters.probes_failed += 1;
    core.counters.calls_unresponsive += 1;
    Some(Reason::sip(code, "In-Dialog Probe Failed"))
}
