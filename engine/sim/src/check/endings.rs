//! Every call ends, once, on each leg, and both parties agree on how. What the agents themselves found
//! wrong is reported here, too.

use super::{Evidence, Finding};
use crate::agent::{Agent, AgentId, End, Side};
use crate::plan::Flow;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let at = evidence
        .tape
        .last()
        .map_or(stack::Time::ZERO, |crossing| crossing.at);
    for agent in evidence.agents {
        let id = agent.identity.id;
        let mut plans = evidence.plan.calls.iter();
        let replaced = plans.any(|call| call.caller.replaces == Some(id.call));
        let retries = evidence
            .call(id)
            .is_some_and(|call| call.caller.inside.retries);
        let again = retries || replaced;
        for what in faults(agent, again) {
            findings.push(Finding {
                at,
                rule: "endings",
                what: format!("{id:?}: {what}"),
            });
        }
    }
    for call in 0..evidence.plan.calls.len() {
        if let Some(what) = disagreement(evidence, call) {
            findings.push(Finding {
                at,
                rule: "endings",
                what: format!("call {call}: {what}"),
            });
        }
    }
}

/// `again`: it may be called again.
fn faults(agent: &Agent, again: bool) -> Vec<String> {
    let facts = agent.facts();
    let mut faults = facts.faults.clone();
    if agent.is_dead() {
        return faults;
    }
    let caller = agent.identity.id.side == Side::Caller;
    if caller && facts.final_code.is_none() {
        faults.push("its INVITE was never answered".to_owned());
    }
    if facts.invites > 1 && !again {
        faults.push(format!("{} INVITEs", facts.invites));
    }
    for dialog in agent.dialogs() {
        if dialog.is_confirmed() && dialog.end().is_none() {
            faults.push("it still believes that the call is up".to_owned());
        }
        if dialog.byes() > 1 {
            faults.push(format!("{} BYEs in one dialog", dialog.byes()));
        }
    }
    faults
}

fn disagreement(evidence: &Evidence<'_>, call: usize) -> Option<String> {
    let caller = evidence.agent(AgentId {
        call,
        side: Side::Caller,
    })?;
    let callee = evidence.agent(AgentId {
        call,
        side: Side::Callee,
    })?;
    let elsewhere = evidence.plan.calls[call].caller.replaces.is_some();
    if caller.is_dead() || callee.is_dead() || elsewhere {
        return None;
    }
    let answered = caller.facts().final_code == Some(200);
    let accepted = callee.dialogs().iter().any(|dialog| dialog.is_confirmed());
    let transparent = evidence.plan.calls[call].route.flow == Flow::Transparent;
    if answered && !accepted && transparent {
        return Some("the caller has a 200 that the callee never sent".to_owned());
    }
    let both_left = [caller, callee]
        .iter()
        .all(|agent| ends(agent) == [End::ByeReceived]);
    let by_router = evidence.sent().any(|(_, to, heard)| {
        to.call == call && heard.is_request() && heard.method == "BYE" && !heard.reasons.is_empty()
    });
    (both_left && !by_router).then(|| "both got a BYE without a reason".to_owned())
}

fn ends(agent: &Agent) -> Vec<End> {
    let confirmed = agent
        .dialogs()
        .iter()
        .filter(|dialog| dialog.is_confirmed());
    confirmed.filter_map(|dialog| dialog.end()).collect()
}
