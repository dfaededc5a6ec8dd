//! The text of an agent's messages. Each bears a stamp of its own and a block of cargo: header lines
//! that every router must carry unchanged, between the stamp and [`LAST`].

use super::description::Description;
use super::{Agent, Part};
use crate::heard::{Heard, STAMP};

/// The header that closes the cargo.
pub(crate) const LAST: &str = "X-Last";

/// What a party that talks understands (RFC 3311 4).
const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS\r\n";

/// A body and its type.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Body {
    pub(super) const NONE: Body = Body {
        kind: "",
        bytes: Vec::new(),
    };

    pub(super) fn sdp(said: &Description) -> Body {
        Body {
            kind: "application/sdp",
            bytes: said.print().into_bytes(),
        }
    }

    fn print(&self, head: &mut Vec<u8>) {
        if !self.bytes.is_empty() {
            head.extend_from_slice(format!("Content-Type: {}\r\n", self.kind).as_bytes());
        }
        let length = format!("Content-Length: {}\r\n\r\n", self.bytes.len());
        head.extend_from_slice(length.as_bytes());
        head.extend_from_slice(&self.bytes);
    }
}

/// The parts of a request that its CANCEL and ACK repeat.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) branch: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
}

impl Agent {
    /// A session description with this agent's address, which passes the router by design.
    pub(super) fn sdp(&mut self) -> Body {
        let session = self.name("sdp");
        let ip = self.identity.address.ip();
        let family = if ip.is_ipv4() { 4 } else { 6 };
        let text = format!(
            "v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns={session}\r\nc=IN IP{family} {ip}\r\n\
             t=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
        );
        Body {
            kind: "application/sdp",
            bytes: text.into_bytes(),
        }
    }

    /// A body no router can know.
    pub(super) fn odd_body(&mut self) -> Body {
        let length = self.draw.between(1, 300);
        let bytes = (0..length).map(|_| self.draw.bits() as u8).collect();
        Body {
            kind: "application/x-odd",
            bytes,
        }
    }

    /// Prints a request.
    pub(super) fn print_request(&mut self, line: &Line, extra: &str, body: &Body) -> Vec<u8> {
        let contact = match line.method.as_str() {
            "CANCEL" | "ACK" | "BYE" | "PRACK" => String::new(),
            _ => self.contact(),
        };
        let (cargo, timer) = (self.cargo(), self.session_request(&line.method));
        let mut bytes = self.print_head(line);
        bytes.extend_from_slice(format!("{contact}{timer}{extra}{cargo}").as_bytes());
        body.print(&mut bytes);
        bytes
    }

    /// Prints a request that goes to the next hop only, without cargo.
    pub(super) fn print_hop_request(&mut self, line: &Line, extra: &str) -> Vec<u8> {
        let mut bytes = self.print_head(line);
        bytes.extend_from_slice(extra.as_bytes());
        Body::NONE.print(&mut bytes);
        bytes
    }

    fn print_head(&mut self, line: &Line) -> Vec<u8> {
        let address = self.identity.address;
        let left = match &self.part {
            Part::Caller(plan) => plan.max_forwards.unwrap_or(70),
            Part::Callee(_) => 70,
        };
        let Line {
            method,
            uri,
            branch,
            from,
            to,
            call_id,
            cseq,
        } = line;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch={branch}\r\n\
             Max-Forwards: {left}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n"
        )
        .into_bytes()
    }

    /// Prints a response; `tag` goes to the To of a request that had none.
    pub(super) fn print_response(
        &mut self,
        request: &Heard,
        code: u16,
        tag: &str,
        extra: &str,
        body: &Body,
    ) -> Vec<u8> {
        let vias: String = request
            .vias
            .iter()
            .map(|via| format!("Via: {via}\r\n"))
            .collect();
        let tag = match request.to_tag.is_empty() && !tag.is_empty() {
            true => format!(";tag={tag}"),
            false => String::new(),
        };
        let Heard {
            from,
            to,
            call_id,
            cseq,
            method,
            ..
        } = request;
        let (phrase, cargo) = (self.phrase(code), self.cargo());
        let timer = self.session_answer(request, code);
        let mut bytes = format!(
            "SIP/2.0 {code} {phrase}\r\n{vias}From: {from}\r\nTo: {to}{tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{timer}{extra}{cargo}"
        )
        .into_bytes();
        body.print(&mut bytes);
        bytes
    }

    pub(super) fn contact(&self) -> String {
        let address = self.identity.address;
        let allow = if self.talks() { ALLOW } else { "" };
        match &self.part {
            Part::Callee(plan) if plan.named_contact => {
                let host = &self.identity.host_name;
                format!("Contact: <sip:here@{host}:{}>\r\n{allow}", address.port())
            }
            _ => format!("Contact: <sip:here@{address}>\r\n{allow}"),
        }
    }

    /// A reason phrase, at times one of the agent's own.
    fn phrase(&mut self, code: u16) -> String {
        match self.draw.chance(30) {
            true => format!("So Said {}", self.draw.between(1, 999)),
            false => wire::print::reason_phrase(code).to_owned(),
        }
    }

    /// The stamp and what has to pass unchanged.
    fn cargo(&mut self) -> String {
        const LINES: [&str; 9] = [
            "X-Unknown: a, \"b, c\" ;d=<e>",
            "Subject: Grüße, 你好",
            "s: compact and \\odd",
            "P-Asserted-Identity: \"Jos\u{e9}\" <tel:+4930123456>",
            "X-Folded: first\r\n second\r\n\tthird",
            "User-Agent: agent/1.0 (simulated; x)",
            "Privacy: id;user",
            "x-LoWeR:tight",
            "Diversion: <sip:+4989@diverted.example>;reason=unconditional",
        ];
        let stamp = self.name("stamp");
        let mut text = format!("{STAMP}: {stamp}\r\n");
        for _ in 0..self.draw.between(0, 4) {
            text.push_str(self.draw.pick(&LINES));
            text.push_str("\r\n");
        }
        text + LAST + ": " + &stamp + "\r\n"
    }
}
