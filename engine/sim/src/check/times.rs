//! The times of the routing DB and of the RFC: calls that are not answered end when and how they
//! should, and answered ones after `maxCallDuration`.

use std::time::Duration;

use stack::Time;

use super::{Evidence, Finding, GIVING_UP, TICK, TOLERANCE};
use crate::agent::{AgentId, Side};
use crate::heard::Heard;
use crate::plan::Flow;

/// The ringing limit where the route sets no `noAnswerTimeout` (`router::Timers::ringing`).
const RINGING: Duration = Duration::from_secs(185);

/// How a call that nobody ends otherwise will end.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    code: u16,
    /// Q.850 cause in the Reason, where the issue names one.
    cause: Option<&'static str>,
}

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let calls = &evidence.plan.calls;
    let replaced = |at: usize| calls.iter().any(|call| call.caller.replaces == Some(at));
    let plain = |at: &usize| !replaced(*at) && calls[*at].caller.replaces.is_none();
    for call in (0..calls.len()).filter(plain) {
        let story = Story::of(evidence, call);
        let fault = story.setup_fault().or_else(|| story.duration_fault());
        if let Some((at, what)) = fault {
            let what = format!("call {call}: {what}");
            findings.push(Finding {
                at,
                rule: "times",
                what,
            });
        }
    }
}

/// One call as the router saw it.
struct Story<'a> {
    evidence: &'a Evidence<'a>,
    call: usize,
}

impl<'a> Story<'a> {
    fn of(evidence: &'a Evidence<'a>, call: usize) -> Story<'a> {
        Story { evidence, call }
    }

    fn sent(&self, side: Side, fits: impl Fn(&Heard) -> bool) -> Option<(Time, &'a Heard)> {
        let to = AgentId {
            call: self.call,
            side,
        };
        let mut sent = self.evidence.sent();
        sent.find(|(_, id, heard)| *id == to && fits(heard))
            .map(|(at, _, heard)| (at, heard))
    }

    fn received(&self, side: Side, fits: impl Fn(&Heard) -> bool) -> Option<Time> {
        let from = AgentId {
            call: self.call,
            side,
        };
        let mut received = self.evidence.received();
        received
            .find(|(_, id, heard)| *id == from && fits(heard))
            .map(|(at, ..)| at)
    }

    /// When the INVITE left.
    fn begin(&self) -> Option<Time> {
        self.sent(Side::Callee, |heard| {
            heard.is_request() && heard.method == "INVITE"
        })
        .map(|(at, _)| at)
    }

    /// The first thing that ends the setup otherwise than by time running out.
    fn interruption(&self) -> Option<Time> {
        let ends = |method: &'static str| {
            move |heard: &Heard| heard.is_request() && heard.method == method
        };
        let answered = |heard: &Heard| heard.method == "INVITE" && heard.is_final();
        let times = [
            self.received(Side::Callee, answered),
            self.received(Side::Caller, ends("CANCEL")),
            self.received(Side::Caller, ends("BYE")),
            self.received(Side::Callee, |heard| {
                // RFC 3261 12.2.1.2: such an answer ends the dialog, be it an early one.
                heard.method != "INVITE" && matches!(heard.code, 408 | 481)
            }),
            self.evidence.ended_by_order(),
        ];
        times.into_iter().flatten().min()
    }

    /// Everything that would end the setup by itself, in order; `None` when a provisional came so near
    /// to one of them that either may have been first.
    fn dues(&self, begin: Time) -> Option<Vec<Due>> {
        let route = &self.evidence.plan.calls.get(self.call)?.route;
        let mut dues = Vec::new();
        if let Some(time) = route.no_answer {
            dues.push(Due {
                at: begin + time,
                code: 480,
                cause: Some("cause=19"),
            });
        } else if let Some(last) = self.last_provisional() {
            dues.push(Due {
                at: last + RINGING,
                code: 408,
                cause: None,
            });
        }
        // Timer B runs while the callee's name is being resolved, so that nobody waits for longer.
        let asked = self
            .received(Side::Caller, |heard| heard.method == "INVITE")
            .unwrap_or(begin);
        let silences = [
            (
                route.no_18x.map(|time| begin + time),
                180..190,
                Some("cause=18"),
            ),
            (Some(asked + GIVING_UP), 100..200, None),
        ];
        for (at, codes, cause) in silences {
            let Some(at) = at else { continue };
            let ringing = |heard: &Heard| heard.method == "INVITE" && codes.contains(&heard.code);
            match self.received(Side::Callee, ringing) {
                Some(rang) if rang + TICK >= at && rang <= at + TICK => return None,
                Some(rang) if rang < at => {}
                _ => dues.push(Due {
                    at,
                    code: 408,
                    cause,
                }),
            }
        }
        dues.sort_by_key(|due| due.at);
        Some(dues)
    }

    fn last_provisional(&self) -> Option<Time> {
        let from = AgentId {
            call: self.call,
            side: Side::Callee,
        };
        let received = self.evidence.received();
        let provisional = |heard: &Heard| heard.is_answer("INVITE", 1) && heard.code > 100;
        received
            .filter(|(_, id, heard)| *id == from && provisional(heard))
            .map(|(at, ..)| at)
            .last()
    }

    fn setup_fault(&self) -> Option<(Time, String)> {
        let begin = self.begin()?;
        if self.calls_again() {
            return None;
        }
        let dues = self.dues(begin)?;
        let due = dues.first()?;
        let soon = |at: Time| at <= due.at + TOLERANCE;
        if self.interruption().is_some_and(soon) || dues.get(1).is_some_and(|next| soon(next.at)) {
            return self.early_fault(due);
        }
        if self.is_refused() {
            return None;
        }
        let answer = self.sent(Side::Caller, |heard| {
            heard.method == "INVITE" && heard.is_final()
        });
        let early = self.flow() == Some(Flow::EarlyToFinal);
        if early && answer.is_some_and(|(_, answer)| answer.code == 200) {
            // The caller was answered before its time; what ends its call then is a BYE.
            return None;
        }
        let Some((at, answer)) = answer else {
            return Some((due.at, format!("nothing ended it, though {due:?}")));
        };
        let in_time = at + TOLERANCE >= due.at && at <= due.at + TOLERANCE;
        let cause = due.cause.is_none_or(|cause| is_caused(answer, cause));
        if in_time && answer.code == due.code && cause {
            return self.cancel_fault(due);
        }
        Some((
            at,
            format!("{} {:?}, though {due:?}", answer.title(), answer.reasons),
        ))
    }

    /// The times of a setup are those of one INVITE.
    fn calls_again(&self) -> bool {
        let from = AgentId {
            call: self.call,
            side: Side::Caller,
        };
        let begins = |heard: &Heard| heard.method == "INVITE" && heard.to_tag.is_empty();
        let received = self.evidence.received();
        let mut invites = received
            .filter(|(_, id, heard)| *id == from && heard.is_request() && begins(heard))
            .map(|(.., heard)| heard.branch.as_str());
        let first = invites.next();
        invites.any(|branch| Some(branch) != first)
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.evidence.plan.calls.get(self.call)?.route.flow)
    }

    /// ICMP ends an INVITE before its time, and so does a callee that does not answer requests in its
    /// early dialog.
    fn is_refused(&self) -> bool {
        let Some(plan) = self.evidence.plan.calls.get(self.call) else {
            return false;
        };
        let callee = &plan.callee.inside;
        let silent = callee.mute || callee.dies.is_some();
        silent && (plan.caller.early.is_some() || plan.caller.reliable)
            || callee.dies.is_some_and(|death| death.refusing)
    }

    /// Something else came first: then nothing may say that time ran out.
    fn early_fault(&self, due: &Due) -> Option<(Time, String)> {
        let cause = due.cause?;
        let (at, answer) = self.sent(Side::Caller, |heard| {
            heard.method == "INVITE" && heard.is_final()
        })?;
        let early = is_caused(answer, cause) && at + TOLERANCE < due.at;
        early.then(|| (at, format!("{:?}, before {due:?}", answer.reasons)))
    }

    /// The CANCEL to the callee says why, too; it waits for a provisional (RFC 3261 9.1).
    fn cancel_fault(&self, due: &Due) -> Option<(Time, String)> {
        let cause = due.cause?;
        let rang = self.received(Side::Callee, |heard| heard.is_answer("INVITE", 1))?;
        let over = |heard: &Heard| heard.method == "INVITE" && heard.is_final();
        if self
            .received(Side::Callee, over)
            .is_some_and(|over| over <= rang)
        {
            // The provisional was overtaken: nothing is left to cancel.
            return None;
        }
        let cancel = self.sent(Side::Callee, |heard| {
            heard.is_request() && heard.method == "CANCEL"
        });
        let latest = due.at.max(rang) + TOLERANCE;
        match cancel {
            Some((at, cancel)) if at <= latest && is_caused(cancel, cause) => None,
            Some((at, cancel)) => Some((
                at,
                format!("CANCEL with {:?}, though {due:?}", cancel.reasons),
            )),
            // The provisional may come in the moment in which the router gives up.
            None if rang + TOLERANCE > due.at + GIVING_UP => None,
            None => Some((due.at, "the callee was not cancelled".to_owned())),
        }
    }

    /// `maxCallDuration` counts from the caller's ACK and ends both legs.
    fn duration_fault(&self) -> Option<(Time, String)> {
        let plan = self.evidence.plan.calls.get(self.call)?;
        let limit = plan.route.max_duration?;
        let answered = self
            .sent(Side::Caller, |heard| heard.is_answer("INVITE", 2))?
            .1
            .cseq;
        let acked = self.received(Side::Caller, |heard| {
            heard.is_request() && heard.method == "ACK" && heard.cseq == answered
        })?;
        let due = acked + limit;
        let bye = |heard: &Heard| heard.is_request() && heard.method == "BYE";
        let hung_up = [Side::Caller, Side::Callee].map(|side| self.received(side, bye));
        if hung_up
            .into_iter()
            .flatten()
            .any(|at| at <= due + TOLERANCE)
        {
            return None;
        }
        let caller = AgentId {
            call: self.call,
            side: Side::Caller,
        };
        if plan.route.flow != Flow::Transparent && self.evidence.is_unacknowledged(caller, due) {
            return None;
        }
        // A BYE to a fork that lost has no Reason.
        let ended = |heard: &Heard| bye(heard) && !heard.reasons.is_empty();
        // Elsewhere the callee is the router itself, or may not have answered.
        let other = match plan.route.flow {
            Flow::Transparent => Side::Callee,
            Flow::EarlyToFinal | Flow::Echo => Side::Caller,
        };
        let byes = [Side::Caller, other].map(|side| self.sent(side, ended));
        match byes.map(|bye| bye.map(|(at, _)| at)) {
            [Some(caller), Some(callee)] if caller.max(callee) <= due + TOLERANCE => None,
            [Some(_), Some(_)] => Some((due, format!("lasted longer than {limit:?}"))),
            _ => Some((due, "not both legs got a BYE with a Reason".to_owned())),
        }
    }
}

fn is_caused(heard: &Heard, cause: &str) -> bool {
    heard.reasons.iter().any(|reason| {
        reason.starts_with("Q.850") && reason.split(';').any(|part| part.trim() == cause)
    })
}
