//! What can go wrong at this wall: making a reactor or a socket, steering, and a turn. Each error
//! that stops a start says what to do about it, in the words `doctor` uses.

use std::io;
use std::net::SocketAddr;

use crate::advice;

/// A reactor, a socket or a group could not be made. Local causes all: kernel, limits, addresses.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The kernel or a sandbox refuses io_uring altogether.
    #[error("io_uring is not available ({0}): {advice}", advice = advice::IO_URING)]
    Refused(#[source] io::Error),
    /// io_uring is there, but too old for what the reactor needs.
    #[error("io_uring lacks {missing}: {}", advice::KERNEL)]
    TooOld {
        /// The feature or operation that is missing.
        missing: &'static str,
    },
    /// The rings do not fit the locked memory limit.
    #[error(
        "no memory for the rings, which need {needed_bytes} bytes a shard: {}",
        advice::MEMLOCK
    )]
    Memory {
        /// What one ring charges.
        needed_bytes: u64,
    },
    /// More files than this process may open.
    #[error(
        "{needed} files are to be open (sockets above all), but only {allowed} may: {}",
        advice::NOFILE
    )]
    Files {
        /// How many there will be.
        needed: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// Any other failure of ring set-up.
    #[error("io_uring set-up failed at {step}: {source}")]
    Ring {
        /// Which step.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The configuration asks for what cannot be.
    #[error("{what} must be {wanted}, not {found}")]
    Config {
        /// The key.
        what: &'static str,
        /// Its allowed values.
        wanted: &'static str,
        /// What was given.
        found: u64,
    },
    /// A listening address could not be bound.
    #[error("cannot listen on {address}: {source}: {}", advice::ADDRESS)]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A socket could not be made or an option was refused.
    #[error("socket option {option} failed: {source}")]
    Socket {
        /// The step or option.
        option: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// The steering program could not be loaded or attached. The engine runs without it.
#[derive(Debug, thiserror::Error)]
pub enum SteeringError {
    /// bpf(2) is not permitted here.
    #[error("bpf() is not permitted: {}", advice::STEERING)]
    Denied,
    /// The verifier refused the program: a defect of the program or a kernel that is too old.
    #[error("the kernel refused the steering program ({source}); its verifier says:\n{log}")]
    Verifier {
        /// The kernel's answer.
        source: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// Another step failed.
    #[error("steering failed at {step}: {source}")]
    Step {
        /// Which step.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Fewer than two sockets, or more than a shard number can name.
    #[error("a steered group has 2 to 64 sockets, not {0}")]
    GroupSize(usize),
    /// The committed bytecode is damaged.
    #[error("the steering bytecode is damaged: {0}")]
    Bytecode(&'static str),
}

/// A turn failed in a way that another turn would not mend.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The kernel refused to submit or wait.
    #[error("io_uring_enter failed: {0}")]
    Enter(#[source] io::Error),
    /// A socket can no longer receive.
    #[error("receiving on socket {socket} failed for good: {source}")]
    Receive {
        /// The socket's number.
        socket: u16,
        /// The kernel's answer.
        source: io::Error,
    },
}
