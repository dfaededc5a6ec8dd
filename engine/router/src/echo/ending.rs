//! The ACK of a call to the router itself, and how it ends: BYE from either side, timers, orders, an ACK
//! that never came.

use stack::{Outbox, ServerId, Time};
use wire::{Message, Method};

use super::{EchoCall, description, read};
use crate::accounts::EndedBy;
use crate::call::{After, MAX_FORWARDS, Own, Reason, Request};
use crate::core::{Alarm, Core, Purpose, User};

impl EchoCall {
    /// The caller's ACK of a 2xx; with the answer in it, when the offer was ours.
    pub(crate) fn on_ack(
        &mut self,
        core: &mut Core,
        now: Time,
        ack: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let number = ack.cseq().map_or(0, |cseq| cseq.number);
        let Some(open) = self.open.take_if(|open| open.cseq == number) else {
            return After::Keep;
        };
        core.transactions.acknowledge(now, open.server);
        if self.ending {
            return self.settle(core, now, out);
        }
        self.connect(core, now);
        if open.offered && !self.take_answer(core, now, ack) {
            return self.end(core, now, &Reason::sip(488, "No Usable Answer"), out);
        }
        After::Keep
    }

    /// The caller has heard a 2xx: by its ACK, or by a re-INVITE that overtook that.
    pub(super) fn connect(&mut self, core: &mut Core, now: Time) {
        if self.alarm.is_none() {
            self.alarm = core.arm(now, self.id, Alarm::MaxDuration, self.max_duration);
        }
        if self.probe.is_none() {
            self.start_probing(core, now);
        }
    }

    fn take_answer(&mut self, core: &mut Core, now: Time, ack: &Message<'_>) -> bool {
        let answer = description(ack).and_then(|answer| read(core, self.peer, answer));
        let family = self.stream.map(|(_, family)| family);
        match answer {
            Ok(Some((_, choice))) if choice.line == self.line && Some(choice.family) == family => {
                self.hear(core, now, &choice);
                true
            }
            _ => false,
        }
    }

    /// BYE with a Reason, as soon as it may be sent. The media stops at once.
    pub(crate) fn end(
        &mut self,
        core: &mut Core,
        now: Time,
        reason: &Reason,
        out: &mut Outbox,
    ) -> After {
        if self.ending {
            return After::Keep;
        }
        core.ended(now, self.id, EndedBy::Router, 0, reason.as_bytes());
        self.owed_bye = Some(reason.clone());
        self.begin_to_end(core, now);
        self.settle(core, now, out)
    }

    fn begin_to_end(&mut self, core: &mut Core, now: Time) {
        self.ending = true;
        core.counters.calls_ended += 1;
        core.disarm(&mut self.alarm);
        core.disarm(&mut self.probe);
        self.close_stream(core, now);
    }

    /// Sends the BYE that is owed once every 2xx has its ACK; the call is over when nothing is awaited.
    fn settle(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        if self.open.is_some() {
            return After::Keep;
        }
        if let Some(reason) = self.owed_bye.take() {
            self.send_bye(core, now, &reason, out);
        }
        if self.bye_sent {
            After::Keep
        } else {
            After::Remove
        }
    }

    fn send_bye(&mut self, core: &mut Core, now: Time, reason: &Reason, out: &mut Outbox) {
        let (method, extra) = (Method::Bye, reason.as_bytes());
        self.bye_sent = self.send(core, now, method, Purpose::Bye, extra, out);
    }

    /// Sends a request of our own; false when no transaction is free.
    pub(super) fn send(
        &mut self,
        core: &mut Core,
        now: Time,
        method: Method,
        purpose: Purpose,
        extra: &[u8],
        out: &mut Outbox,
    ) -> bool {
        let call = self.id;
        let request = Own {
            dialog: &mut self.dialog,
            peer: self.peer,
            user: User { call, purpose },
            method,
            max_forwards: MAX_FORWARDS,
        };
        let printed = |request: &Request<'_>, out: &mut Vec<u8>| request.print_own(out, extra);
        request.send(core, now, printed, out).is_some()
    }

    /// The caller's BYE. A 2xx it has not ACKed is repeated until it does (RFC 3261 13.3.1.4).
    pub(super) fn on_bye(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        out: &mut Outbox,
    ) -> After {
        self.owed_bye = None;
        core.answer(now, server, (200, ""), &self.tag(), b"", out);
        if !self.ending {
            self.begin_to_end(core, now);
        }
        self.settle(core, now, out)
    }

    /// A request of ours was answered with this code, or will never be (408, 503).
    pub(crate) fn on_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        purpose: Purpose,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        match purpose {
            Purpose::Probe => self.on_probe_answer(core, now, code, out),
            _ => {
                self.bye_sent = false;
                After::Remove
            }
        }
    }

    /// Nobody ever ACKed a 2xx (RFC 3261 13.3.1.4: the dialog ends with BYE).
    pub(crate) fn on_unacknowledged(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        out: &mut Outbox,
    ) -> After {
        if self.open.take_if(|open| open.server == server).is_none() {
            return After::Keep;
        }
        if self.ending {
            return self.settle(core, now, out);
        }
        self.end(core, now, &Reason::sip(408, "No ACK"), out)
    }

    /// One of the call's timers has run out.
    pub(crate) fn on_alarm(
        &mut self,
        core: &mut Core,
        now: Time,
        alarm: Alarm,
        out: &mut Outbox,
    ) -> After {
        core.counters.calls_timed_out += u64::from(alarm.is_limit());
        if let Alarm::Probe(_) = alarm {
            self.on_probe_due(core, now, out);
            return After::Keep;
        }
        self.alarm = None;
        self.end(core, now, &Reason::q850(31, "Call Duration Limit"), out)
    }

    /// The operator ends every call.
    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        self.end(core, now, &Reason::q850(41, "Router Shutdown"), out)
    }

    /// The caller has sent no media for the configured time.
    pub(crate) fn on_silence(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        core.counters.calls_silent += 1;
        self.end(core, now, &Reason::q850(41, "Media Timeout"), out)
    }
}
