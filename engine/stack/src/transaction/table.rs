//! What the four transition tables are made of: a cell's type and the words for what a cell does.
//!
//! A table is a pure function from state and event to a [`Step`]; the client and server sides perform
//! the actions. Nothing here knows what a datagram is.

use super::Wake;

/// One cell of a transition table: the next state and what to do on the way, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<S, A: 'static> {
    pub(super) next: S,
    pub(super) actions: &'static [A],
}

/// A cell.
pub(super) const fn go<S, A>(next: S, actions: &'static [A]) -> Step<S, A> {
    Step { next, actions }
}

impl<S, A> Step<S, A> {
    /// The same step of a machine whose states are spelled in another type.
    pub(super) fn map<T>(self, spell: impl FnOnce(S) -> T) -> Step<T, A> {
        Step {
            next: spell(self.next),
            actions: self.actions,
        }
    }
}

/// What a server transaction does on a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerAction {
    /// Print the transaction user's response, send it and keep it. The command itself does this first.
    Answer,
    /// Send the kept response again, if there is one.
    Resend,
    /// Print a 100 from the kept head, send it and keep it.
    SendTrying,
    /// Arm a timer of fixed duration.
    Arm(Wake),
    /// Arm the doubling timer for its next interval, never longer than T2.
    Repeat(Wake),
    /// Disarm the doubling timer.
    StopRepeating,
    /// Release the kept response: nothing will be sent again.
    Forget,
    /// Hand the ACK up: it is for a 2xx.
    PassAck,
    /// Tell the transaction user that nobody acknowledged its 2xx.
    ReportUnacknowledged,
    /// Tell the transaction user that nobody acknowledged its 3xx-6xx.
    ReportNoAck,
}

/// What a client transaction does on a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAction {
    /// Send the request for the first time. The command itself does this first.
    Send,
    /// Send again what is kept: the request, or the ACK that took its place.
    Resend,
    /// Arm a timer of fixed duration.
    Arm(Wake),
    /// Arm the doubling timer for its next interval; E never longer than T2, A without bound.
    Repeat(Wake),
    /// Arm the repeating timer for T2.
    RepeatSlowly(Wake),
    /// Disarm the repeating timer.
    StopRepeating,
    /// Print the CANCEL and let it wait. The command itself does this first.
    PrepareCancel,
    /// Send the CANCEL that waits, if one does, and arm the timer of RFC 3261 9.1.
    SendCancel,
    /// A CANCEL that still waits is no longer wanted.
    DropCancel,
    /// Print the ACK for a 3xx-6xx, send it and keep it in the request's place.
    Acknowledge,
    /// Release the kept request: nothing will be sent again.
    Forget,
    /// Hand the response up.
    PassUp,
    /// Send the ACK kept for this 2xx's To tag again, or hand the response up when none is kept.
    Reacknowledge,
    /// Tell the transaction user that no answer came in time.
    ReportTimeout,
    /// Tell the transaction user that the request could not be delivered.
    ReportFailure,
}

/// Every cell of a table as text, one line each, for the snapshot tests.
#[cfg(test)]
pub(super) fn print_table<S, E, A>(
    states: &[S],
    events: &[E],
    step: impl Fn(S, E) -> Step<S, A>,
) -> String
where
    S: Copy + PartialEq + std::fmt::Debug,
    E: Copy + std::fmt::Debug,
    A: std::fmt::Debug + 'static,
{
    let mut lines = String::new();
    for &state in states {
        for &event in events {
            let Step { next, actions } = step(state, event);
            let cell = match (next == state, actions.is_empty()) {
                (true, true) => "-".to_owned(),
                (true, false) => format!("{actions:?}"),
                (false, _) => format!("-> {next:?} {actions:?}"),
            };
            lines += &format!("{state:?} x {event:?}: {cell}\n");
        }
    }
    lines
}
