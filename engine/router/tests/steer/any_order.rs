//! Whatever the two phones say, in whatever order: no panic, no address of one told to the other, no
//! port lost.

use proptest::prelude::*;
use proptest::sample::select;
use tipring_router::Command;

use crate::*;

#[derive(Clone, Debug)]
enum Act {
    Request(Side, &'static str, &'static str),
    /// Answers the request with this number among those heard and not yet answered for good.
    Answer(usize, &'static str, u16, &'static str),
    Ack(Side, &'static str),
    Packet(bool, u16),
    Wait(u64),
}

/// Sections, each after an address of the sender's.
const SECTIONS: [&str; 9] = [
    "none",
    "unreadable",
    "",
    "m=audio 4000 RTP/AVP 0\r\n",
    "m=audio 4000 RTP/AVP 0\r\na=inactive\r\nm=video 4002 RTP/AVP 31\r\na=rtcp-mux\r\n",
    "m=audio 0 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n",
    "m=image 4004 udptl t38\r\n",
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
    "m=video 4002 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4008 RTP/AVP 0\r\n",
];

fn text(side: Side, sections: &str) -> String {
    match (sections, side) {
        ("none", _) => String::new(),
        ("unreadable", _) => "o=10.0.0.9 10.0.0.2\r\n".to_owned(),
        (sections, Caller) => sdp("10.0.0.9", 1, sections),
        (sections, Callee) => sdp("10.0.0.2", 1, sections),
    }
}

fn act() -> impl Strategy<Value = Act> {
    let side = || select(vec![Caller, Callee]);
    let sections = || select(SECTIONS.to_vec());
    let method = select(vec!["INVITE", "UPDATE", "PRACK", "INFO", "BYE"]);
    let code = select(vec![180, 183, 200, 200, 200, 488, 491, 481]);
    prop_oneof![
        4 => (side(), method, sections()).prop_map(|(side, method, text)| {
            Act::Request(side, method, text)
        }),
        6 => (0usize..4, select(vec!["b", "b2"]), code, sections())
            .prop_map(|(at, tag, code, text)| Act::Answer(at, tag, code, text)),
        3 => (side(), sections()).prop_map(|(side, text)| Act::Ack(side, text)),
        1 => (any::<bool>(), 0u16..40).prop_map(|(caller, port)| Act::Packet(caller, port)),
        1 => (0u64..70).prop_map(Act::Wait),
    ]
}

struct Play {
    world: World,
    /// Requests that wait for their answer, and who heard them.
    heard: Vec<(Side, Seen)>,
}

impl Play {
    fn begin(offer: &str) -> Play {
        let mut world = World::with_pairs(5, 0);
        world.invite("7", "Supported: 100rel\r\n", &text(Caller, offer));
        let mut play = Play {
            world,
            heard: Vec::new(),
        };
        play.listen();
        play
    }

    fn listen(&mut self) {
        for side in [Caller, Callee] {
            for seen in self.world.heard(side) {
                let others = if side == Caller {
                    "10.0.0.2"
                } else {
                    "10.0.0.9"
                };
                assert!(!seen.body().contains(others), "{seen:?}");
                self.world.learn(side, &seen);
                if seen.code() == 0 && !seen.start().starts_with("ACK") {
                    self.heard.push((side, seen));
                }
            }
        }
        let counters = self.world.router.counters().media;
        assert_eq!(counters.pairs_used, 2 * counters.streams);
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Request(side, method, body) => self.request(side, method, body),
            Act::Answer(at, tag, code, body) if at < self.heard.len() => {
                let (side, seen) = self.heard[at].clone();
                if code >= 200 {
                    self.heard.remove(at);
                }
                let more = if code == 183 { RELIABLE } else { "" };
                let body = text(side, body);
                self.world
                    .deliver_answer(side, &seen, tag, code, more, &body);
            }
            Act::Answer(..) => return,
            Act::Ack(side, body) => self.request(side, "ACK", body),
            Act::Packet(caller, port) => {
                let from = if caller {
                    "10.0.0.9:4000"
                } else {
                    "10.0.0.2:4000"
                };
                self.world.packet(from, PORTS[0] + port % 10);
                return;
            }
            Act::Wait(seconds) => self.wait(seconds),
        }
        self.listen();
    }

    fn request(&mut self, side: Side, method: &str, body: &str) {
        if self.world.phones.contains_key(&side) {
            let more = if method == "PRACK" { RACK } else { "" };
            let text = self.world.text_of(side, method, more, &text(side, body));
            self.world.deliver(side, &text);
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.world.now = self.world.now + Duration::from_secs(seconds);
        self.world.out.clear();
        self.world
            .router
            .handle_timeout(self.world.now, &mut self.world.out);
    }

    fn end(mut self) {
        self.world.out.clear();
        let World {
            router, now, out, ..
        } = &mut self.world;
        router.command(*now, &Command::EndAll, out);
        assert_eq!(router.counters().media.streams, 0);
        for _ in 0..20 {
            self.wait(40);
        }
        assert_eq!(self.world.router.counters().calls, 0);
        assert_eq!(self.world.router.counters().media.pairs_used, 0);
        assert!(self.world.router.is_idle());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_is_told_and_nothing_is_lost(
        offer in select(SECTIONS.to_vec()),
        acts in proptest::collection::vec(act(), 0..40),
    ) {
        let mut play = Play::begin(offer);
        for act in &acts {
            play.act(act);
        }
        play.end();
    }
}
