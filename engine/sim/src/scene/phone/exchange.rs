//! The transactions of a phone (RFC 3261 17): requests out and answers in, requests in and answers out. It
//! keeps every one of them to the end of the scene.

use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use super::print::{Body, Line};
use super::{Alarm, PATIENCE, Phone, T1, T2};
use crate::heard::Heard;

/// What a request was sent for; numbers are those of its dialog, or of its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A call, and the REFER that it was made for.
    Call {
        dialog: usize,
        referral: Option<usize>,
    },
    Reinvite(usize),
    Cancel,
    Bye,
    Inside(usize),
    Refer(usize),
    Subscribe(usize),
    Notify(usize),
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Calling,
    Proceeding,
    Done,
}

/// A client transaction.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) line: Line,
    pub(super) to: SocketAddr,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    pub(super) cancelled: bool,
    /// The INVITE had an offer.
    pub(super) offered: bool,
    bytes: Vec<u8>,
    interval: Duration,
    /// The ACKs of final answers, by their To tags.
    acks: Vec<(String, SocketAddr, Vec<u8>)>,
}

impl Client {
    fn is_invite(&self) -> bool {
        self.line.method == "INVITE"
    }
}

/// A server transaction.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) request: Heard,
    pub(super) dialog: Option<usize>,
    from: SocketAddr,
    last: Option<Vec<u8>>,
    /// Final responses: To tag, code, bytes, acknowledged.
    pub(super) finals: Vec<(String, u16, Vec<u8>, bool)>,
}

impl Server {
    pub(super) fn is_open(&self) -> bool {
        self.finals.is_empty()
    }
}

/// Client transactions.
impl Phone {
    /// Sends a request and keeps it until it is answered.
    pub(super) fn start(
        &mut self,
        now: Time,
        to: SocketAddr,
        line: Line,
        purpose: Purpose,
        bytes: Vec<u8>,
    ) -> usize {
        self.post(to, bytes.clone());
        let client = self.clients.len();
        self.clients.push(Client {
            line,
            to,
            purpose,
            state: State::Calling,
            cancelled: false,
            offered: true,
            bytes,
            interval: T1,
            acks: Vec::new(),
        });
        self.alarms.plan(now + T1, Alarm::Resend(client));
        self.alarms.plan(now + PATIENCE, Alarm::GiveUp(client));
        client
    }

    /// Sends a request inside a dialog.
    pub(super) fn send_inside(
        &mut self,
        now: Time,
        dialog: usize,
        method: &str,
        purpose: Purpose,
        extra: &str,
        body: &Body,
    ) -> usize {
        let line = self.line(dialog, method);
        let bytes = self.print_request(&line, extra, body);
        let hop = self.dialogs[dialog].next_hop();
        let to = hop.unwrap_or(self.persona.router);
        self.start(now, to, line, purpose, bytes)
    }

    pub(super) fn resend(&mut self, now: Time, at: usize) {
        let client = &mut self.clients[at];
        let repeats = match client.state {
            State::Calling => true,
            State::Proceeding => !client.is_invite(),
            State::Done => false,
        };
        if repeats {
            client.interval *= 2;
            if !client.is_invite() {
                client.interval = client.interval.min(T2);
            }
            let (to, bytes, interval) = (client.to, client.bytes.clone(), client.interval);
            self.post(to, bytes);
            self.alarms.plan(now + interval, Alarm::Resend(at));
        }
    }

    /// Timers B and F, and 64*T1 after a CANCEL.
    pub(super) fn give_up(&mut self, now: Time, at: usize) {
        let client = &mut self.clients[at];
        let waits = client.state == State::Proceeding && client.is_invite() && !client.cancelled;
        if client.state == State::Done || waits {
            return;
        }
        client.state = State::Done;
        let (purpose, method) = (client.purpose, client.line.method.clone());
        self.facts.answers.push((method, 408));
        self.on_failure(now, purpose, 408);
    }

    pub(super) fn receive_response(&mut self, now: Time, heard: &Heard) {
        let matches = |client: &Client| {
            client.line.branch == heard.branch && client.line.method == heard.method
        };
        let Some(at) = self.clients.iter().position(matches) else {
            return self.fault(format!("{} for no request of its own", heard.title()));
        };
        if heard.vias.len() != 1 {
            return self.fault(format!("{} with the Vias {:?}", heard.title(), heard.vias));
        }
        let client = &mut self.clients[at];
        match (heard.code, client.state) {
            (..200, State::Done) => {}
            (..200, _) => {
                client.state = State::Proceeding;
                self.on_provisional(now, at, heard);
            }
            (200..300, _) if client.is_invite() => self.on_invite_accepted(now, at, heard),
            (_, State::Done) => {
                self.acknowledge_again(at, &heard.to_tag);
            }
            _ => {
                client.state = State::Done;
                self.on_final(now, at, heard);
            }
        }
    }

    /// RFC 3261 13.2.2.4: each 2xx of another tag is another dialog; copies are acknowledged again.
    fn on_invite_accepted(&mut self, now: Time, at: usize, heard: &Heard) {
        if self.acknowledge_again(at, &heard.to_tag) {
            return;
        }
        let first = std::mem::replace(&mut self.clients[at].state, State::Done) != State::Done;
        self.on_accepted(now, at, heard, first);
    }

    fn acknowledge_again(&mut self, at: usize, tag: &str) -> bool {
        let mut acks = self.clients[at].acks.iter();
        let Some((_, to, ack)) = acks.find(|(known, ..)| known == tag).cloned() else {
            return false;
        };
        self.post(to, ack);
        true
    }

    fn on_final(&mut self, now: Time, at: usize, heard: &Heard) {
        let (purpose, method) = (self.clients[at].purpose, heard.method.clone());
        if method == "INVITE" {
            // RFC 3261 17.1.1.3: same branch, same Request-URI, To of the response.
            let mut line = self.clients[at].line.clone();
            line.method = "ACK".to_owned();
            line.to.clone_from(&heard.to);
            let bytes = self.print_hop_request(&line);
            self.keep_ack(at, heard.to_tag.clone(), self.clients[at].to, bytes);
        }
        self.facts.answers.push((method, heard.code));
        match heard.code {
            ..300 => self.on_success(now, purpose, heard),
            code => self.on_failure(now, purpose, code),
        }
    }

    pub(super) fn keep_ack(&mut self, at: usize, tag: String, to: SocketAddr, bytes: Vec<u8>) {
        self.post(to, bytes.clone());
        self.clients[at].acks.push((tag, to, bytes));
    }
}

/// Server transactions.
impl Phone {
    pub(super) fn receive_request(&mut self, now: Time, from: SocketAddr, request: Heard) {
        if request.method == "ACK" {
            return self.receive_ack(now, &request);
        }
        let own = |server: &Server| {
            let known = &server.request;
            (&known.branch, &known.sent_by, &known.method)
                == (&request.branch, &request.sent_by, &request.method)
        };
        if let Some(known) = self.servers.iter().position(own) {
            let server = &self.servers[known];
            // RFC 6026 7.1: a copy of an INVITE that was answered 2xx is absorbed.
            let accepted = server.finals.first().is_some_and(|it| it.1 < 300);
            let absorbed = accepted && request.method == "INVITE";
            if let Some(last) = server.last.clone().filter(|_| !absorbed) {
                self.post(server.from, last);
            }
            return;
        }
        let dialog = self.dialogs.iter().position(|it| it.owns(&request));
        self.servers.push(Server {
            request,
            dialog,
            from,
            last: None,
            finals: Vec::new(),
        });
        self.dispatch(now, self.servers.len() - 1);
    }

    /// Answers a request; a final answer to an INVITE is repeated until the ACK comes.
    pub(super) fn answer(
        &mut self,
        now: Time,
        at: usize,
        code: u16,
        (tag, extra): (&str, &str),
        body: &Body,
    ) {
        let request = self.servers[at].request.clone();
        let bytes = self.print_response(&request, code, tag, extra, body);
        let server = &mut self.servers[at];
        server.last = Some(bytes.clone());
        if code >= 200 {
            let tag = match request.to_tag.is_empty() {
                true => tag,
                false => &request.to_tag,
            };
            let acked = request.method != "INVITE";
            server
                .finals
                .push((tag.to_owned(), code, bytes.clone(), acked));
            if !acked {
                let which = server.finals.len() - 1;
                self.alarms
                    .plan(now + T1, Alarm::ResendFinal(at, which, T1));
                self.alarms
                    .plan(now + PATIENCE, Alarm::Unacknowledged(at, which));
            }
        }
        let to = self.servers[at].from;
        self.post(to, bytes);
    }

    /// The same without anything else.
    pub(super) fn answer_plainly(&mut self, now: Time, at: usize, code: u16) {
        let tag = match self.servers[at].request.to_tag.is_empty() {
            true => self.name("tag"),
            false => String::new(),
        };
        self.answer(now, at, code, (&tag, ""), &Body::default());
    }

    pub(super) fn resend_final(&mut self, now: Time, at: usize, which: usize, interval: Duration) {
        let server = &self.servers[at];
        let (_, _, bytes, acked) = &server.finals[which];
        if !acked {
            let (to, bytes, interval) = (server.from, bytes.clone(), (interval * 2).min(T2));
            self.post(to, bytes);
            let alarm = Alarm::ResendFinal(at, which, interval);
            self.alarms.plan(now + interval, alarm);
        }
    }

    /// RFC 3261 13.3.1.4: a 2xx that is never acknowledged ends its dialog.
    pub(super) fn unacknowledged(&mut self, now: Time, at: usize, which: usize) {
        let (tag, code, _, acked) = &mut self.servers[at].finals[which];
        if !std::mem::replace(acked, true) && *code < 300 {
            let tag = tag.clone();
            let mut dialogs = self.dialogs.iter();
            if let Some(dialog) = dialogs.position(|dialog| dialog.local_tag == tag) {
                self.hang_up(now, dialog);
            }
        }
    }

    fn receive_ack(&mut self, now: Time, ack: &Heard) {
        let of = |server: &&mut Server| {
            let known = &server.request;
            known.method == "INVITE" && (known.cseq, &known.call_id) == (ack.cseq, &ack.call_id)
        };
        let mut found = self.servers.iter_mut().filter(of);
        let last = found.find_map(|server| {
            let first = server.request.to_tag.is_empty();
            let last = server.finals.iter_mut().find(|it| it.0 == ack.to_tag)?;
            let fresh = !std::mem::replace(&mut last.3, true);
            Some(fresh && last.1 < 300 && first)
        });
        let mut dialogs = self.dialogs.iter();
        let dialog = dialogs.position(|dialog| dialog.local_tag == ack.to_tag);
        match (last, dialog) {
            (None, _) => self.fault(format!("an ACK with the To tag {:?}", ack.to_tag)),
            (Some(true), Some(dialog)) => self.on_call_up(now, dialog),
            _ => {}
        }
    }
}
