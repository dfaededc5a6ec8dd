//! A phone that plays its part of a scene: small, but right by RFC 3261, 3265's successor 6665, 3515 and
//! 3891. It follows route sets, so that it can be behind a proxy, and may have several calls and
//! subscriptions at once.
//!
//! Its transactions and dialogs share nothing with the router's, so that one misreading of the RFC cannot be
//! on both sides. Like the router it is told the time and hands out datagrams; it has no clock.

mod answering;
mod calls;
mod dialog;
mod exchange;
mod print;
mod refer;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use self::dialog::Dialog;
use self::exchange::{Client, Purpose, Server};
use self::print::{Body, Line};
pub(super) use self::watch::Watch;
use super::plan::{Act, PhonePlan, Scene};
use super::stage::{address, number};
use crate::draw::Draw;
use crate::heard::Heard;
use crate::network::Agenda;

/// RFC 3261 17.1.1.1.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.2.2.
const T2: Duration = Duration::from_secs(4);
/// 64*T1: how long anybody tries.
const PATIENCE: Duration = Duration::from_secs(32);

/// Who a phone is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persona {
    pub(super) id: usize,
    pub(super) address: SocketAddr,
    /// The router's listener for it.
    pub(super) router: SocketAddr,
}

/// What a phone has lived through.
#[derive(Clone, Debug, Default)]
pub struct Lived {
    /// Its requests were answered with these codes, ACK apart; 408 for silence.
    pub answers: Vec<(String, u16)>,
    /// INVITEs outside any dialog that it got.
    pub invites: u32,
    /// Requests that it got, of any method but ACK.
    pub requests: Vec<String>,
    /// What the router did wrong as it saw it.
    pub faults: Vec<String>,
}

/// What a phone wants to do later. A stale one is recognised by the state of what it names.
#[derive(Clone, Copy, Debug)]
enum Alarm {
    Act(usize),
    Curtain,
    Resend(usize),
    GiveUp(usize),
    ResendFinal(usize, usize, Duration),
    Unacknowledged(usize, usize),
    Ring(usize),
    Decide(usize),
    SecondAnswer(usize),
    Refresh(usize, u32),
    Expire(usize, u32),
    News(usize),
}

/// One phone.
#[derive(Debug)]
pub(super) struct Phone {
    persona: Persona,
    plan: PhonePlan,
    draw: Draw,
    alarms: Agenda<Alarm>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    dialogs: Vec<Dialog>,
    /// The dialogs of calls, made and got, in order.
    calls: Vec<usize>,
    watches: Vec<Watch>,
    last_invite: Option<usize>,
    posts: Vec<(SocketAddr, Vec<u8>)>,
    serial: u32,
    curtain: Time,
    /// Where all phones are, for redirections.
    neighbours: Vec<SocketAddr>,
    facts: Lived,
}

impl Phone {
    pub(super) fn new(persona: Persona, scene: &Scene, draw: Draw) -> Phone {
        let plan = scene.phones[persona.id].clone();
        let (mut alarms, curtain) = (Agenda::default(), Time::ZERO + scene.curtain);
        for (at, (after, _)) in plan.acts.iter().enumerate() {
            alarms.plan(Time::ZERO + *after, Alarm::Act(at));
        }
        alarms.plan(curtain, Alarm::Curtain);
        Phone {
            persona,
            plan,
            draw,
            alarms,
            clients: Vec::new(),
            servers: Vec::new(),
            dialogs: Vec::new(),
            calls: Vec::new(),
            watches: Vec::new(),
            last_invite: None,
            posts: Vec::new(),
            serial: 0,
            curtain,
            neighbours: (0..scene.phones.len())
                .map(|id| address(scene, id))
                .collect(),
            facts: Lived::default(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.persona.address
    }

    pub(super) fn lived(&self) -> &Lived {
        &self.facts
    }

    /// Subscriptions, its own and those to it.
    pub(super) fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// Calls that it believes to be up.
    pub(super) fn calls_up(&self) -> usize {
        self.dialogs.iter().filter(|dialog| dialog.is_up()).count()
    }

    /// The beginning of every name that it makes up.
    pub(super) fn mark(id: usize) -> String {
        format!("p{id:02}-")
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.alarms.next()
    }

    pub(super) fn take_posts(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.posts)
    }

    /// A datagram came.
    pub(super) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        match Heard::read(bytes) {
            Ok(heard) if self.is_deaf_to(&heard) => {}
            Ok(heard) if heard.is_request() => self.receive_request(now, from, heard),
            Ok(heard) => self.receive_response(now, &heard),
            Err(error) => self.fault(format!("unreadable message: {error}")),
        }
    }

    fn is_deaf_to(&self, heard: &Heard) -> bool {
        heard.is_request() && self.plan.deaf == Some(heard.method.as_str())
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        while let Some(alarm) = self.alarms.take_due(now) {
            match alarm {
                Alarm::Act(at) => self.act(now, self.plan.acts[at].1),
                Alarm::Curtain => self.leave_stage(now),
                Alarm::Resend(client) => self.resend(now, client),
                Alarm::GiveUp(client) => self.give_up(now, client),
                Alarm::ResendFinal(server, at, after) => self.resend_final(now, server, at, after),
                Alarm::Unacknowledged(server, at) => self.unacknowledged(now, server, at),
                Alarm::Ring(server) => self.ring(now, server),
                Alarm::Decide(server) => self.decide(now, server),
                Alarm::SecondAnswer(server) => self.accept(now, server),
                Alarm::Refresh(watch, epoch) => self.refresh(now, watch, epoch),
                Alarm::Expire(watch, epoch) => self.expire(now, watch, epoch),
                Alarm::News(watch) => self.tell_news(now, watch),
            }
        }
    }

    fn act(&mut self, now: Time, act: Act) {
        match act {
            Act::Call(route) => {
                let dialog = self.first_dialog(&number(route));
                self.call(now, dialog, "", None);
            }
            Act::Cancel => self.cancel(now, self.last_invite),
            Act::HangUp(call) => {
                if let Some(&dialog) = self.calls.get(call) {
                    self.hang_up(now, dialog);
                }
            }
            Act::Inside(call, method) => self.ask_inside(now, call, method),
            Act::Refer(call, route) => {
                let target = format!("sip:{}@{}", number(route), self.persona.router);
                self.refer(now, call, &target);
            }
            Act::Transfer(call, other) => self.transfer(now, call, other),
            Act::Subscribe(route, expires, lasts) => self.subscribe(now, route, expires, lasts),
            Act::Unsubscribe => self.unsubscribe_last(now),
            Act::Say(method, route) => self.say(now, method, route),
        }
    }

    /// Ends whatever it has begun or taken part in.
    fn leave_stage(&mut self, now: Time) {
        for client in 0..self.clients.len() {
            if matches!(self.clients[client].purpose, Purpose::Call { .. }) {
                self.cancel(now, Some(client));
            }
        }
        for dialog in 0..self.dialogs.len() {
            self.hang_up(now, dialog);
        }
        for watch in 0..self.watches.len() {
            self.unsubscribe(now, watch);
        }
    }

    fn has_left(&self, now: Time) -> bool {
        now >= self.curtain
    }

    /// A new request, in its dialog or none.
    fn dispatch(&mut self, now: Time, at: usize) {
        let Server {
            request, dialog, ..
        } = &self.servers[at];
        let (method, dialog, outside) =
            (request.method.clone(), *dialog, request.to_tag.is_empty());
        self.facts.requests.push(method.clone());
        match (method.as_str(), dialog) {
            ("CANCEL", _) => self.on_cancel(now, at),
            ("NOTIFY", _) => self.on_notify(now, at),
            ("INVITE", None) if outside => self.on_invite(now, at),
            ("SUBSCRIBE", None) if outside => self.on_subscribe(now, at),
            ("MESSAGE" | "OPTIONS" | "INFO" | "PUBLISH", None) if outside => {
                self.answer_plainly(now, at, 200);
            }
            (_, None) => self.answer_plainly(now, at, 481),
            (_, Some(dialog)) if self.is_late(at, dialog) => self.answer_plainly(now, at, 500),
            ("INVITE", Some(dialog)) => self.on_reinvite(now, at, dialog),
            ("BYE", Some(dialog)) => self.on_bye(now, at, dialog),
            ("REFER", Some(dialog)) => self.on_refer(now, at, dialog),
            ("SUBSCRIBE", Some(dialog)) => self.on_resubscribe(now, at, dialog),
            (_, Some(_)) => self.answer_plainly(now, at, 200),
        }
    }

    fn is_late(&mut self, server: usize, dialog: usize) -> bool {
        let request = self.servers[server].request.clone();
        self.dialogs[dialog].is_late(&request)
    }

    /// A request outside any dialog.
    fn say(&mut self, now: Time, method: &str, route: usize) {
        let dialog = self.first_dialog(&number(route));
        let line = Line {
            method: method.to_owned(),
            uri: dialog.target.clone(),
            branch: format!("z9hG4bK{}", self.name("branch")),
            from: format!("{};tag={}", dialog.local, dialog.local_tag),
            to: dialog.remote,
            call_id: dialog.call_id,
            cseq: dialog.cseq,
            routes: Vec::new(),
        };
        let body = Body {
            kind: "text/plain",
            text: "hello".to_owned(),
        };
        let bytes = self.print_request(&line, "", &body);
        self.start(now, self.persona.router, line, Purpose::Aside, bytes);
    }

    fn fault(&mut self, what: String) {
        self.facts.faults.push(what);
    }

    fn post(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.posts.push((to, bytes));
    }

    /// A name nobody else makes up, which tells whose it is.
    fn name(&mut self, kind: &str) -> String {
        self.serial += 1;
        let (mark, bits) = (Phone::mark(self.persona.id), self.draw.bits() as u32);
        format!("{mark}{kind}-{}-{bits:08x}", self.serial)
    }
}
