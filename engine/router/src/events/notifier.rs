//! A subscription whose notifier is the router itself (RFC 6665 4.2): its dialog, how long it lives, and when its
//! subscriber is told what. What there is to tell is the state agent's and the location service's.

use std::sync::Arc;
use std::time::Duration;

use stack::dialog::Dialog;
use stack::timer::TimerKey;
use stack::{ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{HeaderName, Message, Method};

use super::asked;
use super::documents;
use super::package::{Package, is_same_event};
use super::publications::Resource;
use super::reginfo;
use super::summary;
use crate::call::{After, MAX_FORWARDS, Own, Refusal};
use crate::calls::CallId;
use crate::core::{Alarm, Core, Purpose, User};
use crate::location::Registration;
use crate::registrar;

/// Changes are told no sooner after the last NOTIFY than this. RFC 3856 6.10 and RFC 3680 4.10 want 5 s between; a lamp
/// or a busy field that lags so long is of little use to who looks at it.
const PACE: Duration = Duration::from_secs(1);

const ALLOW: &[u8] = b"Allow: SUBSCRIBE\r\n";

/// RFC 6665 4.2.2: after these answers to a NOTIFY there is no subscription any more. 408 stands for none.
const FATAL: [u16; 14] = [
    404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
];

/// What a NOTIFY says of its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Active,
    Terminated(&'static str),
}

/// One subscriber of one resource.
#[derive(Debug)]
pub(crate) struct Notifier {
    id: CallId,
    /// Our tag.
    tag: Token,
    dialog: Dialog,
    /// Where the subscriber was last seen.
    peer: Flow,
    /// It is reached there, and not at its Contact.
    at_source: bool,
    resource: Resource,
    /// The value of Event in the SUBSCRIBE.
    event: Vec<u8>,
    until: Time,
    /// How many documents it was sent.
    version: u32,
    /// The bindings as it was told them last.
    told: Option<Arc<Registration>>,
    /// The NOTIFY sent last, while it has no answer.
    under_way: Option<ClientId>,
    /// There is something newer than what it was told.
    stale: bool,
    /// Changes are not told before.
    not_before: Time,
    expiry: Option<TimerKey>,
    pace: Option<TimerKey>,
}

/// Beginning and end.
impl Notifier {
    /// The subscription that a SUBSCRIBE makes, for so long.
    ///
    /// # Errors
    /// 400: it cannot be read.
    pub(super) fn new(
        core: &mut Core,
        now: Time,
        id: CallId,
        peer: Flow,
        request: &Message<'_>,
        resource: Resource,
    ) -> Result<Notifier, Refusal> {
        let tag = id.token(core.shard, core.random.next_u64());
        let mut dialog = Dialog::uas(request, &tag.tag_text(), &mut core.pool)?;
        dialog.confirm();
        let event = request.header(HeaderName::Event).unwrap_or_default();
        Ok(Notifier {
            id,
            tag,
            dialog,
            peer,
            at_source: registrar::is_at_source(core, request, peer.remote),
            resource,
            event: event.to_vec(),
            until: now,
            version: 0,
            told: None,
            under_way: None,
            stale: false,
            not_before: now,
            expiry: None,
            pace: None,
        })
    }

    pub(crate) fn id(&self) -> CallId {
        self.id
    }

    pub(super) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Gives back everything it holds.
    pub(crate) fn release(mut self, core: &mut Core) {
        core.disarm(&mut self.expiry);
        core.disarm(&mut self.pace);
        super::forget(core, &self.resource, self.id);
        self.dialog.release(&mut core.pool);
    }

    /// The operator ends everything: the subscriber may come again.
    pub(crate) fn end_now(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        self.notify(core, now, Standing::Terminated("deactivated"), out);
        After::Remove
    }

    /// Whether this request is of its dialog (RFC 3261 12.2.2).
    pub(crate) fn owns(&self, request: &Message<'_>, tag: &Token) -> bool {
        *tag == self.tag
            && self.dialog.call_id() == request.call_id()
            && self.dialog.remote_tag() == request.from_tag().unwrap_or_default()
    }
}

/// SUBSCRIBEs.
impl Notifier {
    /// Answers a SUBSCRIBE, and tells the state at once (RFC 6665 4.2.1.2).
    pub(super) fn accept(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        seconds: u32,
        out: &mut Outbox,
    ) -> After {
        let mut extra = format!("Expires: {seconds}\r\n").into_bytes();
        let door = core.door(self.peer.listener);
        door.print_contact(&mut extra, &self.tag);
        core.answer(now, server, (200, ""), &self.tag, &extra, out);
        self.until = now + Duration::from_secs(seconds.into());
        if seconds == 0 {
            // RFC 6665 4.4.3, 4.1.2.3: asked once, or not any more.
            self.notify(core, now, Standing::Terminated("timeout"), out);
            return After::Remove;
        }
        core.disarm(&mut self.expiry);
        let left = Some(self.until.duration_since(now));
        self.expiry = core.arm(now, self.id, Alarm::Expired, left);
        self.notify(core, now, Standing::Active, out);
        After::Keep
    }

    /// A request of the subscriber's.
    pub(crate) fn on_request(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        source: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> After {
        match self.check(core, request) {
            Ok(seconds) => {
                core.counters.events.refreshed += u64::from(seconds > 0);
                self.peer = source;
                self.at_source = registrar::is_at_source(core, request, source.remote);
                if let Ok(Some(contact)) = request.contact() {
                    self.dialog.refresh_target(contact.uri, &mut core.pool);
                }
                self.accept(core, now, server, seconds, out)
            }
            Err(refusal) => {
                core.refuse_with(now, server, &refusal, out);
                After::Keep
            }
        }
    }

    /// For how long a request of the subscriber's asks.
    fn check(&mut self, core: &Core, request: &Message<'_>) -> Result<u32, Refusal> {
        // RFC 3261 12.2.2: a number that is not above the last is out of order.
        let in_order = self.dialog.receive_cseq(request.cseq()?.number);
        in_order.map_err(|_| Refusal::code(500))?;
        if request.method() != Method::Subscribe {
            let extra = ALLOW.to_vec();
            return Err(Refusal {
                extra,
                ..Refusal::code(405)
            });
        }
        // RFC 6665 4.5.2: another subscription in this dialog would be another usage of it.
        let event = request.header(HeaderName::Event).unwrap_or_default();
        if !is_same_event(event, &self.event) {
            Package::subscribed(request)?;
            return Err(Refusal::code(403));
        }
        let settings = core.state_agent.settings().cloned().unwrap_or_default();
        asked::interval(&settings, request)
    }
}

/// NOTIFYs.
impl Notifier {
    /// What it is subscribed to has changed.
    pub(super) fn on_change(&mut self, core: &mut Core, now: Time, out: &mut Outbox) -> After {
        if !registrar::is_user(&core.directory, &self.resource.0) {
            self.notify(core, now, Standing::Terminated("noresource"), out);
            return After::Remove;
        }
        self.stale = true;
        self.catch_up(core, now, out);
        After::Keep
    }

    /// Tells the newest state when there is any, the last NOTIFY is answered, and it is time.
    fn catch_up(&mut self, core: &mut Core, now: Time, out: &mut Outbox) {
        if !self.stale || self.under_way.is_some() || self.pace.is_some() {
            return;
        }
        match self.not_before > now {
            true => {
                let left = Some(self.not_before.duration_since(now));
                self.pace = core.arm(now, self.id, Alarm::Notify, left);
            }
            false => self.notify(core, now, Standing::Active, out),
        }
    }

    /// One of its timers.
    pub(crate) fn on_alarm(
        &mut self,
        core: &mut Core,
        now: Time,
        alarm: Alarm,
        out: &mut Outbox,
    ) -> After {
        if alarm == Alarm::Notify {
            self.pace = None;
            self.catch_up(core, now, out);
            return After::Keep;
        }
        self.expiry = None;
        core.counters.subscriptions_expired += 1;
        self.notify(core, now, Standing::Terminated("timeout"), out);
        After::Remove
    }

    /// The final answer to a NOTIFY, or the code that stands for none.
    pub(super) fn on_answer(
        &mut self,
        core: &mut Core,
        now: Time,
        client: ClientId,
        code: u16,
        out: &mut Outbox,
    ) -> After {
        core.counters.events.notify_failed += u64::from(code >= 300);
        if FATAL.contains(&code) {
            return After::Remove;
        }
        if self.under_way == Some(client) {
            self.under_way = None;
            self.catch_up(core, now, out);
        }
        After::Keep
    }

    fn notify(&mut self, core: &mut Core, now: Time, standing: Standing, out: &mut Outbox) {
        let mut body = Vec::with_capacity(512);
        self.print_state(core, now, &mut body);
        let extra = self.print_lines(now, standing);
        let own = Own {
            dialog: &mut self.dialog,
            peer: self.peer,
            user: User {
                call: self.id,
                purpose: Purpose::Notify,
            },
            method: Method::Notify,
            max_forwards: MAX_FORWARDS,
        };
        let tag = self.tag;
        let print = |printed: &crate::call::Request<'_>, out: &mut Vec<u8>| {
            printed.print_offer(out, &tag, &extra, &body);
        };
        let sent = match self.at_source {
            true => own.send_back(core, now, print, out),
            false => own.send(core, now, print, out),
        };
        core.counters.events.notified += u64::from(sent.is_some());
        // Without a free transaction the change is told with the next one, or when the pace allows.
        self.stale = sent.is_none();
        self.under_way = sent;
        self.not_before = now + PACE;
        self.version = self.version.wrapping_add(1);
        if self.stale && standing == Standing::Active {
            self.catch_up(core, now, out);
        }
    }

    fn print_lines(&self, now: Time, standing: Standing) -> Vec<u8> {
        let mut lines = b"Event: ".to_vec();
        lines.extend_from_slice(&self.event);
        let left = self.until.duration_since(now);
        let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let state = match standing {
            Standing::Active => format!("active;expires={left}"),
            Standing::Terminated(reason) => format!("terminated;reason={reason}"),
        };
        let kind = self.resource.1.content_type();
        let rest = format!("\r\nSubscription-State: {state}\r\nContent-Type: {kind}\r\n");
        lines.extend_from_slice(rest.as_bytes());
        lines
    }

    /// The state as it is now, always the whole of it.
    fn print_state(&mut self, core: &Core, now: Time, out: &mut Vec<u8>) {
        let (aor, package) = &self.resource;
        match package {
            Package::Reg => {
                let current = core.location.of(aor.as_str()).cloned();
                let state = reginfo::State {
                    aor,
                    now: current.as_ref(),
                    told: self.told.as_ref(),
                    version: self.version,
                };
                state.print(out, now);
                self.told = current;
            }
            Package::MessageSummary => summary::print(out, aor, &core.state_agent.mailbox(aor)),
            Package::Presence | Package::Dialog => {
                let published = core.state_agent.publications.newest(now, &self.resource);
                match published {
                    Some(body) => {
                        documents::print_published(out, *package, body, self.version);
                    }
                    None => documents::print_neutral(out, *package, aor, self.version),
                }
            }
        }
    }
}
