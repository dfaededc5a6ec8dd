//! A user agent that plays one party of one call as its plan says: small, but right by RFC 3261.
//!
//! Its transactions and dialogs are its own and share nothing with the router's, so that one
//! misreading of the RFC cannot be on both sides. It keeps every transaction to the end of the run,
//! which is short. Like the router it is told the time and hands out datagrams; it has no clock.

mod aside;
mod callee;
mod caller;
mod client;
mod description;
mod dialog;
mod inside;
mod manners;
mod print;
mod replacing;
mod server;
mod session;
mod talk;

use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use self::callee::Ringing;
use self::client::Client;
use self::manners::Manners;
use self::server::Server;
use self::talk::{Talk, talk_of};
use crate::draw::Draw;
use crate::heard::Heard;
use crate::network::Agenda;
use crate::plan::{CalleePlan, CallerPlan, InsidePlan};

pub(crate) use self::description::NAMELESS;
pub use self::description::{Description, Line, Sort};
pub(crate) use self::dialog::without_tag;
pub use self::dialog::{Dialog, End};
pub use self::talk::View;

/// RFC 3261 17.1.1.1.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.2.2.
const T2: Duration = Duration::from_secs(4);
/// 64*T1: how long anybody tries.
const PATIENCE: Duration = Duration::from_secs(32);

/// Which party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who calls.
    Caller,
    /// Who is called.
    Callee,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    /// The mark in all names that agents of this side make up.
    pub(crate) fn letter(self) -> char {
        match self {
            Side::Caller => 'a',
            Side::Callee => 'b',
        }
    }
}

/// Names an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgentId {
    /// Index of its call in the plan.
    pub call: usize,
    /// Its part in the call.
    pub side: Side,
}

/// A datagram that an agent sends.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What an agent has lived through: for the checkers and the scenario tests.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// INVITEs without a To tag that the callee received, retransmissions not counted.
    pub invites: u32,
    /// Codes of the provisionals the caller heard, 100 included.
    pub provisionals: Vec<u16>,
    /// The caller: how its INVITE ended, 408 when nobody answered. The callee: what it said finally.
    pub final_code: Option<u16>,
    /// Reason values of that final response.
    pub reasons: Vec<String>,
    /// New requests of these methods came inside the dialog.
    pub requests: Vec<String>,
    /// Its own requests, INVITE apart, were answered with these codes; 408 for silence.
    pub answers: Vec<(String, u16)>,
    /// Reason values of the BYE or CANCEL it received.
    pub end_reasons: Vec<String>,
    /// A body came with the ACK.
    pub body_in_ack: bool,
    /// The caller's requests outside any dialog were answered with these codes; 408 for silence.
    pub asides: Vec<(String, u16)>,
    /// What the router did wrong as this agent saw it.
    pub faults: Vec<String>,
}

/// What an agent wants to do later. A stale one is recognised by the state of what it names.
#[derive(Clone, Copy, Debug)]
enum Alarm {
    Start,
    Die,
    Resend(usize),
    GiveUp(usize),
    ResendFinal(usize, usize),
    GiveUpFinal(usize, usize),
    ResendReliable(u32, Duration),
    GiveUpReliable(u32),
    NextStep,
    Cancel,
    EarlyBye,
    Early(&'static str),
    Acknowledge,
    AcknowledgeReinvite(usize, usize),
    HangUp(usize),
    Inside(usize, &'static str),
    Reply(usize, u16),
    Talk,
    Aside(&'static str),
    CallAgain,
}

/// The part an agent plays.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Caller(CallerPlan),
    Callee(CalleePlan),
}

/// Who an agent is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: AgentId,
    pub(crate) address: SocketAddr,
    /// The router's listener for it.
    pub(crate) router: SocketAddr,
    /// The number that is called.
    pub(crate) number: String,
    /// The host name that leads to `address`.
    pub(crate) host_name: String,
}

/// One party of one call.
#[derive(Debug)]
pub struct Agent {
    pub(crate) identity: Identity,
    part: Part,
    inside: InsidePlan,
    draw: Draw,
    alarms: Agenda<Alarm>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    dialogs: Vec<Dialog>,
    ringing: Ringing,
    cancelled: bool,
    /// Highest RSeq that was acknowledged with PRACK.
    pracked: u32,
    posts: Vec<Post>,
    serial: u32,
    dead: bool,
    refusing: bool,
    facts: Facts,
    talk: Talk,
    manners: Manners,
    /// The client transaction of its INVITE.
    invite: usize,
    /// The Replaces line of its INVITE.
    replaces: String,
}

impl Agent {
    pub(crate) fn new(identity: Identity, part: Part, draw: Draw) -> Agent {
        let inside = match &part {
            Part::Caller(plan) => plan.inside.clone(),
            Part::Callee(plan) => plan.inside.clone(),
        };
        let mut alarms = Agenda::default();
        if let Part::Caller(plan) = &part {
            alarms.plan(Time::ZERO + plan.starts, Alarm::Start);
        }
        if let Some(death) = inside.dies {
            alarms.plan(Time::ZERO + death.at, Alarm::Die);
        }
        Agent {
            talk: talk_of(&part),
            manners: Manners::new(inside.session_expires),
            invite: 0,
            replaces: String::new(),
            identity,
            part,
            inside,
            draw,
            alarms,
            clients: Vec::new(),
            servers: Vec::new(),
            dialogs: Vec::new(),
            ringing: Ringing::default(),
            cancelled: false,
            pracked: 0,
            posts: Vec::new(),
            serial: 0,
            dead: false,
            refusing: false,
            facts: Facts::default(),
        }
    }

    /// What it has lived through.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Its dialogs; of a callee one for each branch that sent a tag.
    pub fn dialogs(&self) -> &[Dialog] {
        &self.dialogs
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether its host answers datagrams with ICMP port unreachable.
    pub(crate) fn is_refusing(&self) -> bool {
        self.dead && self.refusing
    }

    /// When it wants to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.dead { None } else { self.alarms.next() }
    }

    /// The datagrams it has to send.
    pub(crate) fn take_posts(&mut self) -> Vec<Post> {
        std::mem::take(&mut self.posts)
    }

    /// A datagram came.
    pub(crate) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        if self.dead {
            return;
        }
        match Heard::read(bytes) {
            Ok(heard) if self.misses(&heard) => {}
            Ok(heard) if heard.is_request() => self.receive_request(now, from, heard),
            Ok(heard) => self.receive_response(now, &heard),
            Err(error) => self.fault(format!("unreadable message: {error}")),
        }
        self.look_at_sessions(now);
    }

    /// Whether it is to be overheard.
    fn misses(&mut self, heard: &Heard) -> bool {
        let Some((title, left)) = &mut self.inside.misses else {
            return false;
        };
        let missed = *left > 0 && *title == heard.title();
        *left -= u32::from(missed);
        missed
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while !self.dead
            && let Some(alarm) = self.alarms.take_due(now)
        {
            self.ring(now, alarm);
            self.look_at_sessions(now);
        }
    }

    fn ring(&mut self, now: Time, alarm: Alarm) {
        match alarm {
            Alarm::Start => self.call(now),
            Alarm::Die => self.die(),
            Alarm::Resend(client) => self.resend_request(now, client),
            Alarm::GiveUp(client) => self.give_up_request(now, client),
            Alarm::ResendFinal(server, at) => self.resend_final(now, server, at),
            Alarm::GiveUpFinal(server, at) => self.give_up_final(now, server, at),
            Alarm::ResendReliable(rseq, interval) => self.resend_reliable(now, rseq, interval),
            Alarm::GiveUpReliable(rseq) => self.give_up_reliable(now, rseq),
            Alarm::NextStep => self.run_steps(now),
            Alarm::Cancel => self.cancel(now),
            Alarm::EarlyBye => self.early_bye(now),
            Alarm::Early(method) => self.early_request(now, method),
            Alarm::Acknowledge => self.acknowledge(now, 0),
            Alarm::AcknowledgeReinvite(client, dialog) => {
                self.acknowledge_reinvite(client, dialog);
            }
            Alarm::HangUp(dialog) => self.hang_up(now, dialog),
            Alarm::Inside(dialog, method) => self.send_inside(now, dialog, method),
            Alarm::Reply(server, code) => self.reply(now, server, code),
            Alarm::Talk => self.talk(now),
            Alarm::Aside(method) => self.say_aside(now, method),
            Alarm::CallAgain => self.call_again(now),
        }
    }

    fn die(&mut self) {
        self.dead = true;
        self.refusing = self.inside.dies.is_some_and(|death| death.refusing);
    }

    fn fault(&mut self, what: String) {
        self.facts.faults.push(what);
    }

    fn post(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.posts.push(Post { to, bytes });
    }

    /// A name nobody else makes up, which tells the side it belongs to.
    fn name(&mut self, kind: &str) -> String {
        self.serial += 1;
        let AgentId { call, side } = self.identity.id;
        format!(
            "{}{kind}-{call}-{}-{:08x}",
            side.letter(),
            self.serial,
            self.draw.bits() as u32
        )
    }
}
