//! What the engine tells this room: answers, and what happens to calls, registrations and peers. It comes
//! through one bounded channel; what does not fit is counted and lost, and never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use router::{Answer, LocationChange};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::engine::Reloaded;
use crate::events::CallNews;

/// How much may wait: a second of a registration storm.
const WAITING: usize = 65_536;
/// So many places are kept for answers and changes of bindings: what is only shown to people goes first.
const KEPT: usize = WAITING / 2;

/// One piece of news.
#[derive(Debug)]
pub enum News {
    /// A shard's answer.
    Answer(Box<Answer>),
    /// The owner shard of an address-of-record has ordered a change.
    Location(LocationChange),
    /// Something about a call.
    Call(CallNews),
    /// A server that is asked whether it lives has changed.
    Peer {
        /// Where it is.
        address: std::net::SocketAddr,
        /// Whether it is up now.
        up: bool,
    },
    /// The configuration was read again.
    Reloaded(Reloaded),
}

/// What the two ends share.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    lost: AtomicU64,
    listeners: AtomicUsize,
}

impl Gauge {
    /// News that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// One more, or one less, wants to hear of calls.
    pub(crate) fn listens(&self, more: bool) {
        match more {
            true => self.listeners.fetch_add(1, Ordering::Relaxed),
            false => self.listeners.fetch_sub(1, Ordering::Relaxed),
        };
    }
}

/// The engine's end.
#[derive(Clone, Debug)]
pub struct Teller {
    sender: Sender<News>,
    gauge: Arc<Gauge>,
}

/// This room's end.
#[derive(Debug)]
pub struct Listening {
    pub(crate) receiver: Receiver<News>,
    pub(crate) gauge: Arc<Gauge>,
}

/// A channel for news.
pub fn channel() -> (Teller, Listening) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let gauge = Arc::<Gauge>::default();
    let teller = Teller {
        sender,
        gauge: Arc::clone(&gauge),
    };
    (teller, Listening { receiver, gauge })
}

impl Teller {
    /// Whether anybody wants to hear of calls; when not, they need not be told.
    pub fn is_heard(&self) -> bool {
        self.gauge.listeners.load(Ordering::Relaxed) > 0
    }

    /// Tells, or counts as lost. Never waits.
    pub fn tell(&self, news: News) {
        let shown = matches!(news, News::Call(_));
        let full = shown && self.sender.capacity() < KEPT;
        if full || self.sender.try_send(news).is_err() {
            self.gauge.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::CallNews;

    #[test]
    fn what_does_not_fit_is_counted_and_calls_go_first() {
        let (teller, listening) = channel();
        let call = || News::Call(CallNews::example());
        (0..WAITING).for_each(|_| teller.tell(call()));
        assert_eq!(listening.gauge.lost(), (KEPT - 1) as u64);
        let peer = || News::Peer {
            address: ([127, 0, 0, 1], 1).into(),
            up: true,
        };
        (0..KEPT).for_each(|_| teller.tell(peer()));
        let before = listening.gauge.lost();
        assert_eq!(before, (KEPT - 1 + 1) as u64);
        assert!(!teller.is_heard());
        listening.gauge.listens(true);
        assert!(teller.is_heard());
    }
}
