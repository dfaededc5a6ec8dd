//! What the router is on one leg of a call, and the descriptions it prints there.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::ops::Range;

use media::{Family, Latching};
use smallvec::SmallVec;
use wire::sdp::Session;

use super::body::{self, Identity, Shown};
use super::slot::is_steered;
use super::{Role, Steering};
use crate::core::{Core, Side};

/// What the router is on one leg, as its descriptions tell.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) family: Family,
    pub(super) latching: Latching,
    identity: Identity,
    /// Hash of the last description printed there.
    printed: Option<u64>,
}

impl Leg {
    /// A leg over which messages go to `way`. `peer` is the address there, when it is known already.
    pub(super) fn new(core: &mut Core, way: IpAddr, peer: Option<IpAddr>) -> Leg {
        let family = core.media_family(way);
        Leg {
            family,
            latching: peer.map_or_else(Latching::default, |peer| core.peers.of(peer).latching),
            identity: Identity {
                // RFC 8866 5.2 wants digits; 63 bits, because some read a signed number.
                session_id: core.random.next_u64() >> 1,
                version: 1,
                address: None,
                origin: None,
                family,
            },
            printed: None,
        }
    }
}

impl Steering {
    /// A `body` on this leg, where its descriptions stand at `places`. The first is the call's. A second,
    /// an early session of RFC 3959 perhaps, has no ports here.
    pub(super) fn print_body(
        &mut self,
        core: &mut Core,
        to: Side,
        body: &[u8],
        places: &[Range<usize>],
        session: &Session<'_>,
        role: Role,
    ) -> Vec<u8> {
        let mut out = core.scratch();
        let mut at = 0;
        for (index, place) in places.iter().enumerate() {
            out.extend_from_slice(body.get(at..place.start).unwrap_or_default());
            if index == 0 {
                self.print(core, to, session, role, &mut out);
            } else {
                let text = body.get(place.clone()).unwrap_or_default();
                self.print_closed(core, to, text, &mut out);
            }
            at = place.end;
        }
        out.extend_from_slice(body.get(at..).unwrap_or_default());
        out
    }

    /// A body that was printed for this leg and not sent then, as it reads now: the versions of those
    /// that were sent meanwhile are behind it.
    pub(crate) fn print_again(
        &mut self,
        core: &mut Core,
        to: Side,
        kind: &[u8],
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let places = wire::session_descriptions(kind, body);
        let text = body.get(places.first()?.clone())?;
        let session = Session::parse(text).ok()?;
        Some(self.print_body(core, to, body, &places, &session, Role::Offer))
    }

    fn print(
        &mut self,
        core: &mut Core,
        to: Side,
        session: &Session<'_>,
        role: Role,
        out: &mut Vec<u8>,
    ) {
        let shown = self.shown(core, to, session);
        let mut edits = std::mem::take(&mut core.edits);
        let ours = |shown: &Shown| match shown {
            Shown::Ours(local) => Some(local.address),
            Shown::Theirs | Shown::Closed => None,
        };
        let identity = &mut self.leg_mut(to).identity;
        identity.address = shown.iter().find_map(ours).or(identity.address);
        identity.origin = identity.origin.or(Some(identity.address()));
        let start = out.len();
        let mut print = |identity: &Identity, out: &mut Vec<u8>| {
            out.truncate(start);
            edits.clear();
            body::edit(&mut edits, session, &shown, identity);
            edits.print(session.bytes(), out);
        };
        print(identity, out);
        let hasher = self.hasher.clone();
        let text = |out: &[u8]| hasher.hash_one(out.get(start..));
        let leg = self.leg_mut(to);
        if role != Role::Neither {
            // RFC 3264 8: the version rises with every change, by one, and with nothing else.
            if leg.printed.is_some_and(|printed| printed != text(out)) {
                leg.identity.version += 1;
                print(&leg.identity, out);
            }
            leg.printed = Some(text(out));
        }
        core.edits = edits;
    }

    /// A description that is not the call's: no line of it is open. One that cannot be read is left out.
    fn print_closed(&self, core: &mut Core, to: Side, text: &[u8], out: &mut Vec<u8>) {
        let Ok(session) = Session::parse(text) else {
            return;
        };
        let shown: SmallVec<[Shown; 8]> = session.media().iter().map(|_| Shown::Closed).collect();
        core.edits.clear();
        body::edit(&mut core.edits, &session, &shown, &self.leg(to).identity);
        core.edits.print(text, out);
    }

    fn shown(&self, core: &Core, to: Side, session: &Session<'_>) -> SmallVec<[Shown; 8]> {
        let show = |(line, section): (usize, &wire::sdp::Media<'_>)| {
            if section.media.port == 0 {
                return Shown::Closed;
            }
            if !is_steered(&section.media) {
                return Shown::Theirs;
            }
            let stream = self.slots.get(line).and_then(|slot| slot.stream);
            let local = stream.and_then(|stream| core.media.local(stream, to.into()));
            local.map_or(Shown::Closed, Shown::Ours)
        };
        session.media().iter().enumerate().map(show).collect()
    }
}
