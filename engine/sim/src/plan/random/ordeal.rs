//! Ordeals drawn from a seed. They have choices of their own, so that everything else of a seed stays as
//! it is.

use std::time::Duration;

use crate::draw::Draw;
use crate::plan::{OrdealPlan, Order, Plan};

/// Percentage of worlds with an ordeal.
const SHARE: u64 = 25;

/// Gives a plan its ordeal, if this seed has any.
pub(super) fn add(plan: &mut Plan) {
    let mut draw = Draw::new(plan.seed ^ 0x6f72_6465_616c_0001);
    if !draw.chance(SHARE) {
        return;
    }
    if draw.chance(50) {
        // Beyond the life of any transaction.
        plan.conditions.late_percent = draw.between(1, 5);
        plan.conditions.late_ms_max = draw.pick(&[5_000, 20_000, 40_000]);
    }
    plan.ordeal = Some(OrdealPlan {
        leaps: draw.sometimes(40, moments).unwrap_or_default(),
        pauses: draw.sometimes(40, moments).unwrap_or_default(),
        ghosts: draw
            .sometimes(50, |draw| draw.between(1, 30))
            .unwrap_or_default(),
        alarms: draw
            .sometimes(30, |draw| draw.between(1, 5))
            .unwrap_or_default(),
    });
    for _ in 0..draw.between(0, 2) {
        let order = draw.pick(&[
            Order::Reload,
            Order::Reload,
            Order::ForgetRoutes,
            Order::Drain,
            Order::EndAll,
        ]);
        plan.orders.push((draw.millis(0, 40_000), order));
    }
}

/// When, and how long: from a hiccup to a night of a virtual machine.
fn moments(draw: &mut Draw) -> Vec<(Duration, Duration)> {
    let longest = draw.pick(&[300, 3_000, 40_000, 300_000]);
    (0..draw.between(1, 3))
        .map(|_| (draw.millis(0, 40_000), draw.millis(1, longest)))
        .collect()
}
