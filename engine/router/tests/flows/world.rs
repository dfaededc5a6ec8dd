//! One router, a caller at 127.0.0.9 and a callee at 127.0.0.2, both made of text. The tests say who
//! sends what; what the router sends is read here.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Command, Config, Counters, Listener, Router, Timers};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {
        "outRuriHostport": "127.0.0.2:5070", "outCallFlow": "TransformEarlyToFinal"}},
    {"userpartPattern": "^6", "routingRecord": {
        "outRuriHostport": "127.0.0.2:5070", "outCallFlow": "TransformEarlyToFinal",
        "noAnswerTimeout": 20, "maxCallDuration": 60}},
    {"userpartPattern": "^4", "routingRecord": {
        "outRuriHostport": "127.0.0.2:5070", "outCallFlow": "TransformEarlyToFinal",
        "steerMedia": true}},
    {"userpartPattern": "^5", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"outCallFlow": "EchoResponder"}},
    {"userpartPattern": "^9", "routingRecord": {
        "outCallFlow": "EchoResponder", "maxCallDuration": 60}}
]"#;

pub(crate) const CALLER: &str = "127.0.0.9:5080";
pub(crate) const CALLEE: &str = "127.0.0.2:5070";

pub(crate) struct World {
    pub(crate) router: Router,
    out: Outbox,
    pub(crate) now: Time,
    branches: u32,
    caller_cseq: u32,
    callee_cseq: u32,
    /// The INVITE as the callee has it.
    pub(crate) invite: Option<Sent>,
    /// Our tag and Contact towards the caller.
    to_tag: String,
    target: String,
    /// Call-ID of the caller's call.
    pub(crate) call: String,
    /// What the caller and the callee name as their Contact; empty for none.
    pub(crate) caller_at: String,
    pub(crate) callee_at: String,
}

/// A world whose router has this many port pairs for media.
pub(crate) fn world_with_ports(pairs: u16) -> World {
    world_of(pairs, |_| {})
}

/// A world whose router asks inside answered calls whether they live.
pub(crate) fn world_probing(interval: Duration) -> World {
    let timers = Timers {
        in_dialog_probe: Some(interval),
        ..Timers::default()
    };
    world_configured(|config| config.timers = timers)
}

/// A world whose router has other settings than most.
pub(crate) fn world_configured(change: impl FnOnce(&mut Config)) -> World {
    world_of(4, change)
}

pub(crate) fn world() -> World {
    world_with_ports(4)
}

fn world_of(pairs: u16, change: impl FnOnce(&mut Config)) -> World {
    let host: IpAddr = "127.0.0.1".parse().expect("an address");
    let pair = |n| media::PortPair {
        bound: host,
        advertised: host,
        rtp_port: 20_000 + 2 * n,
    };
    let listener = Listener {
        address: "127.0.0.1:5060".parse().expect("an address"),
        advertise_host: "127.0.0.1".to_owned(),
        advertise_port: 5060,
    };
    let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
    let mut config = Config {
        media: media::Config {
            pairs: (0..pairs).map(pair).collect(),
            first_listener: 1,
            silence: Some(Duration::from_secs(120)),
            ..Default::default()
        },
        ..Config::new(vec![listener], table)
    };
    change(&mut config);
    World {
        router: Router::new(config, Time::ZERO),
        out: Outbox::new(),
        now: Time::ZERO,
        branches: 0,
        caller_cseq: 1,
        callee_cseq: 0,
        invite: None,
        to_tag: String::new(),
        target: "sip:127.0.0.1".to_owned(),
        call: "call-1".to_owned(),
        caller_at: format!("sip:a@{CALLER}"),
        callee_at: format!("sip:b@{CALLEE}"),
    }
}

/// Headers of a body, and the body.
pub(crate) fn with_body(more: &str, body: &str) -> String {
    let kind = match body {
        "" => "",
        _ => "Content-Type: application/sdp\r\n",
    };
    format!("{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn contact(uri: &str) -> String {
    match uri {
        "" => String::new(),
        uri => format!("Contact: <{uri}>\r\n"),
    }
}

/// A description of one audio stream; `version` and `rest` vary.
pub(crate) fn sdp(version: u32, port: u16, rest: &str) -> String {
    format!(
        "v=0\r\no=- 7 {version} IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n{rest}"
    )
}

/// What was sent to this party, as kinds.
pub(crate) fn kinds(sent: &[Sent], to: &str) -> Vec<String> {
    let to = sent.iter().filter(|sent| sent.to.to_string() == to);
    to.map(|sent| sent.kind().to_owned()).collect()
}

/// The one message of this kind that was sent to this party.
#[track_caller]
pub(crate) fn one(sent: &[Sent], to: &str, kind: &str) -> Sent {
    let mut found = sent
        .iter()
        .filter(|sent| sent.to.to_string() == to && sent.kind() == kind);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {kind} to {to}: {sent:#?}"));
    // Retransmissions are the same message.
    let others = found.filter(|other| other.text != first.text);
    assert_eq!(others.count(), 0, "several {kind} to {to}: {sent:#?}");
    first.clone()
}

impl World {
    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// A datagram from this address; what the router sends because of it.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let (router, out) = (&mut self.router, &mut self.out);
        sent::receive(router, self.now, (0, from), text, out);
        self.drain()
    }

    /// An RTP packet on the first media port.
    pub(crate) fn receive_rtp(
        &mut self,
        listener: u16,
        from: &str,
        bytes: &[u8],
    ) -> Vec<(Flow, Vec<u8>)> {
        let flow = Flow {
            listener,
            remote: from.parse().expect("an address"),
        };
        self.router
            .receive_media(self.now, flow, bytes, &mut self.out);
        let sent = self.out.iter().map(|(flow, bytes)| (flow, bytes.to_vec()));
        let sent = sent.collect();
        self.out.clear();
        sent
    }

    fn drain(&mut self) -> Vec<Sent> {
        let messages = self.out.iter().filter(|(flow, _)| flow.listener == 0);
        let sent = sent(messages);
        self.out.clear();
        for message in &sent {
            self.note(message);
        }
        sent
    }

    fn note(&mut self, message: &Sent) {
        let to_caller = message.to.to_string() == CALLER;
        if message.kind() == "INVITE" && !to_caller && self.invite.is_none() {
            self.invite = Some(message.clone());
        }
        let makes_dialog = to_caller && message.text.starts_with("SIP/2.0");
        if makes_dialog && message.header("Contact").is_some() {
            self.to_tag = message.tag("To").to_owned();
            self.target = message.contact().to_owned();
        }
    }

    /// Lets time pass, waking the router whenever it wants to be.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let until = self.now + time;
        let mut sent = Vec::new();
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            self.router.handle_timeout(self.now, &mut self.out);
            sent.extend(self.drain());
        }
        self.now = until;
        sent
    }

    pub(crate) fn seconds(&mut self, seconds: u64) -> Vec<Sent> {
        self.pass(Duration::from_secs(seconds))
    }

    pub(crate) fn command(&mut self, command: &Command) -> Vec<Sent> {
        self.router.command(self.now, command, &mut self.out);
        self.drain()
    }

    /// Everything is over: no call, no timer, no transaction is left.
    #[track_caller]
    pub(crate) fn assert_idle(&mut self) {
        let late = self.seconds(70);
        assert!(self.router.is_idle(), "{:#?}\n{late:#?}", self.counters());
        let counters = self.counters();
        assert_eq!(counters.media.pairs_used, 0);
        assert_eq!(counters.calls_answered, counters.calls_ended);
    }

    /// The caller's INVITE.
    pub(crate) fn call(&mut self, user: &str, more: &str, body: &str) -> Vec<Sent> {
        self.to_tag.clear();
        self.target = format!("sip:{user}@127.0.0.1");
        self.caller_cseq = 1;
        self.caller_sends_as("INVITE", 1, more, body)
    }

    /// A request of the caller with the next CSeq.
    pub(crate) fn caller_sends(&mut self, method: &str, more: &str, body: &str) -> Vec<Sent> {
        self.caller_cseq += 1;
        self.caller_sends_as(method, self.caller_cseq, more, body)
    }

    /// The caller's ACK of its INVITE with this CSeq.
    pub(crate) fn ack(&mut self, cseq: u32, body: &str) -> Vec<Sent> {
        self.caller_sends_as("ACK", cseq, "", body)
    }

    pub(crate) fn caller_sends_as(
        &mut self,
        method: &str,
        cseq: u32,
        more: &str,
        body: &str,
    ) -> Vec<Sent> {
        self.branches += 1;
        let tag = match &*self.to_tag {
            "" => String::new(),
            tag => format!(";tag={tag}"),
        };
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKa{}\r\n\
             From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>{tag}\r\nCall-ID: {}\r\n\
             CSeq: {cseq} {method}\r\n{}Max-Forwards: 70\r\n{}",
            self.target,
            self.branches,
            self.call,
            contact(&self.caller_at),
            with_body(more, body)
        );
        self.receive(CALLER, &text)
    }

    /// CANCEL of the INVITE that was sent last.
    pub(crate) fn cancel(&mut self) -> Vec<Sent> {
        let text = format!(
            "CANCEL {} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKa{}\r\n\
             From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\nCall-ID: {}\r\n\
             CSeq: {} CANCEL\r\nMax-Forwards: 70\r\n\r\n",
            self.target, self.branches, self.call, self.caller_cseq
        );
        self.receive(CALLER, &text)
    }

    /// An answer of this party to a request it was sent; `status` is code and phrase.
    pub(crate) fn answer(
        &mut self,
        request: &Sent,
        status: &str,
        tag: &str,
        more: &str,
        body: &str,
    ) -> Vec<Sent> {
        let from = request.to.to_string();
        let to = request.header("To").expect("To");
        let to = match to.contains(";tag=") {
            true => to.to_owned(),
            false => format!("{to};tag={tag}"),
        };
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {}{}",
            request.header("Via").expect("Via"),
            request.header("From").expect("From"),
            request.header("Call-ID").expect("Call-ID"),
            request.header("CSeq").expect("CSeq"),
            contact(match &*from {
                CALLER => &self.caller_at,
                _ => &self.callee_at,
            }),
            with_body(more, body)
        );
        self.receive(&from, &text)
    }

    /// The callee's answer to the INVITE that made the call, from its early dialog `tag`.
    pub(crate) fn ring(&mut self, status: &str, tag: &str, more: &str, body: &str) -> Vec<Sent> {
        let invite = self.invite.clone().expect("an INVITE");
        self.answer(&invite, status, tag, more, body)
    }

    /// A request of the callee in its dialog `tag`.
    pub(crate) fn callee_sends(
        &mut self,
        method: &str,
        tag: &str,
        more: &str,
        body: &str,
    ) -> Vec<Sent> {
        self.callee_cseq += 1;
        self.branches += 1;
        let invite = self.invite.clone().expect("an INVITE");
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLEE};branch=z9hG4bKb{}\r\n\
             From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             {}Max-Forwards: 70\r\n{}",
            invite.contact(),
            self.branches,
            invite.header("To").expect("To"),
            invite.header("From").expect("From"),
            invite.header("Call-ID").expect("Call-ID"),
            self.callee_cseq,
            contact(&self.callee_at),
            with_body(more, body)
        );
        self.receive(CALLEE, &text)
    }

    /// This party answers the BYE it was sent.
    pub(crate) fn ok(&mut self, request: &Sent) -> Vec<Sent> {
        self.answer(request, "200 OK", "", "", "")
    }

    /// The CSeq number of a message.
    pub(crate) fn cseq_of(message: &Sent) -> u32 {
        let number = message.value("CSeq").split(' ').next();
        number.and_then(|it| it.parse().ok()).expect("CSeq")
    }
}
