//! Media: that it flows if and only if both parties agreed, that nobody else gets into it, and what the
//! descriptions say. Here is what the rules look things up in; each rule has a file of its own.
//!
//! A party keeps what is in force as it sees it (`View`), and every description bears a name that comes
//! out behind the router. So two parties that wait for nothing, and each of which has the other's last
//! words, agree; and the router, through which all these words went, has nothing newer.

mod descriptions;
mod intruders;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use stack::Time;

use super::{Evidence, Finding};
use crate::agent::{AgentId, Description, NAMELESS, Side, View};
use crate::packet::{Form, Mark, Packet};
use crate::plan::{Flow, TalkPlan};

/// How long after an answer a stream may be moved by a packet (`media::Config::latch_window`).
const WINDOW: Duration = Duration::from_secs(3);

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    if evidence.plan.media.is_none() {
        return;
    }
    let index = Index::of(evidence);
    streams::check(&index, findings);
    intruders::check(&index, findings);
    descriptions::check(&index, findings);
}

/// A description of a party that came to the router.
struct Said {
    at: Time,
    from: AgentId,
    what: Description,
}

impl Said {
    /// Whether it names this address for anything.
    fn names(&self, address: SocketAddr) -> bool {
        let mut lines = self.what.lines.iter();
        lines.any(|line| {
            let named = [line.address(), line.control(false)];
            named.contains(&Some(address))
        })
    }
}

/// What ends a call at the router's edge. A callee's dialog has its own end.
struct End<'a> {
    at: Time,
    call: usize,
    tag: Option<&'a str>,
    /// It ends all of the call: not only a branch of the callee that lost, and no CANCEL that may come
    /// too late.
    is_whole: bool,
}

/// The evidence, sorted.
struct Index<'a> {
    evidence: &'a Evidence<'a>,
    said: Vec<Said>,
    ends: Vec<End<'a>>,
    /// Packets that came to each of the router's ports, in order.
    arrived: HashMap<SocketAddr, Vec<&'a Packet>>,
    /// Packets with this mark that left, in order.
    left: HashMap<Mark, Vec<&'a Packet>>,
}

impl<'a> Index<'a> {
    fn of(evidence: &'a Evidence<'a>) -> Index<'a> {
        let mut index = Index {
            evidence,
            said: said(evidence),
            ends: ends(evidence),
            arrived: HashMap::new(),
            left: HashMap::new(),
        };
        for packet in evidence.packets {
            if packet.inbound {
                index.arrived.entry(packet.ours).or_default().push(packet);
            } else if let Some(mark) = packet.mark {
                index.left.entry(mark).or_default().push(packet);
            }
        }
        index
    }

    fn arrived(&self, ours: SocketAddr) -> &[&'a Packet] {
        self.arrived.get(&ours).map_or(&[], Vec::as_slice)
    }

    /// The packet that came in as this one that left.
    fn origin(&self, left: &Packet) -> Option<&'a Packet> {
        let mut packets = self.evidence.packets.iter();
        let start = packets
            .as_slice()
            .partition_point(|packet| packet.at < left.at);
        packets = self.evidence.packets[start..].iter();
        packets
            .take_while(|packet| packet.at == left.at)
            .find(|packet| packet.inbound && packet.mark == left.mark)
    }

    fn flow(&self, call: usize) -> Flow {
        let call = self.evidence.plan.calls.get(call);
        call.map_or(Flow::Transparent, |call| call.route.flow)
    }

    /// Who hears this party.
    fn listener(&self, id: AgentId) -> AgentId {
        match self.flow(id.call) {
            Flow::Echo => id,
            Flow::Transparent | Flow::EarlyToFinal => other(id),
        }
    }

    fn talk_plan(&self, id: AgentId) -> Option<&'a TalkPlan> {
        self.evidence.agent(id)?.talk_plan()
    }

    /// What was in force in this dialog of a party just before a time; nothing while anything waits.
    fn view(&self, id: AgentId, dialog: usize, at: Time) -> Option<&'a View> {
        let views = self.evidence.agent(id)?.views().iter();
        let mut known = views.filter(|view| view.dialog == dialog && view.at <= at);
        known
            .next_back()
            .filter(|view| view.settled && view.at < at)
    }

    /// The view of the party that this one has an agreement with.
    fn partner(&self, id: AgentId, own: &View, at: Time) -> Option<&'a View> {
        let (local, remote) = (own.local.as_ref()?, own.remote.as_ref()?);
        let peer = self.evidence.agent(other(id))?;
        let mut views = (0..peer.dialogs().len()).filter_map(|at_dialog| {
            let view = self.view(other(id), at_dialog, at)?;
            let names = (&view.local.as_ref()?.id, &view.remote.as_ref()?.id);
            (names == (&remote.id, &local.id) && remote.id != NAMELESS).then_some(view)
        });
        views.next_back()
    }

    /// Whether a call, or this dialog of its callee, was over at a time.
    fn is_over(&self, call: usize, tag: Option<&str>, at: Time) -> bool {
        let concerns = |end: &End<'_>| end.tag.is_none() || tag.is_none() || end.tag == tag;
        let mut ends = self.ends.iter();
        ends.any(|end| end.call == call && end.at <= at && concerns(end))
    }

    /// Whether all of a call was over before this time.
    fn has_ended(&self, call: usize, at: Time) -> bool {
        let mut ends = self.ends.iter();
        ends.any(|end| end.is_whole && end.call == call && end.at < at)
    }

    /// Several branches of the callee have spoken and none has answered: the router follows the last,
    /// and the caller may not have heard of it yet.
    fn is_forking(&self, call: usize, at: Time) -> bool {
        let side = Side::Callee;
        let Some(callee) = self.evidence.agent(AgentId { call, side }) else {
            return false;
        };
        let mut views = callee.views().iter().filter(|view| view.local.is_some());
        let first = views.next().map(|view| view.dialog);
        let forked = views.any(|view| first != Some(view.dialog));
        let mut sent = self.evidence.sent();
        forked
            && !sent.any(|(when, to, heard)| {
                to.call == call && when < at && heard.is_answer("INVITE", 2)
            })
    }

    fn callee_tag(&self, call: usize, dialog: usize) -> Option<&'a str> {
        let side = Side::Callee;
        let agent = self.evidence.agent(AgentId { call, side })?;
        Some(agent.dialogs().get(dialog)?.tag())
    }

    /// When a party first named this address of its own.
    fn first_named(&self, from: AgentId, address: SocketAddr) -> Option<Time> {
        let mut said = self.said.iter().filter(|said| said.from == from);
        said.find(|said| said.names(address)).map(|said| said.at)
    }

    /// When a description first came to the router.
    fn first_said(&self, from: AgentId, id: &str) -> Option<Time> {
        let mut said = self.said.iter();
        said.find(|said| said.from == from && said.what.id == id)
            .map(|said| said.at)
    }
}

fn other(id: AgentId) -> AgentId {
    AgentId {
        side: id.side.other(),
        ..id
    }
}

fn said(evidence: &Evidence<'_>) -> Vec<Said> {
    let received = evidence.received().filter(|(.., heard)| heard.sdp);
    received
        .filter_map(|(at, from, heard)| {
            let what = Description::read(&heard.body)?;
            Some(Said { at, from, what })
        })
        .collect()
}

fn ends<'a>(evidence: &'a Evidence<'a>) -> Vec<End<'a>> {
    let mut ends = Vec::new();
    let mut invites: HashMap<AgentId, &str> = HashMap::new();
    for crossing in evidence.tape {
        let known = crossing.received().or_else(|| crossing.sent());
        let Some((id, heard)) = known else { continue };
        if heard.method == "INVITE" && heard.is_request() && heard.to_tag.is_empty() {
            invites.entry(id).or_insert(&heard.branch);
        }
        let first = invites.get(&id) == Some(&heard.branch.as_str());
        let failed = first && heard.code >= 300 && heard.method == "INVITE";
        let bye = heard.method == "BYE" && heard.is_request();
        let cancel = heard.method == "CANCEL" && heard.is_request();
        let tag = if crossing.inbound {
            &heard.from_tag
        } else {
            &heard.to_tag
        };
        if bye || cancel || failed {
            ends.push(End {
                at: crossing.at,
                call: id.call,
                tag: Some(tag.as_str()).filter(|_| bye && id.side == Side::Callee),
                is_whole: id.side == Side::Caller && (bye || failed && !crossing.inbound),
            });
        }
    }
    ends
}

/// A finding about a packet.
fn find(packet: &Packet, rule: &'static str, what: &str) -> Finding {
    Finding {
        at: packet.at,
        rule,
        what: format!("{what}: {}", packet.to_string().trim_start()),
    }
}

fn is_media(form: Form) -> bool {
    matches!(form, Form::Rtp | Form::Udptl)
}
