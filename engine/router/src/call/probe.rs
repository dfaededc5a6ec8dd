//! In-dialog probing: OPTIONS inside each leg of a connected call, to find a peer that has lost its
//! dialog or is gone without a BYE. The legs take turns, half an interval apart; no probe waits for
//! another, and an answer changes nothing unless it says that the dialog is gone.

use std::time::Duration;

use stack::{Outbox, Time, Token};
use wire::Method;

use super::print::{self, Reason, Request};
use super::{After, Call};
use crate::core::{Alarm, Core, Purpose, Side, User};

impl Call {
    /// The call is connected: its first probe is due after a random part of the interval, so that calls
    /// which began together are not probed together.
    pub(super) fn start_probing(&mut self, core: &mut Core, now: Time) {
        let Some(interval) = core.timers.in_dialog_probe else {
            return;
        };
        let nanoseconds = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let first = Duration::from_nanos(core.random.next_u64() % nanoseconds.max(1));
        core.disarm(&mut self.probe);
        self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), Some(first));
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
        self.send_probe(core, now, side, out);
        After::Keep
    }

    /// RFC 3261 11.2 allows OPTIONS inside a dialog; it makes none and refreshes nothing.
    fn send_probe(&mut self, core: &mut Core, now: Time, side: Side, out: &mut Outbox) {
        let flow = self.flow(core, now, side);
        let cseq = self.leg_mut(side).dialog.next_cseq();
        let dialog = &self.leg(side).dialog;
        let user = User {
            call: self.id,
            purpose: Purpose::Probe,
        };
        let door = &core.doors[usize::from(flow.listener)];
        let print = |out: &mut Vec<u8>, branch: &Token| {
            let request = Request {
                door,
                dialog,
                method: b"OPTIONS",
                cseq,
                branch,
                max_forwards: print::MAX_FORWARDS,
            };
            request.print_own(out, b"Accept: application/sdp\r\n");
        };
        let sent = core
            .transactions
            .request(now, flow, Method::Options, user, print, out);
        core.counters.probes += u64::from(sent.is_some());
    }

    /// A probe was answered, will never be (408), or could not be delivered (503).
    ///
    /// RFC 3261 12.2.1.2: 408 and 481 mean that the peer has no dialog any more. RFC 5057 5.1 has 404 and
    /// some others end it too; many peers answer an OPTIONS so that they carry calls for all the same,
    /// and a call that works is not ended for it. Nor is it for one ICMP error, which may pass.
    pub(crate) fn on_probe_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if !matches!(code, 408 | 481) || !self.is_connected() {
            return After::Keep;
        }
        core.counters.probes_failed += 1;
        core.counters.calls_unresponsive += 1;
        let reason = Reason::sip(code, "In-Dialog Probe Failed");
        self.end_both(core, now, &reason, out)
    }
}
