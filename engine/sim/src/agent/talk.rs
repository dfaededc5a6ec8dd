//! What a party says of its media, and the packets it sends: descriptions go into its messages and come
//! out of them here, and while a session is in force packets leave for where it says, from time to time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stack::Time;

use super::description::{self, Description, Line, Sort};
use super::print::Body;
use super::session::Place;
use super::{Agent, Alarm, Part};
use crate::heard::Heard;
use crate::packet::{Form, Mark, print};
use crate::plan::{Change, TalkPlan};

/// How often a party sends a packet on each of its streams: seldom, so that worlds are fast.
const PACE: Duration = Duration::from_millis(200);
/// Every so many times RTCP goes along.
const CONTROL_EVERY: u32 = 5;
/// The first port of the first dialog.
const PORT: u16 = 30_000;
/// Ports of a dialog, and of a line in it.
const PORTS_OF_DIALOG: u16 = 640;
const PORTS_OF_LINE: u16 = 40;
/// Where RTCP is when it is not one above.
const FAR: u16 = 10_000;
/// Lines of a party's own wish.
const LINES_MAX: usize = 5;

/// A packet that an agent sends.
#[derive(Clone, Debug)]
pub(crate) struct MediaPost {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What is in force in a dialog from some time on, as its party sees it.
#[derive(Clone, Debug)]
pub struct View {
    /// Since when.
    pub at: Time,
    /// Number of the dialog.
    pub dialog: usize,
    /// No offer waits for its answer, and the dialog is not over.
    pub settled: bool,
    /// What the party said.
    pub local: Option<Arc<Description>>,
    /// What the peer said.
    pub remote: Option<Arc<Description>>,
}

/// The talking half of an agent.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) plan: Option<TalkPlan>,
    posts: Vec<MediaPost>,
    /// All that was ever in force.
    views: Vec<View>,
    /// Dialogs whose end has been seen.
    over: Vec<usize>,
    serial: u32,
    ticks: u32,
    ticking: bool,
    heard: u64,
    /// All descriptions that were said.
    said: Vec<Arc<Description>>,
}

/// For the checkers.
impl Agent {
    /// What was in force, and when.
    pub fn views(&self) -> &[View] {
        &self.talk.views
    }

    /// Everything it ever said of its media.
    pub fn said(&self) -> &[Arc<Description>] {
        &self.talk.said
    }

    /// Packets that reached it.
    pub fn packets_heard(&self) -> u64 {
        self.talk.heard
    }

    /// Packets it sent.
    pub fn packets_sent(&self) -> u64 {
        u64::from(self.talk.serial)
    }

    pub(crate) fn talk_plan(&self) -> Option<&TalkPlan> {
        self.talk.plan.as_ref()
    }
}

/// Descriptions that leave.
impl Agent {
    pub(super) fn talks(&self) -> bool {
        self.talk.plan.is_some()
    }

    /// The offer of the INVITE, which is about to leave.
    pub(super) fn invitation(&mut self) -> Body {
        if !self.talks() {
            return self.sdp();
        }
        let place = Place::Client(self.dialogs[0].cseq + 1);
        let said = self.describe(0, Change::Nothing);
        self.dialogs[0].session.invites(said.clone(), place);
        Body::sdp(&said)
    }

    /// An offer in the next request of this dialog, if there can be one now.
    pub(super) fn offer(&mut self, dialog: usize) -> Body {
        let place = Place::Client(self.dialogs[dialog].cseq + 1);
        self.offer_at(dialog, place)
    }

    /// An offer in a response.
    pub(super) fn offer_at(&mut self, dialog: usize, place: Place) -> Body {
        let change = self.next_change(dialog);
        let said = self.describe(dialog, change);
        self.dialogs[dialog].session.offers(said.clone(), place);
        Body::sdp(&said)
    }

    /// The answer to what this dialog is asked in this transaction; nothing when it is not.
    pub(super) fn answer_asked(&mut self, dialog: usize, place: Place) -> Body {
        let asked = self.dialogs[dialog].session.asked.clone();
        let Some(asked) = asked.filter(|asked| asked.place == place) else {
            return Body::NONE;
        };
        let said = self.describe_answer(dialog, &asked.said);
        self.dialogs[dialog].session.answers(said.clone());
        Body::sdp(&said)
    }

    /// What is in force, said again; or something else, of a callee that thinks again.
    pub(super) fn say_again(&mut self, dialog: usize) -> Body {
        let again = self.plan_of_talk().thinks_again && !self.dialogs[dialog].session.reliable;
        if again && let Some(remote) = self.dialogs[dialog].session.remote.clone() {
            self.dialogs[dialog].session.moves += 1;
            let said = self.describe_answer(dialog, &remote);
            self.dialogs[dialog].session.thinks_again(said);
        }
        self.local_body(dialog)
    }

    fn plan_of_talk(&self) -> TalkPlan {
        self.talk.plan.clone().unwrap_or_default()
    }

    fn next_change(&mut self, dialog: usize) -> Change {
        let plan = self.plan_of_talk();
        let session = &mut self.dialogs[dialog].session;
        if session.local.is_none() || plan.changes.is_empty() {
            return Change::Nothing;
        }
        let change = plan.changes[session.next_change % plan.changes.len()];
        session.next_change += 1;
        change
    }

    /// Whether the next re-INVITE is to leave the offer to the peer.
    pub(super) fn wants_to_be_asked(&mut self, dialog: usize) -> bool {
        let plan = self.plan_of_talk();
        let session = &mut self.dialogs[dialog].session;
        let next = plan
            .changes
            .get(session.next_change % plan.changes.len().max(1));
        let asks = next == Some(&Change::Ask);
        session.next_change += usize::from(asks);
        asks
    }

    /// Our description with a change.
    fn describe(&mut self, dialog: usize, change: Change) -> Arc<Description> {
        let plan = self.plan_of_talk();
        let lines = match self.dialogs[dialog].session.local.clone() {
            None => {
                let count = 1 + usize::from(plan.video);
                (0..count).map(|at| self.own_line(dialog, at)).collect()
            }
            Some(local) => self.changed_lines(dialog, &local, change),
        };
        self.name_lines(dialog, lines)
    }

    fn changed_lines(&mut self, dialog: usize, local: &Description, change: Change) -> Vec<Line> {
        if change == Change::Move {
            self.dialogs[dialog].session.moves += 1;
        }
        let session = &self.dialogs[dialog].session;
        let remote = session.remote.clone();
        let dead = |at: usize| {
            let line = remote.as_ref().and_then(|remote| remote.lines.get(at));
            line.is_some_and(|line| !line.is_open())
        };
        let mut lines: Vec<Line> = local.lines.clone();
        for (at, line) in lines.iter_mut().enumerate() {
            if line.is_open() && dead(at) {
                description::close(line);
            } else if line.is_open() {
                let sort = line.sort;
                let (host, sends, receives) = (line.host, line.sends, line.receives);
                *line = self.own_line(dialog, at);
                (line.sort, line.host) = (sort, host);
                (line.sends, line.receives) = (sends, receives);
                set_sort(line, sort);
            }
        }
        self.apply_change(dialog, change, &mut lines);
        lines
    }

    fn apply_change(&mut self, dialog: usize, change: Change, lines: &mut Vec<Line>) {
        let ip = self.identity.address.ip();
        let way = |lines: &mut Vec<Line>, sends, receives| {
            for line in lines.iter_mut().filter(|line| line.is_open()) {
                (line.sends, line.receives, line.host) = (sends, receives, Some(ip));
            }
        };
        match change {
            Change::Nothing | Change::Move | Change::Ask => {}
            Change::SendOnly => way(lines, true, false),
            Change::ReceiveOnly => way(lines, false, true),
            Change::Inactive => way(lines, false, false),
            Change::Resume => way(lines, true, true),
            Change::Unspecified if ip.is_ipv4() => {
                lines.iter_mut().for_each(|line| line.host = None);
            }
            Change::Unspecified => way(lines, true, false),
            Change::Add => self.add_line(dialog, lines),
            Change::Remove => {
                let mut open = lines.iter_mut().skip(1).rev();
                if let Some(line) = open.find(|line| line.is_open()) {
                    description::close(line);
                }
            }
            Change::Fax | Change::Voice => {
                let sort = if change == Change::Fax {
                    Sort::Fax
                } else {
                    Sort::Voice
                };
                if let Some(first) = lines.first_mut().filter(|line| line.is_open()) {
                    let (host, sends, receives) = (first.host, first.sends, first.receives);
                    *first = self.own_line(dialog, 0);
                    (first.host, first.sends, first.receives) = (host, sends, receives);
                    set_sort(first, sort);
                }
            }
        }
    }

    /// A stream more, in the place of a closed one if there is any (RFC 3264 8.1).
    fn add_line(&mut self, dialog: usize, lines: &mut Vec<Line>) {
        let closed = lines.iter().position(|line| !line.is_open());
        let at = closed.unwrap_or(lines.len());
        if at < LINES_MAX {
            let mut line = self.own_line(dialog, at);
            line.host = lines.first().map_or(line.host, |first| first.host);
            if at < lines.len() {
                lines[at] = line;
            } else {
                lines.push(line);
            }
        }
    }

    /// A line as it is when nothing is said against it.
    fn own_line(&self, dialog: usize, at: usize) -> Line {
        let plan = self.plan_of_talk();
        let moves = self.dialogs[dialog].session.moves % (PORTS_OF_LINE / 2);
        let port = PORT + dialog as u16 * PORTS_OF_DIALOG + at as u16 * PORTS_OF_LINE + 2 * moves;
        Line {
            sort: if at == 0 { Sort::Voice } else { Sort::Picture },
            host: Some(self.identity.address.ip()),
            port,
            rtcp: plan.far_rtcp.then_some(port + FAR),
            mux: plan.mux,
            sends: true,
            receives: true,
        }
    }

    fn describe_answer(&mut self, dialog: usize, offer: &Description) -> Arc<Description> {
        let plan = self.plan_of_talk();
        let lines = offer.lines.iter().enumerate().map(|(at, asked)| {
            let mut own = self.own_line(dialog, at.min(15));
            if let Some(before) = self.dialogs[dialog].session.own_line(at)
                && before.is_open()
                && before.host.is_none()
            {
                own.host = None;
            }
            let fax = asked.sort == Sort::Fax && plan.faxless;
            let taken = !(plan.plain && at > 0 || fax || at >= 16);
            description::answer(asked, own, taken)
        });
        let lines = lines.collect();
        self.name_lines(dialog, lines)
    }

    /// A description of these lines: our last one, when it says the same (RFC 3264 8).
    fn name_lines(&mut self, dialog: usize, mut lines: Vec<Line>) -> Arc<Description> {
        // The address is that of the session: a hold by 0.0.0.0 is one of all streams.
        if lines
            .iter()
            .any(|line| line.is_open() && line.host.is_none())
        {
            lines.iter_mut().for_each(|line| line.host = None);
        }
        let last = self.dialogs[dialog].session.last.clone();
        if let Some(last) = last.as_ref().filter(|last| last.lines == lines) {
            return last.clone();
        }
        let id = self.name("said");
        let said = Arc::new(Description {
            id,
            session: 1_000 + dialog as u64,
            version: last.map_or(1, |last| last.version + 1),
            ip: self.identity.address.ip(),
            lines,
        });
        self.talk.said.push(said.clone());
        said
    }
}

fn set_sort(line: &mut Line, sort: Sort) {
    line.sort = sort;
    if sort == Sort::Fax {
        (line.rtcp, line.mux) = (None, false);
    }
}

/// Descriptions that come.
impl Agent {
    /// The description of a message, if this party reads such.
    pub(super) fn read_description(&mut self, heard: &Heard) -> Option<Description> {
        if !self.talks() || !heard.sdp {
            return None;
        }
        let read = Description::read(&heard.body);
        if read.is_none() {
            self.fault(format!("{} with an unreadable description", heard.title()));
        }
        read
    }

    /// A response to a request of ours. True when it leaves us an offer to answer.
    pub(super) fn hear_response(&mut self, dialog: usize, heard: &Heard, reliable: bool) -> bool {
        if !self.talks() {
            return false;
        }
        let place = Place::Client(heard.cseq);
        let said = self.read_description(heard);
        let first = heard.cseq == self.dialogs[dialog].invite_cseq && heard.method == "INVITE";
        let session = &mut self.dialogs[dialog].session;
        if heard.code >= 300 || said.is_none() && heard.code >= 200 {
            session.fails(place);
            return false;
        }
        let Some(said) = said else { return false };
        if session.is_answered(said.clone(), place) {
            session.reliable |= reliable || heard.code >= 200;
            return false;
        }
        if first && session.has_invited() {
            session.is_answered_again(said, heard.code >= 200);
            return false;
        }
        let new = session
            .remote
            .as_ref()
            .is_none_or(|remote| remote.id != said.id);
        let asks = heard.method == "INVITE" && (new || !first) && (reliable || heard.code >= 200);
        if asks {
            session.is_asked(said, place);
            session.reliable = true;
        }
        asks
    }

    /// A request of the peer's: what it asks, or why it cannot. The code is that of a refusal.
    pub(super) fn hear_request(&mut self, server: usize, dialog: usize) -> Option<u16> {
        let request = self.servers[server].request.clone();
        let said = self.read_description(&request);
        let session = &mut self.dialogs[dialog].session;
        let asks_for_offer = request.method == "INVITE" && !request.sdp;
        if said.is_none() && !asks_for_offer || self.talk.plan.is_none() {
            return None;
        }
        if session.offer.is_some() {
            return Some(491);
        }
        if session.asked.is_some() {
            return Some(500);
        }
        if let Some(said) = said {
            session.is_asked(said, Place::Server(server));
        }
        None
    }

    /// The body of a 2xx to a request inside the dialog.
    pub(super) fn reply_body(&mut self, server: usize, dialog: usize) -> Body {
        let request = &self.servers[server].request;
        let asks_for_offer = request.method == "INVITE" && !request.sdp;
        if asks_for_offer {
            return self.offer_at(dialog, Place::Server(server));
        }
        self.answer_asked(dialog, Place::Server(server))
    }

    /// The body of a response of the callee's that makes its dialog.
    pub(super) fn callee_body(
        &mut self,
        invite: usize,
        dialog: usize,
        code: u16,
        sdp: bool,
    ) -> Body {
        if !self.talks() {
            return if sdp { self.sdp() } else { Body::NONE };
        }
        let (ready, first) = (code >= 200, !self.servers[invite].request.sdp);
        let session = &self.dialogs[dialog].session;
        let (asked, said) = (session.asked.is_some(), session.local.is_some());
        let (reliable, once) = (session.reliable, session.exchanges == 1);
        let waits = session.offer.is_some();
        match (asked, said) {
            _ if !sdp => Body::NONE,
            (true, _) => self.answer_asked(dialog, Place::Server(invite)),
            // RFC 6337 2.2: after a reliable answer the 2xx may say it again, if it is still true.
            (_, true) if ready && (first || !once || reliable && self.draw.chance(50)) => {
                Body::NONE
            }
            (_, true) if ready => self.say_again(dialog),
            (_, true) if once && !first => self.local_body(dialog),
            (_, false) if first && !waits => self.offer_at(dialog, Place::Server(invite)),
            _ => Body::NONE,
        }
    }

    fn local_body(&self, dialog: usize) -> Body {
        let local = &self.dialogs[dialog].session.local;
        local.as_ref().map_or(Body::NONE, |said| Body::sdp(said))
    }

    /// What a PRACK says and is answered.
    pub(super) fn on_prack_body(&mut self, invite: usize, server: usize, dialog: usize) -> Body {
        if !self.talks() {
            return Body::NONE;
        }
        let prack = self.servers[server].request.clone();
        let waits = self.dialogs[dialog].session.offer.is_some();
        let answered = waits && self.hear_acknowledgement(invite, dialog, &prack);
        let session = &mut self.dialogs[dialog].session;
        session.reliable |= session.local.is_some();
        if prack.sdp && !answered && self.hear_request(server, dialog).is_none() {
            return self.answer_asked(dialog, Place::Server(server));
        }
        Body::NONE
    }

    /// A PRACK or ACK: the answer to the offer in our response.
    pub(super) fn hear_acknowledgement(
        &mut self,
        server: usize,
        dialog: usize,
        heard: &Heard,
    ) -> bool {
        let said = self.read_description(heard);
        let session = &mut self.dialogs[dialog].session;
        let place = Place::Server(server);
        match said {
            Some(said) => session.is_answered(said, place),
            None => {
                session.fails(place);
                false
            }
        }
    }
}

/// Packets.
impl Agent {
    /// Keeps what is in force for the checkers, and begins to talk. To be called after anything happened.
    pub(super) fn look_at_sessions(&mut self, now: Time) {
        if !self.talks() {
            return;
        }
        for at in 0..self.dialogs.len() {
            let over = !self.is_alive(at);
            let dialog = &mut self.dialogs[at];
            let ends = over && !self.talk.over.contains(&at);
            if std::mem::take(&mut dialog.session.changed) || ends {
                if ends {
                    self.talk.over.push(at);
                }
                self.talk.views.push(View {
                    at: now,
                    dialog: at,
                    settled: !over && dialog.session.is_settled(),
                    local: dialog.session.local.clone(),
                    remote: dialog.session.remote.clone(),
                });
            }
        }
        if !self.talk.ticking && self.is_talking() {
            self.talk.ticking = true;
            let after = self.draw.millis(1, 200);
            self.alarms.plan(now + after, Alarm::Talk);
        }
    }

    /// Whether a dialog lives. An early one dies with the answer of another branch.
    fn is_alive(&self, dialog: usize) -> bool {
        let dialog = &self.dialogs[dialog];
        let early = self.facts.final_code.is_none() && !self.ringing.is_stopped();
        dialog.end.is_none() && (dialog.confirmed || early)
    }

    fn is_talking(&self) -> bool {
        let mut dialogs = self.dialogs.iter().enumerate();
        dialogs.any(|(at, dialog)| dialog.session.remote.is_some() && self.is_alive(at))
    }

    /// Sends a packet on each stream.
    pub(super) fn talk(&mut self, now: Time) {
        self.talk.ticking = self.is_talking();
        if !self.talk.ticking {
            return;
        }
        for dialog in 0..self.dialogs.len() {
            if self.is_alive(dialog) {
                self.talk_in(dialog);
            }
        }
        self.talk.ticks += 1;
        self.alarms.plan(now + PACE, Alarm::Talk);
    }

    fn talk_in(&mut self, dialog: usize) {
        let session = &self.dialogs[dialog].session;
        let (Some(local), Some(remote)) = (session.local.clone(), session.remote.clone()) else {
            return;
        };
        let control = self.talk.ticks.is_multiple_of(CONTROL_EVERY);
        for (at, (own, their)) in local.lines.iter().zip(&remote.lines).enumerate() {
            if !own.is_open() || !their.is_open() {
                continue;
            }
            let from = SocketAddr::new(self.identity.address.ip(), own.port);
            let form = if own.sort == Sort::Fax {
                Form::Udptl
            } else {
                Form::Rtp
            };
            if let Some(to) = their.address().filter(|_| own.sends && their.receives) {
                self.send_packet(form, dialog, at, from, to);
            }
            let both = own.mux && their.mux;
            if control && let Some(to) = their.control(both) {
                let mut from = from;
                if !both {
                    from.set_port(own.rtcp.unwrap_or(own.port + 1));
                }
                self.send_packet(Form::Rtcp, dialog, at, from, to);
            }
        }
    }

    fn send_packet(
        &mut self,
        form: Form,
        dialog: usize,
        line: usize,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        self.talk.serial += 1;
        let mark = Mark {
            author: Some(self.identity.id),
            dialog: dialog as u8,
            line: line as u8,
            serial: self.talk.serial,
        };
        let ssrc = source(&mark);
        let bytes = print(form, ssrc, &mark);
        self.talk.posts.push(MediaPost { from, to, bytes });
    }

    /// The packets it has to send.
    pub(crate) fn take_packets(&mut self) -> Vec<MediaPost> {
        std::mem::take(&mut self.talk.posts)
    }

    /// A packet came.
    pub(crate) fn receive_packet(&mut self) {
        self.talk.heard += u64::from(!self.dead);
    }
}

/// A source for each stream of each party.
fn source(mark: &Mark) -> u32 {
    let (call, side) = mark
        .author
        .map_or((0, 1), |id| (id.call as u32, id.side as u32));
    0x1000_0000 | call << 16 | side << 12 | u32::from(mark.dialog) << 8 | u32::from(mark.line)
}

/// The talking half of an agent with this part.
pub(super) fn talk_of(part: &Part) -> Talk {
    let plan = match part {
        Part::Caller(plan) => plan.talk.clone(),
        Part::Callee(plan) => plan.talk.clone(),
    };
    Talk {
        plan,
        ..Talk::default()
    }
}
