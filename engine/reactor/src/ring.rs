//! Making the ring: its flags, its sizes, and what a kernel must have for it. What is done with it
//! is the reactor's.

use io_uring::{IoUring, Probe, opcode};

use crate::config::ReactorConfig;
use crate::error::SetupError;

/// The kernel's own limit.
const ENTRIES_MAX: u32 = 32_768;

/// Makes a ring as a reactor needs it, or says what is lacking.
pub(crate) fn build(config: &ReactorConfig) -> Result<IoUring, SetupError> {
    if !(1..=ENTRIES_MAX).contains(&config.ring_entries) {
        let found = u64::from(config.ring_entries);
        return Err(SetupError::Config {
            what: "ring_entries",
            wanted: "1 to 32768",
            found,
        });
    }
    let ring = IoUring::builder()
        .setup_cqsize(config.completion_entries())
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        // So that a spin sees deferred work without a system call.
        .setup_taskrun_flag()
        .build(config.ring_entries)
        .map_err(|source| match source.raw_os_error() {
            Some(libc::ENOSYS | libc::EPERM | libc::EACCES) => SetupError::Refused(source),
            Some(libc::EINVAL) => SetupError::TooOld {
                missing: "DEFER_TASKRUN",
            },
            Some(libc::ENOMEM) => SetupError::Memory {
                needed_bytes: config.locked_bytes(),
            },
            _ => SetupError::Ring {
                step: "io_uring_setup",
                source,
            },
        })?;
    match missing_feature(&ring) {
        Some(missing) => Err(SetupError::TooOld { missing }),
        None => Ok(ring),
    }
}

/// The operations a reactor uses, by name.
const OPERATIONS: [(u8, &str); 4] = [
    (opcode::RecvMsgMulti::CODE, "IORING_OP_RECVMSG"),
    (opcode::Send::CODE, "IORING_OP_SEND"),
    (opcode::SendMsg::CODE, "IORING_OP_SENDMSG"),
    (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
];

/// What the ring lacks, if anything.
fn missing_feature(ring: &IoUring) -> Option<&'static str> {
    if !ring.params().is_feature_ext_arg() {
        return Some("waiting with a timeout (EXT_ARG)");
    }
    if !ring.params().is_feature_skip_cqe_on_success() {
        return Some("CQE_SKIP_SUCCESS");
    }
    let mut probe = Probe::new();
    if ring.submitter().register_probe(&mut probe).is_err() {
        return Some("the operation probe");
    }
    OPERATIONS
        .iter()
        .find(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_has_the_sizes_asked_for() {
        let config = ReactorConfig {
            ring_entries: 32,
            buffers: 64,
            ..Default::default()
        };
        let ring = build(&config).unwrap();
        assert_eq!(ring.params().sq_entries(), 32);
        assert_eq!(ring.params().cq_entries(), config.completion_entries());
    }

    #[test]
    fn an_impossible_size_names_its_key() {
        for ring_entries in [0, ENTRIES_MAX + 1] {
            let config = ReactorConfig {
                ring_entries,
                ..Default::default()
            };
            let error = build(&config).map(drop).unwrap_err();
            assert!(
                error.to_string().starts_with("ring_entries must be"),
                "{error}"
            );
        }
    }
}
