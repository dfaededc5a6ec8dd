//! What the control side asks of a shard, and what it is told: plain values. A question is answered in one turn of the
//! shard, so it never covers more than a page.

use std::net::SocketAddr;

use stack::Time;

/// A question to one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Comes back with the answer.
    pub number: u64,
    /// What is asked.
    pub question: Question,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Some of the calls in progress.
    Calls(CallsPage),
    /// One call in full, by [`CallView::id`].
    Call(String),
    /// End this call: BYE or CANCEL to both parties.
    HangUp(String),
}

/// Which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsPage {
    /// Where to go on: 0, or what the last page said.
    pub from: u32,
    /// So many at most; of 10 times as many entries looked at, so that a rare match stalls nobody.
    pub limit: u16,
    /// Only in this state.
    pub state: Option<CallState>,
    /// Only where this is the user in the caller's or the called number.
    pub user: Option<String>,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// [`Query::number`].
    pub number: u64,
    /// What is said.
    pub said: Said,
}

/// What a shard says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Some calls.
    Calls {
        /// Those that match.
        calls: Vec<CallView>,
        /// Where the next page begins; `None` after the last.
        next: Option<u32>,
    },
    /// The call in full; `None`: there is none with this id.
    Call(Option<Box<CallDetail>>),
    /// Whether there was such a call to hang up.
    HungUp(bool),
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The INVITE has left, nothing rings yet.
    Trying,
    /// An 18x has come.
    Ringing,
    /// Answered with a 2xx.
    Answered,
    /// A BYE, CANCEL or final response is under way.
    Ending,
}

/// One call in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// Names it for as long as it lives: our token on the caller's leg, 32 hexadecimal digits, which tells the shard.
    pub id: String,
    /// How far it is.
    pub state: CallState,
    /// The user, or the whole URI, in the caller's From.
    pub from: String,
    /// The user of the Request-URI as it came.
    pub to: String,
    /// Where the caller is.
    pub caller: SocketAddr,
    /// Where the callee is; `None` until that is known.
    pub callee: Option<SocketAddr>,
    /// When its INVITE came.
    pub began: Time,
    /// When it was answered.
    pub answered: Option<Time>,
}

/// One call in full.
#[derive(Clone, Debug, PartialEq)]
pub struct CallDetail {
    /// As in a list.
    pub view: CallView,
    /// The caller's leg, then the callee's.
    pub legs: Vec<LegView>,
    /// The route it took: the record of the routing DB, `location`, `echo` or `dialog`.
    pub route: String,
    /// Why this one.
    pub why: String,
    /// Streams that go through the router.
    pub streams: Vec<StreamView>,
    /// The messages so far, oldest first; bounded, the first ones and the last ones are kept.
    pub timeline: Vec<TimelineEntry>,
}

/// One leg of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct LegView {
    /// Its Call-ID.
    pub call_id: String,
    /// Our tag in it.
    pub local_tag: String,
    /// The peer's tag; empty until it has one.
    pub remote_tag: String,
    /// The peer's Contact.
    pub remote_target: String,
    /// Where its requests are sent.
    pub remote: SocketAddr,
    /// The last session description it sent, in one line: media, codecs, address, direction.
    pub session: String,
}

/// One media stream through the router.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamView {
    /// Index of its m= line.
    pub line: u16,
    /// What each party, the caller first, has sent so far.
    pub packets: [u64; 2],
    /// Their octets, RTP headers included.
    pub octets: [u64; 2],
    /// Lost on the way to the router.
    pub lost: [u64; 2],
    /// Jitter (RFC 3550 A.8) in microseconds.
    pub jitter_us: [u64; 2],
}

/// One message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Time,
    /// On the caller's leg, else on the callee's.
    pub on_caller_leg: bool,
    /// It came in, else it went out.
    pub received: bool,
    /// The status code of a response; 0 for a request.
    pub code: u16,
    /// The method of the request, or that the response answers.
    pub method: &'static str,
    /// It carried a body.
    pub with_body: bool,
}
