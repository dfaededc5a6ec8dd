//! What offers and answers do to the streams of a call: opened, moved, refused, closed.

use media::{End, Terms};
use stack::Time;

use super::slot::{Described, Slot, is_steered};
use super::{Blocked, Crossing, FORKS_MAX, Fork, LINES_MAX, Steering};
use crate::core::{Core, Side};

impl Steering {
    /// Opens what the offer has that is not open yet. All of it, or nothing when `refusable`; else
    /// what finds no ports is shown as port 0.
    pub(super) fn offer(
        &mut self,
        core: &mut Core,
        crossing: Crossing<'_, '_>,
        refusable: bool,
    ) -> Result<(), Blocked> {
        let sections = crossing.session.media();
        let wanted = sections.iter().filter(|media| is_steered(&media.media));
        if refusable && sections.len() > LINES_MAX && wanted.count() > 0 {
            return Err(Blocked::TooMany);
        }
        let lines = sections.len().min(LINES_MAX).max(self.slots.len());
        self.slots.resize_with(lines, Slot::default);
        for line in 0..lines {
            let described = sections
                .get(line)
                .map(|section| Described::read(section, crossing.peer));
            if let Some(slot) = self.slots.get_mut(line) {
                slot.proposed = Some(described.unwrap_or_default());
            }
            let opened = self
                .open(core, crossing.from, line)
                .and_then(|()| self.reserve(core, crossing.from.into(), line));
            if let Err(blocked) = opened
                && refusable
            {
                self.retract(core, crossing.now);
                return Err(blocked);
            }
        }
        let end = End::from(crossing.from);
        for slot in &mut self.slots {
            // A later offer moves nothing before it is answered (RFC 3264 8.3.1); of a new stream
            // there is nothing to move.
            if slot.fresh {
                slot.say(end, slot.proposed.clone());
                slot.apply(&mut core.media, crossing.now);
            }
        }
        Ok(())
    }

    fn open(&mut self, core: &mut Core, from: Side, line: usize) -> Result<(), Blocked> {
        let Some(slot) = self.slots.get_mut(line) else {
            return Ok(());
        };
        let Some(described) = slot.proposed.as_ref().filter(|described| described.open) else {
            return Ok(());
        };
        if slot.stream.is_some() {
            return Ok(());
        }
        let kind = described.kind();
        let [caller, callee] = &self.legs;
        let mut families = [caller.family, callee.family];
        if let Some(family) = described
            .family()
            .filter(|&family| core.media.serves(family))
        {
            let [caller, callee] = &mut families;
            *match from {
                Side::Caller => caller,
                Side::Callee => callee,
            } = family;
        }
        let terms = Terms {
            owner: self.owner,
            kind,
            families,
            latching: [caller.latching, callee.latching],
        };
        let Some(stream) = core.media.open(terms) else {
            return Err(no_ports(core));
        };
        slot.opened(stream, kind);
        Ok(())
    }

    /// An offer that moves its stream to the other address family has the ports kept that its answer will
    /// name. What had such an address before, and no ports, stays as it is.
    fn reserve(&mut self, core: &mut Core, end: End, line: usize) -> Result<(), Blocked> {
        let Some(slot) = self.slots.get_mut(line) else {
            return Ok(());
        };
        let Some(family) = slot.moves(&core.media, end) else {
            return Ok(());
        };
        if core.media.serves(family) {
            let reserved = slot.reserve(&mut core.media, family);
            return if reserved {
                Ok(())
            } else {
                Err(no_ports(core))
            };
        }
        match slot.said(end).and_then(Described::family) {
            Some(before) if before == family => Ok(()),
            _ => Err(Blocked::Unserved),
        }
    }

    /// The other side's answer: what was offered is in force, or is not wanted. `completes` says that it
    /// is the answer of the pending offer, and not one of another fork.
    pub(super) fn answer(&mut self, core: &mut Core, crossing: Crossing<'_, '_>, completes: bool) {
        let answerer = End::from(crossing.from);
        for (line, slot) in self.slots.iter_mut().enumerate() {
            let section = crossing.session.media().get(line);
            let said = section.map(|section| Described::read(section, crossing.peer));
            let said = said.unwrap_or_default();
            if completes {
                let offerer = answerer.other();
                if let Some(family) =
                    slot.change_family(&mut core.media, crossing.now, offerer, &said)
                {
                    let [caller, callee] = &mut self.legs;
                    match crossing.from.other() {
                        Side::Caller => caller.family = family,
                        Side::Callee => callee.family = family,
                    }
                }
                slot.agree(offerer, said);
            } else {
                slot.say(answerer, Some(said));
                slot.weigh();
            }
            slot.apply(&mut core.media, crossing.now);
        }
        if completes {
            self.exchange.settled();
        }
    }

    /// This fork's answer is in force from now on; that of the one before is remembered.
    pub(super) fn speak(&mut self, tag: u64) {
        let before = self.speaking.replace(tag);
        let Some(before) = before.filter(|&before| before != tag) else {
            return;
        };
        self.forks.retain(|fork| fork.tag != before);
        if self.forks.len() < FORKS_MAX {
            let said = self
                .slots
                .iter()
                .map(|slot| slot.said(End::Callee).cloned());
            let said = said.collect();
            self.forks.push(Fork { tag: before, said });
        }
    }

    /// A 2xx without a description is of a fork that has answered before: that answer counts.
    pub(super) fn speak_again(&mut self, core: &mut Core, now: Time, tag: u64) {
        let Some(at) = self.forks.iter().position(|fork| fork.tag == tag) else {
            return;
        };
        let fork = self.forks.swap_remove(at);
        self.speaking = Some(tag);
        for (slot, said) in self.slots.iter_mut().zip(fork.said) {
            slot.say(End::Callee, said);
            slot.weigh();
            slot.apply(&mut core.media, now);
        }
    }

    pub(super) fn retract(&mut self, core: &mut Core, now: Time) {
        for line in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(line) else {
                return;
            };
            slot.proposed = None;
            slot.give_back(&mut core.media);
            if slot.fresh {
                self.close(core, now, line);
            }
        }
    }

    pub(super) fn close_refused(&mut self, core: &mut Core, now: Time) {
        for line in 0..self.slots.len() {
            let Some(slot) = self.slots.get(line) else {
                return;
            };
            // An offer under way may want it back.
            let wanted = slot.proposed.as_ref().is_some_and(|offer| offer.open);
            if slot.refused && !wanted {
                self.close(core, now, line);
            }
        }
    }

    /// Closes the stream of a line and tells what became of it.
    pub(super) fn close(&mut self, core: &mut Core, now: Time, line: usize) {
        let Some(slot) = self.slots.get_mut(line) else {
            return;
        };
        let mut slot = std::mem::take(slot);
        slot.give_back(&mut core.media);
        let Some(stream) = slot.stream else { return };
        core.end_stream(now, stream, &self.call, line);
    }
}

/// There is no pair of ports for a stream: none at all, or none free.
pub(crate) fn no_ports(core: &mut Core) -> Blocked {
    let pairs = usize::try_from(core.media.counters().pairs).unwrap_or(usize::MAX);
    if pairs == 0 {
        return Blocked::NotConfigured;
    }
    core.limit_reached("media.ports", pairs);
    Blocked::NoPorts
}
