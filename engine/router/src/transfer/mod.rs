//! Transfers: dialogs that one message names inside another. What lives here are values and texts: which
//! dialog a header names (`named`), how a Refer-To reads on the other leg (`refer_to`), what of a
//! subscription to `refer` crosses (`subscription`), and the requests that wait until another shard has said
//! whom they are for (`held`). What may not live here: calls; their part is in `call::transfer`.

mod held;
mod named;
mod refer_to;
mod subscription;

use stack::Flow;

use crate::events::Published;
use crate::location::Letter;
use crate::rdb::Record;

pub(crate) use held::{Held, Waiter};
pub(crate) use named::{Named, Relation};
pub(crate) use refer_to::{dialog_referred_to, named_in_uri, referrer, referring_lines};
pub(crate) use subscription::{declines_subscription, event_line, passing_body, refer_id};

/// The party at the other end of a call, for an INVITE that names the dialog of this end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OtherEnd {
    /// Where its dialog's requests go.
    pub(crate) flow: Flow,
    /// Its Contact.
    pub(crate) target: Vec<u8>,
    /// The route set of its dialog, joined; empty for none.
    pub(crate) routes: Vec<u8>,
    /// The header line that names the dialog as it knows it; empty when only it was meant.
    pub(crate) line: Vec<u8>,
    /// The terms of its call, which the new one takes over.
    pub(crate) record: Record,
}

/// What the router of one shard says to that of another. The surroundings deliver it, or lose it.
#[derive(Clone, Debug, PartialEq)]
pub struct Word(pub(crate) Box<Said>);

/// A question for the other end of a dialog, and its answer; a letter of the location service; what a user has published.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Question {
        from: u8,
        number: u64,
        named: Named,
    },
    Answer {
        number: u64,
        outcome: Result<OtherEnd, u16>,
        /// There is such a dialog, whether it can be replaced or not.
        known: bool,
    },
    Location(Letter),
    Published(Published),
}

impl Word {
    pub(crate) fn new(said: Said) -> Word {
        Word(Box::new(said))
    }
}
