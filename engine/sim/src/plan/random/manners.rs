//! Manners drawn from a seed: how the router is set up beside its media, answers of many sorts, requests that
//! are sent again, session timers of the parties. They have choices of their own, so that everything else
//! of a seed stays as it is.

use router::{Refreshes, Reliable, SessionTimer};

use crate::draw::Draw;
use crate::plan::{CallPlan, Flow, InsidePlan, Plan, RouterPlan, Step};

/// Percentage of worlds with other manners than the plain ones.
const SHARE: u64 = 40;

/// Answers to requests inside a call.
const ANSWERS: [u16; 22] = [
    200, 200, 200, 200, 202, 100, 182, 183, 302, 400, 401, 407, 405, 413, 420, 480, 488, 491, 500,
    503, 600, 606,
];

/// Gives a plan its manners, if this seed has any.
pub(super) fn add(plan: &mut Plan) {
    let mut draw = Draw::new(plan.seed ^ 0x6d61_6e6e_6572_0001);
    if !draw.chance(SHARE) {
        return;
    }
    plan.router = router(&mut draw);
    let mut more = Draw::new(plan.seed ^ 0x6d61_6e6e_6572_0002);
    for call in &mut plan.calls {
        for inside in [&mut call.caller.inside, &mut call.callee.inside] {
            inside.refreshes = more.chance(60);
            add_to_party(&mut draw, inside);
        }
        if draw.chance(20) {
            challenge(&mut draw, call);
        }
    }
    if draw.chance(40) {
        replace(&mut draw, plan);
    }
}

/// The last caller takes the place of the first, whose callee is there to see it.
fn replace(draw: &mut Draw, plan: &mut Plan) {
    let there = |call: &CallPlan| {
        let inside = &call.callee.inside;
        !inside.mute && inside.dies.is_none() && call.route.flow == Flow::Transparent
    };
    let silent = plan.media.is_none() && plan.calls.iter().all(there);
    if let [_, .., last] = plan.calls.as_mut_slice()
        && silent
    {
        last.caller.replaces = Some(0);
        (last.caller.inside.dies, last.caller.inside.mute) = (None, false);
        last.caller.inside.hang_up = Some(draw.millis(500, 25_000));
        last.caller.starts = draw.millis(2_000, 12_000);
    }
}

fn router(draw: &mut Draw) -> RouterPlan {
    RouterPlan {
        session_timer: draw.sometimes(50, session_timer),
        probe: draw.sometimes(25, |draw| draw.millis(1_000, 10_000)),
        reliable: draw.pick(&[Reliable::Pass, Reliable::Interwork, Reliable::Offer]),
    }
}

fn session_timer(draw: &mut Draw) -> SessionTimer {
    let min_se_s = draw.between(1, 10) as u32;
    SessionTimer {
        session_expires_s: min_se_s + draw.between(2, 30) as u32,
        min_se_s,
        refreshes: draw.pick(&[Refreshes::Auto, Refreshes::Peer, Refreshes::Router]),
    }
}

fn add_to_party(draw: &mut Draw, inside: &mut InsidePlan) {
    if draw.chance(40) {
        inside.answers = (0..draw.between(1, 5))
            .map(|_| draw.pick(&ANSWERS))
            .collect();
    }
    inside.retries = draw.chance(60);
    inside.min_se = draw.sometimes(50, |draw| draw.between(1, 30) as u32);
    inside.session_expires = draw.sometimes(50, |draw| draw.between(2, 60) as u32);
    for _ in 0..draw.between(0, 2) {
        let method = draw.pick(&["SUBSCRIBE", "UPDATE", "INVITE", "INFO"]);
        inside.requests.push((draw.millis(0, 12_000), method));
    }
}

/// The first INVITE is refused for now, and the caller calls again. Not so one that talks: what comes of its
/// streams is known of one INVITE only.
fn challenge(draw: &mut Draw, call: &mut CallPlan) {
    if call.route.flow == Flow::Transparent && call.caller.talk.is_none() {
        let code = draw.pick(&[401, 407, 500, 480]);
        call.callee.steps.insert(0, Step::Reject(code));
        call.caller.inside.retries = true;
    }
}
