//! Server transactions of an agent (RFC 3261 17.2): requests in, answers out.

use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use super::aside::is_taken;
use super::print::Body;
use super::{Agent, Alarm, PATIENCE, T1, T2};
use crate::heard::Heard;

/// A final response to an INVITE, repeated until its ACK comes.
#[derive(Debug)]
pub(super) struct Final {
    pub(super) tag: String,
    pub(super) code: u16,
    pub(super) acked: bool,
    bytes: Vec<u8>,
    interval: Duration,
}

/// One server transaction.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) request: Heard,
    /// Its dialog, if it is for one.
    pub(super) dialog: Option<usize>,
    from: SocketAddr,
    last: Option<Vec<u8>>,
    /// Final responses; several when the INVITE was forked.
    pub(super) finals: Vec<Final>,
}

impl Server {
    /// RFC 3261 17.2.3.
    fn owns(&self, request: &Heard) -> bool {
        let same = |method: &str| self.request.method == method;
        self.request.branch == request.branch && same(&request.method)
    }

    /// Whether it waits for its final answer.
    pub(super) fn is_open(&self) -> bool {
        self.finals.is_empty()
    }
}

impl Agent {
    pub(super) fn receive_request(&mut self, now: Time, from: SocketAddr, request: Heard) {
        if request.method == "ACK" {
            return self.receive_ack(now, &request);
        }
        if let Some(known) = self.servers.iter().position(|server| server.owns(&request)) {
            let server = &self.servers[known];
            // RFC 6026 7.1: a copy of an INVITE that was answered 2xx is absorbed.
            let answered = server
                .finals
                .first()
                .is_some_and(|last| last.code / 100 == 2);
            let absorbed = answered && request.method == "INVITE";
            if let Some(last) = server.last.clone().filter(|_| !absorbed) {
                self.post(server.from, last);
            }
            return;
        }
        let dialog = self.dialogs.iter().position(|dialog| dialog.owns(&request));
        let server = self.servers.len();
        self.servers.push(Server {
            request,
            dialog,
            from,
            last: None,
            finals: Vec::new(),
        });
        self.dispatch(now, server);
    }

    fn dispatch(&mut self, now: Time, at: usize) {
        let Server {
            request, dialog, ..
        } = &self.servers[at];
        let (dialog, to_tag) = (*dialog, request.to_tag.clone());
        match (request.method.as_str(), dialog) {
            ("CANCEL", _) => self.on_cancel(now, at),
            ("INVITE", None) if to_tag.is_empty() => self.on_invite(now, at),
            (method, None) if is_taken(method, &to_tag) => self.on_aside(now, at),
            (_, None) => self.answer(now, at, 481, "", "", &Body::NONE),
            ("BYE", Some(dialog)) => self.on_bye(now, at, dialog),
            ("PRACK", Some(dialog)) => self.on_prack(now, at, dialog),
            (_, Some(dialog)) => self.on_inside_request(now, at, dialog),
        }
    }

    /// Answers a request; a final answer to an INVITE is repeated until the ACK comes.
    pub(super) fn answer(
        &mut self,
        now: Time,
        at: usize,
        code: u16,
        tag: &str,
        extra: &str,
        body: &Body,
    ) {
        let request = self.servers[at].request.clone();
        let bytes = self.print_response(&request, code, tag, extra, body);
        if let (Some(dialog), Ok(answer)) = (self.servers[at].dialog, Heard::read(&bytes)) {
            self.agree_on_session(now, dialog, &answer, "uas");
        }
        let server = &mut self.servers[at];
        server.last = Some(bytes.clone());
        if code >= 200 {
            let tag = if request.to_tag.is_empty() {
                tag
            } else {
                &request.to_tag
            };
            let (tag, bytes) = (tag.to_owned(), bytes.clone());
            let acked = request.method != "INVITE";
            server.finals.push(Final {
                tag,
                code,
                acked,
                bytes,
                interval: T1,
            });
            if !acked {
                let at_final = server.finals.len() - 1;
                self.alarms.plan(now + T1, Alarm::ResendFinal(at, at_final));
                self.alarms
                    .plan(now + PATIENCE, Alarm::GiveUpFinal(at, at_final));
            }
        }
        let to = self.servers[at].from;
        self.post(to, bytes);
    }

    pub(super) fn resend_final(&mut self, now: Time, at: usize, at_final: usize) {
        let server = &mut self.servers[at];
        let ended = server
            .dialog
            .is_some_and(|dialog| self.dialogs[dialog].end.is_some());
        let last = &mut server.finals[at_final];
        let given_up = last.code / 100 == 2 && ended;
        if last.acked || given_up {
            return;
        }
        last.interval = (last.interval * 2).min(T2);
        self.alarms
            .plan(now + last.interval, Alarm::ResendFinal(at, at_final));
        let (to, bytes) = (server.from, last.bytes.clone());
        self.post(to, bytes);
    }

    /// RFC 3261 13.3.1.4: a 2xx that is never acknowledged ends its dialog.
    pub(super) fn give_up_final(&mut self, now: Time, at: usize, at_final: usize) {
        let last = &mut self.servers[at].finals[at_final];
        if last.acked {
            return;
        }
        last.acked = true;
        if last.code / 100 == 2 {
            let tag = last.tag.clone();
            if let Some(dialog) = self
                .dialogs
                .iter()
                .position(|dialog| dialog.local_tag == tag)
            {
                self.hang_up(now, dialog);
            }
        }
    }

    fn receive_ack(&mut self, now: Time, ack: &Heard) {
        let owns = |server: &Server| {
            server.request.method == "INVITE"
                && server.request.cseq == ack.cseq
                && server.request.call_id == ack.call_id
        };
        let Some(at) = self.servers.iter().position(owns) else {
            return self.fault(format!("ACK {} for no INVITE", ack.cseq));
        };
        let finals = &mut self.servers[at].finals;
        let Some(last) = finals.iter_mut().find(|last| last.tag == ack.to_tag) else {
            return self.fault(format!(
                "ACK with the To tag {:?} that was never sent",
                ack.to_tag
            ));
        };
        let first = !std::mem::replace(&mut last.acked, true);
        if first && last.code / 100 == 2 {
            self.facts.body_in_ack |= !ack.body.is_empty();
            self.on_acked(now, at, ack);
        }
    }
}
