//! One subscription between a subscriber and one notifier: the two dialogs of it, and how long it lives. A
//! SUBSCRIBE that is forked behind the router makes several (RFC 6665 4.4.1).

use std::time::Duration;

use stack::dialog::Dialog;
use stack::pool::Pool;
use stack::{ClientId, Flow, Time};
use wire::{HeaderName, Message, Method, Params};

use crate::call::Leg;
use crate::core::{Core, Side};

/// No subscription is kept longer than this without a refresh, whatever its notifier grants.
const GRANTED_MAX: Duration = Duration::from_secs(10_000_000);

/// What a SUBSCRIBE without Expires is taken to ask for until its notifier says more; the default of
/// presence and message waiting (RFC 3856 6.4, RFC 3842 3.4).
const GRANTED_DEFAULT: Duration = Duration::from_secs(3_600);

/// The seconds of an Expires value or parameter.
fn seconds(text: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let seconds = Duration::from_secs(text.parse().ok()?);
    Some(seconds.min(GRANTED_MAX))
}

/// What the Expires header of a message says.
fn expires(message: &Message<'_>) -> Option<Duration> {
    seconds(message.header(HeaderName::Expires)?)
}

/// How long the request that makes a subscription wants it to be.
pub(super) fn requested(request: &Message<'_>) -> Duration {
    expires(request).unwrap_or(GRANTED_DEFAULT)
}

/// The two dialogs of a subscription.
#[derive(Debug)]
pub(super) struct Pair {
    /// The random part of our tag towards the subscriber.
    pub(super) secret: u64,
    pub(super) subscriber: Leg,
    pub(super) notifier: Leg,
    /// How long the subscription was granted when that was last said.
    granted: Duration,
    /// A NOTIFY has come: before it there is no subscription (RFC 6665 4.1.2.4).
    notified: bool,
    /// When it is over unless somebody says more.
    until: Time,
    /// The NOTIFY sent last.
    notify: Option<ClientId>,
    /// The notifier has ended it.
    ended: bool,
    /// Nothing more is awaited.
    over: bool,
}

impl Pair {
    /// A subscription of which nothing is known but that it was asked for this long, `grace` ago at most.
    pub(super) fn new(
        now: Time,
        (secret, subscriber): (u64, Leg),
        notifier: Leg,
        granted: Duration,
        grace: Duration,
    ) -> Pair {
        Pair {
            secret,
            subscriber,
            notifier,
            granted,
            notified: false,
            until: now + grace,
            notify: None,
            ended: false,
            over: false,
        }
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.subscriber,
            Side::Callee => &mut self.notifier,
        }
    }

    pub(super) fn until(&self) -> Time {
        self.until
    }

    /// Whether its notifier has ended it.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing more is awaited.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether this is the NOTIFY that was sent last.
    pub(super) fn waits_for(&self, client: ClientId) -> bool {
        self.notify == Some(client)
    }

    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// RFC 6665 4.4.1: SUBSCRIBE, NOTIFY and their 2xx move their sender's target.
    pub(super) fn refresh_target(&mut self, core: &mut Core, side: Side, message: &Message<'_>) {
        if !matches!(message.method(), Method::Subscribe | Method::Notify) {
            return;
        }
        if let Ok(Some(contact)) = message.contact() {
            let dialog = &mut self.leg_mut(side).dialog;
            dialog.refresh_target(contact.uri, &mut core.pool);
        }
    }

    /// A NOTIFY goes to the subscriber.
    pub(super) fn on_notify(
        &mut self,
        now: Time,
        notify: &Message<'_>,
        client: ClientId,
        grace: Duration,
    ) {
        let first = !std::mem::replace(&mut self.notified, true);
        self.notify = Some(client);
        let value = notify.header(HeaderName::SubscriptionState);
        let value = value.unwrap_or_default();
        let mut parts = value.splitn(2, |&byte| byte == b';');
        let state = parts.next().unwrap_or_default().trim_ascii();
        let from = value.iter().position(|&byte| byte == b';');
        let params = from.and_then(|at| value.get(at..)).unwrap_or_default();
        let left = Params::new(params).get("expires").and_then(seconds);
        self.ended = state.eq_ignore_ascii_case(b"terminated");
        if let Some(left) = left.or_else(|| first.then_some(self.granted)) {
            self.until = now + left + grace;
        }
    }

    /// A 2xx to SUBSCRIBE or REFER goes to the subscriber.
    pub(super) fn on_granted(&mut self, now: Time, response: &Message<'_>, grace: Duration) {
        self.granted = expires(response).unwrap_or(self.granted);
        // RFC 5839 7.1: a 204 says that no NOTIFY follows.
        self.notified |= response.code() == 204;
        if self.notified {
            self.until = now + self.granted + grace;
        }
    }

    /// The final answer to a request of this method inside the subscription.
    pub(super) fn on_answered(&mut self, method: Method, code: u16) {
        let concerns = matches!(method, Method::Subscribe | Method::Notify);
        self.over |= concerns && ends_subscription(code) || method == Method::Notify && self.ended;
    }

    pub(super) fn release(self, pool: &mut Pool) {
        self.subscriber.dialog.release(pool);
        self.notifier.dialog.release(pool);
    }
}

/// RFC 6665 4.1.2.2, 4.2.2: failures after which there is no subscription; after others it goes on.
fn ends_subscription(code: u16) -> bool {
    matches!(code, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

/// A leg with this dialog.
pub(super) fn leg(dialog: Dialog, peer: Flow) -> Leg {
    Leg { dialog, peer }
}
