//! Scenes of requests outside calls, over the back-to-back user agent: subscriptions that are refreshed, end,
//! expire and fork, and storms of MESSAGE, PUBLISH, INFO and OPTIONS.

use std::time::Duration;

use super::answering;
use crate::draw::Draw;
use crate::scene::plan::{Act, Notifying, Outcome, PhonePlan, Scene, SceneRoute};

const PHONES: usize = 4;
/// Requests of a storm.
const STORM: u64 = 25;

pub(super) fn scene(draw: &mut Draw) -> Scene {
    let routes = (0..PHONES).map(SceneRoute::bridged).collect();
    let phones = (0..PHONES).map(|id| phone(draw, id)).collect();
    Scene {
        curtain: Duration::from_secs(draw.between(15, 90)),
        ..Scene::of(routes, phones)
    }
}

fn phone(draw: &mut Draw, id: usize) -> PhonePlan {
    let other = |draw: &mut Draw| (id + draw.between(1, PHONES as u64 - 1) as usize) % PHONES;
    let mut acts = Vec::new();
    for _ in 0..draw.between(0, 3) {
        let expires = draw.pick(&[0, 2, 5, 20, 60, 3_600]);
        let act = Act::Subscribe(other(draw), expires, draw.chance(60));
        acts.push((draw.millis(0, 10_000), act));
        if draw.chance(40) {
            acts.push((draw.millis(0, 30_000), Act::Unsubscribe));
        }
    }
    let storm = draw.sometimes(30, |draw| draw.between(1, STORM));
    let begin = draw.between(0, 5_000);
    for _ in 0..storm.unwrap_or_default() {
        let method = draw.pick(&["MESSAGE", "PUBLISH", "INFO", "OPTIONS"]);
        let act = Act::Say(method, other(draw));
        acts.push((draw.millis(begin, begin + 500), act));
    }
    if draw.chance(30) {
        acts.push((draw.millis(0, 8_000), Act::Call(other(draw))));
    }
    PhonePlan {
        acts,
        answering: answering(draw, Outcome::Accept),
        notifying: Notifying {
            refuses: draw.sometimes(10, |draw| draw.pick(&[403, 404, 489, 503])),
            grants_s: draw.pick(&[1, 3, 15, 60, 600]),
            news_every: draw.millis(300, 9_000),
            forks: draw.chance(25),
            hasty: draw.chance(30),
        },
        ipv6: draw.chance(10),
        deaf: draw.sometimes(5, |draw| draw.pick(&["NOTIFY", "SUBSCRIBE", "MESSAGE"])),
        ..PhonePlan::default()
    }
}
