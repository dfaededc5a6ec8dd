//! Media drawn from a seed: which calls are steered, echoed or transformed, and who says what of its
//! streams. It has choices of its own, so that everything else of a seed stays as it is.

use std::time::Duration;

use media::Latching;

use crate::draw::Draw;
use crate::plan::{CallPlan, Change, Flow, MediaPlan, Nat, Plan, TalkPlan};

/// Percentage of worlds with media.
const SHARE: u64 = 35;

const CHANGES: [Change; 16] = [
    Change::Nothing,
    Change::Nothing,
    Change::SendOnly,
    Change::ReceiveOnly,
    Change::Inactive,
    Change::Unspecified,
    Change::Resume,
    Change::Resume,
    Change::Resume,
    Change::Move,
    Change::Move,
    Change::Add,
    Change::Remove,
    Change::Fax,
    Change::Voice,
    Change::Ask,
];

/// Gives a plan its media, if this seed has any.
pub(super) fn add(plan: &mut Plan) {
    let mut draw = Draw::new(plan.seed ^ 0x7274_7020_0a15_ee01);
    if !draw.chance(SHARE) {
        return;
    }
    plan.media = Some(media(&mut draw));
    for call in &mut plan.calls {
        add_to_call(&mut draw, call);
    }
}

fn media(draw: &mut Draw) -> MediaPlan {
    MediaPlan {
        pairs: draw.pick(&[1, 2, 3, 4, 50, 50, 50, 50]),
        silence: draw.sometimes(20, |draw| draw.millis(2_000, 12_000)),
        spoofs: if draw.chance(50) {
            draw.between(1, 120)
        } else {
            0
        },
        forged: draw.chance(30),
    }
}

fn add_to_call(draw: &mut Draw, call: &mut CallPlan) {
    call.route.flow = draw.pick(&[
        Flow::Transparent,
        Flow::Transparent,
        Flow::Transparent,
        Flow::EarlyToFinal,
        Flow::Echo,
    ]);
    call.route.steer = draw.chance(80);
    let carried = call.route.steer || call.route.flow == Flow::Echo;
    if carried {
        let named = call.route.name.is_some();
        call.caller.talk = Some(talk(draw, false));
        call.callee.talk = Some(talk(draw, named));
    }
    if draw.chance(25) {
        storm(draw, call);
    }
    if call.route.flow == Flow::Echo {
        end_echo(draw, call);
    }
}

fn talk(draw: &mut Draw, named: bool) -> TalkPlan {
    let rules = [Latching::Latch, Latching::LatchSameHost, Latching::Strict];
    TalkPlan {
        // Who has no address yet when its first streams are opened is under the usual rule.
        latching: if named {
            Latching::default()
        } else {
            draw.pick(&rules)
        },
        nat: draw.sometimes(30, |draw| draw.pick(&[Nat::Port, Nat::Host])),
        mux: draw.chance(40),
        far_rtcp: draw.chance(15),
        video: draw.chance(25),
        plain: draw.chance(20),
        faxless: draw.chance(30),
        thinks_again: draw.chance(15),
        offers_in_prack: draw.chance(25),
        changes: (0..draw.between(1, 6))
            .map(|_| draw.pick(&CHANGES))
            .collect(),
    }
}

/// Both ends make offers again and again.
fn storm(draw: &mut Draw, call: &mut CallPlan) {
    for inside in [&mut call.caller.inside, &mut call.callee.inside] {
        for _ in 0..draw.between(2, 12) {
            let method = draw.pick(&["INVITE", "INVITE", "INVITE", "UPDATE"]);
            inside.requests.push((draw.millis(0, 10_000), method));
        }
    }
}

/// Nobody but the caller can end a call to the router.
fn end_echo(draw: &mut Draw, call: &mut CallPlan) {
    call.caller.inside.hang_up = Some(draw.millis(500, 25_000));
    if call.caller.inside.dies.is_some() && call.route.max_duration.is_none() {
        call.route.max_duration = Some(Duration::from_secs(20));
    }
}
