//! What a scene is made of: plain values, written by a test or drawn from a seed (`random`). Nothing here
//! acts.

use std::time::Duration;

use crate::network::Conditions;

/// Phones around one router.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// Shards of the router, 1 to 4.
    pub shards: u8,
    /// Percentage of datagrams that the kernel delivers to the wrong shard.
    pub misdelivered_percent: u64,
    /// The network.
    pub conditions: Conditions,
    /// What the routing DB says, a number each.
    pub routes: Vec<SceneRoute>,
    /// Who takes part.
    pub phones: Vec<PhonePlan>,
    /// When every phone hangs up what is left of its calls and subscriptions.
    pub curtain: Duration,
}

/// A number and where it leads.
#[derive(Clone, Debug, Default)]
pub struct SceneRoute {
    /// `mode = "proxy"`, else the back-to-back user agent.
    pub proxied: bool,
    /// `recurse`.
    pub recurse: bool,
    /// The targets and their preferences in thousandths; one, where the route is not proxied.
    pub targets: Vec<(Place, u16)>,
    /// `noAnswerTimeout`.
    pub no_answer: Option<Duration>,
    /// `no18xTimeout`.
    pub no_18x: Option<Duration>,
}

/// Where a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A phone, by its number.
    Phone(usize),
    /// The router itself, under the number of this route: a spiral, or a loop where it is its own.
    Router(usize),
    /// An address that nobody has.
    Nowhere,
}

/// One phone.
#[derive(Clone, Debug, Default)]
pub struct PhonePlan {
    /// What it does, and when.
    pub acts: Vec<(Duration, Act)>,
    /// What it does about the calls it gets.
    pub answering: Answering,
    /// What it does about a REFER.
    pub referred: Referred,
    /// What it does about a SUBSCRIBE.
    pub notifying: Notifying,
    /// The router carries out the REFERs of this phone.
    pub handled: bool,
    /// It speaks IPv6.
    pub ipv6: bool,
    /// It never answers requests of this method, and does as if it had never heard them.
    pub deaf: Option<&'static str>,
    /// Max-Forwards of its requests; 70 when `None`.
    pub max_forwards: Option<u32>,
    /// It hangs up when the one it has referred has reached the target.
    pub leaves: Leaving,
}

/// When the one who refers hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// When a notification says that all is well, or that it is not.
    #[default]
    Told,
    /// With the 202, whatever comes.
    Accepted,
    /// The router, the other party or the curtain ends its call.
    Never,
}

/// What a phone does of its own accord. Calls are counted per phone from nought, made and got alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Calls the number of this route.
    Call(usize),
    /// Gives up the INVITE that it sent last (RFC 3261 9.1).
    Cancel,
    /// Ends this call.
    HangUp(usize),
    /// Sends a request inside this call.
    Inside(usize, &'static str),
    /// Refers the other party of this call to the number of a route (RFC 3515).
    Refer(usize, usize),
    /// Refers the other party of this call to that of another one (RFC 3891).
    Transfer(usize, usize),
    /// Subscribes to the number of this route for so many seconds, and refreshes that if it is to last.
    Subscribe(usize, u32, bool),
    /// Ends its last subscription.
    Unsubscribe,
    /// Sends a request outside any dialog to the number of this route.
    Say(&'static str, usize),
}

/// What a phone does about an INVITE.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// A provisional response after so long.
    pub ring: Option<(Duration, u16)>,
    /// The final one comes after so long.
    pub after: Duration,
    /// What that is.
    pub outcome: Outcome,
    /// It has already answered when the CANCEL comes.
    pub crosses_cancel: bool,
}

/// How an INVITE is answered in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// 200.
    #[default]
    Accept,
    /// 200 from two that the INVITE was forked to farther on, the second after so long.
    AcceptTwice(Duration),
    /// Another code.
    Reject(u16),
    /// 302 to these phones, by their number.
    Redirect(Vec<usize>),
    /// Nothing.
    Silence,
}

/// What a phone does about a REFER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referred {
    /// It calls whom it is referred to, and tells how that goes.
    #[default]
    Obeys,
    /// It refuses with this code.
    Refuses(u16),
    /// It hangs up the very moment it has accepted.
    HangsUp,
}

/// What a phone does about a SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
pub struct Notifying {
    /// Refuses with this code.
    pub refuses: Option<u16>,
    /// Grants this many seconds at most.
    pub grants_s: u32,
    /// Tells news this often.
    pub news_every: Duration,
    /// The SUBSCRIBE was forked farther on: another notifier tells its own state.
    pub forks: bool,
    /// The NOTIFY leaves before the 2xx.
    pub hasty: bool,
}

impl Default for Notifying {
    fn default() -> Self {
        Notifying {
            refuses: None,
            grants_s: 600,
            news_every: Duration::from_secs(7),
            forks: false,
            hasty: false,
        }
    }
}

impl Scene {
    /// These phones and routes around one shard and a perfect network.
    pub fn of(routes: Vec<SceneRoute>, phones: Vec<PhonePlan>) -> Scene {
        Scene {
            seed: 1,
            shards: 1,
            misdelivered_percent: 0,
            conditions: Conditions::PERFECT,
            routes,
            phones,
            curtain: Duration::from_secs(60),
        }
    }

    /// Whether nobody is sent to an address that nobody has.
    pub(crate) fn leads_somewhere(&self) -> bool {
        let mut targets = self.routes.iter().flat_map(|route| &route.targets);
        targets.all(|(place, _)| *place != Place::Nowhere)
    }

    /// Whether anybody is sent to the router itself.
    pub(crate) fn spirals(&self) -> bool {
        let mut targets = self.routes.iter().flat_map(|route| &route.targets);
        targets.any(|(place, _)| matches!(place, Place::Router(_)))
    }

    /// The same over this network and several shards.
    #[must_use]
    pub fn over(self, conditions: Conditions, seed: u64) -> Scene {
        Scene {
            conditions,
            seed,
            shards: 1 + (seed % 4) as u8,
            misdelivered_percent: 30,
            ..self
        }
    }
}

impl SceneRoute {
    /// A route to this phone over the back-to-back user agent.
    pub fn bridged(phone: usize) -> SceneRoute {
        SceneRoute {
            targets: vec![(Place::Phone(phone), 1_000)],
            ..SceneRoute::default()
        }
    }

    /// A proxied route to these phones; those of one preference are tried at once.
    pub fn proxied(targets: &[(usize, u16)]) -> SceneRoute {
        let place = |(phone, q): &(usize, u16)| (Place::Phone(*phone), *q);
        SceneRoute {
            proxied: true,
            targets: targets.iter().map(place).collect(),
            ..SceneRoute::default()
        }
    }
}
