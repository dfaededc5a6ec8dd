//! Calls whose media goes through the router (`steerMedia`): what each party is told of the other's
//! streams, and where packets go. One file a group of behaviours; the two phones are here.

mod any_order;
mod body;
mod delayed;
mod ending;
mod families;
mod forks;
mod hold;
mod latching;
mod limits;
mod offer_answer;
mod reinvite;
mod silence;
mod timing;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use media::PortPair;
use stack::{Flow, Outbox, Time};
use tipring_router::rdb::Table;
use tipring_router::{Config, Event, Listener, Peers, Resolved, Router};

const ROUTES: &str = r#"[
    {"userpartPattern": "^7", "routingRecord":
        {"outRuriHostport": "127.0.0.2:5070", "steerMedia": true}},
    {"userpartPattern": "^6", "routingRecord":
        {"outRuriHostport": "[::2]:5070", "steerMedia": true}},
    {"userpartPattern": "^5", "routingRecord": {"outRuriHostport": "127.0.0.2:5070"}},
    {"userpartPattern": "^8", "routingRecord":
        {"outRuriHostport": "callee.example:5070", "steerMedia": true}}
]"#;

/// What our side of IPv4 media is called in SDP.
const OURS: &str = "198.51.100.1";
/// The same of IPv6.
const OURS6: &str = "2001:db8::ff";
/// First port of each family.
const PORTS: [u16; 2] = [40_000, 50_000];
const LISTENERS: u16 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Caller,
    Callee,
}

use Side::{Callee, Caller};

impl Side {
    fn other(self) -> Side {
        if self == Caller { Callee } else { Caller }
    }
}

/// A message as a phone received it.
#[derive(Clone, Debug)]
struct Seen(String);

impl Seen {
    fn start(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    fn code(&self) -> u16 {
        let code = self.start().split(' ').nth(1);
        code.and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next()?;
        let line = |line: &'_ str| line.strip_prefix(name).is_some_and(|l| l.starts_with(": "));
        let line = head.lines().find(|&candidate| line(candidate))?;
        line.get(name.len() + 2..)
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The lines of the body that begin so.
    fn lines(&self, start: &str) -> Vec<&str> {
        let lines = self.body().lines();
        lines.filter(|line| line.starts_with(start)).collect()
    }

    /// The port of the m= line with this index.
    fn port(&self, line: usize) -> u16 {
        let line = self.lines("m=")[line];
        line.split(' ').nth(1).unwrap().parse().expect("a port")
    }

    /// The version in o=.
    fn version(&self) -> u64 {
        let origin = self.lines("o=")[0];
        origin
            .split(' ')
            .nth(2)
            .unwrap()
            .parse()
            .expect("a version")
    }
}

/// A phone's end of the call.
#[derive(Debug, Default)]
struct Phone {
    call_id: String,
    own: String,
    peer: String,
    target: String,
    cseq: u32,
}

struct World {
    router: Router,
    out: Outbox,
    now: Time,
    branches: u32,
    addresses: HashMap<Side, SocketAddr>,
    phones: HashMap<Side, Phone>,
    v4_pairs: u16,
}

fn pairs(count: u16, v6: bool) -> impl Iterator<Item = PortPair> {
    let addresses: [IpAddr; 2] = if v6 {
        ["::1", OURS6].map(|text| text.parse().unwrap())
    } else {
        ["127.0.0.1", OURS].map(|text| text.parse().unwrap())
    };
    (0..count).map(move |n| PortPair {
        bound: addresses[0],
        advertised: addresses[1],
        rtp_port: PORTS[usize::from(v6)] + 2 * n,
    })
}

fn listener(address: &str) -> Listener {
    let (host, _) = address.rsplit_once(':').unwrap();
    let address: SocketAddr = address.parse().unwrap();
    Listener {
        address,
        advertise_host: host.to_owned(),
        advertise_port: address.port(),
    }
}

impl World {
    fn new() -> World {
        World::with_pairs(40, 20)
    }

    fn with_pairs(v4: u16, v6: u16) -> World {
        World::with_peers(v4, v6, Peers::default())
    }

    fn with_silence(silence: Duration) -> World {
        World::with(4, 0, Peers::default(), Some(silence))
    }

    fn with_peers(v4: u16, v6: u16, peers: Peers) -> World {
        World::with(v4, v6, peers, None)
    }

    fn with(v4: u16, v6: u16, peers: Peers, silence: Option<Duration>) -> World {
        let media = media::Config {
            pairs: pairs(v4, false).chain(pairs(v6, true)).collect(),
            first_listener: LISTENERS,
            seed: 7,
            silence,
            ..media::Config::default()
        };
        let config = Config {
            media,
            peers: Arc::new(peers),
            ..Config::new(
                vec![listener("127.0.0.1:5060"), listener("[::1]:5060")],
                Arc::new(Table::parse(ROUTES).expect("a good table")),
            )
        };
        World {
            router: Router::new(config, Time::ZERO),
            out: Outbox::new(),
            now: Time::ZERO,
            branches: 0,
            addresses: HashMap::from([
                (Caller, "127.0.0.9:5080".parse().unwrap()),
                (Callee, "127.0.0.2:5070".parse().unwrap()),
            ]),
            phones: HashMap::new(),
            v4_pairs: v4,
        }
    }

    /// Gives a message of this side to the router; what comes out is in `out`.
    fn deliver(&mut self, from: Side, text: &str) {
        let remote = self.addresses[&from];
        let listener = u16::from(remote.is_ipv6());
        self.out.clear();
        let mut index = wire::Index::new();
        let message = wire::Message::parse(text.as_bytes(), &mut index, &wire::Limits::default())
            .expect("a good message");
        let flow = Flow { listener, remote };
        self.router.receive(self.now, flow, &message, &mut self.out);
    }

    /// What the last turn sent to this side, but 100.
    fn heard(&self, side: Side) -> Vec<Seen> {
        let to = self.addresses[&side];
        self.out
            .iter()
            .filter(|(flow, _)| flow.remote == to)
            .map(|(_, bytes)| Seen(String::from_utf8(bytes.to_vec()).expect("text")))
            .filter(|seen| seen.code() != 100)
            .collect()
    }

    fn heard_one(&self, side: Side) -> Seen {
        let mut heard = self.heard(side);
        assert_eq!(heard.len(), 1, "{side:?} heard {heard:?}");
        heard.remove(0)
    }

    /// The caller calls `user`; what the callee hears, or the caller's refusal.
    fn invite(&mut self, user: &str, more: &str, body: &str) -> Seen {
        self.ready_caller(user);
        if user.starts_with('6') {
            self.addresses.insert(Callee, "[::2]:5070".parse().unwrap());
        }
        let heard = self.request(Caller, "INVITE", more, body);
        if heard.start().starts_with("INVITE") {
            self.ready_callee(&heard);
        }
        heard
    }

    fn ready_caller(&mut self, user: &str) {
        let caller = Phone {
            call_id: format!("c{}", self.branches),
            own: "<sip:a@a.example>;tag=a".to_owned(),
            peer: "<sip:b@b.example>".to_owned(),
            target: format!("sip:{user}@127.0.0.1"),
            cseq: 0,
        };
        self.phones.insert(Caller, caller);
    }

    fn ready_callee(&mut self, invite: &Seen) {
        let callee = Phone {
            call_id: invite.header("Call-ID").unwrap().to_owned(),
            own: format!("{};tag=b", invite.header("To").unwrap()),
            peer: invite.header("From").unwrap().to_owned(),
            target: contact(invite),
            cseq: 100,
        };
        self.phones.insert(Callee, callee);
    }

    /// The same to a callee that is found by its name: the INVITE leaves once the resolver has answered.
    fn invite_by_name(&mut self, user: &str, body: &str) -> Seen {
        self.ready_caller(user);
        let text = self.text_of(Caller, "INVITE", "", body);
        self.deliver(Caller, &text);
        assert!(self.heard(Callee).is_empty(), "its address is not known");
        let Some(Event::Resolve { host }) = self.router.poll_event() else {
            panic!("nobody is asked for the address");
        };
        let answer = Resolved {
            host: &host,
            addresses: &[self.addresses[&Callee].ip()],
            ttl: Duration::from_secs(60),
        };
        self.out.clear();
        self.router.resolved(self.now, answer, &mut self.out);
        let heard = self.heard_one(Callee);
        self.ready_callee(&heard);
        heard
    }

    /// A request of this side; what the other side hears, or the router's answer to this one.
    fn request(&mut self, from: Side, method: &str, more: &str, body: &str) -> Seen {
        let text = self.text_of(from, method, more, body);
        self.deliver(from, &text);
        let mut heard = self.heard(from.other());
        if heard.is_empty() {
            return self.heard_one(from);
        }
        heard.remove(0)
    }

    fn text_of(&mut self, from: Side, method: &str, more: &str, body: &str) -> String {
        self.branches += 1;
        let address = self.addresses[&from];
        let phone = self.phones.get_mut(&from).expect("a phone in a call");
        phone.cseq += u32::from(method != "ACK");
        let Phone {
            call_id,
            own,
            peer,
            target,
            cseq,
        } = phone;
        let kind = content_type(more, body);
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{}\r\n\
             From: {own}\r\nTo: {peer}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:x@{address}>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
            self.branches,
            body.len()
        )
    }

    /// This side answers what it heard; what the other side hears.
    fn answer(&mut self, by: Side, to: &Seen, code: u16, more: &str, body: &str) -> Seen {
        self.answer_as(by, to, "b", code, more, body)
    }

    /// The same from the fork with this tag.
    fn answer_as(
        &mut self,
        by: Side,
        to: &Seen,
        tag: &str,
        code: u16,
        more: &str,
        body: &str,
    ) -> Seen {
        self.deliver_answer(by, to, tag, code, more, body);
        let heard = self.heard_one(by.other());
        self.learn(by.other(), &heard);
        heard
    }

    fn deliver_answer(
        &mut self,
        by: Side,
        to: &Seen,
        tag: &str,
        code: u16,
        more: &str,
        body: &str,
    ) {
        let mut text = format!("SIP/2.0 {code} Whatever\r\n");
        let head = to.0.split("\r\n\r\n").next().unwrap();
        for line in head.lines() {
            let name = line.split(':').next().unwrap();
            if ["Via", "From", "Call-ID", "CSeq", "To"].contains(&name) {
                text += line;
                if name == "To" && !line.contains(";tag=") {
                    text += &format!(";tag={tag}");
                }
                text += "\r\n";
            }
        }
        let kind = content_type(more, body);
        text += &format!(
            "Contact: <sip:x@{}>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
            self.addresses[&by],
            body.len()
        );
        self.deliver(by, &text);
    }

    /// An answer to an INVITE names the dialog for the requests after it.
    fn learn(&mut self, side: Side, heard: &Seen) {
        let of_invite = heard
            .header("CSeq")
            .is_some_and(|cseq| cseq.ends_with("INVITE"));
        if of_invite && (101..300).contains(&heard.code()) {
            let phone = self.phones.get_mut(&side).expect("a phone in a call");
            phone.peer = heard.header("To").unwrap().to_owned();
            phone.target = contact(heard);
        }
    }

    /// This side ACKs the 2xx to its last INVITE; what the other side hears.
    fn ack(&mut self, from: Side, body: &str) -> Seen {
        let text = self.text_of(from, "ACK", "", body);
        self.deliver(from, &text);
        self.heard_one(from.other())
    }

    /// A call of these descriptions, answered: what the callee and then the caller heard.
    fn call(&mut self, user: &str, offer: &str, answer: &str) -> (Seen, Seen) {
        let invite = self.invite(user, "", offer);
        let ok = self.answer(Callee, &invite, 200, "", answer);
        self.ack(Caller, "");
        (invite, ok)
    }

    /// Both sides hang up, and nothing is left of their media.
    fn hang_up(&mut self) {
        let bye = self.request(Caller, "BYE", "", "");
        assert!(
            self.router.counters().media.streams == 0,
            "streams outlive the call"
        );
        self.answer(Callee, &bye, 200, "", "");
        assert_eq!(self.router.counters().media.pairs_used, 0);
        self.now = self.now + Duration::from_secs(60);
        self.out.clear();
        self.router.handle_timeout(self.now, &mut self.out);
        assert!(self.router.is_idle(), "something is left of the call");
    }

    /// A packet from this address to our port: where it goes and from which port of ours.
    fn packet(&mut self, from: &str, port: u16) -> Option<(String, u16)> {
        let mut bytes = [0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xaa, 0xbb].to_vec();
        if !port.is_multiple_of(2) {
            // A receiver report without blocks (RFC 3550 6.4.2).
            bytes = [0x80, 201, 0, 1, 0, 0, 0, 1].to_vec();
        }
        self.datagram(from, port, &bytes)
    }

    fn datagram(&mut self, from: &str, port: u16, bytes: &[u8]) -> Option<(String, u16)> {
        let v4_pairs = self.v4_pairs;
        let v6 = port >= PORTS[1];
        let first = if v6 { 2 * v4_pairs } else { 0 };
        let listener = LISTENERS + first + (port - PORTS[usize::from(v6)]);
        let flow = Flow {
            listener,
            remote: from.parse().expect("an address"),
        };
        self.out.clear();
        self.router
            .receive_media(self.now, flow, bytes, &mut self.out);
        let (flow, sent) = self.out.iter().next()?;
        assert_eq!(sent, bytes, "media passes as it is");
        let socket = flow.listener - LISTENERS;
        let from = if socket < 2 * v4_pairs {
            PORTS[0] + socket
        } else {
            PORTS[1] + socket - 2 * v4_pairs
        };
        Some((flow.remote.to_string(), from))
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }
}

fn contact(seen: &Seen) -> String {
    let contact = seen.header("Contact").expect("a Contact");
    contact.trim_matches(['<', '>']).to_owned()
}

fn content_type(more: &str, body: &str) -> &'static str {
    if body.is_empty() || more.contains("Content-Type") {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    }
}

/// A description with this session-level address and these sections.
fn sdp(address: &str, version: u64, sections: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    format!(
        "v=0\r\no=user 77 {version} IN {family} {address}\r\ns=Secret\r\nc=IN {family} {address}\r\n\
         t=0 0\r\n{sections}"
    )
}

/// One audio line.
fn audio(address: &str, port: u16) -> String {
    sdp(address, 1, &format!("m=audio {port} RTP/AVP 0\r\n"))
}

const RELIABLE: &str = "Require: 100rel\r\nRSeq: 1\r\n";
const RACK: &str = "RAck: 1 1 INVITE\r\n";
