//! What happened to the calls, counted: by the caller, by the callee, and what neither expected.

use std::collections::BTreeMap;

use serde::Serialize;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No final response to the INVITE within 64*T1 of it (or of its last provisional).
    InviteTimeout,
    /// No response to the BYE within 64*T1.
    ByeTimeout,
    /// A final response other than 2xx to the INVITE.
    InviteCode(u16),
    /// A final response other than 2xx to the BYE.
    ByeCode(u16),
    /// The callee sent its 200 for 64*T1 and got no ACK.
    Unacknowledged,
    /// The run ended before the call did.
    Abandoned,
    /// The generator held as many calls as it may.
    Limit,
}

impl Failure {
    fn label(self) -> String {
        match self {
            Failure::InviteTimeout => "INVITE timeout".into(),
            Failure::ByeTimeout => "BYE timeout".into(),
            Failure::InviteCode(code) => format!("INVITE {code}"),
            Failure::ByeCode(code) => format!("BYE {code}"),
            Failure::Unacknowledged => "200 never acknowledged".into(),
            Failure::Abandoned => "unfinished at the end".into(),
            Failure::Limit => "generator's call limit".into(),
        }
    }
}

/// Retransmissions, by what was sent or received again.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub(crate) struct Retransmissions {
    pub(crate) invite_sent: u64,
    pub(crate) bye_sent: u64,
    pub(crate) ok_sent: u64,
    pub(crate) invite_received: u64,
    pub(crate) bye_received: u64,
    pub(crate) ok_received: u64,
}

impl Retransmissions {
    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.invite_sent
            + self.bye_sent
            + self.ok_sent
            + self.invite_received
            + self.bye_received
            + self.ok_received
    }
}

/// Counters of one run. A call is attempted, perhaps answered, and in the end completed or failed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) attempts: u64,
    pub(crate) answered: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// `failed` by cause.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) retransmissions: Retransmissions,
    /// Provisional responses that came after the final one: somebody on the way reorders.
    pub(crate) overtaken: u64,
    /// Messages for no call known here, or none that could expect them.
    pub(crate) unexpected: u64,
    /// Datagrams that could not be read.
    pub(crate) malformed: u64,
}

impl Tally {
    /// Counts a failed call.
    pub(crate) fn fail(&mut self, failure: Failure, calls: u64) {
        if calls > 0 {
            self.failed += calls;
            *self.failures.entry(failure.label()).or_default() += calls;
        }
    }

    /// Failed calls per attempted call.
    pub(crate) fn failure_ratio(&self) -> f64 {
        self.failed as f64 / (self.attempts.max(1)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_cause() {
        let mut tally = Tally {
            attempts: 10,
            ..Tally::default()
        };
        tally.fail(Failure::InviteCode(503), 1);
        tally.fail(Failure::InviteCode(503), 1);
        tally.fail(Failure::ByeTimeout, 1);
        tally.fail(Failure::Abandoned, 0);
        assert_eq!(tally.failed, 3);
        assert_eq!(tally.failures.get("INVITE 503"), Some(&2));
        assert_eq!(tally.failures.len(), 2);
        assert!((tally.failure_ratio() - 0.3).abs() < 1e-9);
    }
}
