//! A SIP agent in a few lines for what sipp cannot play: one socket, messages written by hand, answers
//! waited for by what they are. It keeps no state and repeats nothing: scripts say all that happens.

use crate::failure::{Failure, check};
use crate::sip::Message;
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a script waits for a message it needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body every offer and answer of the scripts has.
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n\
    t=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// An endpoint with one UDP socket.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: UdpSocket,
    name: &'static str,
    serial: Cell<u32>,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Where it sends everything.
    pub(crate) peer: SocketAddr,
}

/// A request outside or inside a dialog, before it is printed.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: &'static str,
    /// The request-URI.
    pub(crate) uri: String,
    /// From, with its tag.
    pub(crate) from: String,
    /// To, with a tag inside a dialog.
    pub(crate) to: String,
    /// Call-ID.
    pub(crate) call_id: String,
    /// Number in CSeq.
    pub(crate) cseq: u32,
    /// Branch of the Via.
    pub(crate) branch: String,
    /// Complete further header lines.
    pub(crate) extra: String,
    /// Body; SDP when not empty.
    pub(crate) body: String,
}

impl Agent {
    /// Binds a free port of `ip`; everything is sent to `peer`.
    pub(crate) fn bind(name: &'static str, ip: IpAddr, peer: SocketAddr) -> Result<Agent, Failure> {
        Agent::bind_at(name, SocketAddr::new(ip, 0), peer)
    }

    /// Binds `address`.
    pub(crate) fn bind_at(
        name: &'static str,
        address: SocketAddr,
        peer: SocketAddr,
    ) -> Result<Agent, Failure> {
        let machine = || Failure::machine(format!("{name} cannot bind {address}"));
        let socket = UdpSocket::bind(address).map_err(machine())?;
        let address = socket.local_addr().map_err(machine())?;
        Ok(Agent {
            socket,
            name,
            serial: Cell::new(0),
            address,
            peer,
        })
    }

    /// What it is called in From and Contact.
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// A request to `user` at the peer that opens something new.
    pub(crate) fn request(&self, method: &'static str, user: &str) -> Request {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let unique = format!("{}-{}-{serial}", self.name, self.address.port());
        let at = if user.is_empty() {
            String::new()
        } else {
            format!("{user}@")
        };
        Request {
            method,
            uri: format!("sip:{at}{}", self.peer),
            from: format!("<sip:{}@{}>;tag=tag-{unique}", self.name, self.address),
            to: format!("<sip:{at}{}>", self.peer),
            call_id: format!("call-{unique}"),
            cseq: 1,
            branch: format!("z9hG4bK-{unique}"),
            extra: String::new(),
            body: String::new(),
        }
    }

    /// An INVITE with SDP.
    pub(crate) fn invite(&self, user: &str) -> Request {
        Request {
            body: SDP.into(),
            ..self.request("INVITE", user)
        }
    }

    /// Prints and sends a request.
    pub(crate) fn send(&self, request: &Request) -> Result<(), Failure> {
        self.send_bytes(self.print(request).as_bytes())
    }

    /// The text of a request.
    pub(crate) fn print(&self, request: &Request) -> String {
        let Request {
            method,
            uri,
            from,
            to,
            call_id,
            cseq,
            branch,
            extra,
            body,
        } = request;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch={branch};rport\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{name}@{own}>\r\nMax-Forwards: 70\r\n{extra}{kind}\
             Content-Length: {length}\r\n\r\n{body}",
            own = self.address,
            name = self.name,
            kind = content_type(body),
            length = body.len(),
        )
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = self.socket.send_to(bytes, self.peer);
        sent.map(drop)
            .map_err(Failure::machine(format!("{} cannot send", self.name)))
    }

    /// Answers a request it received; `tag` goes into To when that has none.
    pub(crate) fn answer(
        &self,
        request: &Message,
        code: u16,
        tag: &str,
        body: &str,
    ) -> Result<(), Failure> {
        self.answer_with(request, code, tag, "", body)
    }

    /// The same, with further complete header lines.
    pub(crate) fn answer_with(
        &self,
        request: &Message,
        code: u16,
        tag: &str,
        extra: &str,
        body: &str,
    ) -> Result<(), Failure> {
        let vias: String = request
            .all("Via")
            .map(|via| format!("Via: {via}\r\n"))
            .collect();
        let mut to = request.header("To").to_owned();
        if request.tag("To").is_empty() && code > 100 {
            to += &format!(";tag={tag}");
        }
        let text = format!(
            "SIP/2.0 {code} Scripted\r\n{vias}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\nContact: <sip:{name}@{own}>\r\n{extra}{kind}\
             Content-Length: {length}\r\n\r\n{body}",
            from = request.header("From"),
            call_id = request.header("Call-ID"),
            cseq = request.header("CSeq"),
            name = self.name,
            own = self.address,
            kind = content_type(body),
            length = body.len(),
        );
        self.send_bytes(text.as_bytes())
    }

    /// The next message, whatever it is; None when none comes within `limit`.
    pub(crate) fn receive(&self, limit: Duration) -> Result<Option<Message>, Failure> {
        let machine = || Failure::machine(format!("{} cannot receive", self.name));
        let mut buffer = vec![0; 65_536];
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket
                .set_read_timeout(Some(left))
                .map_err(machine())?;
            match self.socket.recv(&mut buffer) {
                Ok(n) => match Message::parse(&String::from_utf8_lossy(&buffer[..n])) {
                    Some(message) => return Ok(Some(message)),
                    None => continue,
                },
                Err(e) if is_patience(e.kind()) => continue,
                Err(e) => return Err(machine()(e)),
            }
        }
    }

    /// Waits for a message that `is_it`; others meanwhile are let pass (retransmissions, 100).
    pub(crate) fn expect(
        &self,
        what: &str,
        is_it: impl Fn(&Message) -> bool,
    ) -> Result<Message, Failure> {
        let until = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.receive(left)? {
                Some(message) if is_it(&message) => return Ok(message),
                Some(message) => passed.push(message.start),
                None => {
                    let name = self.name;
                    return Err(Failure::Timeout(format!(
                        "{what} at {name} (saw {passed:?})"
                    )));
                }
            }
        }
    }

    /// Waits for a response to `request` with this code.
    pub(crate) fn expect_answer(&self, request: &Request, code: u16) -> Result<Message, Failure> {
        let answer = self.expect_final(request)?;
        check(answer.code() == Some(code), || {
            format!(
                "{} got {:?} to {}, not {code}",
                self.name, answer.start, request.method
            )
        })?;
        Ok(answer)
    }

    /// Waits for the final response to `request`.
    pub(crate) fn expect_final(&self, request: &Request) -> Result<Message, Failure> {
        self.expect(&format!("the answer to {}", request.method), |m| {
            let answers = m.branch() == request.branch && m.cseq_method() == request.method;
            answers && m.code().is_some_and(|code| code >= 200)
        })
    }

    /// Waits for a provisional response to `request` with this code.
    pub(crate) fn expect_provisional(
        &self,
        request: &Request,
        code: u16,
    ) -> Result<Message, Failure> {
        self.expect(&format!("{code} to {}", request.method), |m| {
            m.branch() == request.branch && m.code() == Some(code)
        })
    }

    /// Waits for the next request of this method in the dialog of `earlier`: repeated ones are let pass.
    pub(crate) fn expect_next(&self, method: &str, earlier: &Message) -> Result<Message, Failure> {
        self.expect(&format!("{method} in the dialog"), |m| {
            m.request_method() == Some(method)
                && m.header("Call-ID") == earlier.header("Call-ID")
                && !m.tag("To").is_empty()
                && m.cseq_number() > earlier.cseq_number()
        })
    }

    /// Waits for a request of this method.
    pub(crate) fn expect_request(&self, method: &str) -> Result<Message, Failure> {
        self.expect(method, |m| m.request_method() == Some(method))
    }

    /// The ACK for the final `answer` to `invite`: of the transaction for a failure, of its own for a 2xx.
    pub(crate) fn acknowledge(&self, invite: &Request, answer: &Message) -> Result<(), Failure> {
        self.acknowledge_with(invite, answer, "")
    }

    /// The same with a body: the answer to an offer that came in a 2xx.
    pub(crate) fn acknowledge_with(
        &self,
        invite: &Request,
        answer: &Message,
        body: &str,
    ) -> Result<(), Failure> {
        let accepted = answer.code().is_some_and(|code| code < 300);
        let mut ack = Request {
            method: "ACK",
            body: body.to_owned(),
            ..invite.clone()
        };
        ack.to = answer.header("To").to_owned();
        if accepted {
            ack.uri = answer.target().to_owned();
            ack.branch += "-ack";
        }
        self.send(&ack)
    }

    /// The caller's next request in the dialog that `answer` to `invite` made.
    pub(crate) fn in_dialog(
        &self,
        method: &'static str,
        invite: &Request,
        answer: &Message,
    ) -> Request {
        let request = self.request(method, "");
        Request {
            uri: answer.target().to_owned(),
            to: answer.header("To").to_owned(),
            cseq: invite.cseq + self.serial.get(),
            call_id: invite.call_id.clone(),
            from: invite.from.clone(),
            ..request
        }
    }

    /// The callee's request in the dialog that it made by answering `invite` with `tag`.
    pub(crate) fn back_in_dialog(
        &self,
        method: &'static str,
        invite: &Message,
        tag: &str,
    ) -> Request {
        let request = self.request(method, "");
        Request {
            uri: invite.target().to_owned(),
            to: invite.header("From").to_owned(),
            from: format!("{};tag={tag}", invite.header("To")),
            call_id: invite.header("Call-ID").to_owned(),
            cseq: 100 + self.serial.get(),
            ..request
        }
    }
}

fn content_type(body: &str) -> &'static str {
    if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    }
}

/// Nothing came yet, or an ICMP error of an earlier datagram was reported: neither ends a wait.
fn is_patience(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(
        kind,
        WouldBlock | TimedOut | Interrupted | ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Agent, Agent) {
        let any: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let mut alice = Agent::bind("alice", any.ip(), any).unwrap();
        let bob = Agent::bind("bob", any.ip(), alice.address).unwrap();
        alice.peer = bob.address;
        (alice, bob)
    }

    #[test]
    fn two_agents_talk() {
        let (alice, bob) = pair();
        let invite = alice.invite("12345");
        alice.send(&invite).unwrap();
        let seen = bob.expect_request("INVITE").unwrap();
        assert_eq!(seen.uri(), format!("sip:12345@{}", bob.address));
        assert_eq!(seen.body, SDP.replace("\r\n", "\n"));
        bob.answer(&seen, 200, "bob-tag", SDP).unwrap();
        let answer = alice.expect_answer(&invite, 200).unwrap();
        assert_eq!(answer.tag("To"), "bob-tag");
        alice.acknowledge(&invite, &answer).unwrap();
        let ack = bob.expect_request("ACK").unwrap();
        assert_eq!(ack.uri(), format!("sip:bob@{}", bob.address));
        bob.send(&bob.back_in_dialog("BYE", &seen, "bob-tag"))
            .unwrap();
        let bye = alice.expect_request("BYE").unwrap();
        assert_eq!(bye.tag("To"), seen.tag("From"));
    }

    #[test]
    fn another_code_is_a_failure() {
        let (alice, bob) = pair();
        let options = alice.request("OPTIONS", "");
        alice.send(&options).unwrap();
        bob.answer(&bob.expect_request("OPTIONS").unwrap(), 500, "t", "")
            .unwrap();
        let failure = alice.expect_answer(&options, 200).unwrap_err();
        assert!(failure.to_string().contains("not 200"), "{failure}");
    }

    #[test]
    fn silence_is_none() {
        let (alice, _bob) = pair();
        assert_eq!(alice.receive(Duration::from_millis(10)).unwrap(), None);
    }
}
