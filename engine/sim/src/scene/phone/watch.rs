//! Subscriptions as their two ends see them (RFC 6665): SUBSCRIBE, its refreshes and its end, NOTIFYs one
//! after the other, forks.

use std::time::Duration;

use stack::Time;

use super::dialog::Dialog;
use super::exchange::Purpose;
use super::print::Body;
use super::refer::REFER;
use super::{Alarm, PATIENCE, Phone};
use crate::heard::Heard;
use crate::scene::stage::number;

/// The package of subscriptions outside calls.
const PRESENCE: &str = "presence";

/// Which end of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scene) enum Role {
    Subscriber,
    Notifier,
}

/// One subscription, at one end.
#[derive(Debug)]
pub(in crate::scene) struct Watch {
    pub(super) dialog: usize,
    pub(in crate::scene) role: Role,
    /// The Event value.
    pub(in crate::scene) event: String,
    /// What was notified, in order: the status code of a referral, or the number of the news.
    pub(in crate::scene) told: Vec<u16>,
    pub(in crate::scene) ended: bool,
    /// The call that it is of ended before.
    pub(in crate::scene) left: bool,
    /// A NOTIFY waits for its answer.
    busy: bool,
    /// What is to be said then: what came between is old by now.
    next: Option<(String, Body)>,
    lasts: bool,
    expires: u32,
    /// Counts grants: alarms of an older one are stale.
    epoch: u32,
    news: u16,
}

impl Watch {
    pub(super) fn new(dialog: usize, role: Role, event: String) -> Watch {
        Watch {
            dialog,
            role,
            event,
            told: Vec::new(),
            ended: false,
            left: false,
            busy: false,
            next: None,
            lasts: false,
            expires: 0,
            epoch: 0,
            news: 0,
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.next = None;
    }

    pub(in crate::scene) fn is_referral(&self) -> bool {
        self.event.starts_with(REFER)
    }
}

/// The subscriber.
impl Phone {
    pub(super) fn subscribe(&mut self, now: Time, route: usize, expires: u32, lasts: bool) {
        let dialog = self.first_dialog(&number(route));
        self.dialogs.push(dialog);
        let watch = Watch {
            lasts,
            expires,
            ..Watch::new(
                self.dialogs.len() - 1,
                Role::Subscriber,
                PRESENCE.to_owned(),
            )
        };
        self.watches.push(watch);
        self.send_subscribe(now, self.watches.len() - 1, expires);
    }

    fn send_subscribe(&mut self, now: Time, watch: usize, expires: u32) {
        let Watch { dialog, event, .. } = &self.watches[watch];
        let (dialog, extra) = (*dialog, format!("Event: {event}\r\nExpires: {expires}\r\n"));
        let (purpose, none) = (Purpose::Subscribe(watch), Body::default());
        self.send_inside(now, dialog, "SUBSCRIBE", purpose, &extra, &none);
    }

    pub(super) fn unsubscribe_last(&mut self, now: Time) {
        let mine = |watch: &Watch| watch.role == Role::Subscriber && !watch.is_referral();
        if let Some(watch) = self.watches.iter().rposition(mine) {
            self.unsubscribe(now, watch);
        }
    }

    /// RFC 6665 4.1.2.3.
    pub(super) fn unsubscribe(&mut self, now: Time, watch: usize) {
        let known = &mut self.watches[watch];
        let mine = known.role == Role::Subscriber && !known.is_referral() && !known.ended;
        if mine && !self.dialogs[known.dialog].remote_tag.is_empty() {
            known.lasts = false;
            known.expires = 0;
            self.send_subscribe(now, watch, 0);
        }
    }

    /// A SUBSCRIBE was accepted.
    pub(super) fn on_subscribed(&mut self, now: Time, watch: usize, heard: &Heard) {
        let watch = self.watch_of(watch, heard);
        let known = &mut self.watches[watch];
        let Some(granted) = heard.seconds("Expires") else {
            return self.fault("a 2xx to SUBSCRIBE without Expires".to_owned());
        };
        known.epoch += 1;
        let (epoch, lasts) = (known.epoch, known.lasts && granted > 0);
        let granted = Duration::from_secs(granted.into());
        if lasts {
            let alarm = Alarm::Refresh(watch, epoch);
            self.alarms.plan(now + granted * 4 / 5, alarm);
        }
        // RFC 6665 4.1.2.4: without a last NOTIFY it is over all the same.
        let alarm = Alarm::Expire(watch, epoch);
        self.alarms.plan(now + granted + PATIENCE, alarm);
    }

    /// The subscription in the dialog that this answer, or NOTIFY, is of: every fork has its own.
    fn watch_of(&mut self, watch: usize, heard: &Heard) -> usize {
        let tag = match heard.is_request() {
            true => &heard.from_tag,
            false => &heard.to_tag,
        };
        let (first, event) = (
            self.watches[watch].dialog,
            self.watches[watch].event.clone(),
        );
        let own = &self.dialogs[first];
        if own.remote_tag.is_empty() {
            self.dialogs[first] = Dialog {
                remote_cseq: None,
                ..own.towards(heard)
            };
        }
        let of_tag = |known: &&Watch| {
            let dialog = &self.dialogs[known.dialog];
            dialog.local_tag == self.dialogs[first].local_tag && dialog.remote_tag == *tag
        };
        let found = self.watches.iter().rposition(|known| of_tag(&known));
        found.unwrap_or_else(|| {
            let fork = Dialog {
                remote_cseq: None,
                ..self.dialogs[first].towards(heard)
            };
            self.dialogs.push(fork);
            let dialog = self.dialogs.len() - 1;
            self.watches
                .push(Watch::new(dialog, Role::Subscriber, event));
            self.watches.len() - 1
        })
    }

    pub(super) fn refresh(&mut self, now: Time, watch: usize, epoch: u32) {
        let known = &self.watches[watch];
        let current = known.epoch == epoch && known.lasts && !known.ended;
        if current && !self.has_left(now) {
            self.send_subscribe(now, watch, known.expires);
        }
    }

    /// RFC 6665 4.1.2.2: a refresh that is refused for good ends it; so does a first SUBSCRIBE that is.
    pub(super) fn on_not_subscribed(&mut self, watch: usize, code: u16) {
        let first = self.dialogs[self.watches[watch].dialog]
            .remote_tag
            .is_empty();
        if first || matches!(code, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604) {
            self.watches[watch].end();
        }
    }

    pub(super) fn on_notify(&mut self, now: Time, server: usize) {
        let request = self.servers[server].request.clone();
        let Some(watch) = self.notified(&request) else {
            return self.answer_plainly(now, server, 481);
        };
        let dialog = self.watches[watch].dialog;
        if self.dialogs[dialog].is_late(&request) {
            return self.answer_plainly(now, server, 500);
        }
        if self.watches[watch].ended {
            return self.answer_plainly(now, server, 481);
        }
        let state = request.values("Subscription-State").first().cloned();
        let told = told(&request);
        let Some((state, told)) = state.zip(told) else {
            self.fault(format!(
                "a NOTIFY that says nothing: {}",
                request.head_text()
            ));
            return self.answer_plainly(now, server, 400);
        };
        self.watches[watch].told.push(told);
        if state.starts_with("terminated") {
            self.watches[watch].end();
        }
        self.answer_plainly(now, server, 200);
        if self.watches[watch].is_referral() {
            self.on_reported(now, watch, told);
        }
    }

    /// The subscription that this NOTIFY is of (RFC 6665 4.4.1).
    fn notified(&mut self, request: &Heard) -> Option<usize> {
        let event = request.values("Event").first()?.clone();
        let known = |watch: &Watch, tagged: bool| {
            let dialog = &self.dialogs[watch.dialog];
            let named = dialog.call_id == request.call_id && dialog.local_tag == request.to_tag;
            let peer = dialog.remote_tag == request.from_tag || !tagged;
            watch.role == Role::Subscriber && watch.event == event && named && peer
        };
        let exact = self.watches.iter().position(|watch| known(watch, true));
        if exact.is_some() {
            return exact;
        }
        let of_subscribe = |watch: &Watch| !watch.is_referral() && known(watch, false);
        let watch = self.watches.iter().position(of_subscribe)?;
        Some(self.watch_of(watch, request))
    }
}

/// The notifier.
impl Phone {
    pub(super) fn on_subscribe(&mut self, now: Time, server: usize) {
        let notifying = self.plan.notifying;
        let expires = self.servers[server].request.seconds("Expires");
        if let Some(code) = notifying.refuses {
            return self.answer_plainly(now, server, code);
        }
        let event = self.servers[server]
            .request
            .values("Event")
            .first()
            .cloned();
        let (Some(expires), Some(event)) = (expires, event) else {
            return self.answer_plainly(now, server, 489);
        };
        let granted = expires.min(notifying.grants_s);
        let dialog = self.dialog_of(server);
        self.servers[server].dialog = Some(dialog);
        self.watches
            .push(Watch::new(dialog, Role::Notifier, event.clone()));
        let watch = self.watches.len() - 1;
        if notifying.hasty {
            self.grant(now, watch, granted);
        }
        self.accept_subscription(now, server, granted);
        if !notifying.hasty {
            self.grant(now, watch, granted);
        }
        if notifying.forks {
            let dialog = self.dialog_of(server);
            self.watches.push(Watch::new(dialog, Role::Notifier, event));
            self.grant(now, self.watches.len() - 1, granted);
        }
    }

    fn accept_subscription(&mut self, now: Time, server: usize, granted: u32) {
        let Some(dialog) = self.servers[server].dialog else {
            return;
        };
        let tag = self.dialogs[dialog].local_tag.clone();
        let extra = format!("{}Expires: {granted}\r\n", self.contact());
        self.answer(now, server, 200, (&tag, &extra), &Body::default());
    }

    pub(super) fn on_resubscribe(&mut self, now: Time, server: usize, dialog: usize) {
        let live =
            |watch: &Watch| watch.dialog == dialog && watch.role == Role::Notifier && !watch.ended;
        let Some(watch) = self.watches.iter().position(live) else {
            return self.answer_plainly(now, server, 481);
        };
        let asked = self.servers[server].request.seconds("Expires");
        let granted = asked.unwrap_or(0).min(self.plan.notifying.grants_s);
        self.accept_subscription(now, server, granted);
        self.grant(now, watch, granted);
    }

    /// Tells the state (RFC 6665 4.2.1.2), and lets the subscription live for so long.
    fn grant(&mut self, now: Time, watch: usize, granted: u32) {
        let known = &mut self.watches[watch];
        known.epoch += 1;
        known.expires = granted;
        let (epoch, first) = (known.epoch, known.epoch == 1);
        if granted == 0 {
            return self.tell_state(now, watch, "terminated;reason=timeout");
        }
        let after = Duration::from_secs(granted.into());
        self.alarms.plan(now + after, Alarm::Expire(watch, epoch));
        self.tell_state(now, watch, &format!("active;expires={granted}"));
        if first {
            let every = self.plan.notifying.news_every;
            self.alarms.plan(now + every, Alarm::News(watch));
        }
    }

    pub(super) fn tell_news(&mut self, now: Time, watch: usize) {
        if self.watches[watch].ended || self.has_left(now) {
            return;
        }
        self.tell_state(now, watch, "active");
        let every = self.plan.notifying.news_every;
        self.alarms.plan(now + every, Alarm::News(watch));
    }

    /// Nobody has refreshed it.
    pub(super) fn expire(&mut self, now: Time, watch: usize, epoch: u32) {
        let known = &mut self.watches[watch];
        if known.epoch != epoch || known.ended {
            return;
        }
        match known.role {
            Role::Subscriber => known.end(),
            Role::Notifier => self.tell_state(now, watch, "terminated;reason=timeout"),
        }
    }

    fn tell_state(&mut self, now: Time, watch: usize, state: &str) {
        self.watches[watch].news += 1;
        let body = Body {
            kind: "text/plain",
            text: self.watches[watch].news.to_string(),
        };
        self.notify(now, watch, state, body);
    }

    /// Sends a NOTIFY, or keeps it until the one before is answered.
    pub(super) fn notify(&mut self, now: Time, watch: usize, state: &str, body: Body) {
        let known = &mut self.watches[watch];
        if known.ended {
            return;
        }
        if known.busy {
            known.next = Some((state.to_owned(), body));
            return;
        }
        known.busy = true;
        known.told.extend(said(&body));
        if state.starts_with("terminated") {
            known.ended = true;
        }
        let (event, dialog) = (&known.event, known.dialog);
        let extra = format!("Event: {event}\r\nSubscription-State: {state}\r\n");
        let purpose = Purpose::Notify(watch);
        self.send_inside(now, dialog, "NOTIFY", purpose, &extra, &body);
    }

    /// A NOTIFY was answered.
    pub(super) fn on_told(&mut self, now: Time, watch: usize) {
        let known = &mut self.watches[watch];
        known.busy = false;
        if let Some((state, body)) = known.next.take() {
            self.notify(now, watch, &state, body);
        }
    }
}

/// What a NOTIFY tells.
fn told(request: &Heard) -> Option<u16> {
    number_in(&String::from_utf8_lossy(&request.body))
}

fn said(body: &Body) -> Option<u16> {
    number_in(&body.text)
}

/// The status code of a fragment, or the number of the news.
fn number_in(text: &str) -> Option<u16> {
    let text = text.strip_prefix("SIP/2.0 ").unwrap_or(text);
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
