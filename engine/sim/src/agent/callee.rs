//! The callee's part: what it does about an INVITE, step by step, and about its CANCEL.

use std::time::Duration;

use stack::Time;

use super::dialog::{Dialog, End, without_tag};
use super::manners::answer_headers;
use super::print::Body;
use super::session::{Place, Session};
use super::{Agent, Alarm, PATIENCE, Part, T1};
use crate::plan::{CalleePlan, Cancelled, Step};

/// An INVITE that is being worked on.
#[derive(Debug, Default)]
pub(super) struct Ringing {
    /// Its server transaction.
    invite: Option<usize>,
    /// The next step.
    step: usize,
    /// No more steps.
    stopped: bool,
    /// RSeq and bytes of a reliable provisional that waits for its PRACK.
    unpracked: Option<(u32, Vec<u8>)>,
    rseq: u32,
    /// The dialog of each branch of the fork that has spoken: (branch, dialog).
    forks: Vec<(usize, usize)>,
}

impl Ringing {
    /// No branch will say anything any more.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the plan goes on after the INVITE has failed.
    pub(super) fn has_more(&self, steps: &[Step]) -> bool {
        self.stopped && self.step < steps.len()
    }

    /// The state in which another INVITE finds a party whose plan goes on.
    pub(super) fn after(last: &Ringing) -> Ringing {
        Ringing {
            step: last.step,
            ..Ringing::default()
        }
    }
}

impl Agent {
    fn callee_plan(&self) -> CalleePlan {
        match &self.part {
            Part::Callee(plan) => plan.clone(),
            Part::Caller(_) => CalleePlan::default(),
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        match &self.part {
            Part::Callee(plan) => &plan.steps,
            Part::Caller(_) => &[],
        }
    }

    pub(super) fn on_invite(&mut self, now: Time, server: usize) {
        if self.refuses_interval(now, server) || self.is_replaced(now, server) {
            return;
        }
        if !self.rings_again() {
            self.facts.invites += 1;
        }
        if self.ringing.invite.is_some() || matches!(self.part, Part::Caller(_)) {
            return self.answer(now, server, 482, "", "", &Body::NONE);
        }
        self.ringing.invite = Some(server);
        self.run_steps(now);
    }

    /// Does the next steps, up to one that takes time.
    pub(super) fn run_steps(&mut self, now: Time) {
        let (Some(invite), plan) = (self.ringing.invite, self.callee_plan()) else {
            return;
        };
        while !self.ringing.stopped && self.ringing.unpracked.is_none() {
            let Some(&step) = plan.steps.get(self.ringing.step) else {
                return;
            };
            self.ringing.step += 1;
            match step {
                Step::Wait(time) => return self.alarms.plan(now + time, Alarm::NextStep),
                Step::Provisional {
                    code,
                    sdp,
                    reliable,
                    fork,
                } => {
                    self.provisional(now, invite, code, sdp, reliable, fork);
                }
                Step::Answer { fork } => self.accept(now, invite, fork),
                Step::Reject(code) => self.reject(now, invite, code),
            }
        }
    }

    /// The dialog of a branch of the fork; made when the branch first speaks.
    pub(super) fn fork(&mut self, invite: usize, fork: usize) -> usize {
        if let Some((_, dialog)) = self
            .ringing
            .forks
            .iter()
            .find(|(branch, _)| *branch == fork)
        {
            return *dialog;
        }
        let local_tag = self.name("tag");
        let request = &self.servers[invite].request;
        self.dialogs.push(Dialog {
            call_id: request.call_id.clone(),
            local: without_tag(&request.to),
            local_tag,
            remote: without_tag(&request.from),
            remote_tag: request.from_tag.clone(),
            target: request.contact.clone().unwrap_or_default(),
            cseq: self.draw.between(0, 2_000) as u32,
            remote_cseq: Some(request.cseq),
            invite_cseq: request.cseq,
            confirmed: false,
            end: None,
            byes: 0,
            session: Session::default(),
        });
        let dialog = self.dialogs.len() - 1;
        let request = self.servers[invite].request.clone();
        if let Some(asked) = self.read_description(&request) {
            let place = Place::Server(invite);
            self.dialogs[dialog].session.is_asked(asked, place);
        }
        self.ringing.forks.push((fork, dialog));
        dialog
    }

    fn provisional(
        &mut self,
        now: Time,
        invite: usize,
        code: u16,
        sdp: bool,
        reliable: bool,
        fork: usize,
    ) {
        if code == 100 {
            return self.answer(now, invite, 100, "", "", &Body::NONE);
        }
        let dialog = self.fork(invite, fork);
        let tag = self.dialogs[dialog].local_tag.clone();
        let mut extra = self.contact();
        let reliable = reliable && self.servers[invite].request.head_text().contains("100rel");
        if reliable {
            self.ringing.rseq = match self.ringing.rseq {
                0 => self.draw.between(1, 9_000) as u32,
                last => last + 1,
            };
            extra += &format!("Require: 100rel\r\nRSeq: {}\r\n", self.ringing.rseq);
        }
        // RFC 3262 5: an offer of the callee's needs a reliable provisional.
        let early = reliable || !self.talks() || self.servers[invite].request.sdp;
        let body = self.callee_body(invite, dialog, code, sdp && early);
        self.answer(now, invite, code, &tag, &extra, &body);
        if let Some(post) = self.posts.last().filter(|_| reliable) {
            let rseq = self.ringing.rseq;
            self.ringing.unpracked = Some((rseq, post.bytes.clone()));
            self.alarms
                .plan(now + T1, Alarm::ResendReliable(rseq, 2 * T1));
            self.alarms
                .plan(now + PATIENCE, Alarm::GiveUpReliable(rseq));
        }
    }

    pub(super) fn resend_reliable(&mut self, now: Time, rseq: u32, interval: Duration) {
        let waiting = self
            .ringing
            .unpracked
            .as_ref()
            .filter(|(number, _)| *number == rseq);
        let Some((_, bytes)) = waiting.filter(|_| !self.ringing.stopped) else {
            return;
        };
        let bytes = bytes.clone();
        let to = self.posted_to();
        self.post(to, bytes);
        self.alarms
            .plan(now + interval, Alarm::ResendReliable(rseq, interval * 2));
    }

    fn posted_to(&self) -> std::net::SocketAddr {
        // The router's Via demands rport, so answers go where its requests come from.
        self.identity.router
    }

    /// RFC 3262 3: no PRACK within 64*T1.
    pub(super) fn give_up_reliable(&mut self, now: Time, rseq: u32) {
        let waits = self
            .ringing
            .unpracked
            .as_ref()
            .is_some_and(|(number, _)| *number == rseq);
        if let Some(invite) = self
            .ringing
            .invite
            .filter(|_| waits && !self.ringing.stopped)
        {
            self.reject(now, invite, 504);
        }
    }

    /// RFC 3262 3: the RAck must name the provisional and the INVITE.
    pub(super) fn on_prack(&mut self, now: Time, server: usize, dialog: usize) {
        self.facts.requests.push("PRACK".to_owned());
        let request = &self.servers[server].request;
        let (rack, number) = (request.rack, request.cseq);
        let invite_cseq = self.dialogs[dialog].invite_cseq;
        self.dialogs[dialog].remote_cseq = Some(number);
        let waiting = self.ringing.unpracked.as_ref().map(|(rseq, _)| *rseq);
        let wanted = waiting.map(|rseq| (rseq, invite_cseq));
        if rack.is_some() && rack == wanted {
            self.ringing.unpracked = None;
            let body = self.on_prack_body(self.ringing.invite.unwrap_or(server), server, dialog);
            self.answer(now, server, 200, "", "", &body);
            return self.run_steps(now);
        }
        if rack.is_none_or(|(_, cseq)| cseq != invite_cseq) {
            self.fault(format!(
                "RAck {rack:?}, but the INVITE has CSeq {invite_cseq}"
            ));
        }
        self.answer(now, server, 481, "", "", &Body::NONE);
    }

    fn accept(&mut self, now: Time, invite: usize, fork: usize) {
        let dialog = self.fork(invite, fork);
        self.dialogs[dialog].confirmed = true;
        let tag = self.dialogs[dialog].local_tag.clone();
        let (contact, body) = (self.contact(), self.callee_body(invite, dialog, 200, true));
        self.facts.final_code = Some(200);
        self.servers[invite].dialog.get_or_insert(dialog);
        self.answer(now, invite, 200, &tag, &contact, &body);
    }

    fn reject(&mut self, now: Time, invite: usize, code: u16) {
        let host = self.identity.address;
        let extra = match code {
            300..=399 => "Contact: <sip:elsewhere@192.0.2.77:5066>;q=0.5\r\n".to_owned(),
            503 => "Retry-After: 17\r\n".to_owned(),
            486 => format!("Warning: 399 {host} \"on, the phone\"\r\n"),
            _ => answer_headers(code).to_owned() + "Reason: Q.850;cause=17;text=\"so be it\"\r\n",
        };
        let dialog = self.fork(invite, 0);
        let tag = self.dialogs[dialog].local_tag.clone();
        self.stop(code);
        self.answer(now, invite, code, &tag, &extra, &Body::NONE);
    }

    /// The INVITE has failed: no more steps, no early dialogs.
    fn stop(&mut self, code: u16) {
        self.ringing.stopped = true;
        self.facts.final_code = Some(code);
        for dialog in &mut self.dialogs {
            dialog.end.get_or_insert(End::Failed);
        }
    }

    /// RFC 3261 9.2.
    pub(super) fn on_cancel(&mut self, now: Time, cancel: usize) {
        let branch = self.servers[cancel].request.branch.clone();
        let mut invites = self.servers.iter().enumerate();
        let found = invites.find(|(_, server)| {
            server.request.method == "INVITE" && server.request.branch == branch
        });
        let Some((invite, open)) = found.map(|(at, server)| (at, server.is_open())) else {
            return self.answer(now, cancel, 481, "", "", &Body::NONE);
        };
        self.facts
            .end_reasons
            .clone_from(&self.servers[cancel].request.reasons);
        let tag = self.cancel_tag(invite);
        self.answer(now, cancel, 200, &tag, "", &Body::NONE);
        if !open {
            return;
        }
        if self.servers[invite].dialog.is_some() || self.ringing.invite != Some(invite) {
            return self.answer(now, invite, 487, "", "", &Body::NONE);
        }
        match self.callee_plan().cancelled {
            Cancelled::Ends => {
                self.stop(487);
                self.answer(now, invite, 487, &tag, "", &Body::NONE);
            }
            Cancelled::Answers => {
                self.accept(now, invite, 0);
                self.ringing.stopped = true;
            }
            Cancelled::Ignores => self.ringing.stopped = true,
        }
    }

    fn cancel_tag(&mut self, invite: usize) -> String {
        if self.servers[invite].dialog.is_some() {
            return String::new();
        }
        let dialog = self.fork(invite, 0);
        self.dialogs[dialog].local_tag.clone()
    }
}
