//! What must hold whatever happens: the checkers, one subject a file. Each reads the evidence of a
//! finished run and says what is wrong with it; none of them knows how the router works inside.

mod amounts;
mod dialogs;
mod endings;
mod form;
mod hiding;
mod identities;
mod media;
mod passing;
mod ringing;
mod states;
mod strangers;
#[cfg(test)]
mod tests;
mod times;
mod transactions;

use std::fmt;
use std::time::Duration;

use stack::Time;

use crate::agent::{Agent, AgentId, Side};
use crate::heard::Heard;
use crate::packet::Packet;
use crate::plan::{CallPlan, Order, Plan};
use crate::tape::{Crossing, seconds};

/// 64*T1: when anybody gives up.
const GIVING_UP: Duration = Duration::from_secs(32);
/// RFC 3261 17.2.1: how long a refused INVITE is remembered after its ACK.
const TIMER_I: Duration = Duration::from_secs(5);
/// Within this time of a timer's end a message may come before or after it.
const TICK: Duration = Duration::from_millis(5);
/// How exactly times are kept.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When it happened or was found.
    pub at: Time,
    /// Which rule was broken.
    pub rule: &'static str,
    /// How.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>11.6}  [{}] {}",
            seconds(self.at),
            self.rule,
            self.what
        )
    }
}

/// What a finished run leaves behind.
pub(crate) struct Evidence<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) tape: &'a [Crossing],
    pub(crate) packets: &'a [Packet],
    /// Caller and callee of each call, one after the other.
    pub(crate) agents: &'a [Agent],
}

impl Evidence<'_> {
    /// Messages to agents.
    fn sent(&self) -> impl Iterator<Item = (Time, AgentId, &Heard)> {
        let sent = self
            .tape
            .iter()
            .filter_map(|crossing| Some((crossing.at, crossing.sent()?)));
        sent.map(|(at, (id, heard))| (at, id, heard))
    }

    /// Messages of agents.
    fn received(&self) -> impl Iterator<Item = (Time, AgentId, &Heard)> {
        let received = self
            .tape
            .iter()
            .filter_map(|crossing| Some((crossing.at, crossing.received()?)));
        received.map(|(at, (id, heard))| (at, id, heard))
    }

    fn agent(&self, id: AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.identity.id == id)
    }

    fn call(&self, id: AgentId) -> Option<&CallPlan> {
        self.plan.calls.get(id.call)
    }

    /// Whether an agent may have left something unanswered: it died, or it is meant to be mute.
    fn is_excused(&self, id: AgentId) -> bool {
        let plan = self.call(id).map(|call| match id.side {
            Side::Caller => &call.caller.inside,
            Side::Callee => &call.callee.inside,
        });
        plan.is_some_and(|plan| plan.mute || plan.dies.is_some())
    }

    /// Whether a 2xx to this agent waited for its ACK: a BYE of the router's must wait with it (RFC 3261
    /// 15).
    fn is_unacknowledged(&self, id: AgentId, at: Time) -> bool {
        let mut sent = self
            .sent()
            .filter(|(when, to, heard)| *to == id && *when < at && heard.is_answer("INVITE", 2));
        let acked = |cseq: u32| {
            let mut received = self.received();
            received.any(|(when, from, heard)| {
                from == id && when < at && heard.method == "ACK" && heard.cseq == cseq
            })
        };
        sent.any(|(.., heard)| !acked(heard.cseq))
    }

    /// What the router's clock says at this time: it may leap.
    fn router_time(&self, at: Time) -> Time {
        let leaps = self.plan.ordeal.iter().flat_map(|ordeal| &ordeal.leaps);
        let past = leaps.filter(|(when, _)| Time::ZERO + *when <= at);
        past.fold(at, |time, (_, by)| time + *by)
    }

    /// Whether the transaction that was answered finally like this and then may be over, so that a copy of its
    /// request begins a new one: timers J and L, and timer I after the ACK (RFC 3261 17.2, RFC 6026 7.1).
    fn is_over(&self, to: AgentId, answer: (Time, &Heard), at: Time) -> bool {
        let (first, heard) = answer;
        let now = self.router_time(at);
        let since = |then: Time| now.duration_since(self.router_time(then)) + TICK;
        if since(first) >= GIVING_UP {
            return true;
        }
        let refused = heard.method == "INVITE" && heard.code >= 300;
        let ack =
            |heard: &Heard, other: &Heard| heard.method == "ACK" && heard.branch == other.branch;
        let mut received = self.received();
        refused
            && received
                .find(|(_, from, known)| *from == to && ack(known, heard))
                .is_some_and(|(then, ..)| since(then) >= TIMER_I)
    }

    /// When all calls were ended by an order, if they were.
    fn ended_by_order(&self) -> Option<Time> {
        let mut orders = self.plan.orders.iter();
        let order = orders.find(|(_, order)| *order == Order::EndAll)?;
        Some(Time::ZERO + order.0)
    }
}

type Rule = fn(&Evidence<'_>, &mut Vec<Finding>);

/// What holds in every world.
const ALWAYS: [Rule; 8] = [
    form::check,
    hiding::check,
    passing::check,
    transactions::check,
    states::check,
    identities::check,
    amounts::check,
    strangers::check,
];

/// What can be asked where nobody is kept from keeping time: see [`Plan::is_fair`].
const FAIR: [Rule; 7] = [
    transactions::check_fair,
    dialogs::check,
    states::check_refusals,
    times::check,
    ringing::check,
    endings::check,
    media::check,
];

/// Lists what is wrong.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Finding> {
    let fair = if evidence.plan.is_fair() {
        &FAIR[..]
    } else {
        &[]
    };
    let mut findings = Vec::new();
    for rule in ALWAYS.iter().chain(fair) {
        rule(evidence, &mut findings);
    }
    findings.sort_by_key(|finding| finding.at);
    findings
}
