//! Some routers that are the shards of one, and parties made of text. A Call-ID of a party begins with the
//! number of the shard that is to own it; those of the router name theirs.

#[path = "../sent/mod.rs"]
#[allow(dead_code, reason = "the tests of each binary read some of it")]
mod sent;

use std::sync::Arc;
use std::time::Duration;

use stack::{Outbox, Time, Token};
use tipring_router::rdb::Table;
use tipring_router::{
    Accounting, CallRecord, Command, Config, Counters, Event, Listener, Peer, Peers, Resolved,
    Router, Timers, Transfers,
};

pub(crate) use sent::Sent;
use sent::sent;

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord": {"outRuriHostport": "127.0.0.3:5072"}},
    {"userpartPattern": "^5", "routingRecord": {"outRuriHostport": "c.example:5072"}},
    {"userpartPattern": "^4", "routingRecord": {
        "outRuriHostport": "127.0.0.3:5072", "noAnswerTimeout": 20, "maxCallDuration": 60}},
    {"userpartPattern": "^6", "routingRecord": {"outRuriHostport": "[::1]:5070"}}
]"#;

pub(crate) const A: &str = "127.0.0.9:5080";
pub(crate) const B: &str = "127.0.0.2:5070";
pub(crate) const C: &str = "127.0.0.3:5072";

/// A dialog as one party has it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) own: String,
    pub(crate) call_id: String,
    pub(crate) local: String,
    pub(crate) remote: String,
    pub(crate) target: String,
    pub(crate) cseq: u32,
}

impl Line {
    /// Of the one whose INVITE was answered with this.
    pub(crate) fn of_caller(answer: &Sent) -> Line {
        Line {
            own: answer.to.to_string(),
            call_id: answer.value("Call-ID").to_owned(),
            local: answer.value("From").to_owned(),
            remote: answer.value("To").to_owned(),
            target: answer.contact().to_owned(),
            cseq: 1,
        }
    }

    /// Of the one who answered this INVITE, with this tag.
    pub(crate) fn of_callee(invite: &Sent, tag: &str) -> Line {
        Line {
            own: invite.to.to_string(),
            call_id: invite.value("Call-ID").to_owned(),
            local: format!("{};tag={tag}", invite.value("To")),
            remote: invite.value("From").to_owned(),
            target: invite.contact().to_owned(),
            cseq: 0,
        }
    }

    pub(crate) fn local_tag(&self) -> &str {
        self.local.split_once(";tag=").expect("a tag").1
    }

    pub(crate) fn remote_tag(&self) -> &str {
        self.remote.split_once(";tag=").expect("a tag").1
    }

    /// The value of a Replaces that names this dialog to the other party.
    pub(crate) fn replaces(&self) -> String {
        let (to, from) = (self.remote_tag(), self.local_tag());
        format!("{};to-tag={to};from-tag={from}", self.call_id)
    }

    /// The Refer-To of a transfer to the other party of this dialog.
    pub(crate) fn refer_to(&self) -> String {
        let replaces = self.replaces().replace(';', "%3B").replace('=', "%3D");
        let replaces = replaces.replace('@', "%40");
        format!("Refer-To: <{}?Replaces={replaces}>\r\n", self.target)
    }
}

pub(crate) struct World {
    pub(crate) shards: Vec<Router>,
    now: Time,
    branches: u32,
    /// Words between shards are lost.
    pub(crate) deaf: bool,
    /// A shard begins to drain before it hears a word.
    pub(crate) drains: bool,
    /// Of calls that have ended.
    pub(crate) records: Vec<Arc<CallRecord>>,
}

impl World {
    pub(crate) fn new(shards: u8) -> World {
        World::of(shards, Timers::default())
    }

    fn of(shards: u8, timers: Timers) -> World {
        let listener = |address: &str, host: &str| Listener {
            address: address.parse().expect("an address"),
            advertise_host: host.to_owned(),
            advertise_port: 5060,
        };
        let listeners = vec![
            listener("127.0.0.1:5060", "127.0.0.1"),
            listener("[::1]:5060", "gw6.example"),
        ];
        let table = Arc::new(Table::parse(ROUTES).expect("a good table"));
        let router = |shard| {
            let config = Config {
                shard,
                shards,
                seed: 7 + u64::from(shard),
                timers,
                accounting: Accounting {
                    records: true,
                    ..Accounting::default()
                },
                ..Config::new(listeners.clone(), Arc::clone(&table))
            };
            Router::new(config, Time::ZERO)
        };
        World {
            shards: (0..shards).map(router).collect(),
            now: Time::ZERO,
            branches: 0,
            deaf: false,
            drains: false,
            records: Vec::new(),
        }
    }

    /// A world where this router carries out the REFERs of A and B.
    pub(crate) fn handling(shards: u8) -> World {
        World::new(shards).handle()
    }

    /// The same of one shard, which asks inside calls whether they live.
    pub(crate) fn probing(interval: Duration) -> World {
        let timers = Timers {
            in_dialog_probe: Some(interval),
            ..Timers::default()
        };
        World::of(1, timers).handle()
    }

    fn handle(mut self) -> World {
        let world = &mut self;
        let peer = Peer {
            transfers: Transfers::Handle,
            ..Peer::default()
        };
        let of = |address: &str| {
            address
                .parse::<std::net::SocketAddr>()
                .expect("an address")
                .ip()
        };
        let peers = Peers::new([(of(A), 32, peer), (of(B), 32, peer)]);
        let command = Command::Peers(Arc::new(peers));
        for shard in &mut world.shards {
            shard.command(world.now, &command, &mut Outbox::new());
        }
        self
    }

    /// The resolver's answer, to the first shard.
    pub(crate) fn resolved(&mut self, host: &str, address: Option<&str>) -> Vec<Sent> {
        let addresses: Vec<_> = address.iter().flat_map(|text| text.parse()).collect();
        let answer = Resolved {
            host,
            addresses: &addresses,
            ttl: Duration::from_secs(60),
        };
        let mut out = Outbox::new();
        self.shards[0].resolved(self.now, answer, &mut out);
        sent(out.iter())
    }

    /// What all shards counted, by this.
    pub(crate) fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.counters())).sum()
    }

    fn owner(text: &str) -> usize {
        let call_id = text.split("Call-ID: ").nth(1).expect("a Call-ID");
        let call_id = call_id.split("\r\n").next().unwrap_or_default();
        match Token::parse_call_id(call_id.as_bytes()) {
            Some(token) => token.shard.into(),
            None => call_id[..1].parse().expect("the number of a shard"),
        }
    }

    /// A datagram from this address, and all that follows from it at once.
    pub(crate) fn receive(&mut self, from: &str, text: &str) -> Vec<Sent> {
        let mut out = Outbox::new();
        let from = (u16::from(from.starts_with('[')), from);
        let shard = &mut self.shards[World::owner(text)];
        sent::receive(shard, self.now, from, text, &mut out);
        self.deliver(&mut out);
        sent(out.iter())
    }

    /// What the shards say to each other.
    fn deliver(&mut self, out: &mut Outbox) {
        let mut words = Vec::new();
        loop {
            for shard in &mut self.shards {
                words.extend(std::iter::from_fn(|| shard.poll_event()));
            }
            let Some(event) = words.pop() else { return };
            if let Event::CallEnded(record) = event {
                self.records.push(record);
            } else if let Event::ToShard { shard, word } = event
                && !self.deaf
            {
                let command = Command::FromShard(word);
                if self.drains {
                    self.shards[usize::from(shard)].command(self.now, &Command::Drain, out);
                }
                self.shards[usize::from(shard)].command(self.now, &command, out);
            }
        }
    }

    pub(crate) fn seconds(&mut self, seconds: u64) -> Vec<Sent> {
        let until = self.now + Duration::from_secs(seconds);
        let mut out = Outbox::new();
        loop {
            let due = |shard: &Router| shard.poll_timeout().filter(|(at, _)| *at <= until);
            let next = self.shards.iter().filter_map(due).map(|(at, _)| at).min();
            let Some(at) = next else { break };
            self.now = at.max(self.now);
            for shard in &mut self.shards {
                shard.handle_timeout(self.now, &mut out);
            }
            self.deliver(&mut out);
        }
        self.now = until;
        sent(out.iter())
    }

    #[track_caller]
    pub(crate) fn assert_idle(&mut self) {
        let late = self.seconds(70);
        for shard in &self.shards {
            assert!(shard.is_idle(), "{:#?}\n{late:#?}", shard.counters());
        }
        assert_eq!(
            self.sum(|it| it.calls_answered),
            self.sum(|it| it.calls_ended)
        );
    }

    fn branch(&mut self) -> u32 {
        self.branches += 1;
        self.branches
    }

    /// An INVITE of this party that opens something new.
    pub(crate) fn invite(&mut self, from: &str, call_id: &str, uri: &str, more: &str) -> Vec<Sent> {
        self.outside("INVITE", from, call_id, uri, more)
    }

    pub(crate) fn outside(
        &mut self,
        method: &str,
        from: &str,
        call_id: &str,
        uri: &str,
        more: &str,
    ) -> Vec<Sent> {
        let n = self.branch();
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKn{n}\r\n\
             From: <sip:party@own.example>;tag=own{n}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:party@{from}>\r\nMax-Forwards: 70\r\n{more}\
             Content-Length: 0\r\n\r\n"
        );
        self.receive(from, &text)
    }

    /// CANCEL of the INVITE that was sent last.
    pub(crate) fn cancel(&mut self, from: &str, call_id: &str, uri: &str) -> Vec<Sent> {
        let n = self.branches;
        let text = format!(
            "CANCEL {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKn{n}\r\n\
             From: <sip:party@own.example>;tag=own{n}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 CANCEL\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        self.receive(from, &text)
    }

    /// The answer of whom this request was sent to; `tag` when it makes a dialog.
    pub(crate) fn answer(&mut self, request: &Sent, status: &str, tag: &str) -> Vec<Sent> {
        self.answer_with(request, status, tag, "")
    }

    /// The same with a session description.
    pub(crate) fn answer_with(
        &mut self,
        request: &Sent,
        status: &str,
        tag: &str,
        sdp: &str,
    ) -> Vec<Sent> {
        let kind = match sdp {
            "" => "",
            _ => "Content-Type: application/sdp\r\n",
        };
        let from = request.to.to_string();
        let to = match request.tag("To") {
            "" => format!("{};tag={tag}", request.value("To")),
            _ => request.value("To").to_owned(),
        };
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:party@{from}>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            request.value("Via"),
            request.value("From"),
            request.value("Call-ID"),
            request.value("CSeq"),
            sdp.len(),
        );
        self.receive(&from, &text)
    }

    /// A request inside a dialog.
    pub(crate) fn request(&mut self, line: &mut Line, method: &str, more: &str) -> Vec<Sent> {
        line.cseq += u32::from(method != "ACK");
        let n = self.branch();
        let (head, body) = more.split_once("\r\n\r\n").unwrap_or((more, ""));
        let end = if head.len() < more.len() { "\r\n" } else { "" };
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKn{n}\r\nFrom: {}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContact: <sip:party@{own}>\r\n\
             Max-Forwards: 70\r\n{head}{end}Content-Length: {}\r\n\r\n{body}",
            line.target,
            line.local,
            line.remote,
            line.call_id,
            line.cseq,
            body.len(),
            own = line.own,
        );
        let own = line.own.clone();
        self.receive(&own, &text)
    }

    /// A call that is up: the caller's dialog and the callee's.
    pub(crate) fn connect(&mut self, from: &str, call_id: &str, uri: &str) -> (Line, Line) {
        let sent = self.invite(from, call_id, uri, "");
        self.pick_up(&one(&sent, "INVITE"))
    }

    /// The call of this INVITE is answered.
    pub(crate) fn pick_up(&mut self, invite: &Sent) -> (Line, Line) {
        let tag = format!("callee{}", self.branch());
        let answered = one(&self.answer(invite, "200 OK", &tag), "200");
        let mut caller = Line::of_caller(&answered);
        one(&self.request(&mut caller, "ACK", ""), "ACK");
        (caller, Line::of_callee(invite, &tag))
    }

    /// The party of this dialog ends it, and the other one agrees.
    #[track_caller]
    pub(crate) fn hang_up(&mut self, line: &mut Line) {
        let bye = one(&self.request(line, "BYE", ""), "BYE");
        one(&self.answer(&bye, "200 OK", ""), "200");
    }
}

/// The one message of this kind.
#[track_caller]
pub(crate) fn one(sent: &[Sent], kind: &str) -> Sent {
    let found: Vec<_> = sent.iter().filter(|sent| sent.kind() == kind).collect();
    assert_eq!(found.len(), 1, "{kind} in {sent:#?}");
    found[0].clone()
}
