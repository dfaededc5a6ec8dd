//! The callee of every call: 100, 180 and 200 to an INVITE, the 200 again until its ACK, 200 to a BYE. It knows a call by the
//! token in its own To tag and never looks at what the caller knows: behind a B2BUA the two legs share nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::{BuildHasher, Hasher};

use crate::caller::Turn;
use crate::io::Address;
use crate::media::sdp::{self, Heard};
use crate::message::{Message, Method, Start};
use crate::outgoing::LaneName;
use crate::slab::Slab;
use crate::tally::Failure;
use crate::template::Token;
use crate::timers::{T1_NS, Timers, retransmit_lane};

/// How long an INVITE is recognised when it comes again (RFC 6026: timer L, 64*T1).
const REMEMBERED_NS: u64 = 64 * T1_NS;

const SDP: &str = "v=0\r\no=bench 3730000000 3730000001 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n\
    m=audio 41000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

#[derive(Default)]
struct Call {
    /// The 200 while no ACK has come for it.
    unacknowledged: Option<Vec<u8>>,
    sent: u32,
    socket: usize,
    to: Option<Address>,
}

/// What one socket's answers end with.
struct Endings {
    ringing: Vec<u8>,
    answer: Vec<u8>,
}

impl Endings {
    fn new(local: SocketAddr, sdp: &str) -> Endings {
        let contact = format!("Contact: <sip:callee@{local}>\r\n");
        let answer = format!(
            "{contact}Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        Endings {
            ringing: format!("{contact}Content-Length: 0\r\n\r\n").into_bytes(),
            answer: answer.into_bytes(),
        }
    }
}

/// Every call's callee.
pub(crate) struct Callee {
    calls: Slab<Call>,
    timers: Timers<Token>,
    endings: Vec<Endings>,
    /// What the token in our To tags follows.
    prefix: Vec<u8>,
    /// INVITEs of the last 64*T1, by a hash of Call-ID and top Via, and when each may be forgotten.
    known: HashMap<u64, Token, FixedState>,
    forget: VecDeque<(u64, u64)>,
    hasher: FixedState,
    /// Buffers of acknowledged 200s, for the next ones.
    spare: Vec<Vec<u8>>,
    heard: Vec<Heard>,
    has_media: bool,
}

impl Callee {
    /// A callee with one socket per address in `locals`. The calls of each socket get their media at one of `media`, in turn.
    pub(crate) fn new(
        run: &str,
        locals: &[SocketAddr],
        calls_max: usize,
        media: &[SocketAddr],
    ) -> Callee {
        let sdps = sdp::for_sockets(SDP, media);
        Callee {
            calls: Slab::new(calls_max),
            timers: Timers::new(0),
            endings: locals
                .iter()
                .zip(sdps)
                .map(|(&local, sdp)| Endings::new(local, &sdp))
                .collect(),
            prefix: format!("c{run}").into_bytes(),
            known: HashMap::with_hasher(FixedState::default()),
            forget: VecDeque::new(),
            hasher: FixedState::default(),
            spare: Vec::new(),
            heard: Vec::new(),
            has_media: !media.is_empty(),
        }
    }

    /// Where the offers want media, in the order they came; empty for a callee without media.
    pub(crate) fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// Calls not yet ended.
    pub(crate) fn live(&self) -> usize {
        self.calls.live()
    }

    /// A message that came to socket number `socket`.
    pub(crate) fn receive(
        &mut self,
        message: &Message<'_>,
        from: Address,
        socket: usize,
        turn: &mut Turn<'_>,
    ) {
        let token = message
            .tag_of_to()
            .and_then(|tag| Token::find(tag, &self.prefix));
        match (message.start, token) {
            (Start::Request(Method::Invite), None) if message.tag_of_to().is_none() => {
                self.on_invite(message, from, socket, turn);
            }
            (Start::Request(Method::Ack), Some(token)) => self.on_ack(token, turn),
            (Start::Request(Method::Bye), Some(token)) => {
                self.on_bye(token, message, from, socket, turn);
            }
            (Start::Request(Method::Ack) | Start::Response(_), _) => turn.tally.unexpected += 1,
            (Start::Request(_), _) => {
                turn.tally.unexpected += 1;
                refuse(message, from, socket, turn);
            }
        }
    }

    fn on_invite(
        &mut self,
        message: &Message<'_>,
        from: Address,
        socket: usize,
        turn: &mut Turn<'_>,
    ) {
        let key = self.key(message);
        if let Some(&token) = self.known.get(&key) {
            turn.tally.retransmissions.invite_received += 1;
            return self.send_answer(token, turn);
        }
        let Some((token, call)) = self.calls.take() else {
            return turn.tally.fail(Failure::Limit, 1);
        };
        if self.has_media {
            self.heard.extend(Heard::new(socket, message.body));
        }
        self.known.insert(key, token);
        self.forget.push_back((turn.now_ns + REMEMBERED_NS, key));
        let mut answer = self.spare.pop().unwrap_or_default();
        answer.clear();
        let (tag, endings) = ((&self.prefix[..], token.digits()), &self.endings[socket]);
        print_response(
            b"SIP/2.0 200 OK\r\n",
            message,
            Some(tag),
            &endings.answer,
            &mut answer,
        );
        let out = &mut turn.out[socket];
        out.push(LaneName::First, from, |out| {
            let trying = b"SIP/2.0 100 Trying\r\n";
            print_response(
                trying,
                message,
                Some(tag),
                b"Content-Length: 0\r\n\r\n",
                out,
            );
        });
        out.push(LaneName::Second, from, |out| {
            print_response(
                b"SIP/2.0 180 Ringing\r\n",
                message,
                Some(tag),
                &endings.ringing,
                out,
            );
        });
        *call = Call {
            unacknowledged: Some(answer),
            sent: 0,
            socket,
            to: Some(from),
        };
        self.send_answer(token, turn);
        self.await_ack(token, turn);
    }

    fn key(&self, message: &Message<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(message.call_id);
        hasher.write(message.vias.as_slice()[0]);
        hasher.finish()
    }

    /// Sends the 200 of a call that still waits for its ACK.
    fn send_answer(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        if let (Some(answer), Some(to)) = (&call.unacknowledged, call.to) {
            turn.tally.retransmissions.ok_sent += u64::from(call.sent > 0);
            call.sent += 1;
            turn.out[call.socket].push(LaneName::Third, to, |out| out.extend_from_slice(answer));
        }
    }

    /// RFC 3261 13.3.1.4: the 200 again, at intervals from T1 up to T2, for 64*T1.
    fn await_ack(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        match retransmit_lane(call.sent, true) {
            Some(lane) => self.timers.arm(turn.now_ns, lane, token),
            None => {
                turn.tally.fail(Failure::Unacknowledged, 1);
                self.calls.release(token);
            }
        }
    }

    fn on_ack(&mut self, token: Token, turn: &mut Turn<'_>) {
        if let Some(call) = self.calls.get_mut(token) {
            self.spare.extend(call.unacknowledged.take());
        } else {
            turn.tally.unexpected += u64::from(!self.calls.has_ended(token));
        }
    }

    fn on_bye(
        &mut self,
        token: Token,
        message: &Message<'_>,
        from: Address,
        socket: usize,
        turn: &mut Turn<'_>,
    ) {
        if let Some(call) = self.calls.get_mut(token) {
            self.spare.extend(call.unacknowledged.take());
            self.calls.release(token);
        } else if self.calls.has_ended(token) {
            turn.tally.retransmissions.bye_received += 1;
        } else {
            turn.tally.unexpected += 1;
            return refuse(message, from, socket, turn);
        }
        turn.out[socket].push(LaneName::Last, from, |out| {
            print_response(
                b"SIP/2.0 200 OK\r\n",
                message,
                None,
                b"Content-Length: 0\r\n\r\n",
                out,
            );
        });
    }

    /// Does what is due by now.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some(token) = self.timers.expire(turn.now_ns) {
            let waits = self
                .calls
                .get_mut(token)
                .is_some_and(|call| call.unacknowledged.is_some());
            if waits {
                self.send_answer(token, turn);
                self.await_ack(token, turn);
            }
        }
        while self
            .forget
            .front()
            .is_some_and(|&(deadline, _)| deadline <= turn.now_ns)
        {
            if let Some((_, key)) = self.forget.pop_front() {
                self.known.remove(&key);
            }
        }
    }

    /// Forgets every live call; the caller counts them.
    pub(crate) fn abandon(&mut self) {
        for slot in 0..self.calls.slots() {
            if let Some(token) = self.calls.token_at(slot) {
                self.calls.release(token);
            }
        }
    }
}

/// 481 to a request of no call here.
fn refuse(message: &Message<'_>, from: Address, socket: usize, turn: &mut Turn<'_>) {
    turn.out[socket].push(LaneName::Last, from, |out| {
        let status = b"SIP/2.0 481 Call/Transaction Does Not Exist\r\n";
        print_response(status, message, None, b"Content-Length: 0\r\n\r\n", out);
    });
}

/// A response to `request` (RFC 3261 8.2.6.2): its Via and Record-Route lines, From, To, Call-ID and CSeq, with our tag (a
/// prefix and digits) where the To has none yet.
fn print_response(
    status: &[u8],
    request: &Message<'_>,
    tag: Option<(&[u8], [u8; 16])>,
    ending: &[u8],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(status);
    for line in request
        .vias
        .as_slice()
        .iter()
        .chain(request.record_routes.as_slice())
    {
        out.extend_from_slice(line);
    }
    out.extend_from_slice(request.from_line);
    out.extend_from_slice(b"To: ");
    out.extend_from_slice(request.to);
    if let Some((prefix, digits)) = tag {
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(prefix);
        out.extend_from_slice(&digits);
    }
    out.extend_from_slice(b"\r\nCall-ID: ");
    out.extend_from_slice(request.call_id);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(request.cseq_line);
    out.extend_from_slice(ending);
}
