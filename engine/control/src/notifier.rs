//! Telling the control of a domain who comes and goes: `PUT {control}/reg/{domain}/{user}` and `DELETE`, in
//! order for each user. Queues are bounded and a control that does not answer is given up on; SIP never
//! waits for any of it.

mod client;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use router::{Binding, LocationCause, LocationChange, Registration};
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};

use self::client::Client;

/// Queues for each control: users are spread over them, so that one slow answer holds up a part of them only.
const LANES: usize = 4;
/// Notes that wait in one queue.
const WAITING: usize = 8_192;
/// Controls with queues at once.
const CONTROLS: usize = 256;
/// A note is tried so often, with pauses from the first to the last, each twice the one before: 25 s in all.
const TRIES: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// One thing to tell.
#[derive(Clone, Debug, PartialEq)]
struct Note {
    method: Method,
    path: String,
    /// Empty for DELETE.
    body: String,
}

/// Where a user is, as a control is told.
#[derive(Debug, Serialize)]
struct Remote<'r> {
    host: IpAddr,
    port: u16,
    agent: &'r str,
}

/// All queues.
pub(crate) struct Notifier {
    lanes: HashMap<Box<str>, Vec<Sender<Note>>>,
    client: Arc<Client>,
    spread: RandomState,
}

impl Notifier {
    /// No queues yet.
    pub(crate) fn new() -> Notifier {
        Notifier {
            lanes: HashMap::new(),
            client: Arc::default(),
            spread: RandomState::new(),
        }
    }

    /// Queues what is to be told of a change to this control.
    pub(crate) fn tell(&mut self, control: &str, change: &LocationChange) {
        let Some(note) = note(control, change) else {
            return;
        };
        let lane = self.spread.hash_one(change.registration.aor.user()) as usize % LANES;
        let queued = self
            .lane(control, lane)
            .is_some_and(|lane| lane.try_send(note).is_ok());
        if !queued {
            lost("queue");
        }
    }

    /// Notes that wait, of all controls.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let lanes = self.lanes.values().flatten();
        lanes.map(|lane| WAITING - lane.capacity()).sum()
    }

    fn lane(&mut self, control: &str, lane: usize) -> Option<&Sender<Note>> {
        if !self.lanes.contains_key(control) {
            if self.lanes.len() >= CONTROLS {
                self.lanes
                    .retain(|_, lanes| lanes.iter().any(|lane| lane.capacity() < WAITING));
            }
            if self.lanes.len() >= CONTROLS {
                return None;
            }
            let lanes = (0..LANES).map(|_| self.open(control)).collect();
            self.lanes.insert(control.into(), lanes);
        }
        self.lanes.get(control)?.get(lane)
    }

    fn open(&self, control: &str) -> Sender<Note> {
        let (sender, notes) = mpsc::channel(WAITING);
        tokio::spawn(deliver(Arc::clone(&self.client), control.to_owned(), notes));
        sender
    }
}

/// What a change is to a control; `None`: nothing.
fn note(control: &str, change: &LocationChange) -> Option<Note> {
    let Registration { aor, bindings, .. } = &*change.registration;
    if change.cause == LocationCause::Reachability {
        return None;
    }
    let base = client::path_of(control);
    let path = format!(
        "{base}/reg/{}/{}",
        escaped(aor.domain()),
        escaped(aor.user())
    );
    let (method, body) = match bindings.last() {
        Some(binding) => (Method::PUT, remote(binding)),
        None => (Method::DELETE, String::new()),
    };
    Some(Note { method, path, body })
}

fn remote(binding: &Binding) -> String {
    let remote = Remote {
        host: binding.source.remote.ip(),
        port: binding.source.remote.port(),
        agent: &String::from_utf8_lossy(&binding.user_agent),
    };
    // An address and a text always have a JSON form.
    serde_json::to_string(&remote).unwrap_or_default()
}

/// RFC 3986 2.1: what is not unreserved is escaped.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

/// Delivers the notes of one queue, one after the other.
async fn deliver(client: Arc<Client>, control: String, mut notes: Receiver<Note>) {
    let mut line = client::Line::new(client, &control);
    while let Some(note) = notes.recv().await {
        let mut pause = FIRST_PAUSE;
        for left in (0..TRIES).rev() {
            match line.send(&note.method, &note.path, &note.body).await {
                Ok(status) if status.is_success() => {
                    metrics::counter!("tipring_notifications_sent_total").increment(1);
                    break;
                }
                // Another try would be answered the same.
                Ok(status) if status.is_client_error() && !again(status.as_u16()) => {
                    tracing::debug!(control, %status, path = note.path, "notification refused");
                    lost("refused");
                    break;
                }
                told => tracing::debug!(control, ?told, path = note.path, "notification failed"),
            }
            if left == 0 {
                lost("unanswered");
                tracing::warn!(control, "a notification was given up: no good answer");
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

fn again(status: u16) -> bool {
    matches!(status, 408 | 425 | 429)
}

fn lost(reason: &'static str) {
    metrics::counter!("tipring_notifications_lost_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::tests::registration;

    fn told(contacts: u16, cause: LocationCause) -> Option<Note> {
        let change = LocationChange {
            registration: registration("*1/0#", "example.com", 1, contacts),
            cause,
        };
        note("http://h:1/base/", &change)
    }

    #[test]
    fn a_change_is_put_or_deleted() {
        let path = "/base/reg/example.com/%2A1%2F0%23".to_owned();
        let put = told(1, LocationCause::Registered).expect("a note");
        assert_eq!((&put.method, &put.path), (&Method::PUT, &path));
        assert_eq!(put.body, r#"{"host":"192.0.2.1","port":1,"agent":"phone"}"#);
        assert_eq!(
            told(1, LocationCause::Expired).expect("a note").method,
            Method::PUT
        );
        for cause in [
            LocationCause::Expired,
            LocationCause::Unregistered,
            LocationCause::Removed,
        ] {
            let gone = told(0, cause).expect("a note");
            assert_eq!((gone.method, gone.body), (Method::DELETE, String::new()));
        }
        assert_eq!(told(1, LocationCause::Reachability), None);
    }
}
