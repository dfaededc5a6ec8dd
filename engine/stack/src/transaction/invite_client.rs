//! The INVITE client transaction (RFC 3261 17.1.1 and 9.1, RFC 6026 figure 7) as a table.
//!
//! ```text
//!  Waiting --address found--> Calling --1xx--> Proceeding
//!                                |                 |
//!                                +---- 2xx --------+--> Accepted  --timer M--+
//!                                +---- 3xx-6xx ----+--> Completed --timer D--+--> Terminated
//! ```
//!
//! `Waiting` comes before the RFC's figure: the request is printed and timer B runs, but the name of
//! its destination is not resolved yet.

use super::Wake;
use super::table::ClientAction::{
    self, Acknowledge, Arm, DropCancel, Forget, PassUp, PrepareCancel, Reacknowledge, Repeat,
    ReportFailure, ReportTimeout, Resend, Send, SendCancel, StopRepeating,
};
use super::table::{Step, go};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The destination is known.
    Send,
    /// The transaction user cancels.
    Cancel,
    /// 100.
    Trying,
    /// 101-199.
    Provisional,
    Success,
    Failure,
    TransportError,
    TimerA,
    TimerB,
    TimerD,
    TimerM,
    /// 64*T1 passed since the CANCEL was sent.
    CancelTimer,
}

pub(super) fn step(state: State, event: Event) -> Step<State, ClientAction> {
    use State::{Accepted, Calling, Completed, Proceeding, Terminated, Waiting};
    const ACCEPT: &[ClientAction] = &[StopRepeating, DropCancel, Forget, Arm(Wake::TimerM), PassUp];
    const REJECT: &[ClientAction] = &[
        StopRepeating,
        DropCancel,
        Acknowledge,
        Arm(Wake::TimerD),
        PassUp,
    ];
    match (state, event) {
        (Waiting, Event::Send) => go(Calling, &[Send, Repeat(Wake::TimerA)]),
        (Waiting, Event::Cancel) => go(Terminated, &[ReportFailure]),
        (Waiting | Calling, Event::TimerB) => go(Terminated, &[ReportTimeout]),

        (Calling, Event::TimerA) => go(Calling, &[Resend, Repeat(Wake::TimerA)]),
        (Calling, Event::TransportError) => go(Terminated, &[ReportFailure]),
        // RFC 3261 9.1: the CANCEL waits for a provisional response.
        (Calling, Event::Cancel) => go(Calling, &[PrepareCancel]),
        (Calling, Event::Trying) => go(Proceeding, &[StopRepeating, SendCancel]),
        (Calling, Event::Provisional) => go(Proceeding, &[StopRepeating, SendCancel, PassUp]),

        (Proceeding, Event::Provisional) => go(Proceeding, &[PassUp]),
        (Proceeding, Event::Cancel) => go(Proceeding, &[PrepareCancel, SendCancel]),
        // RFC 3261 9.1: no final response 64*T1 after the CANCEL: the INVITE is considered cancelled.
        (Proceeding, Event::CancelTimer) => go(Terminated, &[ReportTimeout]),

        (Calling | Proceeding, Event::Success) => go(Accepted, ACCEPT),
        (Calling | Proceeding, Event::Failure) => go(Completed, REJECT),

        (Completed, Event::Failure) => go(Completed, &[Resend]),
        (Completed, Event::TimerD) => go(Terminated, &[]),
        (Accepted, Event::Success) => go(Accepted, &[Reacknowledge]),
        (Accepted, Event::TimerM) => go(Terminated, &[]),
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
            Waiting, Calling, Proceeding, Completed, Accepted, Terminated,
        ];
        let events = [
            Event::Send,
            Event::Cancel,
            Event::Trying,
            Event::Provisional,
            Event::Success,
            Event::Failure,
            Event::TransportError,
            Event::TimerA,
            Event::TimerB,
            Event::TimerD,
            Event::TimerM,
            Event::CancelTimer,
        ];
        insta::assert_snapshot!(print_table(&states, &events, step));
    }
}
