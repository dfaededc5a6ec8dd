//! The caller's part: INVITE, CANCEL, the answers, the ACK.

use stack::Time;

use super::client::{Purpose, State};
use super::dialog::{Dialog, End};
use super::print::{Body, Line};
use super::session::{Place, Session};
use super::{Agent, Alarm, Identity, PATIENCE, Part};
use crate::heard::Heard;
use crate::plan::{Ack, CallerPlan, Cancel};

impl Agent {
    fn caller_plan(&self) -> CallerPlan {
        match &self.part {
            Part::Caller(plan) => plan.clone(),
            Part::Callee(_) => CallerPlan::default(),
        }
    }

    /// Sends the INVITE.
    pub(super) fn call(&mut self, now: Time) {
        let plan = self.caller_plan();
        let dialog = self.first_dialog();
        self.dialogs.push(dialog);
        let body = self.first_offer();
        self.send_request(
            now,
            0,
            "INVITE",
            Purpose::Invite,
            &self.first_extra(),
            &body,
        );
        self.dialogs[0].invite_cseq = self.dialogs[0].cseq;
        if let Some(Cancel::After(after) | Cancel::Impatient(after)) = plan.cancel {
            self.alarms.plan(now + after, Alarm::Cancel);
        }
        for (after, method) in plan.asides {
            self.alarms.plan(now + after, Alarm::Aside(method));
        }
    }

    pub(super) fn first_offer(&mut self) -> Body {
        match self.caller_plan().delayed_offer {
            true => Body::NONE,
            false => self.invitation(),
        }
    }

    pub(super) fn first_extra(&self) -> String {
        let reliable = match self.caller_plan().reliable {
            true => "Supported: 100rel\r\n",
            false => "",
        };
        format!("{reliable}{}", self.replaces)
    }

    /// The Request-URI of the INVITE.
    pub(super) fn first_target(&self) -> String {
        let Identity { number, router, .. } = &self.identity;
        format!("sip:{number}@{router};q=1")
    }

    fn first_dialog(&mut self) -> Dialog {
        let (ip, router) = (self.identity.address, self.identity.router);
        let number = self.identity.number.clone();
        let host = if self.draw.chance(50) {
            "people.example".to_owned()
        } else {
            ip.to_string()
        };
        let display = self
            .draw
            .pick(&["", "\"Zoë \\\"Z\\\" Ng\" ", "Caller ", "\"a,b;c\" "]);
        Dialog {
            call_id: format!("{}@{}", self.name("call"), ip.ip()),
            local: format!("{display}<sip:caller%20x@{host};p=1>"),
            local_tag: self.name("tag"),
            remote: format!("<sip:{number}@{router}>"),
            remote_tag: String::new(),
            target: self.first_target(),
            cseq: self.draw.between(0, 2_000) as u32,
            remote_cseq: None,
            invite_cseq: 0,
            confirmed: false,
            end: None,
            byes: 0,
            session: Session::default(),
        }
    }

    /// A provisional response to any request of this agent.
    pub(super) fn on_provisional(&mut self, now: Time, at: usize, heard: &Heard) {
        if self.clients[at].purpose != Purpose::Invite {
            return;
        }
        let first_ringing = (180..190).contains(&heard.code)
            && !self
                .facts
                .provisionals
                .iter()
                .any(|code| (180..190).contains(code));
        self.facts.provisionals.push(heard.code);
        if heard.code > 100 {
            self.check_tag(heard);
            self.dialogs[0].learn(heard);
            if heard.rseq.is_none() {
                self.hear_response(0, heard, false);
            }
            self.acknowledge_reliable(now, heard);
        }
        if self.cancelled {
            return self.send_cancel(now);
        }
        if first_ringing {
            self.on_ringing(now);
        }
    }

    fn on_ringing(&mut self, now: Time) {
        let plan = self.caller_plan();
        if let Some(Cancel::AfterRinging(after)) = plan.cancel {
            self.alarms.plan(now + after, Alarm::Cancel);
        }
        if let Some(after) = plan.early_bye {
            self.alarms.plan(now + after, Alarm::EarlyBye);
        }
        if let Some((after, method)) = plan.early {
            self.alarms.plan(now + after, Alarm::Early(method));
        }
    }

    /// The router is one user agent, however many answer behind it: one tag.
    fn check_tag(&mut self, heard: &Heard) {
        let known = &self.dialogs[0].remote_tag;
        if !known.is_empty() && *known != heard.to_tag {
            let fault = format!("{} came with another To tag than {known}", heard.title());
            self.fault(fault);
        }
    }

    /// RFC 3262 4: in order, each once.
    fn acknowledge_reliable(&mut self, now: Time, heard: &Heard) {
        let Some(rseq) = heard.rseq else { return };
        let next = self.pracked == 0 || rseq == self.pracked + 1;
        if next && self.caller_plan().reliable && self.dialogs[0].end.is_none() {
            self.pracked = rseq;
            let extra = format!("RAck: {rseq} {} INVITE\r\n", heard.cseq);
            let body = self.prack_body(heard);
            self.send_request(now, 0, "PRACK", Purpose::Other(0), &extra, &body);
        }
    }

    /// RFC 3262 5: the answer to an offer in the provisional, or an offer when that was an answer.
    fn prack_body(&mut self, heard: &Heard) -> Body {
        if self.hear_response(0, heard, true) {
            return self.answer_asked(0, Place::Client(heard.cseq));
        }
        let offers = self.talk_plan().is_some_and(|plan| plan.offers_in_prack);
        let session = &self.dialogs[0].session;
        match offers && heard.sdp && session.reliable && session.is_settled() {
            true => self.offer(0),
            false => Body::NONE,
        }
    }

    /// Gives up the call, at once or when a provisional has come (RFC 3261 9.1).
    pub(super) fn cancel(&mut self, now: Time) {
        let impatient = matches!(self.caller_plan().cancel, Some(Cancel::Impatient(_)));
        self.cancelled = true;
        if impatient || self.clients[self.invite].state == State::Proceeding {
            self.send_cancel(now);
        }
    }

    fn send_cancel(&mut self, now: Time) {
        let at = self.invite;
        let invite = &mut self.clients[at];
        if invite.state == State::Done || std::mem::replace(&mut invite.cancelled, true) {
            return;
        }
        let (line, to) = (
            Line {
                method: "CANCEL".to_owned(),
                ..invite.line.clone()
            },
            invite.to,
        );
        let bytes =
            self.print_hop_request(&line, "Reason: SIP;cause=487;text=\"changed my mind\"\r\n");
        self.start_client(now, to, line, Purpose::Cancel, bytes);
        self.alarms.plan(now + PATIENCE, Alarm::GiveUp(at));
    }

    /// RFC 3261 15: a caller may end an early dialog with BYE.
    pub(super) fn early_bye(&mut self, now: Time) {
        let early =
            self.clients[self.invite].state == State::Proceeding && self.dialogs[0].end.is_none();
        if early {
            self.dialogs[0].end = Some(End::ByeSent);
            self.send_request(now, 0, "BYE", Purpose::Bye, "", &Body::NONE);
        }
    }

    pub(super) fn early_request(&mut self, now: Time, method: &'static str) {
        if self.clients[self.invite].state == State::Proceeding && self.dialogs[0].end.is_none() {
            let session = &self.dialogs[0].session;
            let body = match (method, self.talks()) {
                ("UPDATE", true) if session.reliable && session.is_settled() => self.offer(0),
                ("UPDATE", true) => Body::NONE,
                _ => self.odd_body(),
            };
            self.send_request(now, 0, method, Purpose::Other(0), "", &body);
        }
    }

    /// The final answer to the INVITE.
    pub(super) fn on_call_answer(&mut self, now: Time, heard: &Heard) {
        self.facts.reasons.clone_from(&heard.reasons);
        if heard.code >= 300 {
            let free = !self.cancelled && !self.talks();
            let again = self.tries_again(heard).filter(|_| free);
            self.hear_response(0, heard, false);
            return match again {
                Some(after) => self.alarms.plan(now + after, Alarm::CallAgain),
                None => self.on_call_failed(),
            };
        }
        self.check_tag(heard);
        self.hear_response(0, heard, false);
        let dialog = &mut self.dialogs[0];
        dialog.learn(heard);
        dialog.confirmed = true;
        if dialog.end.is_some() {
            // It has hung up already, but the 2xx is owed its ACK.
            return self.send_ack(heard.sdp);
        }
        if self.cancelled {
            // RFC 3261 9.1: the 2xx has crossed the CANCEL.
            self.send_ack(heard.sdp);
            return self.hang_up(now, 0);
        }
        match self.caller_plan().ack {
            Ack::AtOnce => self.acknowledge(now, 0),
            Ack::After(after) => self.alarms.plan(now + after, Alarm::Acknowledge),
            Ack::Never => {}
            Ack::AfterBye => {
                self.hang_up(now, 0);
                self.send_ack(heard.sdp);
            }
        }
    }

    /// The INVITE got no 2xx.
    pub(super) fn on_call_failed(&mut self) {
        if let Some(dialog) = self.dialogs.first_mut() {
            dialog.end.get_or_insert(End::Failed);
        }
    }

    /// Acknowledges the 2xx, and the call is up.
    pub(super) fn acknowledge(&mut self, now: Time, dialog: usize) {
        self.send_ack(true);
        if self.dialogs[dialog].is_up() {
            self.on_call_up(now, dialog);
        }
    }

    fn send_ack(&mut self, offered: bool) {
        let body = match self.caller_plan().delayed_offer && offered {
            _ if self.talks() => {
                let place = Place::Client(self.dialogs[0].invite_cseq);
                self.answer_asked(0, place)
            }
            true => self.sdp(),
            false => Body::NONE,
        };
        let mut line = self.line(0, "ACK");
        line.cseq = self.dialogs[0].invite_cseq;
        let bytes = self.print_request(&line, "", &body);
        let to = self.dialogs[0].next_hop(self.identity.router);
        self.clients[self.invite].ack = Some(bytes.clone());
        self.clients[self.invite].to = to;
        self.post(to, bytes);
    }
}
