//! The caller of every call: INVITE, ACK, perhaps a while of silence, BYE; with the retransmissions of RFC 3261 17.1. A call
//! is a slot in a slab, named by the token in its own Call-ID, so that a response finds it without a lookup.

use std::net::SocketAddr;

use crate::io::Address;
use crate::latency::Latency;
use crate::media::sdp::{self, Heard};
use crate::message::{Message, Method, Start, print_routes, uri_of};
use crate::outgoing::{LaneName, Outgoing};
use crate::slab::Slab;
use crate::tally::{Failure, Tally};
use crate::template::{Template, Token, Values, user_field};
use crate::timers::{LANE_64_T1, LANE_HOLD, Timers, retransmit_lane};

/// What everybody in a loop turn may touch.
pub(crate) struct Turn<'a> {
    pub(crate) now_ns: u64,
    /// The lanes of this side's sockets.
    pub(crate) out: &'a mut [Outgoing],
    pub(crate) tally: &'a mut Tally,
    pub(crate) latency: &'a mut Latency,
}

/// How long an answered call lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// This many nanoseconds; zero ends it in the turn that answers it.
    For(u64),
    /// Until `Caller::release_next` reaches it.
    UntilReleased,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// INVITE sent, nothing heard.
    #[default]
    Calling,
    /// A provisional response came: the INVITE is no longer repeated (RFC 3261 17.1.1.2).
    Proceeding,
    /// 200 received, ACK sent.
    Answered,
    /// BYE sent.
    Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Invite,
    Answer,
    Hold,
    Bye,
}

/// What the 200 said about where requests of the dialog go: request URI, Route lines and To value, back to back.
#[derive(Default)]
struct Dialog {
    text: Vec<u8>,
    uri_end: usize,
    routes_end: usize,
}

impl Dialog {
    fn keep(&mut self, answer: &Message<'_>) {
        self.text.clear();
        self.text.extend_from_slice(uri_of(answer.contact));
        self.uri_end = self.text.len();
        print_routes(&answer.record_routes, &mut self.text);
        self.routes_end = self.text.len();
        self.text.extend_from_slice(answer.to);
    }

    fn values(&self, token: Token, number: u64) -> Values<'_> {
        Values {
            token: token.digits(),
            number,
            uri: &self.text[..self.uri_end],
            routes: &self.text[self.uri_end..self.routes_end],
            to: &self.text[self.routes_end..],
        }
    }
}

#[derive(Default)]
struct Call {
    state: State,
    ringing: bool,
    /// Copies sent of the request that waits for its answer.
    sent: u32,
    socket: usize,
    number: u64,
    scheduled_ns: u64,
    dialog: Dialog,
}

/// The requests one socket sends.
struct Requests {
    invite: Template,
    refusal_ack: Template,
    ack: Template,
    bye: Template,
}

const SDP: &str = "v=0\r\no=bench 3730000000 3730000001 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

impl Requests {
    fn new(run: &str, user: &str, target: SocketAddr, local: SocketAddr, sdp: &str) -> Requests {
        let via = |mark: &str| {
            format!("Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{run}{{token}}{mark}\r\n")
        };
        let to = format!("sip:{}@{target}", user_field(user));
        let identity = format!(
            "Max-Forwards: 70\r\nFrom: \"Bench\" <sip:4930{{#######}}@{}>;tag=a{run}{{token}}\r\n",
            local.ip()
        );
        let rest = |cseq: &str| {
            format!(
                "Call-ID: {run}{{token}}@bench\r\nCSeq: {cseq}\r\nUser-Agent: tipring-bench\r\n"
            )
        };
        let empty = "Content-Length: 0\r\n\r\n";
        let invite = format!(
            "INVITE {to} SIP/2.0\r\n{}{identity}To: <{to}>\r\n{}Contact: <sip:4930{{#######}}@{local}>\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY\r\nSupported: replaces\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            via("i"),
            rest("1 INVITE"),
            sdp.len()
        );
        let in_dialog = |method: &str, mark: &str, cseq: &str| {
            let (via, rest) = (via(mark), rest(cseq));
            format!(
                "{method} {{uri}} SIP/2.0\r\n{via}{{routes}}{identity}To: {{to}}\r\n{rest}{empty}"
            )
        };
        Requests {
            invite: Template::new(&invite),
            refusal_ack: Template::new(&in_dialog("ACK", "i", "1 ACK")),
            ack: Template::new(&in_dialog("ACK", "a", "1 ACK")),
            bye: Template::new(&in_dialog("BYE", "b", "2 BYE")),
        }
    }
}

/// Every call's caller.
pub(crate) struct Caller {
    calls: Slab<Call>,
    timers: Timers<(Token, Wake)>,
    requests: Vec<Requests>,
    target: Address,
    /// What the token in our Call-IDs follows.
    prefix: Vec<u8>,
    hold: Hold,
    attempts: u64,
    released: u32,
    heard: Vec<Heard>,
    has_media: bool,
}

impl Caller {
    /// A caller with one socket per address in `locals`. `run` tells this run's Call-IDs from any other's; `user` is the
    /// pattern of the called user. The calls of each socket get their media at one of `media`, in turn; without any they
    /// offer a stream that nobody sends to.
    pub(crate) fn new(
        run: &str,
        user: &str,
        target: SocketAddr,
        locals: &[SocketAddr],
        hold: Hold,
        calls_max: usize,
        media: &[SocketAddr],
    ) -> Caller {
        let sdps = sdp::for_sockets(SDP, media).take(locals.len());
        let hold_ns = if let Hold::For(ns) = hold { ns } else { 0 };
        Caller {
            calls: Slab::new(calls_max),
            timers: Timers::new(hold_ns),
            requests: locals
                .iter()
                .zip(sdps)
                .map(|(&local, sdp)| Requests::new(run, user, target, local, &sdp))
                .collect(),
            target: target.into(),
            prefix: run.as_bytes().to_vec(),
            hold,
            attempts: 0,
            released: 0,
            heard: Vec::new(),
            has_media: !media.is_empty(),
        }
    }

    /// Where the answers want media, in the order they came; empty for a caller without media.
    pub(crate) fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// Calls not yet ended.
    pub(crate) fn live(&self) -> usize {
        self.calls.live()
    }

    /// Sends the INVITE of a new call that was due at `scheduled_ns`.
    pub(crate) fn start(&mut self, scheduled_ns: u64, turn: &mut Turn<'_>) {
        turn.tally.attempts += 1;
        let number = self.attempts;
        self.attempts += 1;
        let socket = number as usize % self.requests.len();
        let Some((token, call)) = self.calls.take() else {
            return turn.tally.fail(Failure::Limit, 1);
        };
        let dialog = std::mem::take(&mut call.dialog);
        *call = Call {
            sent: 1,
            socket,
            number,
            scheduled_ns,
            dialog,
            ..Call::default()
        };
        let values = Values {
            token: token.digits(),
            number,
            ..Values::default()
        };
        let invite = &self.requests[socket].invite;
        turn.out[socket].push(LaneName::First, self.target, |out| {
            invite.print(&values, out)
        });
        self.timers.arm(turn.now_ns, 0, (token, Wake::Invite));
    }

    /// A message that came to one of our sockets.
    pub(crate) fn receive(&mut self, message: &Message<'_>, turn: &mut Turn<'_>) {
        let (Start::Response(code), Some(token)) =
            (message.start, Token::find(message.call_id, &self.prefix))
        else {
            turn.tally.unexpected += 1;
            return;
        };
        match message.method {
            Method::Invite => self.on_invite_response(token, code, message, turn),
            Method::Bye => self.on_bye_response(token, code, turn),
            Method::Ack | Method::Other => turn.tally.unexpected += 1,
        }
    }

    fn on_invite_response(
        &mut self,
        token: Token,
        code: u16,
        message: &Message<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(call) = self.calls.get_mut(token) else {
            return self.on_late_response(token, code, turn);
        };
        match (call.state, code) {
            (State::Calling | State::Proceeding, ..200) => on_provisional(call, code, turn),
            (State::Calling | State::Proceeding, 200..300) => {
                call.state = State::Answered;
                call.dialog.keep(message);
                if self.has_media {
                    self.heard.extend(Heard::new(call.socket, message.body));
                }
                turn.tally.answered += 1;
                turn.latency.answered(call.scheduled_ns, turn.now_ns);
                self.acknowledge(token, turn);
                self.hold(token, turn);
            }
            (State::Calling | State::Proceeding, _) => {
                turn.tally.fail(Failure::InviteCode(code), 1);
                self.acknowledge_refusal(token, message, turn);
                self.calls.release(token);
            }
            (State::Answered | State::Ending, ..200) => turn.tally.overtaken += 1,
            (State::Answered | State::Ending, 200..300) => {
                turn.tally.retransmissions.ok_received += 1;
                self.acknowledge(token, turn);
            }
            (State::Answered | State::Ending, _) => turn.tally.unexpected += 1,
        }
    }

    /// A response to an INVITE whose call is over: a late copy, or nothing of ours.
    fn on_late_response(&mut self, token: Token, code: u16, turn: &mut Turn<'_>) {
        match (self.calls.has_ended(token), code) {
            (true, ..200) => turn.tally.overtaken += 1,
            (true, _) => turn.tally.retransmissions.ok_received += 1,
            (false, _) => turn.tally.unexpected += 1,
        }
    }

    fn acknowledge(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        let (values, ack) = (
            call.dialog.values(token, call.number),
            &self.requests[call.socket].ack,
        );
        turn.out[call.socket].push(LaneName::Second, self.target, |out| ack.print(&values, out));
    }

    /// RFC 3261 17.1.1.3: the ACK of a refusal repeats the INVITE's request URI and branch and takes the response's To.
    fn acknowledge_refusal(&mut self, token: Token, message: &Message<'_>, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        let values = Values {
            token: token.digits(),
            number: call.number,
            uri: uri_of(message.to),
            routes: b"",
            to: message.to,
        };
        let ack = &self.requests[call.socket].refusal_ack;
        turn.out[call.socket].push(LaneName::Second, self.target, |out| ack.print(&values, out));
    }

    fn hold(&mut self, token: Token, turn: &mut Turn<'_>) {
        match self.hold {
            Hold::For(0) => self.end(token, turn),
            Hold::For(_) => self.timers.arm(turn.now_ns, LANE_HOLD, (token, Wake::Hold)),
            Hold::UntilReleased => {}
        }
    }

    /// Sends the BYE of an answered call; any other call is left alone.
    fn end(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        if call.state == State::Answered {
            call.state = State::Ending;
            call.sent = 0;
            self.send_bye(token, turn);
        }
    }

    fn send_bye(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        call.sent += 1;
        let Some(lane) = retransmit_lane(call.sent, true) else {
            turn.tally.fail(Failure::ByeTimeout, 1);
            return self.calls.release(token);
        };
        turn.tally.retransmissions.bye_sent += u64::from(call.sent > 1);
        let (values, bye) = (
            call.dialog.values(token, call.number),
            &self.requests[call.socket].bye,
        );
        turn.out[call.socket].push(LaneName::Last, self.target, |out| bye.print(&values, out));
        self.timers.arm(turn.now_ns, lane, (token, Wake::Bye));
    }

    fn on_bye_response(&mut self, token: Token, code: u16, turn: &mut Turn<'_>) {
        let ending = |call: &mut Call| call.state == State::Ending;
        if !self.calls.get_mut(token).is_some_and(ending) {
            let ended = self.calls.has_ended(token);
            turn.tally.unexpected += u64::from(!ended);
            turn.tally.retransmissions.ok_received += u64::from(ended);
            return;
        }
        match code {
            ..200 => return,
            200..300 => turn.tally.completed += 1,
            _ => turn.tally.fail(Failure::ByeCode(code), 1),
        }
        self.calls.release(token);
    }

    /// Does what is due by now.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some((token, wake)) = self.timers.expire(turn.now_ns) {
            let Some(call) = self.calls.get_mut(token) else {
                continue;
            };
            match (wake, call.state) {
                (Wake::Invite, State::Calling) => self.repeat_invite(token, turn),
                (Wake::Invite, State::Proceeding) => {
                    self.timers
                        .arm(turn.now_ns, LANE_64_T1, (token, Wake::Answer));
                }
                (Wake::Answer, State::Proceeding) => {
                    turn.tally.fail(Failure::InviteTimeout, 1);
                    self.calls.release(token);
                }
                (Wake::Hold, _) => self.end(token, turn),
                (Wake::Bye, State::Ending) => self.send_bye(token, turn),
                _ => {}
            }
        }
    }

    fn repeat_invite(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(call) = self.calls.get_mut(token) else {
            return;
        };
        call.sent += 1;
        let Some(lane) = retransmit_lane(call.sent, false) else {
            turn.tally.fail(Failure::InviteTimeout, 1);
            return self.calls.release(token);
        };
        turn.tally.retransmissions.invite_sent += 1;
        let values = Values {
            token: token.digits(),
            number: call.number,
            ..Values::default()
        };
        let invite = &self.requests[call.socket].invite;
        turn.out[call.socket].push(LaneName::First, self.target, |out| {
            invite.print(&values, out)
        });
        self.timers.arm(turn.now_ns, lane, (token, Wake::Invite));
    }

    /// Ends the next answered call, in slot order; false when every slot was seen.
    pub(crate) fn release_next(&mut self, turn: &mut Turn<'_>) -> bool {
        while self.released < self.calls.slots() {
            let token = self.calls.token_at(self.released);
            self.released += 1;
            let answered = token.filter(|&token| {
                self.calls
                    .get_mut(token)
                    .is_some_and(|call| call.state == State::Answered)
            });
            if let Some(token) = answered {
                self.end(token, turn);
                return true;
            }
        }
        false
    }

    /// Forgets every live call, each a failure.
    pub(crate) fn abandon(&mut self, tally: &mut Tally) {
        tally.fail(Failure::Abandoned, self.calls.live() as u64);
        for slot in 0..self.calls.slots() {
            if let Some(token) = self.calls.token_at(slot) {
                self.calls.release(token);
            }
        }
    }
}

fn on_provisional(call: &mut Call, code: u16, turn: &mut Turn<'_>) {
    call.state = State::Proceeding;
    if code == 180 && !call.ringing {
        call.ringing = true;
        turn.latency.ringing(call.scheduled_ns, turn.now_ns);
    }
}
