//! Client transactions of an agent (RFC 3261 17.1): requests out, answers in.

use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use super::print::{Body, Line};
use super::{Agent, Alarm, PATIENCE, T1, T2};
use crate::heard::Heard;

/// What a request was sent for. The number is that of its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite,
    Cancel,
    Bye,
    Reinvite(usize),
    Other(usize),
    /// Outside any dialog.
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has come back.
    Calling,
    /// A provisional has.
    Proceeding,
    /// A final answer has, or nobody will answer any more.
    Done,
}

/// One client transaction.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) line: Line,
    pub(super) to: SocketAddr,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    pub(super) cancelled: bool,
    bytes: Vec<u8>,
    interval: Duration,
    /// The ACK of an INVITE that was answered finally.
    pub(super) ack: Option<Vec<u8>>,
}

impl Client {
    pub(super) fn is_invite(&self) -> bool {
        self.line.method == "INVITE"
    }
}

impl Agent {
    /// Sends a request and keeps it until it is answered.
    pub(super) fn start_client(
        &mut self,
        now: Time,
        to: SocketAddr,
        line: Line,
        purpose: Purpose,
        bytes: Vec<u8>,
    ) {
        self.post(to, bytes.clone());
        let client = self.clients.len();
        let (state, cancelled, ack) = (State::Calling, false, None);
        self.clients.push(Client {
            line,
            to,
            purpose,
            state,
            cancelled,
            bytes,
            interval: T1,
            ack,
        });
        self.alarms.plan(now + T1, Alarm::Resend(client));
        self.alarms.plan(now + PATIENCE, Alarm::GiveUp(client));
    }

    pub(super) fn resend_request(&mut self, now: Time, at: usize) {
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
    pub(super) fn give_up_request(&mut self, now: Time, at: usize) {
        let client = &mut self.clients[at];
        let waits = client.state == State::Proceeding && client.is_invite() && !client.cancelled;
        if client.state == State::Done || waits {
            return;
        }
        client.state = State::Done;
        let (purpose, method) = (client.purpose, client.line.method.clone());
        self.note_answer(purpose, &method, 408);
        self.on_silence(now, purpose);
    }

    fn on_silence(&mut self, now: Time, purpose: Purpose) {
        match purpose {
            Purpose::Invite => self.on_call_failed(),
            Purpose::Reinvite(dialog) | Purpose::Other(dialog) => self.hang_up(now, dialog),
            Purpose::Cancel | Purpose::Bye | Purpose::Aside => {}
        }
    }

    fn note_answer(&mut self, purpose: Purpose, method: &str, code: u16) {
        match purpose {
            Purpose::Invite => self.facts.final_code = Some(code),
            Purpose::Cancel => {}
            Purpose::Aside => self.facts.asides.push((method.to_owned(), code)),
            _ => self.facts.answers.push((method.to_owned(), code)),
        }
    }

    pub(super) fn receive_response(&mut self, now: Time, heard: &Heard) {
        let matches = |client: &Client| {
            client.line.branch == heard.branch && client.line.method == heard.method
        };
        let Some(at) = self.clients.iter().position(matches) else {
            return self.fault(format!(
                "{} for a request that was never sent",
                heard.title()
            ));
        };
        let client = &mut self.clients[at];
        match (heard.is_final(), client.state) {
            (false, State::Done) => {}
            (false, _) => {
                client.state = State::Proceeding;
                self.on_provisional(now, at, heard);
            }
            (true, State::Done) => self.acknowledge_again(at),
            (true, _) => {
                client.state = State::Done;
                self.on_final(now, at, heard);
            }
        }
    }

    fn acknowledge_again(&mut self, at: usize) {
        let client = &self.clients[at];
        if let Some(ack) = client.ack.clone() {
            self.post(client.to, ack);
        }
    }

    fn on_final(&mut self, now: Time, at: usize, heard: &Heard) {
        let purpose = self.clients[at].purpose;
        if heard.method == "INVITE" && heard.code >= 300 {
            self.acknowledge_failure(at, heard);
        }
        self.note_answer(purpose, &heard.method, heard.code);
        match purpose {
            Purpose::Invite => self.agree_on_session(now, 0, heard, "uac"),
            Purpose::Reinvite(dialog) | Purpose::Other(dialog) => {
                self.agree_on_session(now, dialog, heard, "uac");
            }
            Purpose::Cancel | Purpose::Bye | Purpose::Aside => {}
        }
        match purpose {
            Purpose::Invite => self.on_call_answer(now, heard),
            Purpose::Reinvite(dialog) => self.on_reinvite_answer(now, at, dialog, heard),
            Purpose::Other(dialog) => {
                self.hear_response(dialog, heard, false);
                self.on_inside_answer(now, dialog, heard);
            }
            Purpose::Cancel | Purpose::Bye | Purpose::Aside => {}
        }
    }

    /// RFC 3261 17.1.1.3: same branch, same Request-URI, To of the response.
    fn acknowledge_failure(&mut self, at: usize, heard: &Heard) {
        let mut line = self.clients[at].line.clone();
        line.method = "ACK".to_owned();
        line.to.clone_from(&heard.to);
        let bytes = self.print_hop_request(&line, "");
        let to = self.clients[at].to;
        self.clients[at].ack = Some(bytes.clone());
        self.post(to, bytes);
    }

    /// The line of the next request of a dialog. ACK bears the number of its INVITE.
    pub(super) fn line(&mut self, dialog: usize, method: &str) -> Line {
        let branch = format!("z9hG4bK{}", self.name("branch"));
        let dialog = &mut self.dialogs[dialog];
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
        }
    }

    /// Sends a request inside a dialog.
    pub(super) fn send_request(
        &mut self,
        now: Time,
        dialog: usize,
        method: &str,
        purpose: Purpose,
        extra: &str,
        body: &Body,
    ) {
        let line = self.line(dialog, method);
        let bytes = self.print_request(&line, extra, body);
        let to = self.dialogs[dialog].next_hop(self.identity.router);
        self.start_client(now, to, line, purpose, bytes);
    }
}
