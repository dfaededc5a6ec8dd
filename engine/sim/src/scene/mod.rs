//! Scenes: several phones around one router. Where worlds of calls have pairs of a caller and a callee, here
//! any phone may call, transfer, subscribe to and be forked to with any other, through the router as a proxy
//! or as a back-to-back user agent. The phones know where they are: they follow Record-Route, hang up all but
//! one of several answers, and keep the subscriptions of their transfers.

mod check;
mod phone;
mod plan;
mod random;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use shard::Counters;
use stack::Time;

use self::check::Evidence;
pub use self::phone::Lived;
pub use self::plan::{
    Act, Answering, Leaving, Notifying, Outcome, PhonePlan, Place, Referred, Scene, SceneRoute,
};
use self::stage::Stage;
use crate::check::Finding;
use crate::network::Conditions;
use crate::run::text_of;
use crate::tape::Crossing;

/// What came of a scene.
#[derive(Debug)]
pub struct Played {
    /// What the checkers found wrong; empty for a good one.
    pub findings: Vec<Finding>,
    /// Every datagram that crossed the router's edge.
    pub tape: Vec<Crossing>,
    /// What each phone has lived through.
    pub lived: Vec<Lived>,
    /// What each shard counted.
    pub counters: Vec<Counters>,
}

/// Plays a scene to its end and checks what happened.
pub fn play(scene: &Scene) -> Played {
    let mut stage = match Stage::new(scene) {
        Ok(stage) => stage,
        Err(what) => return Played::failed(what),
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| stage.run())).err();
    let mut findings = std::mem::take(&mut stage.findings);
    match panicked {
        Some(payload) => findings.push(Finding {
            at: stage.now(),
            rule: "panic",
            what: text_of(payload.as_ref()),
        }),
        None => findings.extend(check::check(&Evidence {
            scene,
            tape: &stage.tape,
            phones: &stage.phones,
        })),
    }
    let counters = stage.shards().iter().map(|shard| shard.counters());
    Played {
        findings,
        counters: counters.collect(),
        lived: stage.phones.iter().map(|it| it.lived().clone()).collect(),
        tape: stage.tape,
    }
}

/// Seeds of the bad networks that [`play_in_all_weathers`] tries.
const ROUGH_SEEDS: u64 = 25;

/// Plays a scene over a perfect network, which is returned, and over rough ones on several shards, where the
/// checkers must be content and nothing else is asked.
///
/// # Panics
/// When a checker finds something.
pub fn play_in_all_weathers(scene: &Scene) -> Played {
    for seed in 0..ROUGH_SEEDS {
        play(&scene.clone().over(Conditions::ROUGH, seed)).expect_clean();
    }
    let calm = play(scene);
    calm.expect_clean();
    calm
}

impl Played {
    fn failed(what: String) -> Played {
        let at = Time::ZERO;
        let rule = "routing DB";
        Played {
            findings: vec![Finding { at, rule, what }],
            tape: Vec::new(),
            lived: Vec::new(),
            counters: Vec::new(),
        }
    }

    /// The titles (`INVITE`, `180 INVITE`) of what the router sent to one phone, copies left out.
    pub fn titles(&self, phone: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for crossing in self.tape.iter().filter(|it| !it.inbound) {
            if let (Some(id), Ok(heard)) = (crossing.phone(), &crossing.heard)
                && id == phone
                && !seen.contains(&heard)
            {
                seen.push(heard);
            }
        }
        seen.into_iter().map(crate::heard::Heard::title).collect()
    }

    /// Fails the test when a checker found something, with the whole trace.
    ///
    /// # Panics
    /// Then.
    pub fn expect_clean(&self) -> &Played {
        let (trace, verdict) = (self.trace(), self.verdict());
        assert!(self.findings.is_empty(), "{trace}\n{verdict}");
        self
    }

    /// Every message with its virtual time.
    pub fn trace(&self) -> String {
        self.tape.iter().map(|it| format!("{it}\n")).collect()
    }

    /// The findings, a line each.
    pub fn verdict(&self) -> String {
        self.findings.iter().map(|it| format!("{it}\n")).collect()
    }
}
