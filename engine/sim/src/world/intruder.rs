//! The stranger: sends garbage, broken copies of real messages, forged requests for real dialogs,
//! answers to requests nobody sent to it, and requests that are for the router itself. None of it may
//! harm a call.

use std::net::SocketAddr;

use crate::draw::Draw;
use crate::heard::Heard;
use crate::tape::Crossing;

/// Where it sits.
pub(crate) fn address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 66], 6_666))
}

/// Requests outside any dialog and the codes that answer them (RFC 3261 8.2.1, 9.2, 11.2, 12.2.2, 21.5.2);
/// a call to a number without a route gets 503 while the router takes none.
pub(crate) const OUTSIDE: [(&str, &[u16]); 10] = [
    ("OPTIONS", &[200, 503]),
    ("REGISTER", &[405]),
    ("MESSAGE", &[404]),
    ("SUBSCRIBE", &[404]),
    ("BYE", &[481]),
    ("CANCEL", &[481]),
    ("PRACK", &[481]),
    ("UPDATE", &[481]),
    ("PING", &[501]),
    ("INVITE", &[404, 503]),
];

#[derive(Debug)]
pub(crate) struct Intruder {
    draw: Draw,
}

impl Intruder {
    pub(crate) fn new(draw: Draw) -> Intruder {
        Intruder { draw }
    }

    /// The next datagram and the listener it is sent to.
    pub(crate) fn datagram(&mut self, tape: &[Crossing]) -> Option<(u16, Vec<u8>)> {
        let listener = self.draw.between(0, 1) as u16;
        let bytes = match self.draw.between(0, 4) {
            0 => self.garbage(),
            1 => self.broken(tape)?,
            2 => self.forged_request(tape)?,
            3 => self.outside_request(),
            _ => self.stray_response(tape)?,
        };
        Some((listener, bytes))
    }

    fn garbage(&mut self) -> Vec<u8> {
        let length = self.draw.between(0, 600);
        (0..length).map(|_| self.draw.bits() as u8).collect()
    }

    /// A message with wrong tags that is cut off or has bytes turned over. Never an INVITE, which might be a
    /// new call, nor another request outside any dialog, which would be passed on.
    fn broken(&mut self, tape: &[Crossing]) -> Option<Vec<u8>> {
        let begins = |heard: &Heard| heard.is_request() && heard.to_tag.is_empty();
        let harmless = |heard: &Heard| match heard.method.as_str() {
            "INVITE" => false,
            "CANCEL" => true,
            _ => !begins(heard),
        };
        let heard = self.overheard(tape, harmless)?;
        let bits = self.draw.bits();
        let text = forged(&heard.head_text(), bits)
            .replace(&heard.from_tag, &turned(&heard.from_tag, bits));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&heard.body);
        if self.draw.chance(50) {
            let kept = self.draw.between(0, bytes.len() as u64) as usize;
            bytes.truncate(kept);
        }
        for _ in 0..self.draw.between(0, 5) {
            let at = self.draw.between(0, bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = self.draw.bits() as u8;
            }
        }
        Some(bytes)
    }

    /// A request with the dialog identity of a real call, but for one of its tags.
    fn forged_request(&mut self, tape: &[Crossing]) -> Option<Vec<u8>> {
        let in_dialog = |heard: &Heard| heard.is_request() && !heard.to_tag.is_empty();
        let heard = self.overheard(tape, in_dialog)?;
        let bits = self.draw.bits();
        let tag = if self.draw.chance(50) {
            &heard.to_tag
        } else {
            &heard.from_tag
        };
        let wrong = turned(tag, bits);
        let text = forged(&heard.head_text(), bits).replace(tag.as_str(), &wrong);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&heard.body);
        Some(bytes)
    }

    /// A request for no call.
    fn outside_request(&mut self) -> Vec<u8> {
        let (method, bits) = (self.draw.pick(&OUTSIDE).0, self.draw.bits());
        let address = address();
        format!(
            "{method} sip:nobody@192.168.7.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};rport;branch=z9hG4bKout{bits:x}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:stranger@{address}>;tag=out{bits:x}\r\n\
             To: <sip:nobody@192.168.7.1>\r\nCall-ID: out{bits:x}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:stranger@{address}>\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// An answer to a request of the router's, with a branch that it never made.
    fn stray_response(&mut self, tape: &[Crossing]) -> Option<Vec<u8>> {
        let heard = self.overheard(tape, |heard| !heard.is_request())?;
        let wrong = turned(&heard.branch, self.draw.bits());
        let mut bytes = heard
            .head_text()
            .replace(&heard.branch, &wrong)
            .into_bytes();
        bytes.extend_from_slice(&heard.body);
        Some(bytes)
    }

    fn overheard(&mut self, tape: &[Crossing], fits: impl Fn(&Heard) -> bool) -> Option<Heard> {
        let heard = tape
            .iter()
            .filter_map(Crossing::received)
            .map(|(_, heard)| heard);
        let fitting: Vec<&Heard> = heard.filter(|heard| fits(heard)).collect();
        (!fitting.is_empty()).then(|| self.draw.pick(&fitting).clone())
    }
}

/// The text with a branch of its own.
fn forged(head: &str, bits: u64) -> String {
    head.replacen("branch=z9hG4bK", &format!("branch=z9hG4bKx{bits:x}"), 1)
}

/// A token of the same length with another last digit.
fn turned(token: &str, bits: u64) -> String {
    let mut text = token.to_owned();
    let last = text.pop().unwrap_or('0');
    let digits = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let other = digits[(bits % 16) as usize];
    text.push(if other == last {
        if last == '0' { '1' } else { '0' }
    } else {
        other
    });
    text
}
