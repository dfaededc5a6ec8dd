//! What a slot of the table of calls holds: a call between two parties, one to the router itself, or a
//! subscription. What the shard's own clock and operator do to a call they do to all kinds alike.

use stack::{Outbox, ServerId, Time};
use wire::Message;

use crate::call::{After, Call};
use crate::calls::CallId;
use crate::core::{Alarm, Core, Side};
use crate::echo::EchoCall;
use crate::events::Notifier;
use crate::outside::Subscription;
use crate::proxy::ResponseContext;

/// A call of either kind, what has dialogs as a call does, or what becomes a call elsewhere. What every call
/// has is not boxed, which would cost an allocation a call.
#[derive(Debug)]
pub(crate) enum Entry {
    /// From a caller to a callee.
    Bridge(Call),
    /// To the router itself.
    Echo(Box<EchoCall>),
    /// A request on its way through the proxy.
    Proxy(ResponseContext),
    /// From a subscriber to a notifier: no call.
    Subscription(Box<Subscription>),
    /// From a subscriber to the router itself.
    Notifier(Box<Notifier>),
}

impl Entry {
    pub(crate) fn id(&self) -> CallId {
        match self {
            Entry::Bridge(call) => call.id(),
            Entry::Echo(echo) => echo.id(),
            Entry::Proxy(context) => context.id(),
            Entry::Subscription(subscription) => subscription.id(),
            Entry::Notifier(notifier) => notifier.id(),
        }
    }

    /// It is none of the calls.
    pub(crate) fn is_subscription(&self) -> bool {
        matches!(self, Entry::Subscription(_) | Entry::Notifier(_))
    }

    /// It is over but for a fork's late answers.
    pub(crate) fn lingers(&self) -> bool {
        matches!(self, Entry::Bridge(call) if call.lingers())
    }

    pub(crate) fn release(self, core: &mut Core, now: Time) {
        match self {
            Entry::Bridge(call) => call.release(core, now),
            Entry::Echo(echo) => echo.release(core),
            Entry::Proxy(context) => context.release(core),
            Entry::Subscription(subscription) => subscription.release(core),
            Entry::Notifier(notifier) => notifier.release(core),
        }
    }

    pub(crate) fn on_ack(
        &mut self,
        core: &mut Core,
        now: Time,
        side: Side,
        ack: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        match self {
            Entry::Bridge(call) => call.on_ack(core, now, side, ack, out),
            Entry::Echo(echo) => echo.on_ack(core, now, ack, out),
            Entry::Proxy(_) => After::Keep,
            Entry::Subscription(_) | Entry::Notifier(_) => After::Keep,
        }
    }

    pub(crate) fn on_alarm(
        &mut self,
        core: &mut Core,
        now: Time,
        alarm: Alarm,
        out: &mut Outbox,
    ) -> After {
        match self {
            Entry::Bridge(call) => call.on_alarm(core, now, alarm, out),
            Entry::Echo(echo) => echo.on_alarm(core, now, alarm, out),
            Entry::Proxy(context) => context.on_alarm(core, now, alarm, out),
            Entry::Subscription(subscription) => subscription.on_alarm(core, now),
            Entry::Notifier(notifier) => notifier.on_alarm(core, now, alarm, out),
        }
    }

    pub(crate) fn on_silence(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        match self {
            Entry::Bridge(call) => call.on_silence(core, now, out),
            Entry::Echo(echo) => echo.on_silence(core, now, out),
            Entry::Proxy(_) => After::Keep,
            Entry::Subscription(_) | Entry::Notifier(_) => After::Keep,
        }
    }

    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        match self {
            Entry::Bridge(call) => call.end_now(core, now, out),
            Entry::Echo(echo) => echo.end_now(core, now, out),
            Entry::Proxy(context) => context.end_now(core, now, out),
            Entry::Subscription(subscription) => subscription.end_now(core, now, out),
            Entry::Notifier(notifier) => notifier.end_now(core, now, out),
        }
    }

    /// A 2xx to an INVITE of this call was never ACKed.
    pub(crate) fn on_unacknowledged(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        out: &mut Outbox,
    ) -> After {
        match self {
            Entry::Bridge(call) if call.is_waiting_for_ack(server) => {
                call.on_unacknowledged(core, now, out)
            }
            Entry::Bridge(_) | Entry::Subscription(_) | Entry::Proxy(_) => After::Keep,
            Entry::Notifier(_) => After::Keep,
            Entry::Echo(echo) => echo.on_unacknowledged(core, now, server, out),
        }
    }
}
