//! What both parties do once the call is up: requests inside the dialog, their answers, BYE.

use std::time::Duration;

use stack::Time;

use super::client::{Purpose, State};
use super::dialog::End;
use super::manners::answer_headers;
use super::print::Body;
use super::session::Place;
use super::{Agent, Alarm};
use crate::heard::Heard;

/// Requests that may be sent again after a refusal.
const KNOWN: [&str; 7] = [
    "INVITE",
    "UPDATE",
    "INFO",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "SUBSCRIBE",
];

impl Agent {
    /// The ACK of the first INVITE was sent or received.
    pub(super) fn on_call_up(&mut self, now: Time, dialog: usize) {
        for (after, method) in self.inside.requests.clone() {
            self.alarms.plan(now + after, Alarm::Inside(dialog, method));
        }
        if let Some(after) = self.inside.hang_up {
            self.alarms.plan(now + after, Alarm::HangUp(dialog));
        }
    }

    /// A 2xx of this agent was acknowledged.
    pub(super) fn on_acked(&mut self, now: Time, server: usize, ack: &Heard) {
        let first = self.servers[server].request.to_tag.is_empty();
        let mut dialogs = self.dialogs.iter();
        let dialog = dialogs.position(|dialog| dialog.local_tag == ack.to_tag && dialog.is_up());
        if let Some(dialog) = dialog {
            self.hear_acknowledgement(server, dialog, ack);
        }
        if let Some(dialog) = dialog.filter(|_| first) {
            self.on_call_up(now, dialog);
        }
    }

    /// Ends a dialog with BYE, if it is still up.
    pub(super) fn hang_up(&mut self, now: Time, dialog: usize) {
        if self.dialogs[dialog].is_up() {
            self.end(now, dialog, End::ByeSent);
            self.send_request(now, dialog, "BYE", Purpose::Bye, "", &Body::NONE);
        }
    }

    /// RFC 3261 15.1.2: requests that wait for their answer get 487.
    fn end(&mut self, now: Time, dialog: usize, end: End) {
        self.dialogs[dialog].end = Some(end);
        for at in 0..self.servers.len() {
            let server = &self.servers[at];
            let open = server.dialog == Some(dialog) && server.is_open();
            if open && server.request.method != "BYE" && !self.inside.mute {
                self.answer(now, at, 487, "", "", &Body::NONE);
            }
        }
    }

    pub(super) fn on_bye(&mut self, now: Time, server: usize, dialog: usize) {
        self.dialogs[dialog].byes += 1;
        if self.is_out_of_order(server, dialog) {
            return self.answer(now, server, 500, "", "", &Body::NONE);
        }
        self.facts
            .end_reasons
            .clone_from(&self.servers[server].request.reasons);
        match self.dialogs[dialog].end {
            None if !self.dialogs[dialog].confirmed => {
                self.fault("a BYE came before any 2xx".to_owned());
            }
            None => self.end(now, dialog, End::ByeReceived),
            Some(End::ByeReceived | End::Failed) => {
                self.fault("a BYE came for a dialog that was over".to_owned());
            }
            Some(End::ByeSent) => {}
        }
        self.answer(now, server, 200, "", "", &Body::NONE);
    }

    fn is_out_of_order(&mut self, server: usize, dialog: usize) -> bool {
        let number = self.servers[server].request.cseq;
        let last = &mut self.dialogs[dialog].remote_cseq;
        let late = last.is_some_and(|last| number <= last);
        if !late {
            *last = Some(number);
        }
        late
    }

    /// Sends a request inside the dialog; a re-INVITE only while no other INVITE is open (14.1).
    pub(super) fn send_inside(&mut self, now: Time, dialog: usize, method: &'static str) {
        if !self.dialogs[dialog].is_up() {
            return;
        }
        if method == "INVITE" {
            if !self.has_invite_open(dialog)
                && let Some(body) = self.offer_inside(now, dialog, method)
            {
                self.send_request(now, dialog, method, Purpose::Reinvite(dialog), "", &body);
            }
            return;
        }
        let body = match method {
            "UPDATE" => self.offer_inside(now, dialog, method),
            _ => Some(self.odd_body()),
        };
        let Some(body) = body else { return };
        self.send_request(now, dialog, method, Purpose::Other(dialog), "", &body);
    }

    /// The offer of a request; none yet while another waits for its answer.
    fn offer_inside(&mut self, now: Time, dialog: usize, method: &'static str) -> Option<Body> {
        if !self.talks() {
            return Some(self.sdp());
        }
        if !self.dialogs[dialog].session.is_settled() {
            let after = self.draw.millis(200, 900);
            self.alarms.plan(now + after, Alarm::Inside(dialog, method));
            return None;
        }
        if method == "INVITE" && self.wants_to_be_asked(dialog) {
            return Some(Body::NONE);
        }
        Some(self.offer(dialog))
    }

    fn own_invite_open(&self, dialog: usize) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| {
            client.purpose == Purpose::Reinvite(dialog) && client.state != State::Done
        })
    }

    fn has_invite_open(&self, dialog: usize) -> bool {
        self.own_invite_open(dialog) || self.peer_invite_open(dialog, usize::MAX)
    }

    /// An INVITE of the peer, other than `except`, has no ACK yet.
    fn peer_invite_open(&self, dialog: usize, except: usize) -> bool {
        let mut servers = self.servers.iter().enumerate();
        servers.any(|(at, server)| {
            let acked = server.finals.first().is_some_and(|last| last.acked);
            at != except
                && server.dialog == Some(dialog)
                && server.request.method == "INVITE"
                && !acked
        })
    }

    pub(super) fn on_inside_request(&mut self, now: Time, server: usize, dialog: usize) {
        let method = self.servers[server].request.method.clone();
        self.facts.requests.push(method.clone());
        if self.is_out_of_order(server, dialog) {
            return self.answer(now, server, 500, "", "", &Body::NONE);
        }
        if self.dialogs[dialog].end.is_some() {
            return self.answer(now, server, 481, "", "", &Body::NONE);
        }
        let code = match method.as_str() {
            "INVITE" if self.own_invite_open(dialog) => return self.reply(now, server, 491),
            "INVITE" if self.peer_invite_open(dialog, server) => {
                return self.answer(now, server, 500, "", "Retry-After: 1\r\n", &Body::NONE);
            }
            "INVITE" => self.inside.reinvite_code,
            _ => self.inside.request_code,
        };
        if self.inside.mute {
            return;
        }
        let code = code.or_else(|| self.next_answer());
        if self.refuses_interval(now, server) {
            return;
        }
        let offers = matches!(method.as_str(), "INVITE" | "UPDATE");
        match offers.then(|| self.hear_request(server, dialog)).flatten() {
            None => {}
            Some(500) => {
                return self.answer(now, server, 500, "", "Retry-After: 1\r\n", &Body::NONE);
            }
            Some(code) => return self.reply(now, server, code),
        }
        self.refresh_target(server, dialog);
        match (code.unwrap_or(200), self.inside.replies_after) {
            (code @ 100..200, after) => {
                self.answer(now, server, code, "", "", &Body::NONE);
                self.alarms.plan(now + after, Alarm::Reply(server, 200));
            }
            (code, Duration::ZERO) => self.reply(now, server, code),
            (code, after) => self.alarms.plan(now + after, Alarm::Reply(server, code)),
        }
    }

    /// RFC 3261 12.2.2.
    fn refresh_target(&mut self, server: usize, dialog: usize) {
        let request = &self.servers[server].request;
        if matches!(request.method.as_str(), "INVITE" | "UPDATE")
            && let Some(contact) = &request.contact
        {
            self.dialogs[dialog].target.clone_from(contact);
        }
    }

    /// The answer to a request inside the dialog, unless it has one.
    pub(super) fn reply(&mut self, now: Time, server: usize, code: u16) {
        if !self.servers[server].is_open() {
            return;
        }
        let request = &self.servers[server].request;
        let offer = request.method == "INVITE" && code == 200;
        let asks = offer && !request.sdp;
        let dialog = self.servers[server].dialog.filter(|_| self.talks());
        let settled = dialog.is_none_or(|dialog| self.dialogs[dialog].session.is_settled());
        let code = if asks && !settled { 491 } else { code };
        let body = match dialog {
            Some(dialog) if code / 100 == 2 => self.reply_body(server, dialog),
            Some(dialog) => {
                let place = Place::Server(server);
                self.dialogs[dialog].session.fails(place);
                Body::NONE
            }
            None if offer => self.sdp(),
            None => Body::NONE,
        };
        let contact = match code {
            200 => self.contact(),
            code => answer_headers(code).to_owned(),
        };
        self.answer(now, server, code, "", &contact, &body);
    }

    /// The final answer to a re-INVITE of this agent.
    pub(super) fn on_reinvite_answer(
        &mut self,
        now: Time,
        client: usize,
        dialog: usize,
        heard: &Heard,
    ) {
        self.hear_response(dialog, heard, false);
        match heard.code {
            200..300 => {
                self.dialogs[dialog].learn(heard);
                match self.inside.reinvite_ack_after {
                    Duration::ZERO => self.acknowledge_reinvite(client, dialog),
                    after => {
                        let alarm = Alarm::AcknowledgeReinvite(client, dialog);
                        self.alarms.plan(now + after, alarm);
                    }
                }
            }
            491 => {
                // RFC 3261 14.1: again after a while, which differs from the other side's.
                let after = self.draw.millis(100, 4_000);
                self.alarms
                    .plan(now + after, Alarm::Inside(dialog, "INVITE"));
            }
            _ => self.on_inside_answer(now, dialog, heard),
        }
    }

    pub(super) fn acknowledge_reinvite(&mut self, client: usize, dialog: usize) {
        let mut line = self.line(dialog, "ACK");
        line.cseq = self.clients[client].line.cseq;
        let body = self.answer_asked(dialog, Place::Client(line.cseq));
        let bytes = self.print_request(&line, "", &body);
        let to = self.dialogs[dialog].next_hop(self.identity.router);
        self.clients[client].ack = Some(bytes.clone());
        self.clients[client].to = to;
        self.post(to, bytes);
    }

    /// RFC 3261 12.2.1.2: 408 and 481 mean that the dialog is gone.
    pub(super) fn on_inside_answer(&mut self, now: Time, dialog: usize, heard: &Heard) {
        let usage = matches!(
            heard.method.as_str(),
            "SUBSCRIBE" | "NOTIFY" | "REFER" | "PRACK"
        );
        if matches!(heard.code, 408 | 481) && !usage {
            return self.hang_up(now, dialog);
        }
        let method = KNOWN.iter().find(|known| **known == heard.method);
        if let Some(method) = method
            && let Some(after) = self.tries_again(heard)
        {
            self.alarms.plan(now + after, Alarm::Inside(dialog, method));
        }
    }
}
