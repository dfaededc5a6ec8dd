//! Plans drawn from a seed: anything that people and networks do, in any combination that must end.

mod manners;
mod ordeal;
mod talk;

use std::time::Duration;

use crate::draw::Draw;
use crate::network::Conditions;
use crate::plan::{
    Ack, CallPlan, CalleePlan, CallerPlan, Cancel, Cancelled, Death, Flow, InsidePlan, NamePlan,
    Order, Plan, RoutePlan, RouterPlan, Step,
};

/// Methods of requests inside a call, PING standing for those nobody has heard of.
const METHODS: [&str; 9] = [
    "INVITE", "INVITE", "UPDATE", "INFO", "MESSAGE", "NOTIFY", "REFER", "OPTIONS", "PING",
];

/// Messages that a party may miss. A missed INVITE or its answer would add to the losses of a bad
/// network, which are all that timer B allows for.
const MISSED: [&str; 9] = [
    "ACK",
    "ACK",
    "200 INVITE",
    "100 INVITE",
    "487 INVITE",
    "BYE",
    "200 BYE",
    "CANCEL",
    "200 CANCEL",
];

impl Plan {
    /// The plan of a seed.
    pub fn random(seed: u64) -> Plan {
        let mut draw = Draw::new(seed);
        let calls = draw.between(1, 5);
        let calls_max = if draw.chance(5) { 1 } else { 1_000 };
        let mut plan = Plan {
            seed,
            shards: draw.between(1, 4) as u8,
            misdelivered_percent: draw.pick(&[0, 20, 100]),
            conditions: Conditions::random(&mut draw),
            calls: (0..calls).map(|_| call(&mut draw)).collect(),
            calls_max,
            orders: orders(&mut draw),
            intrusions: if draw.chance(30) {
                draw.between(1, 40)
            } else {
                0
            },
            media: None,
            router: RouterPlan::default(),
            ordeal: None,
        };
        talk::add(&mut plan);
        ordeal::add(&mut plan);
        manners::add(&mut plan);
        for call in &mut plan.calls {
            call.caller.asides = asides(&mut draw);
        }
        plan
    }
}

fn orders(draw: &mut Draw) -> Vec<(Duration, Order)> {
    let order = draw.pick(&[Order::Drain, Order::EndAll, Order::ForgetRoutes]);
    draw.sometimes(15, |draw| (draw.millis(0, 20_000), order))
        .into_iter()
        .collect()
}

fn call(draw: &mut Draw) -> CallPlan {
    let mut call = CallPlan {
        caller: caller(draw),
        callee: callee(draw),
        route: route(draw),
    };
    if draw.chance(10) {
        collide(draw, &mut call);
    }
    make_it_end(draw, &mut call);
    call
}

/// Requests beside the call. They need no call, and may come before, during and after it.
fn asides(draw: &mut Draw) -> Vec<(Duration, &'static str)> {
    let methods = ["MESSAGE", "OPTIONS", "INFO", "PUBLISH"];
    let some = if draw.chance(25) {
        draw.between(1, 4)
    } else {
        0
    };
    (0..some)
        .map(|_| (draw.millis(0, 20_000), draw.pick(&methods)))
        .collect()
}

/// Both want the same at almost the same time.
fn collide(draw: &mut Draw, call: &mut CallPlan) {
    let (at, method) = (
        draw.between(0, 5_000),
        draw.pick(&["INVITE", "INVITE", "UPDATE"]),
    );
    for inside in [&mut call.caller.inside, &mut call.callee.inside] {
        inside.requests.push((draw.millis(at, at + 40), method));
    }
}

/// Whoever may outlive the other hangs up at last: this router has no session timers.
fn make_it_end(draw: &mut Draw, call: &mut CallPlan) {
    let (caller, callee) = (&mut call.caller.inside, &mut call.callee.inside);
    if caller.dies.is_some() {
        callee.dies = None;
        callee.hang_up = Some(draw.millis(500, 25_000));
    } else if callee.dies.is_some() || callee.hang_up.is_none() {
        caller.hang_up = Some(draw.millis(500, 25_000));
    }
}

fn caller(draw: &mut Draw) -> CallerPlan {
    CallerPlan {
        starts: draw.millis(0, 4_000),
        delayed_offer: draw.chance(20),
        max_forwards: draw.sometimes(5, |draw| draw.pick(&[0, 1, 2, 255])),
        cancel: draw.sometimes(18, cancel),
        early_bye: draw.sometimes(5, |draw| draw.millis(0, 2_000)),
        early: draw.sometimes(15, |draw| {
            (
                draw.millis(0, 1_500),
                draw.pick(&["UPDATE", "INFO", "MESSAGE", "PING"]),
            )
        }),
        ack: ack(draw),
        reliable: draw.chance(40),
        inside: inside(draw),
        talk: None,
        asides: Vec::new(),
        replaces: None,
    }
}

fn cancel(draw: &mut Draw) -> Cancel {
    match draw.between(0, 2) {
        0 => Cancel::After(draw.millis(0, 3_000)),
        1 => Cancel::Impatient(draw.millis(0, 400)),
        _ => Cancel::AfterRinging(draw.millis(0, 2_000)),
    }
}

fn ack(draw: &mut Draw) -> Ack {
    match draw.between(0, 19) {
        0 | 1 => Ack::After(draw.millis(1, 5_000)),
        2 => Ack::Never,
        3 => Ack::AfterBye,
        _ => Ack::AtOnce,
    }
}

fn callee(draw: &mut Draw) -> CalleePlan {
    CalleePlan {
        steps: steps(draw),
        cancelled: draw.pick(&[
            Cancelled::Ends,
            Cancelled::Ends,
            Cancelled::Ends,
            Cancelled::Ends,
            Cancelled::Answers,
            Cancelled::Ignores,
        ]),
        named_contact: draw.chance(10),
        inside: inside(draw),
        talk: None,
    }
}

fn steps(draw: &mut Draw) -> Vec<Step> {
    let mut steps = Vec::new();
    if draw.chance(5) {
        return steps;
    }
    let forks = if draw.chance(20) {
        draw.between(1, 3)
    } else {
        0
    };
    if draw.chance(50) {
        steps.push(Step::Wait(draw.millis(0, 300)));
        steps.push(Step::Provisional {
            code: 100,
            sdp: false,
            reliable: false,
            fork: 0,
        });
    }
    for _ in 0..draw.between(0, 4) {
        steps.push(Step::Wait(draw.millis(0, 2_500)));
        let code = draw.pick(&[180, 180, 181, 182, 183, 199]);
        // RFC 6228 8: a 199 takes no part in offers and answers.
        let sdp = draw.chance(30) && code != 199;
        steps.push(Step::Provisional {
            code,
            sdp,
            reliable: draw.chance(30),
            fork: draw.between(0, forks) as usize,
        });
    }
    steps.push(Step::Wait(draw.millis(0, 4_000)));
    outcome(draw, forks, &mut steps);
    steps
}

fn outcome(draw: &mut Draw, forks: u64, steps: &mut Vec<Step>) {
    match draw.between(0, 9) {
        0..=6 => {
            steps.push(Step::Answer {
                fork: draw.between(0, forks) as usize,
            });
            if forks > 0 && draw.chance(70) {
                steps.push(Step::Wait(draw.millis(0, 3_000)));
                steps.push(Step::Answer {
                    fork: forks as usize + 1,
                });
            }
        }
        7..=8 => {
            let codes = [
                302, 404, 407, 408, 480, 481, 485, 486, 487, 488, 500, 503, 504, 603,
            ];
            steps.push(Step::Reject(draw.pick(&codes)));
        }
        _ => {}
    }
}

fn inside(draw: &mut Draw) -> InsidePlan {
    let requests = draw.between(0, 3);
    InsidePlan {
        hang_up: draw.sometimes(60, |draw| draw.millis(0, 25_000)),
        requests: (0..requests)
            .map(|_| (draw.millis(0, 12_000), draw.pick(&METHODS)))
            .collect(),
        reinvite_ack_after: draw
            .sometimes(10, |draw| draw.millis(100, 5_000))
            .unwrap_or_default(),
        reinvite_code: draw.sometimes(25, |draw| draw.pick(&[488, 488, 500, 481, 408])),
        request_code: draw.sometimes(20, |draw| draw.pick(&[405, 500, 488, 481, 202])),
        replies_after: draw.pick(&[
            Duration::ZERO,
            Duration::from_millis(300),
            Duration::from_secs(6),
        ]),
        mute: draw.chance(3),
        misses: draw.sometimes(15, |draw| (draw.pick(&MISSED), draw.between(1, 2) as u32)),
        dies: draw.sometimes(6, |draw| Death {
            at: draw.millis(0, 25_000),
            refusing: draw.chance(50),
        }),
        ..InsidePlan::default()
    }
}

fn route(draw: &mut Draw) -> RoutePlan {
    RoutePlan {
        missing: draw.chance(3),
        no_answer: draw.sometimes(20, |draw| draw.millis(500, 20_000)),
        no_18x: draw.sometimes(20, |draw| draw.millis(500, 8_000)),
        max_duration: draw.sometimes(15, |draw| draw.millis(500, 15_000)),
        disallow_similar_18x: draw.chance(20),
        disallow_different_18x: draw.chance(20),
        name: draw.sometimes(15, |draw| NamePlan {
            takes: draw.millis(0, 3_000),
            fails: draw.chance(20),
        }),
        ipv6: draw.chance(15),
        steer: false,
        flow: Flow::default(),
    }
}
