//! What goes on, as a stream: each event is made once and shared by all who listen. The stream is a ring of
//! fixed length; who reads too slowly is told how much was missed and cut.

use std::net::SocketAddr;
use std::sync::Arc;

use router::{LocationCause, LocationChange};
use serde::Serialize;
use stack::Time;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use crate::engine::{Epoch, Reloaded};

/// Events that a reader may be behind.
const RING: usize = 4_096;

/// One event. `type` tells which fields there are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// An INVITE has left towards a callee.
    CallStarted(CallEvent),
    /// It rings.
    CallRinging(CallEvent),
    /// It was answered.
    CallAnswered(CallEvent),
    /// It is over.
    CallEnded(CallEvent),
    /// A user has its first contact.
    Registered(UserEvent),
    /// A user's contacts were refreshed, added or removed, and some are left.
    Refreshed(UserEvent),
    /// A user's last contact was removed.
    Unregistered(UserEvent),
    /// Contacts of a user ran out.
    Expired(UserEvent),
    /// A contact became unreachable, or is reachable again.
    Reachability(UserEvent),
    /// A server that is asked whether it lives has answered again.
    PeerUp(PeerEvent),
    /// It does not answer any more.
    PeerDown(PeerEvent),
    /// The configuration was read again and taken over.
    Reload(Reloaded),
}

/// All types of events, as a client names them.
pub(crate) const TYPES: [&str; 12] = [
    "call-started",
    "call-ringing",
    "call-answered",
    "call-ended",
    "registered",
    "refreshed",
    "unregistered",
    "expired",
    "reachability",
    "peer-up",
    "peer-down",
    "reload",
];

impl Event {
    /// Its type, as in [`TYPES`].
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Event::CallStarted(_) => "call-started",
            Event::CallRinging(_) => "call-ringing",
            Event::CallAnswered(_) => "call-answered",
            Event::CallEnded(_) => "call-ended",
            Event::Registered(_) => "registered",
            Event::Refreshed(_) => "refreshed",
            Event::Unregistered(_) => "unregistered",
            Event::Expired(_) => "expired",
            Event::Reachability(_) => "reachability",
            Event::PeerUp(_) => "peer-up",
            Event::PeerDown(_) => "peer-down",
            Event::Reload(_) => "reload",
        }
    }
}

/// About a call.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CallEvent {
    /// When, in milliseconds of Unix time.
    pub at_unix_ms: u64,
    /// The call, as in `/api/v1/session/{id}`.
    pub id: String,
    /// The user, or the whole URI, in the caller's From.
    pub from: String,
    /// The user of the Request-URI as it came.
    pub to: String,
    /// At its end: the status code of the final response, 200 for a call that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// At its end: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// About a user.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UserEvent {
    /// The address-of-record.
    pub aor: String,
    /// How many contacts it has now.
    pub contacts: usize,
}

/// About a server.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PeerEvent {
    /// Where it is.
    #[schema(value_type = String)]
    pub address: SocketAddr,
}

/// What a shard tells of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallNews {
    /// When.
    pub at: Time,
    /// How far it is.
    pub step: CallStep,
    /// As in [`router::CallView::id`].
    pub id: String,
    /// The caller.
    pub from: String,
    /// The called number.
    pub to: String,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStep {
    /// Its INVITE has left.
    Started,
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// It is over.
    Ended {
        /// The final response.
        code: u16,
        /// Why.
        cause: String,
    },
}

impl CallNews {
    fn event(self, epoch: Epoch) -> Event {
        let (code, cause) = match &self.step {
            CallStep::Ended { code, cause } => (Some(*code), Some(cause.clone())),
            _ => (None, None),
        };
        let call = CallEvent {
            at_unix_ms: epoch.unix_ms(self.at),
            id: self.id,
            from: self.from,
            to: self.to,
            code,
            cause,
        };
        match self.step {
            CallStep::Started => Event::CallStarted(call),
            CallStep::Ringing => Event::CallRinging(call),
            CallStep::Answered => Event::CallAnswered(call),
            CallStep::Ended { .. } => Event::CallEnded(call),
        }
    }

    #[cfg(test)]
    pub(crate) fn example() -> CallNews {
        CallNews {
            at: Time::ZERO,
            step: CallStep::Ringing,
            id: "0".repeat(32),
            from: "alice".into(),
            to: "100".into(),
        }
    }
}

/// What a change of bindings is to those who listen.
pub(crate) fn of_location(change: &LocationChange) -> Event {
    let user = UserEvent {
        aor: change.registration.aor.to_string(),
        contacts: change.registration.bindings.len(),
    };
    match change.cause {
        LocationCause::Registered => Event::Registered(user),
        LocationCause::Refreshed => Event::Refreshed(user),
        LocationCause::Unregistered | LocationCause::Removed => Event::Unregistered(user),
        LocationCause::Expired => Event::Expired(user),
        LocationCause::Reachability => Event::Reachability(user),
    }
}

/// The ring.
pub(crate) struct Events {
    ring: broadcast::Sender<Arc<Event>>,
    epoch: Epoch,
}

impl Events {
    /// Nobody listens yet.
    pub(crate) fn new(epoch: Epoch) -> Events {
        Events {
            ring: broadcast::channel(RING).0,
            epoch,
        }
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.ring.receiver_count() > 0
    }

    /// Tells all who listen.
    pub(crate) fn tell(&self, event: Event) {
        // An error says that nobody listens.
        let _ = self.ring.send(Arc::new(event));
    }

    /// Tells of a call.
    pub(crate) fn call(&self, news: CallNews) {
        self.tell(news.event(self.epoch));
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn an_event_names_itself_as_its_filter_does() {
        let call = CallNews::example();
        let ended = CallStep::Ended {
            code: 486,
            cause: "busy".into(),
        };
        let steps = [
            CallStep::Started,
            CallStep::Ringing,
            CallStep::Answered,
            ended,
        ];
        let of_step = |step| {
            CallNews {
                step,
                ..call.clone()
            }
            .event(Epoch(SystemTime::UNIX_EPOCH))
        };
        for event in steps.map(of_step) {
            let json = serde_json::to_value(&event).expect("JSON");
            assert_eq!(json["type"], event.name());
            assert!(TYPES.contains(&event.name()));
            assert_eq!(json.get("code").is_some(), event.name() == "call-ended");
        }
        let reload = Event::Reload(Reloaded::default());
        assert_eq!(
            serde_json::to_value(&reload).expect("JSON")["type"],
            reload.name()
        );
    }
}
