//! What the engine tells this room: answers, and what happens to calls, registrations and peers. It comes
//! through one bounded channel; what does not fit is lost and counted by who tells, and never waited for.

use std::net::SocketAddr;
use std::sync::Arc;

use router::{Answer, CallRecord, CallView, Directory, LocationChange};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::engine::Reloaded;
use crate::settings::Security;

/// How much may wait: a second of a registration storm.
const WAITING: usize = 65_536;
/// So many places are kept for answers and changes of bindings: what is only shown to people goes first.
const KEPT: usize = WAITING / 2;

/// One piece of news.
#[derive(Debug)]
pub enum News {
    /// A shard's answer.
    Answer(Box<Answer>),
    /// A call has come further; told while somebody listens.
    Progress(Box<CallView>),
    /// A call is over; likewise.
    Ended(Arc<CallRecord>),
    /// The owner shard of an address-of-record has ordered a change.
    Location(LocationChange),
    /// A server that is asked whether it lives has changed.
    Peer {
        /// Where it is.
        address: SocketAddr,
        /// Whether it is up now.
        up: bool,
    },
    /// The configuration was read again.
    Reloaded(Reloaded),
    /// Other tokens, another certificate.
    Secured(Security),
    /// The directory of the configuration, which has changed: it takes the place of the one in force.
    Directory(Arc<Directory>),
}

/// The engine's end.
#[derive(Clone, Debug)]
pub struct Teller(Sender<News>);

/// This room's end.
#[derive(Debug)]
pub struct Listening(pub(crate) Receiver<News>);

/// A channel for news.
pub fn channel() -> (Teller, Listening) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Teller(sender), Listening(receiver))
}

impl Teller {
    /// Tells, without ever waiting; false: it is lost.
    pub fn tell(&self, news: News) -> bool {
        let shown = matches!(news, News::Progress(_) | News::Ended(_));
        let room = !shown || self.0.capacity() > KEPT;
        room && self.0.try_send(news).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events;

    #[test]
    fn what_is_only_shown_goes_first() {
        let (teller, listening) = channel();
        let call = || News::Progress(Box::new(events::tests::call()));
        let told = (0..WAITING).filter(|_| teller.tell(call())).count();
        assert_eq!(told, WAITING - KEPT);
        let peer = || News::Peer {
            address: ([127, 0, 0, 1], 1).into(),
            up: true,
        };
        let told = (0..WAITING).filter(|_| teller.tell(peer())).count();
        assert_eq!(told, KEPT);
        drop(listening);
        assert!(!teller.tell(peer()));
    }
}
