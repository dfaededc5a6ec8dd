//! Whatever happens in whatever order: once every transaction is answered and every timer has run,
//! nothing is left.

use std::time::Duration;

use proptest::prelude::*;
use stack::{ClientId, Inbound, ServerId};

use crate::stage::{Stage, peer, request, response_to, seconds};

#[derive(Clone, Debug)]
enum Act {
    Receive {
        method: usize,
        branch: u8,
    },
    Respond {
        which: usize,
        code: usize,
    },
    Acknowledge {
        which: usize,
    },
    Request {
        method: usize,
        waiting: bool,
    },
    Found {
        which: usize,
    },
    Answer {
        which: usize,
        code: usize,
        tag: usize,
    },
    Acknowledge2xx {
        which: usize,
        tag: usize,
    },
    Cancel {
        which: usize,
    },
    Fail {
        which: usize,
    },
    Unreachable,
    Pass {
        millis: u64,
    },
}

const METHODS: [&str; 5] = ["INVITE", "ACK", "CANCEL", "BYE", "PING"];
const OURS: [&str; 3] = ["INVITE", "BYE", "PING"];
const CODES: [u16; 7] = [100, 180, 200, 302, 408, 487, 600];
const TAGS: [&str; 3] = ["b", "c", "d"];

fn act() -> impl Strategy<Value = Act> {
    let which = || any::<usize>();
    prop_oneof![
        6 => (which(), 0..6_u8).prop_map(|(method, branch)| Act::Receive { method, branch }),
        5 => (which(), which()).prop_map(|(which, code)| Act::Respond { which, code }),
        2 => which().prop_map(|which| Act::Acknowledge { which }),
        5 => (which(), any::<bool>()).prop_map(|(method, waiting)| Act::Request { method, waiting }),
        2 => which().prop_map(|which| Act::Found { which }),
        6 => (which(), which(), which())
            .prop_map(|(which, code, tag)| Act::Answer { which, code, tag }),
        2 => (which(), which()).prop_map(|(which, tag)| Act::Acknowledge2xx { which, tag }),
        2 => which().prop_map(|which| Act::Cancel { which }),
        1 => which().prop_map(|which| Act::Fail { which }),
        1 => Just(Act::Unreachable),
        4 => (0..40_000_u64).prop_map(|millis| Act::Pass { millis }),
    ]
}

/// A stage and everything that was ever named on it, stale or not.
struct Play {
    stage: Stage,
    servers: Vec<ServerId>,
    clients: Vec<ClientId>,
    requests: Vec<String>,
}

fn pick<T: Clone>(from: &[T], which: usize) -> Option<T> {
    from.get(which % from.len().max(1)).cloned()
}

impl Play {
    fn new() -> Play {
        let (servers, clients, requests) = (Vec::new(), Vec::new(), Vec::new());
        Play {
            stage: Stage::new(),
            servers,
            clients,
            requests,
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Receive { method, branch } => self.receive(METHODS[method % 5], branch),
            Act::Request { method, waiting } => self.request(OURS[method % 3], waiting),
            Act::Answer { which, code, tag } => {
                if let Some(request) = pick(&self.requests, which) {
                    let response = response_to(&request, CODES[code % 7], TAGS[tag % 3]);
                    self.stage.receive_response(&response);
                }
            }
            Act::Respond { which, .. } | Act::Acknowledge { which } => {
                if let Some(id) = pick(&self.servers, which) {
                    self.command_server(id, act);
                }
            }
            Act::Unreachable => self
                .stage
                .layer
                .transport_error(self.stage.now, peer().remote),
            Act::Pass { millis } => {
                self.stage.pass(Duration::from_millis(millis));
            }
            Act::Found { which }
            | Act::Acknowledge2xx { which, .. }
            | Act::Cancel { which }
            | Act::Fail { which } => {
                if let Some(id) = pick(&self.clients, which) {
                    self.command_client(id, act);
                }
            }
        }
        self.remember_sent();
    }

    fn receive(&mut self, method: &str, branch: u8) {
        match self.stage.receive(&request(method, &branch.to_string())) {
            Inbound::New(id)
            | Inbound::Cancel { cancel: id, .. }
            | Inbound::Merged { server: id, .. } => self.servers.push(id),
            Inbound::Absorbed | Inbound::Ack | Inbound::Full => {}
        }
    }

    fn request(&mut self, method: &str, waiting: bool) {
        if waiting {
            self.clients.push(self.stage.request_waiting(method));
        } else {
            self.remember_sent();
            let (id, text) = self.stage.request(method);
            self.clients.push(id);
            self.requests.push(text);
        }
    }

    fn command_server(&mut self, id: ServerId, act: &Act) {
        match *act {
            Act::Respond { code, .. } => {
                self.stage.respond(id, CODES[code % 7]);
            }
            _ => self.stage.layer.acknowledge(self.stage.now, id),
        }
    }

    fn command_client(&mut self, id: ClientId, act: &Act) {
        let Stage {
            layer, now, out, ..
        } = &mut self.stage;
        match *act {
            Act::Found { .. } => layer.destination_found(*now, id, peer(), out),
            Act::Acknowledge2xx { tag, .. } => self.stage.acknowledge_2xx(id, TAGS[tag % 3]),
            Act::Fail { .. } => layer.fail(*now, id),
            _ => self.stage.cancel(id),
        }
    }

    /// CANCELs and ACKs went out too: the peer may answer them.
    fn remember_sent(&mut self) {
        let sent = self
            .stage
            .sent()
            .into_iter()
            .filter(|text| !text.starts_with("SIP/2.0"));
        self.requests.extend(sent);
    }

    /// Answers what is open and lets every timer run.
    fn finish(&mut self) {
        for id in self.servers.clone() {
            self.stage.respond(id, 500);
        }
        for id in self.clients.clone() {
            self.stage.cancel(id);
        }
        self.stage.pass(seconds(200));
        while self.stage.layer.poll_event().is_some() {}
    }
}

proptest! {
    #[test]
    fn nothing_is_left(acts in prop::collection::vec(act(), 1..120)) {
        let mut play = Play::new();
        for act in &acts {
            play.act(act);
        }
        play.finish();
        play.stage.assert_empty();
        prop_assert_eq!(play.stage.layer.poll_timeout(), None);
    }
}
