//! Scenes behind a proxy: forks at once and one after the other, redirections, losers, cancels, loops.

use std::time::Duration;

use super::{answering, inside};
use crate::draw::Draw;
use crate::scene::plan::{Act, Notifying, Outcome, PhonePlan, Place, Scene, SceneRoute};

/// Phones that call; the others are called.
const CALLERS: u64 = 2;

pub(super) fn scene(draw: &mut Draw) -> Scene {
    let (callees, routes) = (draw.between(2, 4), draw.between(2, 4));
    let all = (CALLERS + callees) as usize;
    let route = |at: u64, draw: &mut Draw| route(draw, at as usize, all);
    let routes: Vec<SceneRoute> = (0..routes).map(|at| route(at, draw)).collect();
    let count = routes.len() as u64;
    let phones = (0..all as u64).map(|id| match id < CALLERS {
        true => caller(draw, count),
        false => callee(draw, all),
    });
    let phones = phones.collect();
    Scene {
        curtain: Duration::from_secs(draw.between(20, 60)),
        ..Scene::of(routes, phones)
    }
}

fn route(draw: &mut Draw, at: usize, phones: usize) -> SceneRoute {
    let targets = draw.between(1, 4);
    let place = |draw: &mut Draw| match draw.between(0, 29) {
        0 => Place::Nowhere,
        // Upwards it is a spiral; to itself, a loop.
        1 | 2 => Place::Router(at + draw.between(0, 1) as usize),
        _ => Place::Phone(draw.between(CALLERS, phones as u64 - 1) as usize),
    };
    let target = |draw: &mut Draw| (place(draw), draw.pick(&[1_000, 1_000, 500, 200]));
    SceneRoute {
        proxied: true,
        recurse: draw.chance(50),
        targets: (0..targets).map(|_| target(draw)).collect(),
        no_answer: draw.sometimes(25, |draw| draw.millis(500, 10_000)),
        no_18x: draw.sometimes(20, |draw| draw.millis(500, 6_000)),
    }
}

fn caller(draw: &mut Draw, routes: u64) -> PhonePlan {
    let mut acts = Vec::new();
    for _ in 0..draw.between(1, 3) {
        let at = draw.between(0, 12_000);
        let route = draw.between(0, routes - 1) as usize;
        acts.push((draw.millis(at, at), act(draw, route)));
        if draw.chance(25) {
            acts.push((draw.millis(at, at + 4_000), Act::Cancel));
        }
    }
    acts.extend(inside(draw, 3_000));
    if draw.chance(50) {
        acts.push((draw.millis(4_000, 18_000), Act::HangUp(0)));
    }
    PhonePlan {
        acts,
        max_forwards: draw.sometimes(5, |draw| draw.pick(&[0, 1, 2])),
        ipv6: draw.chance(10),
        ..PhonePlan::default()
    }
}

fn act(draw: &mut Draw, route: usize) -> Act {
    match draw.between(0, 9) {
        0 => Act::Say(draw.pick(&["MESSAGE", "OPTIONS", "PUBLISH", "INFO"]), route),
        1 => Act::Subscribe(route, draw.between(10, 60) as u32, draw.chance(50)),
        _ => Act::Call(route),
    }
}

fn callee(draw: &mut Draw, phones: usize) -> PhonePlan {
    let last = phones as u64 - 1;
    let outcome = match draw.between(0, 11) {
        0..=4 => Outcome::Accept,
        5 => Outcome::AcceptTwice(draw.millis(0, 3_000)),
        6 | 7 => Outcome::Redirect(
            (0..draw.between(1, 2))
                .map(|_| draw.between(CALLERS, last) as usize)
                .collect(),
        ),
        8 => Outcome::Silence,
        _ => Outcome::Reject(draw.pick(&[401, 404, 407, 408, 480, 486, 500, 503, 600, 603])),
    };
    PhonePlan {
        acts: inside(draw, 5_000),
        answering: answering(draw, outcome),
        notifying: Notifying {
            grants_s: draw.between(5, 40) as u32,
            forks: draw.chance(20),
            hasty: draw.chance(30),
            ..Notifying::default()
        },
        ipv6: draw.chance(10),
        ..PhonePlan::default()
    }
}
