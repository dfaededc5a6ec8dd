//! Caller and callee talk over a wire of vectors: every message is seen, and each test says what happens to it. Time is a
//! number, so that 32 seconds of silence cost nothing.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::callee::Callee;
use crate::caller::{Caller, Hold, Turn};
use crate::io::Address;
use crate::latency::Latency;
use crate::message::Message;
use crate::outgoing::Outgoing;
use crate::tally::Tally;
use crate::timers::T1_NS;

const SECOND: u64 = 2 * T1_NS;

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

struct Wire {
    caller: Caller,
    callee: Callee,
    from_caller: Vec<Outgoing>,
    from_callee: Vec<Outgoing>,
    tally: Tally,
    latency: Latency,
    now_ns: u64,
    /// Start lines of everything sent, in order.
    seen: Vec<String>,
}

/// What a test does with one message: leave it, change it, lose it, repeat it.
type Tamper<'a> = &'a mut dyn FnMut(&str) -> Vec<String>;

fn untouched(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

impl Wire {
    fn new(hold: Hold) -> Wire {
        Wire {
            caller: Caller::new(
                "0000beef",
                "1555####",
                local(5060),
                &[local(4000)],
                hold,
                10,
                &[local(6000)],
            ),
            callee: Callee::new("0000beef", &[local(5090)], 10, &[local(6002)]),
            from_caller: vec![Outgoing::new(true)],
            from_callee: vec![Outgoing::new(true)],
            tally: Tally::default(),
            latency: Latency::new(SystemTime::UNIX_EPOCH, 0),
            now_ns: 0,
            seen: Vec::new(),
        }
    }

    fn start(&mut self) {
        let (now_ns, out) = (self.now_ns, &mut self.from_caller);
        let mut turn = Turn {
            now_ns,
            out,
            tally: &mut self.tally,
            latency: &mut self.latency,
        };
        self.caller.start(now_ns, &mut turn);
    }

    /// Carries messages both ways until there are none.
    fn exchange(&mut self, tamper: Tamper<'_>) {
        loop {
            let requests = self.take(true);
            let answers = self.take(false);
            if requests.is_empty() && answers.is_empty() {
                return;
            }
            for text in requests.iter().flat_map(|text| tamper(text)) {
                self.deliver(&text, false);
            }
            for text in answers.iter().flat_map(|text| tamper(text)) {
                self.deliver(&text, true);
            }
        }
    }

    fn take(&mut self, of_caller: bool) -> Vec<String> {
        let side = if of_caller {
            &mut self.from_caller
        } else {
            &mut self.from_callee
        };
        let texts: Vec<String> = side[0]
            .take()
            .into_iter()
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect();
        self.seen.extend(
            texts
                .iter()
                .map(|text| text.lines().next().unwrap().to_owned()),
        );
        texts
    }

    fn deliver(&mut self, text: &str, to_caller: bool) {
        let message = Message::parse(text.as_bytes()).unwrap();
        let out = if to_caller {
            &mut self.from_caller
        } else {
            &mut self.from_callee
        };
        let (tally, latency) = (&mut self.tally, &mut self.latency);
        let mut turn = Turn {
            now_ns: self.now_ns,
            out,
            tally,
            latency,
        };
        if to_caller {
            self.caller.receive(&message, &mut turn);
        } else {
            self.callee
                .receive(&message, Address::from(local(4000)), 0, &mut turn);
        }
    }

    /// Lets time pass, a quarter of a second at a step, messages being carried meanwhile.
    fn pass(&mut self, duration_ns: u64, tamper: Tamper<'_>) {
        let end_ns = self.now_ns + duration_ns;
        while self.now_ns < end_ns {
            self.now_ns += SECOND / 4;
            let (tally, latency) = (&mut self.tally, &mut self.latency);
            let out = &mut self.from_caller;
            let mut turn = Turn {
                now_ns: self.now_ns,
                out,
                tally,
                latency,
            };
            self.caller.handle_timeout(&mut turn);
            let out = &mut self.from_callee;
            let mut turn = Turn {
                now_ns: self.now_ns,
                out,
                tally,
                latency,
            };
            self.callee.handle_timeout(&mut turn);
            self.exchange(tamper);
        }
    }

    fn live(&self) -> (usize, usize) {
        (self.caller.live(), self.callee.live())
    }
}

/// Loses the first `count` messages whose start line begins so.
fn lose(beginning: &'static str, count: usize) -> impl FnMut(&str) -> Vec<String> {
    let mut left = count;
    move |text| {
        if left > 0 && text.starts_with(beginning) && (beginning != OK || text.contains("INVITE\r"))
        {
            left -= 1;
            return Vec::new();
        }
        untouched(text)
    }
}

const OK: &str = "SIP/2.0 200";

#[test]
fn a_basic_call_is_seven_messages() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    wire.exchange(&mut untouched);
    let kinds: Vec<&str> = wire
        .seen
        .iter()
        .map(|line| line.split(" sip:").next().unwrap())
        .collect();
    let expected = [
        "INVITE",
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
        "ACK",
        "BYE",
        "SIP/2.0 200 OK",
    ];
    assert_eq!(kinds, expected);
    let tally = &wire.tally;
    assert_eq!(
        (
            tally.attempts,
            tally.answered,
            tally.completed,
            tally.failed
        ),
        (1, 1, 1, 0)
    );
    assert_eq!(
        tally.retransmissions.total() + tally.unexpected + tally.overtaken,
        0
    );
    assert_eq!(wire.live(), (0, 0));
    assert_eq!(
        (wire.latency.setup().count, wire.latency.pdd().count),
        (1, 1)
    );
}

#[test]
fn a_slot_used_again_serves_the_next_call() {
    let mut wire = Wire::new(Hold::For(0));
    for _ in 0..30 {
        wire.start();
        wire.exchange(&mut untouched);
    }
    assert_eq!(
        (wire.tally.completed, wire.tally.failed, wire.live()),
        (30, 0, (0, 0))
    );
}

#[test]
fn a_held_call_ends_when_its_time_is_over_or_it_is_released() {
    let mut wire = Wire::new(Hold::For(3 * SECOND));
    wire.start();
    wire.pass(2 * SECOND, &mut untouched);
    assert_eq!(wire.live(), (1, 1));
    wire.pass(2 * SECOND, &mut untouched);
    assert_eq!((wire.tally.completed, wire.live()), (1, (0, 0)));

    let mut wire = Wire::new(Hold::UntilReleased);
    wire.start();
    wire.pass(100 * SECOND, &mut untouched);
    assert_eq!(wire.live(), (1, 1));
    let (tally, latency) = (&mut wire.tally, &mut wire.latency);
    let mut turn = Turn {
        now_ns: wire.now_ns,
        out: &mut wire.from_caller,
        tally,
        latency,
    };
    assert!(wire.caller.release_next(&mut turn));
    assert!(!wire.caller.release_next(&mut turn));
    wire.exchange(&mut untouched);
    assert_eq!((wire.tally.completed, wire.live()), (1, (0, 0)));
}

#[test]
fn lost_messages_are_sent_again_and_counted() {
    for (lost, count) in [("INVITE", 2), (OK, 3), ("ACK", 1), ("BYE", 2)] {
        let mut wire = Wire::new(Hold::For(10 * SECOND));
        wire.start();
        wire.pass(40 * SECOND, &mut lose(lost, count));
        let again = wire.tally.retransmissions;
        let sent = match lost {
            "INVITE" => again.invite_sent,
            "BYE" => again.bye_sent,
            _ => again.ok_sent,
        };
        assert_eq!(
            (sent, wire.tally.completed),
            (count as u64, 1),
            "{lost}: {:?}",
            wire.tally
        );
        assert_eq!((wire.tally.failed, wire.live()), (0, (0, 0)), "{lost}");
        assert_eq!(again.ok_received, u64::from(lost == "ACK"), "{lost}");
    }
}

#[test]
fn a_repeated_invite_makes_no_second_call() {
    let mut wire = Wire::new(Hold::UntilReleased);
    wire.start();
    wire.exchange(&mut |text| {
        let copies = if text.starts_with("INVITE") { 3 } else { 1 };
        vec![text.to_owned(); copies]
    });
    assert_eq!(wire.live(), (1, 1));
    assert_eq!(wire.tally.retransmissions.invite_received, 2);
    assert_eq!(wire.tally.answered, 1);
}

#[test]
fn a_repeated_bye_is_answered_again() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    wire.exchange(&mut |text| {
        let copies = if text.starts_with("BYE") { 2 } else { 1 };
        vec![text.to_owned(); copies]
    });
    assert_eq!(
        (
            wire.tally.completed,
            wire.tally.failed,
            wire.tally.unexpected
        ),
        (1, 0, 0)
    );
    assert_eq!(wire.tally.retransmissions.bye_received, 1);
    assert_eq!(wire.tally.retransmissions.ok_received, 1);
}

#[test]
fn silence_fails_after_64_t1() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    wire.pass(63 * SECOND / 2, &mut |_| Vec::new());
    assert_eq!(
        (wire.tally.failed, wire.tally.retransmissions.invite_sent),
        (0, 6)
    );
    wire.pass(2 * SECOND, &mut |_| Vec::new());
    assert_eq!(wire.tally.failures.get("INVITE timeout"), Some(&1));
    assert_eq!(wire.live(), (0, 0));
}

#[test]
fn a_200_that_nobody_acknowledges_and_a_bye_that_nobody_answers_fail() {
    let mut wire = Wire::new(Hold::UntilReleased);
    wire.start();
    wire.pass(40 * SECOND, &mut lose("ACK", usize::MAX));
    assert_eq!(wire.tally.failures.get("200 never acknowledged"), Some(&1));

    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    wire.pass(40 * SECOND, &mut lose("BYE", usize::MAX));
    assert_eq!(wire.tally.failures.get("BYE timeout"), Some(&1));
    assert_eq!(wire.tally.retransmissions.bye_sent, 10);
}

#[test]
fn a_refusal_is_acknowledged_with_the_invites_branch() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    let branch = |text: &str| {
        text.lines()
            .find_map(|line| line.split_once("branch="))
            .map(|(_, b)| b.to_owned())
    };
    let (mut invite, mut ack) = (None, None);
    wire.exchange(&mut |text| {
        if text.starts_with("INVITE") {
            invite = branch(text);
        }
        if text.starts_with("ACK") {
            ack = branch(text);
            assert!(
                text.starts_with("ACK sip:15550000@127.0.0.1:5060 SIP/2.0\r\n"),
                "{text}"
            );
            assert!(text.contains("tag=c0000beef"), "{text}");
            return Vec::new();
        }
        match text {
            _ if text.starts_with("SIP/2.0 1") => Vec::new(),
            _ => vec![text.replace("SIP/2.0 200 OK", "SIP/2.0 503 Service Unavailable")],
        }
    });
    assert!(ack.is_some() && ack == invite);
    assert_eq!(wire.tally.failures.get("INVITE 503"), Some(&1));
    assert_eq!(wire.caller.live(), 0);
}

#[test]
fn proxies_are_obeyed() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    let mut in_dialog = Vec::new();
    wire.exchange(&mut |text| {
        if text.starts_with("INVITE") {
            let (first, rest) = text.split_once("\r\n").unwrap();
            let proxy = "Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\nRecord-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>";
            return vec![format!("{first}\r\n{proxy}\r\n{rest}")];
        }
        if text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE") {
            assert!(text.contains("Via: SIP/2.0/UDP p;branch=z9hG4bKp\r\nVia: SIP/2.0/UDP 127"), "{text}");
        }
        if text.starts_with("ACK") || text.starts_with("BYE") {
            in_dialog.push(text.to_owned());
        }
        untouched(text)
    });
    assert_eq!((wire.tally.completed, in_dialog.len()), (1, 2));
    for text in in_dialog {
        assert!(
            text.contains("Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n"),
            "{text}"
        );
        assert!(
            text.contains(" sip:callee@127.0.0.1:5090 SIP/2.0\r\n"),
            "{text}"
        );
    }
}

#[test]
fn bytes_after_the_body_are_discarded() {
    let mut wire = Wire::new(Hold::For(0));
    wire.start();
    wire.exchange(&mut |text| vec![format!("{text}\0\0\0\r\n\r\n   ")]);
    assert_eq!((wire.tally.completed, wire.tally.failed), (1, 0));
}

#[test]
fn a_provisional_after_the_final_response_is_noticed() {
    let mut wire = Wire::new(Hold::UntilReleased);
    wire.start();
    let mut late = Vec::new();
    wire.exchange(&mut |text| {
        if text.starts_with("SIP/2.0 180") {
            late.push(text.to_owned());
            return Vec::new();
        }
        untouched(text)
    });
    for text in late {
        wire.deliver(&text, true);
    }
    assert_eq!((wire.tally.overtaken, wire.tally.answered), (1, 1));
}

#[test]
fn strangers_are_counted_and_refused() {
    let mut wire = Wire::new(Hold::For(0));
    let bye = "BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP z;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\n\
               To: <sip:b>;tag=nobody\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n";
    wire.deliver(bye, false);
    assert_eq!(wire.take(false).len(), 1);
    assert_eq!(wire.seen, ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    wire.deliver(&bye.replace("BYE sip:x SIP/2.0", "SIP/2.0 200 OK"), true);
    assert_eq!(wire.tally.unexpected, 2);
}

#[test]
fn the_call_limit_is_a_failure_with_a_name() {
    let mut wire = Wire::new(Hold::UntilReleased);
    for _ in 0..11 {
        wire.start();
    }
    wire.exchange(&mut untouched);
    assert_eq!(wire.tally.failures.get("generator's call limit"), Some(&1));
    assert_eq!(wire.live(), (10, 10));
    wire.caller.abandon(&mut wire.tally);
    assert_eq!(wire.tally.failures.get("unfinished at the end"), Some(&10));
}
