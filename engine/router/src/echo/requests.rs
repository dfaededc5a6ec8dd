//! Requests inside a call to the router itself.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Message, Method};

use super::{ALLOW, EchoCall, check_required, description, read};
use crate::accounts::EndedBy;
use crate::call::{After, Reason, Refusal};
use crate::core::Core;

impl EchoCall {
    /// A request of the caller that is no ACK or CANCEL.
    pub(crate) fn on_request(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        source: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let bye = request.method() == Method::Bye;
        if self.dialog.receive_cseq(number).is_err() {
            // RFC 3261 12.2.2.
            core.refuse(now, server, 500, b"", out);
            return After::Keep;
        }
        if bye {
            let reason = Reason::of(request);
            core.ended(now, self.id, EndedBy::Caller, 200, reason.as_bytes());
            return self.on_bye(core, now, server, out);
        }
        if self.ending {
            core.refuse(now, server, 481, b"", out);
            return After::Keep;
        }
        self.peer = source;
        if let Err(refusal) = self.serve(core, now, server, number, request, out) {
            self.refuse(core, now, server, &refusal, out);
        }
        After::Keep
    }

    fn serve(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        number: u32,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let allow = |code| Refusal {
            extra: format!("Allow: {ALLOW}\r\n").into_bytes(),
            ..Refusal::code(code)
        };
        check_required(request)?;
        match request.method() {
            Method::Invite => self.on_reinvite(core, now, server, number, request, out),
            Method::Update => self.on_update(core, now, server, request, out),
            Method::Options | Method::Info => {
                self.answer(core, now, server, false, out);
                Ok(())
            }
            // RFC 3262 3: no provisional of ours was reliable.
            Method::Prack => Err(Refusal::code(481)),
            Method::Other => Err(allow(501)),
            _ => Err(allow(405)),
        }
    }

    /// A new offer is answered; without one, what we said before is offered.
    fn on_reinvite(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        number: u32,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        if self.open.is_some_and(|open| open.offered) {
            return Err(Refusal::code(491));
        }
        let offer = read(core, self.peer, description(request)?)?;
        self.describe(core, now, offer.as_ref())?;
        if let Some(overtaken) = self.open.take() {
            // Its sender has heard that 2xx, or it would not send the next INVITE.
            core.transactions.acknowledge(now, overtaken.server);
            self.connect(core, now);
        }
        self.refresh_target(core, request);
        self.accept(core, now, server, number, offer.is_none(), out);
        Ok(())
    }

    /// RFC 3311 5.2: an offer while ours has no answer is 491.
    fn on_update(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let offer = read(core, self.peer, description(request)?)?;
        if offer.is_some() {
            if self.open.is_some_and(|open| open.offered) {
                return Err(Refusal::code(491));
            }
            self.describe(core, now, offer.as_ref())?;
        }
        self.refresh_target(core, request);
        self.answer(core, now, server, offer.is_some(), out);
        Ok(())
    }

    fn refresh_target(&mut self, core: &mut Core, request: &Message<'_>) {
        if let Ok(Some(contact)) = request.contact() {
            self.dialog.refresh_target(contact.uri, &mut core.pool);
        }
    }

    fn refuse(
        &self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        refusal: &Refusal,
        out: &mut Outbox,
    ) {
        core.counters.refused += 1;
        let status = refusal.status();
        core.answer(now, server, status, &self.tag(), &refusal.extra, out);
    }
}
