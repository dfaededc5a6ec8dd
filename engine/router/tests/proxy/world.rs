//! One router, a caller at 127.0.0.9 and callees at 127.0.0.2 to 127.0.0.4 and at an IPv6 address, all made
//! of text. The tests say who sends what; what the router sends is read here.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{
    Command, Config, Counters, Event, Limits, Listener, Peer, Peers, Resolved, Router,
};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^1", "routingRecord": {
        "mode": "proxy", "outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^2", "routingRecord": {"mode": "proxy", "targets": [
        {"outRuriHostport": "127.0.0.2:5070"},
        {"outRuriHostport": "127.0.0.3:5070", "outRuriUserpart": "other"}]}},
    {"userpartPattern": "^3", "routingRecord": {"mode": "proxy", "noAnswerTimeout": 10, "targets": [
        {"outRuriHostport": "127.0.0.3:5070", "q": 0.5},
        {"outRuriHostport": "127.0.0.2:5070", "q": 0.9}]}},
    {"userpartPattern": "^4", "routingRecord": {
        "mode": "proxy", "outRuriHostport": "127.0.0.2:5070", "recurse": true}},
    {"userpartPattern": "^5", "routingRecord": {
        "mode": "proxy", "outRuriHostport": "[2001:db8::2]:5070"}},
    {"userpartPattern": "^6", "routingRecord": {
        "mode": "proxy", "outRuriHostport": "callee.example"}},
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"mode": "proxy", "no18xTimeout": 5, "targets": [
        {"outRuriHostport": "127.0.0.2:5070", "q": 0.9},
        {"outRuriHostport": "127.0.0.3:5070", "q": 0.5}]}},
    {"userpartPattern": "^9", "routingRecord": {"mode": "proxy", "recurse": true, "targets": [
        {"outRuriHostport": "127.0.0.2:5070"},
        {"outRuriHostport": "127.0.0.3:5070"}]}}
]"#;

pub(crate) const CALLER: &str = "127.0.0.9:5080";
pub(crate) const ONE: &str = "127.0.0.2:5070";
pub(crate) const TWO: &str = "127.0.0.3:5070";
pub(crate) const THREE: &str = "127.0.0.4:5070";
pub(crate) const SIX: &str = "[2001:db8::2]:5070";

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
    assert_eq!(found.count(), 0, "several {kind} to {to}: {sent:#?}");
    first.clone()
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) now: Time,
    sent: u32,
}

impl World {
    pub(crate) fn new() -> World {
        World::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> World {
        World::configured(|config| config.limits = limits)
    }

    /// A world where each of these addresses is such a peer.
    pub(crate) fn with_peers<const N: usize>(peers: [(&str, Peer); N]) -> World {
        let peers = peers.map(|(address, peer)| (address.parse().expect("an address"), 32, peer));
        World::configured(|config| config.peers = Arc::new(Peers::new(peers)))
    }

    /// A world whose configuration is changed so.
    pub(crate) fn configured(change: impl FnOnce(&mut Config)) -> World {
        let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
        let listeners = [("127.0.0.1", "127.0.0.1:5060"), ("[::1]", "[::1]:5060")];
        let listeners = listeners.map(|(host, address)| Listener {
            address: address.parse().expect("an address"),
            advertise_host: host.to_owned(),
            advertise_port: 5060,
        });
        let mut config = Config::new(listeners.to_vec(), table);
        change(&mut config);
        World {
            router: Router::new(config, Time::ZERO),
            now: Time::ZERO,
            sent: 0,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.router.counters()
    }

    /// A datagram from this address; what the router sends because of it.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let mut out = Outbox::new();
        let from = (u16::from(from.starts_with('[')), from);
        sent::receive(&mut self.router, self.now, from, text, &mut out);
        sent(out.iter())
    }

    /// A request of the caller outside any dialog, with `more` header lines.
    pub(crate) fn request(&mut self, method: &str, user: &str, more: &str) -> Vec<Sent> {
        self.sent += 1;
        let text = self.text(method, &format!("sip:{user}@127.0.0.1"), more);
        self.receive(CALLER, &text)
    }

    fn text(&self, method: &str, uri: &str, more: &str) -> String {
        let n = self.sent;
        let hops = if more.contains("Max-Forwards") {
            ""
        } else {
            "Max-Forwards: 70\r\n"
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKa{n};rport\r\n\
             {hops}From: \"A\" <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\n\
             Call-ID: call-{n}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{CALLER}>\r\n{more}\
             X-Odd :  \"kept\"\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
        )
    }

    /// CANCEL of the INVITE that was sent last, with `more` header lines.
    pub(crate) fn cancel(&mut self, user: &str, more: &str) -> Vec<Sent> {
        let text = self.text("CANCEL", &format!("sip:{user}@127.0.0.1"), more);
        self.receive(CALLER, &text)
    }

    /// An answer to a request the router sent, from where it was sent to.
    pub(crate) fn answer(
        &mut self,
        request: &Sent,
        status: &str,
        tag: &str,
        more: &str,
    ) -> Vec<Sent> {
        let from = request.to.to_string();
        let text = answer_text(request, status, tag, more);
        self.receive(&from, &text)
    }

    /// A request inside the dialog that `response` made for the caller, on its route set.
    pub(crate) fn caller_in_dialog(
        &mut self,
        method: &str,
        cseq: u32,
        response: &Sent,
    ) -> Vec<Sent> {
        self.sent += 1;
        let n = self.sent;
        let contact = response.header("Contact").expect("a Contact");
        let mut routes = response.values("Record-Route");
        routes.reverse();
        let routes: String = routes.iter().map(|it| format!("Route: {it}\r\n")).collect();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKd{n}\r\n\
             {routes}Max-Forwards: 70\r\n{from}{to}{call}CSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            target = contact.trim_matches(['<', '>']),
            from = response.lines("From"),
            to = response.lines("To"),
            call = response.lines("Call-ID"),
        );
        self.receive(CALLER, &text)
    }

    /// A request of the callee who got `invite` and answered it with this tag.
    pub(crate) fn callee_in_dialog(&mut self, method: &str, invite: &Sent, tag: &str) -> Vec<Sent> {
        self.sent += 1;
        let (n, from) = (self.sent, invite.to.to_string());
        let routes = invite.values("Record-Route");
        let routes: String = routes.iter().map(|it| format!("Route: {it}\r\n")).collect();
        let text = format!(
            "{method} sip:a@{CALLER} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKe{n}\r\n\
             {routes}Max-Forwards: 70\r\nFrom: {local};tag={tag}\r\nTo: {remote}\r\n{call}\
             CSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n",
            local = invite.header("To").expect("To"),
            remote = invite.header("From").expect("From"),
            call = invite.lines("Call-ID"),
        );
        self.receive(&from, &text)
    }

    /// Lets time pass, waking the router whenever it wants to be.
    pub(crate) fn seconds(&mut self, seconds: f64) -> Vec<Sent> {
        let until = self.now + Duration::from_secs_f64(seconds);
        let mut all = Vec::new();
        while let Some((at, _)) = self.router.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            let mut out = Outbox::new();
            self.router.handle_timeout(self.now, &mut out);
            all.extend(sent(out.iter()));
        }
        self.now = until;
        all
    }

    /// The network says that nobody is there.
    pub(crate) fn unreachable(&mut self, remote: &str) -> Vec<Sent> {
        let remote = remote.parse().expect("an address");
        let mut out = Outbox::new();
        self.router.unreachable(self.now, remote, &mut out);
        sent(out.iter())
    }

    /// The resolver answers for `callee.example`.
    pub(crate) fn resolved(&mut self, address: Option<&str>) -> Vec<Sent> {
        let asked = Event::Resolve {
            host: "callee.example".to_owned(),
        };
        assert_eq!(self.router.poll_event(), Some(asked));
        let address: Option<IpAddr> = address.map(|it| it.parse().expect("an address"));
        let answer = Resolved {
            host: "callee.example",
            addresses: address.as_slice(),
            ttl: Duration::from_secs(60),
        };
        let mut out = Outbox::new();
        self.router.resolved(self.now, answer, &mut out);
        sent(out.iter())
    }

    pub(crate) fn command(&mut self, command: &Command) -> Vec<Sent> {
        let mut out = Outbox::new();
        self.router.command(self.now, command, &mut out);
        sent(out.iter())
    }

    /// Everything is over: no context, no timer, no transaction is left.
    #[track_caller]
    pub(crate) fn assert_idle(&mut self) {
        let late = self.seconds(70.0);
        assert!(self.router.is_idle(), "{:#?}\n{late:#?}", self.counters());
    }
}

/// What a user agent answers to a request of the router.
pub(crate) fn answer_text(request: &Sent, status: &str, tag: &str, more: &str) -> String {
    let to = request.header("To").expect("To");
    let to = match to.contains(";tag=") || tag.is_empty() {
        true => to.to_owned(),
        false => format!("{to};tag={tag}"),
    };
    format!(
        "SIP/2.0 {status}\r\n{vias}{recorded}{from}To: {to}\r\n{call}{cseq}\
         Contact: <sip:b@{own}>\r\n{more}Content-Length: 0\r\n\r\n",
        vias = request.lines("Via"),
        recorded = request.lines("Record-Route"),
        from = request.lines("From"),
        call = request.lines("Call-ID"),
        cseq = request.lines("CSeq"),
        own = request.to,
    )
}
