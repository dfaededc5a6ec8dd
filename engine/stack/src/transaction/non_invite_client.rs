//! The non-INVITE client transaction (RFC 3261 17.1.2) as a table. CANCEL is one of them.
//!
//! ```text
//!  Waiting --> Trying --1xx--> Proceeding --final--> Completed --timer K--> Terminated
//!                 \--------------- final --------------/
//! ```
//!
//! `Waiting` comes before the RFC's figure: the request is printed, but its destination is not known
//! yet, or it is a CANCEL that may not be sent before a provisional response.

use super::Wake;
use super::table::ClientAction::{
    self, Arm, Forget, PassUp, Repeat, RepeatSlowly, ReportFailure, ReportTimeout, Resend, Send,
    StopRepeating,
};
use super::table::{Step, go};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The destination is known, or the CANCEL may go.
    Send,
    /// 1xx. None but 100 is allowed (RFC 4320 4.1), so none is passed up.
    Provisional,
    Final,
    TransportError,
    TimerE,
    TimerF,
    TimerK,
}

pub(super) fn step(state: State, event: Event) -> Step<State, ClientAction> {
    use State::{Completed, Proceeding, Terminated, Trying, Waiting};
    const FINISH: &[ClientAction] = &[StopRepeating, Forget, Arm(Wake::TimerK), PassUp];
    match (state, event) {
        (Waiting, Event::Send) => go(Trying, &[Send, Repeat(Wake::TimerE)]),
        (Waiting | Trying | Proceeding, Event::TimerF) => go(Terminated, &[ReportTimeout]),

        (Trying, Event::TimerE) => go(Trying, &[Resend, Repeat(Wake::TimerE)]),
        (Trying, Event::TransportError) => go(Terminated, &[ReportFailure]),
        (Trying, Event::Provisional) => go(Proceeding, &[]),
        (Proceeding, Event::TimerE) => go(Proceeding, &[Resend, RepeatSlowly(Wake::TimerE)]),

        (Trying | Proceeding, Event::Final) => go(Completed, FINISH),
        (Completed, Event::TimerK) => go(Terminated, &[]),
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
        let states = [Waiting, Trying, Proceeding, Completed, Terminated];
        let events = [
            Event::Send,
            Event::Provisional,
            Event::Final,
            Event::TransportError,
            Event::TimerE,
            Event::TimerF,
            Event::TimerK,
        ];
        insta::assert_snapshot!(print_table(&states, &events, step));
    }
}
