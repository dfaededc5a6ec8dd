//! One simulation from its plan to its findings.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use shard::Counters;
use stack::Time;

use crate::agent::{Agent, AgentId, Side};
use crate::check::{self, Evidence, Finding};
use crate::heard::Heard;
use crate::network::Conditions;
use crate::packet::Packet;
use crate::plan::{CallPlan, Plan};
use crate::tape::Crossing;
use crate::world::World;

/// What came of a simulation.
#[derive(Debug)]
pub struct Run {
    /// What the checkers found wrong; empty for a good run.
    pub findings: Vec<Finding>,
    /// Every datagram that crossed the router's edge.
    pub tape: Vec<Crossing>,
    /// Every packet of media that did.
    pub packets: Vec<Packet>,
    /// Caller and callee of each call, one after the other.
    pub agents: Vec<Agent>,
    /// What each shard counted.
    pub counters: Vec<Counters>,
    /// How long it took, in virtual time.
    pub ended: Time,
}

/// Runs a plan to its end and checks what happened.
pub fn run(plan: &Plan) -> Run {
    let mut world = match World::new(plan) {
        Ok(world) => world,
        Err(error) => return Run::failed("routing DB", error),
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run())).err();
    let counters = world
        .shards()
        .iter()
        .map(|shard| shard.counters())
        .collect();
    let packets = std::mem::take(&mut world.packets);
    let (tape, mut findings) = (
        std::mem::take(&mut world.tape),
        std::mem::take(&mut world.findings),
    );
    let ended = world.now();
    let agents = world.into_agents();
    if let Some(payload) = panicked {
        let what = text_of(payload.as_ref());
        findings.push(Finding {
            at: ended,
            rule: "panic",
            what,
        });
    } else {
        findings.extend(check::check(&Evidence {
            plan,
            tape: &tape,
            packets: &packets,
            agents: &agents,
        }));
    }
    Run {
        findings,
        tape,
        packets,
        agents,
        counters,
        ended,
    }
}

/// What a panic said.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|it| (*it).to_owned()));
    text.unwrap_or_default()
}

/// Seeds of the bad networks that [`in_all_weathers`] tries.
const ROUGH_SEEDS: u64 = 25;

/// Plays one call over a perfect network, whose run is returned, and over rough ones on several shards,
/// where the checkers must be content and nothing else is asked.
///
/// # Panics
/// When a checker finds something.
pub fn in_all_weathers(call: &CallPlan) -> Run {
    for seed in 0..ROUGH_SEEDS {
        let plan = Plan::of(call.clone()).over(Conditions::ROUGH, seed);
        let shards = 1 + (seed % 4) as u8;
        run(&Plan {
            shards,
            misdelivered_percent: 30,
            ..plan
        })
        .expect_clean();
    }
    let calm = run(&Plan::of(call.clone()));
    calm.expect_clean();
    calm
}

impl Run {
    fn failed(rule: &'static str, what: String) -> Run {
        let findings = vec![Finding {
            at: Time::ZERO,
            rule,
            what,
        }];
        let (tape, agents, counters) = (Vec::new(), Vec::new(), Vec::new());
        Run {
            findings,
            tape,
            packets: Vec::new(),
            agents,
            counters,
            ended: Time::ZERO,
        }
    }

    /// The caller of a call.
    ///
    /// # Panics
    /// When the plan has no such call.
    pub fn caller(&self, call: usize) -> &Agent {
        &self.agents[call * 2]
    }

    /// The callee of a call.
    ///
    /// # Panics
    /// When the plan has no such call.
    pub fn callee(&self, call: usize) -> &Agent {
        &self.agents[call * 2 + 1]
    }

    /// What the router sent to one party of a call, and when.
    pub fn sent(&self, call: usize, side: Side) -> impl Iterator<Item = (Time, &Heard)> {
        let to = AgentId { call, side };
        let sent = self
            .tape
            .iter()
            .filter_map(move |crossing| Some((crossing.at, crossing.sent()?)));
        sent.filter(move |(_, (id, _))| *id == to)
            .map(|(at, (_, heard))| (at, heard))
    }

    /// The titles (`INVITE`, `180 INVITE`) of what the router sent to one party, copies left out.
    pub fn titles(&self, call: usize, side: Side) -> Vec<String> {
        let mut seen: Vec<&Heard> = Vec::new();
        for (_, heard) in self.sent(call, side) {
            if !seen.contains(&heard) {
                seen.push(heard);
            }
        }
        seen.into_iter().map(Heard::title).collect()
    }

    /// Fails the test when a checker found something, with the whole trace.
    ///
    /// # Panics
    /// Then.
    pub fn expect_clean(&self) -> &Run {
        assert!(
            self.findings.is_empty(),
            "{}\n{}",
            self.trace(),
            self.verdict()
        );
        self
    }

    /// Every message and packet with its virtual time.
    pub fn trace(&self) -> String {
        let messages = self
            .tape
            .iter()
            .map(|crossing| (crossing.at, format!("{crossing}\n")));
        let packets = self
            .packets
            .iter()
            .map(|packet| (packet.at, format!("{packet}\n")));
        let mut lines: Vec<(Time, String)> = messages.chain(packets).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The findings, a line each.
    pub fn verdict(&self) -> String {
        self.findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect()
    }
}
