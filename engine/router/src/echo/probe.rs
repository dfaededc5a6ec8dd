//! OPTIONS inside a call to the router itself, to find a caller that is gone without a BYE: as between
//! two parties, with one leg to ask.

use std::time::Duration;

use stack::{Outbox, Time};
use wire::Method;

use super::EchoCall;
use crate::call::{After, Reason};
use crate::core::{Alarm, Core, Purpose, Side};

impl EchoCall {
    /// The first probe is due after a random part of the interval, so that calls which began together
    /// are not probed together.
    pub(super) fn start_probing(&mut self, core: &mut Core, now: Time) {
        let Some(interval) = core.timers.in_dialog_probe else {
            return;
        };
        let nanoseconds = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let first = Duration::from_nanos(core.random.next_u64() % nanoseconds.max(1));
        self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), Some(first));
    }

    pub(super) fn on_probe_due(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        let next = core.timers.in_dialog_probe;
        self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), next);
        let accept = b"Accept: application/sdp\r\n";
        let sent = self.send(core, now, Method::Options, Purpose::Probe, accept, out);
        core.counters.probes += u64::from(sent);
    }

    /// RFC 3261 12.2.1.2: 408 and 481 mean that the caller has no dialog any more.
    pub(super) fn on_probe_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if !matches!(code, 408 | 481) || self.ending {
            return After::Keep;
        }
        core.counters.probes_failed += 1;
        core.counters.calls_unresponsive += 1;
        self.end(core, now, &Reason::sip(code, "In-Dialog Probe Failed"), out)
    }
}
