//! What a network throws at a router beside good calls: INVITEs whose sender falls silent, calls to where nobody answers,
//! cancelled ones, requests that are refused, responses to nothing, and bytes that are no SIP. Nothing here waits for an answer.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::io::bind;
use crate::message::{Message, Method, Start};
use crate::schedule::Schedule;

/// What is sent in turn; of each kind the router has to get rid by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// An INVITE that is answered, whose 200 is never ACKed and whose BYE is never answered.
    HalfOpen,
    /// An INVITE to where nobody answers.
    Unanswered,
    /// The same, cancelled at once.
    Cancelled,
    /// An INVITE no record matches; its answer is never ACKed.
    Unrouted,
    /// A BYE in a dialog that never was.
    NoDialog,
    /// OPTIONS to the router itself.
    Options,
    /// An INVITE without a Call-ID.
    Malformed,
    /// A response to nothing.
    Stray,
    /// Bytes that are no SIP.
    Garbage,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::HalfOpen,
        Kind::Unanswered,
        Kind::Cancelled,
        Kind::Unrouted,
        Kind::NoDialog,
        Kind::Options,
        Kind::Malformed,
        Kind::Stray,
        Kind::Garbage,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::HalfOpen => "half-open call",
            Kind::Unanswered => "unanswered call",
            Kind::Cancelled => "cancelled call",
            Kind::Unrouted => "unrouted call",
            Kind::NoDialog => "BYE without a dialog",
            Kind::Options => "OPTIONS",
            Kind::Malformed => "malformed INVITE",
            Kind::Stray => "stray response",
            Kind::Garbage => "garbage",
        }
    }
}

/// The sender of noise, a callee who answers its calls, and one who never does.
pub(crate) struct Noise {
    socket: UdpSocket,
    answering: UdpSocket,
    void: UdpSocket,
    callees: [SocketAddr; 2],
    own: SocketAddr,
    target: SocketAddr,
    number: u64,
    sent: BTreeMap<&'static str, u64>,
}

impl Noise {
    /// Opens its sockets.
    pub(crate) fn open(target: SocketAddr) -> io::Result<Noise> {
        let any = SocketAddr::new(target.ip(), 0);
        let (socket, answering, void) = (bind(any, false)?, bind(any, false)?, bind(any, false)?);
        Ok(Noise {
            own: socket.local_addr()?,
            callees: [answering.local_addr()?, void.local_addr()?],
            socket,
            answering,
            void,
            target,
            number: 0,
            sent: BTreeMap::new(),
        })
    }

    /// Where calls are answered, and where nobody answers.
    pub(crate) fn callees(&self) -> [SocketAddr; 2] {
        self.callees
    }

    /// How many of each kind were sent.
    pub(crate) fn sent(&self) -> &BTreeMap<&'static str, u64> {
        &self.sent
    }

    /// Sends what is due and throws away what came.
    pub(crate) fn turn(&mut self, now_ns: u64, schedule: &mut Schedule) {
        while schedule.due(now_ns).is_some() {
            let kinds = Kind::ALL.len() as u64;
            let kind = Kind::ALL[(self.number % kinds) as usize];
            self.number += 1;
            for datagram in datagrams(kind, self.number, self.own) {
                // A full send buffer loses noise, which is no loss.
                let _ = self.socket.send_to(&datagram, self.target);
            }
            *self.sent.entry(kind.name()).or_default() += 1;
        }
        let mut bytes = [0; 2_048];
        for socket in [&self.socket, &self.void] {
            while socket.recv_from(&mut bytes).is_ok() {}
        }
        let [answering, _] = self.callees;
        while let Ok((length, from)) = self.answering.recv_from(&mut bytes) {
            if let Some(response) = Message::parse(&bytes[..length])
                .ok()
                .and_then(|m| ok(&m, answering))
            {
                let _ = self.answering.send_to(&response, from);
            }
        }
    }
}

fn datagrams(kind: Kind, number: u64, own: SocketAddr) -> Vec<Vec<u8>> {
    let request = |method: &str, user: &str| request(method, user, number, own);
    match kind {
        // Odd and even numbers by turns: with and without steered media.
        Kind::HalfOpen => vec![request("INVITE", &format!("8{number}"))],
        Kind::Unanswered => vec![request("INVITE", &format!("9{number}"))],
        Kind::Cancelled => {
            let user = format!("9{number}");
            vec![request("INVITE", &user), request("CANCEL", &user)]
        }
        Kind::Unrouted => vec![request("INVITE", "nobody")],
        Kind::NoDialog => vec![request("BYE", "1")],
        Kind::Options => vec![request("OPTIONS", "")],
        Kind::Malformed => {
            let text = String::from_utf8_lossy(&request("INVITE", "1")).replace("Call-ID", "Call-IS");
            vec![text.into_bytes()]
        }
        Kind::Stray => vec![
            format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKtpr{number:032x}\r\n\
                 From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=tpr{number:032x}\r\nCall-ID: noise-{number}\r\n\
                 CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            )
            .into_bytes(),
        ],
        Kind::Garbage => vec![(0..64).map(|byte| (number * 31 + byte * 7) as u8).collect()],
    }
}

/// 200 to a request; nothing to an ACK or a response.
fn ok(message: &Message<'_>, own: SocketAddr) -> Option<Vec<u8>> {
    if !matches!(message.start, Start::Request(_)) || message.method == Method::Ack {
        return None;
    }
    let mut out = b"SIP/2.0 200 OK\r\n".to_vec();
    let lines = message
        .vias
        .as_slice()
        .iter()
        .chain(message.record_routes.as_slice());
    for line in lines.chain([&message.from_line, &message.cseq_line]) {
        out.extend_from_slice(line);
    }
    let tag = if message.tag_of_to().is_some() {
        ""
    } else {
        ";tag=noise"
    };
    for piece in [
        b"To: ".as_slice(),
        message.to,
        tag.as_bytes(),
        b"\r\nCall-ID: ",
        message.call_id,
    ] {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(
        format!("\r\nContact: <sip:noise@{own}>\r\nContent-Length: 0\r\n\r\n").as_bytes(),
    );
    Some(out)
}

fn request(method: &str, user: &str, number: u64, own: SocketAddr) -> Vec<u8> {
    let at = if user.is_empty() { "" } else { "@" };
    let (tag, body) = match method {
        "BYE" => (";tag=gone", ""),
        "INVITE" => (
            "",
            "v=0\r\no=n 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
        ),
        _ => ("", ""),
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:{user}{at}router SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bKnoise{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:noise@noise>;tag=n{number}\r\nTo: <sip:{user}{at}router>{tag}\r\n\
         Call-ID: noise-{number}\r\nCSeq: 1 {method}\r\nContact: <sip:noise@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn what_is_meant_to_be_sip_is_and_the_rest_is_not() {
        let own = "127.0.0.1:4000".parse().unwrap();
        for kind in Kind::ALL {
            let all = datagrams(kind, 77, own);
            let readable = all.iter().all(|bytes| Message::parse(bytes).is_ok());
            let broken = matches!(kind, Kind::Malformed | Kind::Garbage);
            assert_eq!(readable, !broken, "{kind:?}");
        }
    }

    #[test]
    fn its_callee_answers_requests_alone() {
        let own = "127.0.0.1:4000".parse().unwrap();
        let answer = |bytes: &[u8]| ok(&Message::parse(bytes).unwrap(), own);
        let invite = request("INVITE", "81", 5, own);
        let response = answer(&invite).unwrap();
        let text = String::from_utf8(response.clone()).unwrap();
        assert!(
            text.contains("branch=z9hG4bKnoise5") && text.contains(";tag=noise\r\n"),
            "{text}"
        );
        assert!(answer(&response).is_none());
        assert!(answer(&request("ACK", "81", 5, own)).is_none());
    }

    #[test]
    fn every_kind_is_sent_in_turn() {
        let target = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let mut noise = Noise::open(target.local_addr().unwrap()).unwrap();
        noise.turn(1, &mut Schedule::new(0, 1e9, 18));
        noise.turn(1_000, &mut Schedule::new(0, 1e9, 18));
        let counts: Vec<u64> = noise.sent().values().copied().collect();
        assert_eq!(counts.len(), Kind::ALL.len());
        assert!(counts.iter().all(|&count| count >= 2), "{counts:?}");
    }
}
