//! Scenes of transfers: blind and attended, passed through and carried out by the router, with hang-ups that
//! cross them and notifications that are lost.

use std::time::Duration;

use super::{answering, inside};
use crate::draw::Draw;
use crate::scene::plan::{Act, Leaving, Outcome, PhonePlan, Referred, Scene, SceneRoute};

/// Phone 0 calls 1 and refers it to 2, or the other way round; 3 is somebody else.
const PHONES: usize = 4;

pub(super) fn scene(draw: &mut Draw) -> Scene {
    let routes = (0..PHONES).map(SceneRoute::bridged).collect();
    let mut phones: Vec<PhonePlan> = (0..PHONES).map(|_| phone(draw)).collect();
    phones[0].acts.push((draw.millis(0, 2_000), Act::Call(1)));
    // Who refers is the caller or the callee.
    let from = draw.between(0, 1) as usize;
    let at = draw.between(2_000, 9_000);
    if draw.chance(50) {
        phones[from]
            .acts
            .push((draw.millis(at, at), Act::Refer(0, 2)));
    } else {
        phones[from].acts.push((draw.millis(at, at), Act::Call(2)));
        let later = draw.between(at + 100, at + 9_000);
        phones[from]
            .acts
            .push((draw.millis(later, later), Act::Transfer(0, 1)));
    }
    if draw.chance(20) {
        let again = draw.millis(at, at + 6_000);
        phones[1 - from].acts.push((again, Act::Refer(0, 3)));
    }
    cross(draw, &mut phones, at);
    Scene {
        curtain: Duration::from_secs(draw.between(25, 60)),
        ..Scene::of(routes, phones)
    }
}

/// Somebody hangs up at about the time of the transfer.
fn cross(draw: &mut Draw, phones: &mut [PhonePlan], at: u64) {
    for phone in phones.iter_mut().take(3) {
        if draw.chance(20) {
            let after = draw.millis(at, at + 12_000);
            phone
                .acts
                .push((after, Act::HangUp(draw.between(0, 1) as usize)));
        }
    }
}

fn phone(draw: &mut Draw) -> PhonePlan {
    let outcome = match draw.between(0, 9) {
        0 => Outcome::Reject(draw.pick(&[404, 486, 480, 603])),
        1 => Outcome::Silence,
        2 => Outcome::AcceptTwice(draw.millis(0, 2_000)),
        _ => Outcome::Accept,
    };
    PhonePlan {
        acts: inside(draw, 2_000),
        answering: answering(draw, outcome),
        referred: match draw.between(0, 9) {
            0 => Referred::Refuses(draw.pick(&[403, 603, 481])),
            1 => Referred::HangsUp,
            _ => Referred::Obeys,
        },
        handled: draw.chance(50),
        ipv6: draw.chance(10),
        deaf: draw.sometimes(4, |draw| draw.pick(&["NOTIFY", "REFER"])),
        leaves: draw.pick(&[
            Leaving::Told,
            Leaving::Told,
            Leaving::Accepted,
            Leaving::Never,
        ]),
        ..PhonePlan::default()
    }
}
