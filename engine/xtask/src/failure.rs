//! Why a chore or a scenario failed, in words for the one line that is printed about it.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The machine refused: a file, a socket, a process that cannot be started.
    #[error("{what}: {source}")]
    Machine {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something expected did not come in time.
    #[error("timed out waiting for {0}")]
    Timeout(String),
    /// Something was seen that must not be, or was not that must.
    #[error("{0}")]
    Check(String),
}

impl Failure {
    /// For `map_err`: puts `what` before the system's words.
    pub(crate) fn machine(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let what = what.into();
        move |source| Failure::Machine { what, source }
    }
}

/// Fails with `words` unless `holds`.
pub(crate) fn check(holds: bool, words: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::Check(words()))
    }
}
