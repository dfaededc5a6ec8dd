//! What the parties do about their media, and what the router's media is like: plain values.

use std::time::Duration;

use media::Latching;

/// The media of a world.
#[derive(Clone, Debug)]
pub struct MediaPlan {
    /// Pairs of ports that each shard has, of each address family.
    pub pairs: u16,
    /// After how much silence the router ends a call; `None` never.
    pub silence: Option<Duration>,
    /// Packets that a stranger sends to ports of the router.
    pub spoofs: u64,
    /// Some of them bear the address of a party.
    pub forged: bool,
}

impl Default for MediaPlan {
    fn default() -> Self {
        MediaPlan {
            pairs: 50,
            silence: None,
            spoofs: 0,
            forged: false,
        }
    }
}

/// `outCallFlow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// `Transparent`.
    #[default]
    Transparent,
    /// `TransformEarlyToFinal`.
    EarlyToFinal,
    /// `EchoResponder`.
    Echo,
}

/// A party that talks: what it has to say about its media. One without is silent, and its session
/// descriptions are form only.
#[derive(Clone, Debug, Default)]
pub struct TalkPlan {
    /// How far the router lets its media move.
    pub latching: Latching,
    /// What stands between it and the router.
    pub nat: Option<Nat>,
    /// It understands RTCP on the RTP port (RFC 5761).
    pub mux: bool,
    /// Its RTCP port is not the one above (RFC 3605).
    pub far_rtcp: bool,
    /// Its first offer has video, too.
    pub video: bool,
    /// It has no use for any stream but the first.
    pub plain: bool,
    /// It takes no fax.
    pub faxless: bool,
    /// Its 2xx says something else than its 18x did, where that was not reliable.
    pub thinks_again: bool,
    /// It makes an offer in the PRACK of an answer (RFC 3262 5).
    pub offers_in_prack: bool,
    /// What its later offers change, one after the other, and over again.
    pub changes: Vec<Change>,
}

/// A network address translator in front of a party's media. It lets in what comes from where packets
/// were sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// It gives packets another port.
    Port,
    /// It gives packets another address and port.
    Host,
}

/// What an offer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: a session refresh.
    Nothing,
    /// It wants to send only (RFC 3264 8.4).
    SendOnly,
    /// It wants to receive only.
    ReceiveOnly,
    /// Neither.
    Inactive,
    /// A hold of the old style: 0.0.0.0.
    Unspecified,
    /// All goes both ways again.
    Resume,
    /// Its streams come to other ports.
    Move,
    /// One stream more.
    Add,
    /// The last stream that is open ends.
    Remove,
    /// The first stream is a fax.
    Fax,
    /// The first stream is a voice again.
    Voice,
    /// The re-INVITE leaves the offer to the other party.
    Ask,
}
