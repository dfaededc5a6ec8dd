//! What goes on, as a stream: each event is made once and shared by all who listen. The stream is a ring of
//! fixed length; who reads too slowly is told how much was missed and cut.

use std::net::SocketAddr;
use std::sync::Arc;

use router::{CallRecord, CallState, CallView, LocationCause, LocationChange};
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use crate::engine::{Epoch, Reloaded};

/// Events that a reader may be behind.
const RING: usize = 4_096;

/// One event. `type` tells which fields there are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Event {
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
pub(crate) struct CallEvent {
    /// In milliseconds of Unix time: when it ended, else when it was answered, else when it began.
    pub(crate) at_unix_ms: u64,
    /// The call, as in `/api/v1/session/{id}`; empty for an INVITE that made none.
    pub(crate) id: String,
    /// Who calls: the user of From; at the end the whole From.
    pub(crate) from: String,
    /// Who is called: the user of the Request-URI; at the end the whole To.
    pub(crate) to: String,
    /// At its end: the final status code as the caller has it; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u16>,
    /// At its end: the Q.850 cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<u8>,
    /// At its end: `caller`, `callee` or `router`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<&'static str>,
}

/// About a user.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct UserEvent {
    /// The address-of-record.
    pub(crate) aor: String,
    /// How many contacts it has now.
    pub(crate) contacts: usize,
}

/// About a server.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PeerEvent {
    /// Where it is.
    #[schema(value_type = String)]
    pub(crate) address: SocketAddr,
}

/// What a call's progress is to those who listen; `None`: nothing new.
pub(crate) fn of_progress(view: CallView, epoch: Epoch) -> Option<Event> {
    let (state, at) = (view.state, view.answered.unwrap_or(view.began));
    let call = CallEvent {
        at_unix_ms: epoch.unix_ms(at),
        id: view.id,
        from: view.from,
        to: view.to,
        code: None,
        cause: None,
        ended_by: None,
    };
    match state {
        CallState::Trying => Some(Event::CallStarted(call)),
        CallState::Ringing => Some(Event::CallRinging(call)),
        CallState::Answered => Some(Event::CallAnswered(call)),
        CallState::Ending => None,
    }
}

/// What a call's end is to those who listen.
pub(crate) fn of_record(record: &CallRecord, epoch: Epoch) -> Event {
    Event::CallEnded(CallEvent {
        at_unix_ms: epoch.unix_ms(record.ended),
        id: record.id.clone(),
        from: record.caller.from.clone(),
        to: record.caller.to.clone(),
        code: Some(record.code),
        cause: Some(record.cause),
        ended_by: Some(record.ended_by.name()),
    })
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
}

impl Events {
    /// Nobody listens yet.
    pub(crate) fn new() -> Events {
        Events {
            ring: broadcast::channel(RING).0,
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

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use stack::Time;
    use std::time::{Duration, SystemTime};

    pub(crate) fn call() -> CallView {
        CallView {
            id: "0".repeat(32),
            state: CallState::Ringing,
            from: "alice".into(),
            to: "100".into(),
            caller: ([192, 0, 2, 1], 5060).into(),
            callee: None,
            began: Time::from_nanos(1_000_000),
            answered: None,
        }
    }

    #[test]
    fn an_event_names_itself_as_its_filter_does() {
        let epoch = Epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let of_state = |state| of_progress(CallView { state, ..call() }, epoch);
        let states = [CallState::Trying, CallState::Ringing, CallState::Answered];
        let events: Vec<Event> = states.into_iter().filter_map(of_state).collect();
        assert_eq!(events.len(), 3);
        for event in &events {
            let json = serde_json::to_value(event).expect("JSON");
            assert_eq!(json["type"], event.name());
            assert_eq!(json["at_unix_ms"], 1_001);
            assert!(TYPES.contains(&event.name()) && json.get("code").is_none());
        }
        assert!(of_state(CallState::Ending).is_none());
        let reload = Event::Reload(Reloaded::default());
        assert_eq!(
            serde_json::to_value(&reload).expect("JSON")["type"],
            reload.name()
        );
    }
}
