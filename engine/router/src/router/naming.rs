//! INVITEs that name a dialog: by Replaces, Join, Target-Dialog or our Contact. The call they name may be
//! another shard's, found in the token of our tag; then the INVITE is held until that shard has answered. So
//! are REFERs that name one (`referring`).

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Index, Message, Method, Uri};

use super::Router;
use crate::call::{Call, Refusal, Setup};
use crate::calls::CallId;
use crate::config::Event;
use crate::core::Destination;
use crate::entry::Entry;
use crate::events;
use crate::local;
use crate::transfer::{Held, Named, OtherEnd, Relation, Said, Waiter, Word};

impl Router {
    /// Takes an INVITE that names a dialog of ours, or refuses one that names it badly; false when it is
    /// like any other.
    pub(super) fn takes_naming(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let named = match Named::in_request(request) {
            Ok(None) => return false,
            Ok(Some(named)) => named,
            Err(code) => {
                self.core.counters.dialogs_not_found += u64::from(code == 481);
                self.core.refuse(now, server, code, b"", out);
                return true;
            }
        };
        if named.token.shard == self.core.shard {
            let relation = named.relation;
            let outcome = self.other_end(now, &named);
            self.start_naming(now, flow, server, relation, outcome, request, out);
        } else if named.token.shard < self.core.shards {
            self.ask_other_shard(now, flow, server, named, request, out);
        } else {
            let (relation, none) = (named.relation, Err(481));
            self.start_naming(now, flow, server, relation, none, request, out);
        }
        true
    }

    /// The other end of a dialog of this shard.
    pub(super) fn other_end(&mut self, now: Time, named: &Named) -> Result<OtherEnd, u16> {
        let id = CallId::of_token(&named.token);
        // A call to the router itself has no other end.
        let call = self.calls.get_mut(id).ok_or(481u16)?;
        call.other_end(&mut self.core, now, named)
    }

    pub(super) fn ask_other_shard(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        named: Named,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let text = request.bytes();
        let held = self.held.hold(now, server, flow, named.relation, text);
        let Some(number) = held else {
            self.core.counters.calls_limited += u64::from(request.method() == Method::Invite);
            self.core.limit_reached("held", Held::LIMIT);
            let retry_after = self.core.retry_after();
            return self.core.refuse(now, server, 503, &retry_after, out);
        };
        self.core.counters.dialogs_asked += 1;
        let to = named.token.shard;
        let from = self.core.shard;
        self.say(
            to,
            Said::Question {
                from,
                number,
                named,
            },
        );
    }

    fn say(&mut self, shard: u8, said: Said) {
        let word = Word::new(said);
        self.core.events.push_back(Event::ToShard { shard, word });
    }

    /// A word of another shard.
    pub(super) fn hear(&mut self, now: Time, word: &Word, out: &mut Outbox) {
        match &*word.0 {
            Said::Question {
                from,
                number,
                named,
            } => {
                let known = self.has_dialog(named);
                let outcome = self.other_end(now, named);
                let number = *number;
                let answer = Said::Answer {
                    number,
                    outcome,
                    known,
                };
                self.say(*from, answer);
            }
            Said::Answer {
                number,
                outcome,
                known,
            } => {
                if let Some(waiter) = self.held.take(*number) {
                    self.resume(now, waiter, (outcome.clone(), *known), out);
                }
            }
            Said::Location(letter) => self.core.location.hear(now, letter),
            Said::Published(published) => events::hear(&mut self.core, published),
        }
    }

    /// The INVITE, or the REFER, goes on with what the other shard has answered.
    fn resume(
        &mut self,
        now: Time,
        waiter: Waiter,
        (outcome, known): (Result<OtherEnd, u16>, bool),
        out: &mut Outbox,
    ) {
        let Waiter {
            server,
            source,
            relation,
            text,
            ..
        } = waiter;
        let before = out.len();
        let mut index = Index::new();
        // It was read before, by the same limits.
        match Message::parse(&text, &mut index, &self.core.limits.wire) {
            Ok(request) if request.method() == Method::Refer => {
                self.note_reference(server, known);
                self.place_request(now, source, server, &request, out);
            }
            Ok(request) => {
                self.start_naming(now, source, server, relation, outcome, &request, out);
                self.note_messages(now, source, &request, before, out);
            }
            Err(error) => self.core.refuse(now, server, error.code(), b"", out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an INVITE and its surroundings")]
    fn start_naming(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        relation: Relation,
        outcome: Result<OtherEnd, u16>,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        // Much may have happened while it waited.
        if self.draining || self.calls.is_full() {
            return self.refuse_call(now, server, out);
        }
        self.core.counters.dialogs_not_found += u64::from(outcome.is_err());
        let started = match outcome {
            Ok(found) => self.start_found(now, source, server, &found, request, out),
            Err(_) if relation.may_be_ignored() => {
                self.start_call(now, source, server, request, out)
            }
            Err(code) => Err(Refusal::code(code)),
        };
        self.take_started(now, source, server, request, started, out);
    }

    /// Starts a call to the other end of the dialog that was named.
    fn start_found(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        found: &OtherEnd,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> Result<Entry, Refusal> {
        self.core.accounts.note_dialog();
        local::check_proxy_required(request)?;
        local::check_scheme(&Uri::parse(request.request_uri())?)?;
        let id = self.calls.reserve().ok_or_else(|| Refusal::code(503))?;
        let setup = Setup {
            id,
            request,
            source,
            server,
            record: &found.record,
            request_uri: &found.target,
            // The target stands in To, not the host.
            host: b"",
            destination: Destination::Known(found.flow.remote),
            through_proxy: false,
            found: Some(found),
        };
        let call = Call::start(&mut self.core, now, setup, out)?;
        self.core.counters.dialogs_found += 1;
        Ok(Entry::Bridge(call))
    }

    /// The sender of an INVITE that was held has cancelled it: it is over (RFC 3261 9.2).
    pub(super) fn cancel_held(&mut self, now: Time, invite: ServerId, out: &mut Outbox) {
        if self.held.cancelled(invite).is_some() {
            self.core.refuse(now, invite, 487, b"", out);
        }
    }

    /// Refuses the requests whose answer has been lost. The question may be asked again.
    pub(super) fn expire_held(&mut self, now: Time, out: &mut Outbox) {
        while let Some(waiter) = self.held.expire(now) {
            let retry_after = self.core.retry_after();
            self.core.refuse(now, waiter.server, 500, &retry_after, out);
        }
    }
}
