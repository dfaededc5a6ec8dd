//! Packets from elsewhere than SDP says: a peer behind NAT is followed, a stranger is not, and a strict peer
//! never moves. A packet that must not pass is sent before one that must, on one socket of the router: the
//! order tells, not the clock.

use super::Stage;
use super::talk::{Cast, RTP, Side, Talk, Terms, not_heard};
use crate::failure::{Failure, check};
use crate::rtp::{Channel, Endpoint, Shape, carry};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the attacker dwells.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99));
/// How many packets are tried.
const ATTEMPTS: usize = 5;

/// A call whose caller tells an endpoint that is not the one it will speak from.
fn behind_nat(stage: &Stage<'_>) -> Result<(Talk, Endpoint), Failure> {
    let cast = Cast::gather(stage)?;
    let signalled = Endpoint::bind(cast.caller.address.ip())?;
    let offer = Terms::audio(&signalled, &[]);
    let answer = Terms::audio(&cast.callee_media, &[]);
    let invited = cast.invite(stage, &offer)?;
    Ok((cast.accept(invited, &answer)?, signalled))
}

fn send(from: &Endpoint, to: SocketAddr, mark: &str) -> Result<(), Failure> {
    (0..ATTEMPTS).try_for_each(|_| from.send(Shape::Rtp, Channel::Even, to, mark))
}

/// The caller speaks from another port than it signalled: the stream follows it there. A third socket cannot
/// take the stream over then, nor be heard.
pub(super) fn latches_and_is_not_hijacked(stage: &Stage<'_>) -> Result<(), Failure> {
    let (talk, signalled) = behind_nat(stage)?;
    talk.carry(Side::Caller, RTP, "from behind NAT")?;
    talk.carry(Side::Callee, RTP, "to behind NAT")?;
    let thief = Endpoint::bind(STRANGER)?;
    for round in ["one", "two"] {
        for side in [Side::Caller, Side::Callee] {
            send(&thief, talk.sends_to(side)?, "spoofed")?;
        }
        talk.talk(round, &["spoofed"])?;
    }
    for (who, endpoint) in [("the thief", &thief), ("the signalled port", &signalled)] {
        let heard = endpoint.drain(Channel::Even)?;
        not_heard(&heard, &["one of the callee", "two of the callee"])
            .map_err(|failure| Failure::Check(format!("{who}: {failure}")))?;
    }
    talk.hang_up()
}

/// A peer with `media = "strict"` is heard from its signalled port alone.
pub(super) fn strict_peer(stage: &Stage<'_>) -> Result<(), Failure> {
    let (talk, signalled) = behind_nat(stage)?;
    let to = talk.sends_to(Side::Caller)?;
    send(&talk.caller, to, "from behind NAT")?;
    let heard = carry((&signalled, to), &talk.callee, RTP, "from where it said")?;
    not_heard(&heard, &["from behind NAT"])?;
    let back = talk.sends_to(Side::Callee)?;
    carry((&talk.callee, back), &signalled, RTP, "back")?;
    let strayed = talk.caller.drain(Channel::Even)?;
    check(strayed.is_empty(), || {
        "a strict peer's stream moved to another port".into()
    })?;
    talk.hang_up()
}

/// A peer with `media = "latch-same-host"` is followed to another port, but not to another host.
pub(super) fn same_host(stage: &Stage<'_>) -> Result<(), Failure> {
    let (talk, _signalled) = behind_nat(stage)?;
    let thief = Endpoint::bind(STRANGER)?;
    send(&thief, talk.sends_to(Side::Caller)?, "from another host")?;
    let heard = talk.carry(Side::Caller, RTP, "from another port")?;
    not_heard(&heard, &["from another host"])?;
    talk.carry(Side::Callee, RTP, "to another port")?;
    let strayed = thief.drain(Channel::Even)?;
    check(strayed.is_empty(), || {
        "the stream moved to another host".into()
    })?;
    talk.hang_up()
}

/// After a stream has latched, a re-INVITE that names a new place moves it there; a latecomer at the old
/// place is a stranger.
pub(super) fn signalling_moves_a_latched_stream(stage: &Stage<'_>) -> Result<(), Failure> {
    let (mut talk, _signalled) = behind_nat(stage)?;
    talk.talk("behind NAT", &[])?;
    let moved = Endpoint::bind(talk.call.caller.address.ip())?;
    let left = std::mem::replace(&mut talk.caller, moved);
    let (offer, answer) = (
        Terms::audio(&talk.caller, &[]).version(2),
        Terms::audio(&talk.callee, &[]),
    );
    talk.renegotiate(Side::Caller, &offer, &answer)?;
    talk.talk("moved", &[])?;
    send(&left, talk.sends_to(Side::Caller)?, "from the old place")?;
    talk.talk("still moved", &["from the old place"])?;
    not_heard(&left.drain(Channel::Even)?, &["still moved of the callee"])?;
    talk.hang_up()
}
