//! Where the router's own events (`events`) meet its calls: subscriptions stand in the table of calls.

use stack::{Flow, Outbox, ServerId, Time};
use wire::Message;

use super::Router;
use crate::events::{self, EventsCounters};

impl Router {
    /// A SUBSCRIBE or PUBLISH for a user of a local domain. There are no new subscriptions while calls drain.
    pub(super) fn take_event(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let calls = (!self.draining).then_some(&mut self.calls);
        events::receive(&mut self.core, calls, now, flow, server, request, out);
    }

    /// Tells subscribers of what has changed.
    pub(super) fn tell_changes(&mut self, now: Time, out: &mut Outbox) {
        events::tell_changes(&mut self.core, &mut self.calls, now, out);
    }

    pub(super) fn events_counters(&self) -> EventsCounters {
        let (publications, mailboxes) = self.core.state_agent.sizes();
        EventsCounters {
            publications,
            mailboxes,
            ..self.core.counters.events
        }
    }
}
