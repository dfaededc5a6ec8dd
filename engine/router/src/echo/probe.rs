//! OPTIONS inside a call to the router itself, to find a caller that is gone without a BYE: as between
//! two parties, with one leg to ask.

use stack::{Outbox, Time};
use wire::Method;

use super::EchoCall;
use crate::call::{ACCEPT, After, failed_probe, first_probe};
use crate::core::{Alarm, Core, Purpose, Side};

impl EchoCall {
    pub(super) fn start_probing(&mut self, core: &mut Core, now: Time) {
        let first = first_probe(core);
        self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), first);
    }

    pub(super) fn on_probe_due(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        let next = core.timers.in_dialog_probe;
        self.probe = core.arm(now, self.id, Alarm::Probe(Side::Caller), next);
        let sent = self.send(core, now, Method::Options, Purpose::Probe, ACCEPT, out);
        core.counters.probes += u64::from(sent);
    }

    pub(super) fn on_probe_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        if self.ending {
            return After::Keep;
        }
        match failed_probe(core, code) {
            Some(reason) => self.end(core, now, &reason, out),
            None => After::Keep,
        }
    }
}
