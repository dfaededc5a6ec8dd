//! The end of a stream that moves to the other address family: another pair of ports takes the place of
//! its own. It is kept from the offer on, so that an answer never finds the ports gone.

use stack::Time;

use crate::config::{End, Family, StreamId};
use crate::lane::NONE;
use crate::media::Media;

/// A pair of ports kept for an end that may change its family; used up by [`Media::change_family`] or
/// [`Media::give_back`]. What comes to it meanwhile is dropped.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "dropped, its ports are lost"]
pub struct Reserved(u32);

impl Media {
    /// The family of our ports towards this end; `None` as for [`Media::local`].
    pub fn family(&self, stream: StreamId, end: End) -> Option<Family> {
        Some(self.family_of(self.pair(stream, end)?))
    }

    /// Keeps a pair of this family; `None` when none is free.
    pub fn reserve(&mut self, family: Family) -> Option<Reserved> {
        self.take(family).map(Reserved)
    }

    /// The pair is not needed.
    pub fn give_back(&mut self, reserved: Reserved) {
        let family = self.family_of(reserved.0);
        self.ports.put_back(family, reserved.0);
    }

    /// Gives this end the reserved pair instead of its own, which is free again. The end has no address
    /// until [`Media::set_remote`] tells one; its counts go on. The stream is called by the new id
    /// from now on. `None`, and the pair given back, for a stale id and for an echo, which is opened
    /// anew instead.
    pub fn change_family(
        &mut self,
        now: Time,
        stream: StreamId,
        end: End,
        reserved: Reserved,
    ) -> Option<StreamId> {
        let pair = self.pair(stream, end);
        let pair = pair.filter(|&pair| self.lanes[pair].partner != pair);
        let Some(old) = pair else {
            self.give_back(reserved);
            return None;
        };
        let partner = self.replace_pair(old, reserved.0);
        let stream = match end {
            End::Callee => {
                self.streams[stream.slot].callee = reserved.0;
                stream
            }
            End::Caller => {
                let owner = self.silence.owner(stream.slot);
                self.retire(stream.slot);
                self.enlist(owner, reserved.0, partner)
            }
        };
        self.expect_packets(now, stream.slot);
        Some(stream)
    }

    /// Puts what there is of an end at another pair, but its addresses. Returns the pair of the other end.
    fn replace_pair(&mut self, old: u32, new: u32) -> u32 {
        self.lanes.swap(old, new);
        self.parties.swap(old, new);
        let lane = &mut self.lanes[new];
        self.parties[new].forget_address(lane);
        let partner = lane.partner;
        debug_assert_ne!(partner, NONE, "the lane of a stream");
        self.lanes[partner].partner = new;
        self.free(old);
        partner
    }

    pub(crate) fn family_of(&self, pair: u32) -> Family {
        let pair = self.config.pairs.get(pair as usize);
        pair.map_or(Family::V4, |pair| Family::of(pair.bound))
    }
}
