//! The non-INVITE server transaction (RFC 3261 17.2.2, RFC 4320) as a table.
//!
//! ```text
//!  Trying --3.5 s--> Proceeding --answer--> Completed --timer J--> Terminated
//!     \------------------- answer ------------/
//! ```

use super::Wake;
use super::table::ServerAction::{self, Answer, Arm, Forget, Resend, SendTrying};
use super::table::{Step, go};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The request came again.
    Retransmission,
    /// The transaction user answers 1xx.
    Provisional,
    /// The transaction user answers 2xx-6xx, but not 408.
    Final,
    /// The transaction user answers 408.
    Timeout,
    /// Nothing was answered while the client's timer E grew to T2.
    TryingTimer,
    TimerJ,
}

pub(super) fn step(state: State, event: Event) -> Step<State, ServerAction> {
    use State::{Completed, Proceeding, Terminated, Trying};
    match (state, event) {
        // RFC 4320 4.1: no 1xx but 100, and that one not before timer E reached T2, and then surely.
        (Trying, Event::TryingTimer) => go(Proceeding, &[SendTrying]),
        (Trying | Proceeding, Event::Final) => go(Completed, &[Answer, Arm(Wake::TimerJ)]),
        // RFC 4320 4.2: a 408 would come after the client gave up, so none is sent.
        (Trying | Proceeding, Event::Timeout) => go(Completed, &[Forget, Arm(Wake::TimerJ)]),
        (Proceeding | Completed, Event::Retransmission) => go(state, &[Resend]),
        (Completed, Event::TimerJ) => go(Terminated, &[]),
        _ => go(state, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::print_table;
    use super::*;

    #[test]
    fn every_cell() {
        let states = [
            State::Trying,
            State::Proceeding,
            State::Completed,
            State::Terminated,
        ];
        let events = [
            Event::Retransmission,
            Event::Provisional,
            Event::Final,
            Event::Timeout,
            Event::TryingTimer,
            Event::TimerJ,
        ];
        insta::assert_snapshot!(print_table(&states, &events, step));
    }
}
