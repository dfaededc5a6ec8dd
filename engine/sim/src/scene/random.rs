//! Scenes drawn from a seed: behind a proxy, transfers, subscriptions, each in any combination that must end.

mod proxied;
mod subscriptions;
mod transfers;

use std::time::Duration;

use super::plan::{Act, Answering, Outcome, Scene};
use crate::draw::Draw;
use crate::network::Conditions;

impl Scene {
    /// The scene of a seed.
    pub fn random(seed: u64) -> Scene {
        let mut draw = Draw::new(seed ^ 0x7363_656e_6500_0001);
        let scene = match draw.between(0, 9) {
            0..=3 => proxied::scene(&mut draw),
            4..=6 => transfers::scene(&mut draw),
            _ => subscriptions::scene(&mut draw),
        };
        Scene {
            seed,
            shards: draw.between(1, 4) as u8,
            misdelivered_percent: draw.pick(&[0, 20, 100]),
            conditions: Conditions::random(&mut draw),
            // Timer C has the time to end what rings without end (RFC 3261 16.6).
            curtain: scene.curtain * draw.pick(&[1, 1, 1, 1, 1, 1, 1, 10]),
            ..scene
        }
    }
}

/// What a phone does about a call: mostly it rings and answers.
fn answering(draw: &mut Draw, outcome: Outcome) -> Answering {
    Answering {
        ring: draw.sometimes(75, |draw| {
            (draw.millis(0, 1_500), draw.pick(&[180, 180, 181, 183]))
        }),
        after: draw.millis(0, 5_000),
        outcome,
        crosses_cancel: draw.chance(15),
    }
}

/// What happens inside the first calls of a phone.
fn inside(draw: &mut Draw, from: u64) -> Vec<(Duration, Act)> {
    let methods = ["INVITE", "INFO", "MESSAGE", "OPTIONS", "UPDATE"];
    (0..draw.between(0, 3))
        .map(|_| {
            let act = Act::Inside(draw.between(0, 1) as usize, draw.pick(&methods));
            (draw.millis(from, from + 20_000), act)
        })
        .collect()
}
