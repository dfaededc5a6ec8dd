//! The INVITE server transaction (RFC 3261 17.2.1, RFC 6026 figure 5) as a table.
//!
//! ```text
//!  Trying --answer 1xx / 200 ms--> Proceeding --2xx--> Accepted --acknowledged--> Acknowledged
//!     \------------- 3xx-6xx ---------+--> Completed --ACK--> Confirmed          (timer L) |
//!                                           (timer H)        (timer I)   --> Terminated <--+
//! ```
//!
//! Two states of the RFC are split, so that no cell needs a condition: Proceeding, before anything was
//! sent, is `Trying`; Accepted, after the ACK, is `Acknowledged`. The RFC leaves the retransmission of a
//! 2xx to the transaction user (13.3.1.4); it is done here, for every user alike but a proxy, which is in
//! `Acknowledged` with the first 2xx it passes on: it has nothing to repeat.

use super::Wake;
use super::table::ServerAction::{
    self, Answer, Arm, Forget, PassAck, Repeat, ReportNoAck, ReportUnacknowledged, Resend,
    SendTrying, StopRepeating,
};
use super::table::{Step, go};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Trying,
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Acknowledged,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The INVITE came again.
    Retransmission,
    /// An ACK with the INVITE's branch.
    Ack,
    /// The transaction user answers 1xx, 2xx, 3xx-6xx.
    Provisional,
    Success,
    Failure,
    /// The transaction user, a proxy, passes a 2xx on.
    Forwarded,
    /// The transaction user saw the ACK for its 2xx.
    Acknowledged,
    /// Nothing was answered in time: RFC 3261 17.2.1 wants a 100 within 200 ms.
    TryingTimer,
    TimerG,
    TimerH,
    TimerI,
    TimerL,
    /// The interval of RFC 3261 13.3.1.4.
    SuccessTimer,
}

pub(super) fn step(state: State, event: Event) -> Step<State, ServerAction> {
    use State::{Accepted, Acknowledged, Completed, Confirmed, Proceeding, Terminated, Trying};
    const ACCEPT: &[ServerAction] = &[Answer, Repeat(Wake::Success), Arm(Wake::TimerL)];
    // RFC 6026 7.1: a proxy's 2xx is repeated by the one who made it, and every copy passes.
    const FORWARD: &[ServerAction] = &[Answer, Forget, Arm(Wake::TimerL)];
    const REJECT: &[ServerAction] = &[Answer, Repeat(Wake::TimerG), Arm(Wake::TimerH)];
    match (state, event) {
        (Trying, Event::TryingTimer) => go(Proceeding, &[SendTrying]),
        (Trying | Proceeding, Event::Provisional) => go(Proceeding, &[Answer]),
        (Trying | Proceeding, Event::Success) => go(Accepted, ACCEPT),
        (Trying | Proceeding, Event::Forwarded) => go(Acknowledged, FORWARD),
        (Acknowledged, Event::Forwarded) => go(Acknowledged, &[Answer, Forget]),
        (Trying | Proceeding, Event::Failure) => go(Completed, REJECT),
        (Proceeding | Completed, Event::Retransmission) => go(state, &[Resend]),

        (Completed, Event::TimerG) => go(Completed, &[Resend, Repeat(Wake::TimerG)]),
        (Completed, Event::Ack) => go(Confirmed, &[StopRepeating, Forget, Arm(Wake::TimerI)]),
        (Completed, Event::TimerH) => go(Terminated, &[ReportNoAck]),
        (Confirmed, Event::TimerI) => go(Terminated, &[]),

        // RFC 6026 7.1: a retransmitted INVITE is absorbed without an answer, an ACK is passed up.
        (Accepted, Event::SuccessTimer) => go(Accepted, &[Resend, Repeat(Wake::Success)]),
        (Accepted, Event::Acknowledged) => go(Acknowledged, &[StopRepeating, Forget]),
        (Accepted, Event::TimerL) => go(Terminated, &[ReportUnacknowledged]),
        (Accepted | Acknowledged, Event::Ack) => go(state, &[PassAck]),
        (Acknowledged, Event::TimerL) => go(Terminated, &[]),
        _ => go(state, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::print_table;
    use super::*;

    #[test]
    fn every_cell() {
        use State::*;
        let states = [
            Trying,
            Proceeding,
            Completed,
            Confirmed,
            Accepted,
            Acknowledged,
            Terminated,
        ];
        let events = [
            Event::Retransmission,
            Event::Ack,
            Event::Provisional,
            Event::Success,
            Event::Failure,
            Event::Forwarded,
            Event::Acknowledged,
            Event::TryingTimer,
            Event::TimerG,
            Event::TimerH,
            Event::TimerI,
            Event::TimerL,
            Event::SuccessTimer,
        ];
        insta::assert_snapshot!(print_table(&states, &events, step));
    }
}
