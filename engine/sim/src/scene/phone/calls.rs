//! Calls that a phone makes, and what it does inside calls: INVITE, CANCEL, ACK, BYE, re-INVITE.

use stack::Time;

use super::dialog::{Dialog, Stage};
use super::exchange::{Purpose, State};
use super::print::{Body, Line};
use super::{Alarm, PATIENCE, Phone};
use crate::heard::Heard;
use crate::scene::plan::Leaving;

impl Phone {
    /// Sends an INVITE that may become this dialog.
    pub(super) fn call(&mut self, now: Time, dialog: Dialog, extra: &str, referral: Option<usize>) {
        let at = self.dialogs.len();
        self.dialogs.push(dialog);
        self.calls.push(at);
        let (body, purpose) = (
            self.sdp(),
            Purpose::Call {
                dialog: at,
                referral,
            },
        );
        let client = self.send_inside(now, at, "INVITE", purpose, extra, &body);
        self.dialogs[at].invite_cseq = self.dialogs[at].cseq;
        self.last_invite = Some(client);
    }

    /// Gives up an INVITE, at once or when a provisional has come (RFC 3261 9.1).
    pub(super) fn cancel(&mut self, now: Time, client: Option<usize>) {
        let Some(at) = client else { return };
        let open = self.clients[at].state != State::Done;
        if open && !std::mem::replace(&mut self.clients[at].cancelled, true) {
            self.cancel_when_heard(now, at);
        }
    }

    fn cancel_when_heard(&mut self, now: Time, at: usize) {
        let invite = &self.clients[at];
        if invite.state != State::Proceeding || !invite.cancelled {
            return;
        }
        let (to, line) = (invite.to, invite.line.clone());
        let line = Line {
            method: "CANCEL".to_owned(),
            ..line
        };
        let sent = self.clients.iter();
        let known = |line: &Line| line.branch == self.clients[at].line.branch;
        if sent
            .filter(|it| it.purpose == Purpose::Cancel)
            .any(|it| known(&it.line))
        {
            return;
        }
        let bytes = self.print_hop_request(&line);
        self.start(now, to, line, Purpose::Cancel, bytes);
        self.alarms.plan(now + PATIENCE, Alarm::GiveUp(at));
    }

    pub(super) fn on_provisional(&mut self, now: Time, at: usize, heard: &Heard) {
        self.cancel_when_heard(now, at);
        if let Purpose::Call {
            referral: Some(watch),
            ..
        } = self.clients[at].purpose
            && heard.code > 100
        {
            self.report(now, watch, heard.code);
        }
    }

    /// A 2xx to an INVITE, not the first copy of it; `first` of any to this one.
    pub(super) fn on_accepted(&mut self, now: Time, at: usize, heard: &Heard, first: bool) {
        if first {
            self.facts.answers.push((heard.method.clone(), heard.code));
        }
        match self.clients[at].purpose {
            Purpose::Call { dialog, referral } => {
                let towards = self.dialogs[dialog].towards(heard);
                let own = match first {
                    true => dialog,
                    false => self.dialogs.len(),
                };
                match first {
                    true => self.dialogs[own] = towards,
                    false => self.dialogs.push(towards),
                }
                self.dialogs[own].call = Stage::Up;
                self.acknowledge(at, own, heard);
                self.on_call_made(now, at, own, first);
                if let Some(watch) = referral.filter(|_| first) {
                    self.report(now, watch, heard.code);
                }
            }
            Purpose::Reinvite(dialog) => {
                if let Some(contact) = &heard.contact {
                    self.dialogs[dialog].target.clone_from(contact);
                }
                self.acknowledge(at, dialog, heard);
            }
            _ => {}
        }
    }

    fn on_call_made(&mut self, now: Time, at: usize, dialog: usize, first: bool) {
        // RFC 3261 13.2.2.4: of several that answered one is kept. 9.1: the 2xx may have crossed a CANCEL.
        if !first || self.clients[at].cancelled || self.has_left(now) {
            self.hang_up(now, dialog);
        }
    }

    fn acknowledge(&mut self, at: usize, dialog: usize, heard: &Heard) {
        let mut line = self.line(dialog, "ACK");
        line.cseq = heard.cseq;
        let body = match self.clients[at].offered {
            true => Body::default(),
            false => self.sdp(),
        };
        let bytes = self.print_request(&line, "", &body);
        let hop = self.dialogs[dialog].next_hop();
        let to = hop.unwrap_or(self.persona.router);
        self.keep_ack(at, heard.to_tag.clone(), to, bytes);
    }

    /// The 2xx of this phone was acknowledged.
    pub(super) fn on_call_up(&mut self, now: Time, dialog: usize) {
        if self.has_left(now) {
            self.hang_up(now, dialog);
        }
    }

    /// Ends a call with BYE, if it is up.
    pub(super) fn hang_up(&mut self, now: Time, dialog: usize) {
        if self.dialogs[dialog].is_up() {
            self.end(now, dialog);
            let none = Body::default();
            self.send_inside(now, dialog, "BYE", Purpose::Bye, "", &none);
        }
    }

    /// RFC 3261 15.1.2: requests that wait for their answer get 487.
    pub(super) fn end(&mut self, now: Time, dialog: usize) {
        self.dialogs[dialog].call = Stage::Over;
        for watch in self.watches.iter_mut().filter(|it| it.dialog == dialog) {
            watch.left = !watch.ended;
        }
        for at in 0..self.servers.len() {
            let server = &self.servers[at];
            let asked = server.dialog == Some(dialog) && server.request.method == "INVITE";
            if asked && server.is_open() {
                self.answer_plainly(now, at, 487);
            }
        }
    }

    /// Sends a request inside a call; a re-INVITE only while no other INVITE is open (RFC 3261 14.1).
    pub(super) fn ask_inside(&mut self, now: Time, call: usize, method: &'static str) {
        let Some(&dialog) = self.calls.get(call) else {
            return;
        };
        if !self.dialogs[dialog].is_up() {
            return;
        }
        if method == "INVITE" {
            let offers = self.draw.chance(70);
            let body = match offers {
                true => self.sdp(),
                false => Body::default(),
            };
            if !self.has_invite_open(dialog) {
                let purpose = Purpose::Reinvite(dialog);
                let client = self.send_inside(now, dialog, method, purpose, "", &body);
                self.clients[client].offered = offers;
            }
            return;
        }
        let body = Body {
            kind: "text/plain",
            text: "inside".to_owned(),
        };
        self.send_inside(now, dialog, method, Purpose::Inside(dialog), "", &body);
    }

    pub(super) fn reinvites(&self, dialog: usize) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|it| it.purpose == Purpose::Reinvite(dialog) && it.state != State::Done)
    }

    fn has_invite_open(&self, dialog: usize) -> bool {
        let mut servers = self.servers.iter();
        let open = |server: &super::Server| {
            let mine = server.dialog == Some(dialog) && server.request.method == "INVITE";
            mine && (server.is_open() || server.finals.iter().any(|last| !last.3))
        };
        self.reinvites(dialog) || servers.any(open)
    }

    /// A request that is no INVITE was answered 2xx.
    pub(super) fn on_success(&mut self, now: Time, purpose: Purpose, heard: &Heard) {
        match purpose {
            Purpose::Refer(watch) => {
                let dialog = self.watches[watch].dialog;
                if self.plan.leaves == Leaving::Accepted {
                    self.hang_up(now, dialog);
                }
            }
            Purpose::Subscribe(watch) => self.on_subscribed(now, watch, heard),
            Purpose::Notify(watch) => self.on_told(now, watch),
            _ => {}
        }
    }

    /// A request was refused, or nobody answered it: 408.
    pub(super) fn on_failure(&mut self, now: Time, purpose: Purpose, code: u16) {
        match purpose {
            Purpose::Call { dialog, referral } => {
                self.dialogs[dialog].call = Stage::Over;
                if let Some(watch) = referral {
                    self.report(now, watch, code);
                }
            }
            // RFC 3261 12.2.1.2: the dialog is gone.
            Purpose::Reinvite(dialog) | Purpose::Inside(dialog) if matches!(code, 408 | 481) => {
                self.hang_up(now, dialog);
            }
            Purpose::Refer(watch) => self.watches[watch].end(),
            Purpose::Subscribe(watch) => self.on_not_subscribed(watch, code),
            Purpose::Notify(watch) => self.watches[watch].end(),
            _ => {}
        }
    }
}
