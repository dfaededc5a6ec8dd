//! The text of a phone's messages. Each bears a stamp of its own, by which it is known again behind the
//! router.

use super::Phone;
use super::dialog::Dialog;
use crate::heard::{Heard, STAMP};

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
    pub(super) routes: Vec<String>,
}

/// A body and its type.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Body {
    fn print(&self) -> String {
        let kind = match self.kind {
            "" => String::new(),
            kind => format!("Content-Type: {kind}\r\n"),
        };
        format!(
            "{kind}Content-Length: {}\r\n\r\n{}",
            self.text.len(),
            self.text
        )
    }
}

impl Phone {
    /// A session description with this phone's address.
    pub(super) fn sdp(&self) -> Body {
        let ip = self.persona.address.ip();
        let family = if ip.is_ipv4() { 4 } else { 6 };
        let text = format!(
            "v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns=-\r\nc=IN IP{family} {ip}\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 8\r\n"
        );
        Body {
            kind: "application/sdp",
            text,
        }
    }

    /// The next request of a dialog; an ACK bears the number that is given to it later.
    pub(super) fn line(&mut self, at: usize, method: &str) -> Line {
        let branch = format!("z9hG4bK{}", self.name("branch"));
        let dialog = &mut self.dialogs[at];
        if method != "ACK" {
            dialog.cseq += 1;
        }
        let tagged = |value: &str, tag: &str| match tag {
            "" => value.to_owned(),
            tag => format!("{value};tag={tag}"),
        };
        Line {
            method: method.to_owned(),
            uri: dialog.target.clone(),
            branch,
            from: tagged(&dialog.local, &dialog.local_tag),
            to: tagged(&dialog.remote, &dialog.remote_tag),
            call_id: dialog.call_id.clone(),
            cseq: dialog.cseq,
            routes: dialog.routes.clone(),
        }
    }

    /// What becomes a dialog with whoever answers at this number.
    pub(super) fn first_dialog(&mut self, number: &str) -> Dialog {
        let (address, router) = (self.persona.address, self.persona.router);
        let user = self.persona.id;
        Dialog {
            call_id: format!("{}@{}", self.name("call"), address.ip()),
            local: format!("\"Somebody\" <sip:someone{user}@{address}>"),
            local_tag: self.name("tag"),
            remote: format!("<sip:{number}@{router}>"),
            remote_tag: String::new(),
            target: format!("sip:{number}@{router}"),
            routes: Vec::new(),
            cseq: self.draw.between(0, 2_000) as u32,
            remote_cseq: None,
            invite_cseq: 0,
            call: super::dialog::Stage::Early,
        }
    }

    /// Prints a request.
    pub(super) fn print_request(&mut self, line: &Line, extra: &str, body: &Body) -> Vec<u8> {
        let contact = match line.method.as_str() {
            "CANCEL" | "ACK" | "BYE" => String::new(),
            _ => self.contact(),
        };
        let stamp = self.stamp();
        let text = self.print_head(line) + &contact + extra + &stamp + &body.print();
        text.into_bytes()
    }

    /// Prints the CANCEL of a request, or the ACK of its refusal: they go one hop.
    pub(super) fn print_hop_request(&self, line: &Line) -> Vec<u8> {
        (self.print_head(line) + &Body::default().print()).into_bytes()
    }

    fn print_head(&self, line: &Line) -> String {
        let address = self.persona.address;
        let hops = self.plan.max_forwards.unwrap_or(70);
        let lines = |values: &[String]| -> String {
            values.iter().map(|it| format!("Route: {it}\r\n")).collect()
        };
        let Line {
            method,
            uri,
            branch,
            from,
            to,
            call_id,
            cseq,
            routes,
        } = line;
        let routes = lines(routes);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch={branch}\r\n\
             Max-Forwards: {hops}\r\n{routes}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n"
        )
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
        let lines = |name: &str, values: &[String]| -> String {
            values
                .iter()
                .map(|it| format!("{name}: {it}\r\n"))
                .collect()
        };
        let vias = lines("Via", &request.vias);
        let routes = match code {
            100 | 300.. => String::new(),
            _ => lines("Record-Route", &request.values("Record-Route")),
        };
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
        let (phrase, stamp) = (wire::print::reason_phrase(code), self.stamp());
        let text = format!(
            "SIP/2.0 {code} {phrase}\r\n{vias}{routes}From: {from}\r\nTo: {to}{tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{extra}{stamp}{}",
            body.print()
        );
        text.into_bytes()
    }

    pub(super) fn contact(&self) -> String {
        format!("Contact: <sip:here@{}>\r\n", self.persona.address)
    }

    fn stamp(&mut self) -> String {
        format!("{STAMP}: {}\r\n", self.name("stamp"))
    }
}
