//! Offers and answers, provisionals and what they need of each other (RFC 3262, 3264, 3311, 6141, 6228),
//! message by message: a caller and a callee of text around one router on a virtual clock.

mod early_dialogs;
mod glare;
mod interworking;
mod reinvite;
mod reliable;
mod targets;
#[path = "../flows/world.rs"]
#[expect(dead_code, reason = "shared with the tests of the other flows")]
mod world;

use world::{CALLEE, CALLER, Sent, World, one, sdp};

impl World {
    /// The callee's ACK of its re-INVITE with this CSeq.
    fn callee_acks(&mut self, cseq: u32, tag: &str, body: &str) -> Vec<Sent> {
        let invite = self.invite.clone().expect("an INVITE");
        let [from, to, call] =
            ["To", "From", "Call-ID"].map(|name| invite.header(name).expect(name));
        let text = format!(
            "ACK sip:router SIP/2.0\r\nVia: SIP/2.0/UDP {CALLEE};branch=z9hG4bKack{cseq}\r\n\
             From: {from};tag={tag}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq} ACK\r\n\
             Max-Forwards: 70\r\n{}",
            world::with_body("", body)
        );
        self.receive(CALLEE, &text)
    }
}

/// Headers of a reliable provisional with this number.
fn reliable(rseq: u32) -> String {
    format!("Require: 100rel\r\nRSeq: {rseq}\r\n")
}

/// RAck of a PRACK for the first INVITE.
fn rack(rseq: u32) -> String {
    format!("RAck: {rseq} 1 INVITE\r\n")
}

/// A call of a caller with these headers and an offer.
fn calling(more: &str) -> World {
    let mut world = world::world();
    world.call("5", more, &sdp(1, 4000, ""));
    world
}

/// A connected call.
fn connected() -> World {
    let mut world = calling("");
    world.ring("200 OK", "x", "", &sdp(1, 6000, ""));
    world.ack(1, "");
    world
}

/// The caller hangs up, the callee agrees, and nothing is left.
#[track_caller]
fn hang_up(mut world: World) {
    let sent = world.caller_sends("BYE", "", "");
    world.ok(&one(&sent, CALLEE, "BYE"));
    world.assert_idle();
}

/// The one status that was sent to this party, and nothing to the other.
#[track_caller]
fn refused(sent: &[Sent], by: &str) -> u16 {
    let [answer] = sent else {
        panic!("more or less than one: {sent:#?}");
    };
    assert_eq!(answer.to.to_string(), by);
    answer.kind().parse().expect("a status")
}

/// Retry-After as RFC 3261 14.2 has it: 0 to 10 seconds.
#[track_caller]
fn retries_within_ten(sent: &[Sent]) {
    let value = sent[0].header("Retry-After").expect("Retry-After");
    let seconds: u32 = value.parse().expect("seconds");
    assert!(seconds <= 10, "{seconds}");
}

fn tag_of(request: &Sent) -> String {
    let to = request.header("To").expect("To");
    to.rsplit("tag=").next().unwrap_or_default().to_owned()
}
