//! Anything in any order, in every flow: whatever the two parties do, nothing panics, what was answered
//! ends, and nothing is left.

use proptest::prelude::*;
use std::time::Duration;
use tipring_router::Command;

use super::world::{CALLEE, CALLER, Sent, World, sdp, world};

/// What a party may do next.
#[derive(Clone, Debug)]
enum Step {
    /// The callee answers the INVITE: status, early dialog, reliable, with SDP.
    Ring(&'static str, &'static str, bool, Option<u16>),
    /// The caller sends a request, with an offer or without.
    Caller(&'static str, bool),
    /// The callee sends one in its early dialog.
    Callee(&'static str, &'static str, bool),
    /// The caller ACKs the INVITE with this CSeq.
    Ack(u32, bool),
    /// Someone answers the oldest, or the newest, request of the router.
    Answer(bool, &'static str, bool),
    Cancel,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let method = || prop::sample::select(vec!["INVITE", "UPDATE", "INFO", "PRACK", "BYE"]);
    let tag = || prop::sample::select(vec!["x", "x", "y"]);
    let ring = prop::sample::select(vec![
        "180 Ringing",
        "183 Session Progress",
        "183 Session Progress",
        "200 OK",
        "486 Busy Here",
        "487 Request Terminated",
    ]);
    let status = prop::sample::select(vec![
        "200 OK",
        "200 OK",
        "488 Not Acceptable Here",
        "491 Request Pending",
        "481 Gone",
    ]);
    let port = prop::option::of(prop::sample::select(vec![6000u16, 6010]));
    prop_oneof![
        5 => (ring, tag(), any::<bool>(), port).prop_map(|(a, b, c, d)| Step::Ring(a, b, c, d)),
        3 => (method(), any::<bool>()).prop_map(|(a, b)| Step::Caller(a, b)),
        2 => (method(), tag(), any::<bool>()).prop_map(|(a, b, c)| Step::Callee(a, b, c)),
        4 => (1u32..6, any::<bool>()).prop_map(|(a, b)| Step::Ack(a, b)),
        5 => (any::<bool>(), status, any::<bool>()).prop_map(|(a, b, c)| Step::Answer(a, b, c)),
        1 => Just(Step::Cancel),
        2 => prop::sample::select(vec![1, 300, 2_000, 40_000]).prop_map(Step::Wait),
    ]
}

/// The parties' memory.
struct Parties {
    world: World,
    /// Requests of the router without an answer.
    open: Vec<Sent>,
    rseq: u32,
    version: u32,
}

impl Parties {
    fn session(&mut self, wanted: bool, port: u16) -> String {
        self.version += 1;
        match wanted {
            true => sdp(self.version, port, ""),
            false => String::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        let sent = match *step {
            Step::Ring(status, tag, reliable, port) => {
                let body = port.map(|port| sdp(1, port, "")).unwrap_or_default();
                let more = match reliable && status.starts_with("18") {
                    true => {
                        self.rseq += 1;
                        format!(
                            "Require: 100rel\r\nRSeq: {}\r\nAllow: UPDATE\r\n",
                            self.rseq
                        )
                    }
                    false => String::new(),
                };
                match self.world.invite {
                    Some(_) => self.world.ring(status, tag, &more, &body),
                    None => Vec::new(),
                }
            }
            Step::Caller(method, offers) => {
                let body = self.session(offers, 4000);
                self.world.caller_sends(method, "", &body)
            }
            Step::Callee(method, tag, offers) => {
                let body = self.session(offers, 6000);
                match self.world.invite {
                    Some(_) => self.world.callee_sends(method, tag, "", &body),
                    None => Vec::new(),
                }
            }
            Step::Ack(cseq, answers) => {
                let body = self.session(answers, 4000);
                self.world.ack(cseq, &body)
            }
            Step::Answer(oldest, status, described) => {
                let at = if oldest {
                    0
                } else {
                    self.open.len().saturating_sub(1)
                };
                if self.open.is_empty() {
                    return;
                }
                let request = self.open.remove(at);
                let body = self.session(described && request.kind() != "BYE", 4000);
                self.world.answer(&request, status, "x", "", &body)
            }
            Step::Cancel => self.world.cancel(),
            Step::Wait(ms) => self.world.pass(Duration::from_millis(ms)),
        };
        self.note(sent);
    }

    fn note(&mut self, sent: Vec<Sent>) {
        for message in sent {
            let request = !message.text.starts_with("SIP/2.0");
            let first = message.kind() == "INVITE" && message.to.to_string() == CALLEE;
            let known = self.open.iter().any(|open| open.text == message.text);
            if request && message.kind() != "ACK" && !known && !(first && self.open.is_empty()) {
                self.open.push(message);
            }
        }
    }
}

fn storm(user: &str, steps: &[Step]) {
    let mut parties = Parties {
        world: world(),
        open: Vec::new(),
        rseq: 0,
        version: 1,
    };
    let sent = parties.world.call(user, "", &sdp(1, 4000, ""));
    assert!(
        sent.iter()
            .any(|sent| [CALLER, CALLEE].contains(&&*sent.to.to_string()))
    );
    for step in steps {
        parties.take(step);
    }
    let world = &mut parties.world;
    world.command(&Command::EndAll);
    world.seconds(400);
    let counters = world.counters();
    assert!(world.router.is_idle(), "{counters:#?}");
    assert_eq!(counters.calls_answered, counters.calls_ended);
    let over = counters.calls_answered + counters.calls_failed + counters.calls_cancelled;
    assert_eq!(counters.calls_started, over);
    assert_eq!(counters.media.pairs_used, 0);
}

proptest! {
    #[test]
    fn a_transformed_call_leaves_nothing(steps in prop::collection::vec(step(), 0..24)) {
        storm("7", &steps);
    }

    #[test]
    fn a_transformed_call_with_limits_leaves_nothing(steps in prop::collection::vec(step(), 0..24)) {
        storm("6", &steps);
    }

    #[test]
    fn a_steered_transformed_call_leaves_nothing(steps in prop::collection::vec(step(), 0..24)) {
        storm("4", &steps);
    }

    #[test]
    fn a_transparent_call_leaves_nothing(steps in prop::collection::vec(step(), 0..24)) {
        storm("5", &steps);
    }

    #[test]
    fn an_echo_leaves_nothing(steps in prop::collection::vec(step(), 0..24)) {
        storm("8", &steps);
    }
}
