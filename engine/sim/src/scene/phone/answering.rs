//! Calls that a phone gets: it rings, answers, refuses, redirects, is cancelled or replaced.

use stack::Time;

use super::dialog::{Dialog, Stage, uri_of};
use super::print::Body;
use super::{Alarm, Phone};
use crate::scene::plan::Outcome;

impl Phone {
    pub(super) fn on_invite(&mut self, now: Time, server: usize) {
        let request = self.servers[server].request.clone();
        if self.has_left(now) {
            return self.answer_plainly(now, server, 480);
        }
        // RFC 3261 8.2.2.2: the same request has come on another way.
        let merged = self.servers[..server].iter().any(|known| {
            let known = &known.request;
            (&known.call_id, &known.from_tag, known.cseq, &known.method)
                == (
                    &request.call_id,
                    &request.from_tag,
                    request.cseq,
                    &request.method,
                )
        });
        if merged {
            return self.answer_plainly(now, server, 482);
        }
        self.facts.invites += 1;
        let dialog = self.dialog_of(server);
        self.servers[server].dialog = Some(dialog);
        self.calls.push(dialog);
        if let Some(replaces) = request.values("Replaces").first() {
            return self.replace(now, server, replaces);
        }
        let answering = &self.plan.answering;
        if let Some((after, _)) = answering.ring {
            self.alarms.plan(now + after, Alarm::Ring(server));
        }
        self.alarms
            .plan(now + answering.after, Alarm::Decide(server));
    }

    /// A new dialog with who sent this request.
    pub(super) fn dialog_of(&mut self, server: usize) -> usize {
        let (tag, cseq) = (self.name("tag"), self.draw.between(0, 2_000) as u32);
        let dialog = Dialog::uas(&self.servers[server].request, tag, cseq);
        self.dialogs.push(dialog);
        self.dialogs.len() - 1
    }

    pub(super) fn ring(&mut self, now: Time, server: usize) {
        let code = self.plan.answering.ring.map_or(180, |(_, code)| code);
        if self.servers[server].is_open() {
            self.say_with_tag(now, server, code, "", &Body::default());
        }
    }

    fn say_with_tag(&mut self, now: Time, server: usize, code: u16, extra: &str, body: &Body) {
        let Some(dialog) = self.servers[server].dialog else {
            return;
        };
        let tag = self.dialogs[dialog].local_tag.clone();
        let contact = match code {
            300.. => extra.to_owned(),
            _ => self.contact(),
        };
        self.answer(now, server, code, (&tag, &contact), body);
    }

    pub(super) fn decide(&mut self, now: Time, server: usize) {
        if !self.servers[server].is_open() {
            return;
        }
        match self.plan.answering.outcome.clone() {
            Outcome::Accept => self.accept(now, server),
            Outcome::AcceptTwice(after) => {
                self.accept(now, server);
                self.alarms.plan(now + after, Alarm::SecondAnswer(server));
            }
            Outcome::Reject(code) => self.reject(now, server, code, ""),
            Outcome::Redirect(phones) => {
                let contact =
                    |id: usize| format!("Contact: <sip:moved@{}>\r\n", self.neighbours[id]);
                let contacts: String = phones.into_iter().map(contact).collect();
                self.reject(now, server, 302, &contacts);
            }
            Outcome::Silence => {}
        }
    }

    fn reject(&mut self, now: Time, server: usize, code: u16, extra: &str) {
        if let Some(dialog) = self.servers[server].dialog {
            self.dialogs[dialog].call = Stage::Over;
        }
        self.say_with_tag(now, server, code, extra, &Body::default());
    }

    /// 200, with a new tag when another has said that already.
    pub(super) fn accept(&mut self, now: Time, server: usize) {
        let first = self.servers[server].is_open();
        if !first {
            let accepted = self.servers[server].finals.iter().all(|it| it.1 < 300);
            if !accepted || self.servers[server].finals.len() > 1 {
                return;
            }
            let dialog = self.dialog_of(server);
            self.servers[server].dialog = Some(dialog);
        }
        if let Some(dialog) = self.servers[server].dialog {
            self.dialogs[dialog].call = Stage::Up;
        }
        let body = self.sdp();
        self.say_with_tag(now, server, 200, "", &body);
    }

    pub(super) fn on_cancel(&mut self, now: Time, cancel: usize) {
        let request = &self.servers[cancel].request;
        let invite = self.servers.iter().position(|server| {
            let known = &server.request;
            known.method == "INVITE"
                && (&known.branch, &known.sent_by) == (&request.branch, &request.sent_by)
        });
        let Some(invite) = invite else {
            return self.answer_plainly(now, cancel, 481);
        };
        let tag = self.servers[invite].dialog;
        let tag = tag.map(|dialog| self.dialogs[dialog].local_tag.clone());
        let none = Body::default();
        self.answer(now, cancel, 200, (&tag.unwrap_or_default(), ""), &none);
        if !self.servers[invite].is_open() {
            return;
        }
        match self.plan.answering.crosses_cancel {
            true => self.accept(now, invite),
            false => self.reject(now, invite, 487, ""),
        }
    }

    /// RFC 3891 3: the call takes the place of another one of this phone.
    fn replace(&mut self, now: Time, server: usize, replaces: &str) {
        let mut parts = replaces.split(';').map(str::trim);
        let call_id = parts.next().unwrap_or_default();
        let (mut ours, mut theirs) = ("", "");
        for part in parts {
            match part.split_once('=') {
                Some(("to-tag", tag)) => ours = tag,
                Some(("from-tag", tag)) => theirs = tag,
                _ => {}
            }
        }
        let old = self.dialogs.iter().position(|dialog| {
            let tags = dialog.local_tag == ours && dialog.remote_tag == theirs;
            dialog.call_id == call_id && tags
        });
        match old.filter(|old| self.dialogs[*old].is_up()) {
            Some(old) => {
                self.accept(now, server);
                self.hang_up(now, old);
            }
            None => {
                if old.is_none() {
                    self.fault(format!("Replaces names {replaces}, which is no dialog"));
                }
                self.reject(now, server, 481, "");
            }
        }
    }

    pub(super) fn on_bye(&mut self, now: Time, server: usize, dialog: usize) {
        self.end(now, dialog);
        self.answer_plainly(now, server, 200);
    }

    pub(super) fn on_reinvite(&mut self, now: Time, server: usize, dialog: usize) {
        if !self.dialogs[dialog].is_up() {
            return self.answer_plainly(now, server, 481);
        }
        // RFC 3261 14.2.
        if self.reinvites(dialog) {
            return self.answer_plainly(now, server, 491);
        }
        let contact = self.servers[server].request.contact.clone();
        if let Some(contact) = contact {
            self.dialogs[dialog].target = uri_of(&contact).to_owned();
        }
        let (body, own) = (self.sdp(), self.contact());
        self.answer(now, server, 200, ("", &own), &body);
    }
}
