//! Loading the steering program and attaching it to socket groups. What it computes is written in
//! `bpf/steer.c` and, for everybody else, in the shard crate's `steer` module.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::bpf::{self, MapKind, Patch};
use crate::error::SteeringError;
use crate::socket::UdpListener;

/// The program's instructions, made by `bpf/build.sh`.
static PROGRAM: &[u8] = include_bytes!("../bpf/steer.bin");

// The immediates the C source leaves for us.
const SOCKETS: u64 = 0x5453_5000_0000_0001;
const SCRATCH: u64 = 0x5453_5000_0000_0002;
const KEY0: u64 = 0x5453_5000_0000_0003;
const KEY1: u64 = 0x5453_5000_0000_0004;
const SHARDS: u64 = 0x5453_5000_0000_0005;
/// `struct scratch` of the C source: the window, its slack and one word, to whole words.
const SCRATCH_BYTES: u32 = 2048 + 128 + 8;
const SHARDS_MAX: usize = 64;

/// A group that is steered. The kernel keeps the program with the sockets, so it goes on steering
/// for as long as they live, also after this value is gone.
#[derive(Debug)]
pub struct Steering {
    _program: OwnedFd,
    _sockets: OwnedFd,
}

/// Steers a group by the keyed function of the Call-ID: socket i gets what belongs to shard i. For
/// several listening addresses attach to each group, with the same key.
///
/// # Errors
/// [`SteeringError::Denied`] without CAP_BPF (or in a sandbox); the others are defects or an old
/// kernel. In all cases the group works on, unsteered.
pub fn attach(group: &[UdpListener], key: u64) -> Result<Steering, SteeringError> {
    if !(2..=SHARDS_MAX).contains(&group.len()) {
        return Err(SteeringError::GroupSize(group.len()));
    }
    let shards = group.len() as u32;
    let sockets = bpf::create_map(MapKind::ReusePortSockets, 8, shards).map_err(map_failed)?;
    for (place, listener) in group.iter().enumerate() {
        bpf::set_socket(&sockets, place as u32, listener.fd()).map_err(|source| {
            SteeringError::Step {
                step: "adding a socket",
                source,
            }
        })?;
    }
    let program = load(&sockets, shards, key)?;
    attach_to(&group[0], &program)?;
    Ok(Steering {
        _program: program,
        _sockets: sockets,
    })
}

/// Loads the program for a group of `shards`, without attaching it: whether this machine lets us.
///
/// # Errors
/// As [`attach`].
pub fn try_load() -> Result<(), SteeringError> {
    let sockets = bpf::create_map(MapKind::ReusePortSockets, 8, 2).map_err(map_failed)?;
    load(&sockets, 2, 0).map(drop)
}

fn load(sockets: &OwnedFd, shards: u32, key: u64) -> Result<OwnedFd, SteeringError> {
    let scratch = bpf::create_map(MapKind::PerCpuArray, SCRATCH_BYTES, 1).map_err(map_failed)?;
    let mut code = bpf::decode(PROGRAM).ok_or(SteeringError::Bytecode("a broken instruction"))?;
    let (key0, key1) = hash_keys(key);
    let patches = [
        (SOCKETS, Patch::Map(sockets.as_raw_fd()), "no socket map"),
        (SCRATCH, Patch::Map(scratch.as_raw_fd()), "no scratch map"),
        (KEY0, Patch::Value(key0), "no key"),
        (KEY1, Patch::Value(key1), "no second key"),
        (SHARDS, Patch::Value(shards.into()), "no shard count"),
    ];
    for (magic, patch, missing) in patches {
        if bpf::patch(&mut code, magic, patch) == 0 {
            return Err(SteeringError::Bytecode(missing));
        }
    }
    bpf::load(&code).map_err(|(source, log)| match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if log.is_empty() => SteeringError::Denied,
        _ => SteeringError::Verifier { source, log },
    })
}

/// The two halves of the hash's key from the one number operators know. `shard::steer` does the
/// same.
fn hash_keys(key: u64) -> (u64, u64) {
    (key, key.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15)
}

fn attach_to(listener: &UdpListener, program: &OwnedFd) -> Result<(), SteeringError> {
    let fd = program.as_raw_fd();
    // SAFETY: the option's value is a descriptor number that outlives the call, with its size.
    let result = unsafe {
        libc::setsockopt(
            listener.fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_EBPF,
            std::ptr::from_ref(&fd).cast(),
            size_of_val(&fd) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(SteeringError::Step {
            step: "attaching",
            source: io::Error::last_os_error(),
        }),
    }
}

fn map_failed(source: io::Error) -> SteeringError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS) => SteeringError::Denied,
        _ => SteeringError::Step {
            step: "making a map",
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{UdpOptions, bind_udp_group};

    #[test]
    fn the_committed_bytecode_has_every_place_to_patch() {
        let mut code = bpf::decode(PROGRAM).unwrap();
        for magic in [SOCKETS, SCRATCH, KEY0, KEY1, SHARDS] {
            assert!(
                bpf::patch(&mut code, magic, Patch::Value(0)) > 0,
                "{magic:x}"
            );
        }
    }

    #[test]
    fn the_program_loads_and_attaches() {
        match try_load() {
            Err(SteeringError::Denied) => return eprintln!("skipped: bpf() is not permitted"),
            other => other.unwrap(),
        }
        let options = UdpOptions::default();
        for shards in [2, 3, 64] {
            let address = "127.0.0.1:0".parse().unwrap();
            let group = bind_udp_group(address, shards, &options).unwrap();
            attach(&group, 7).unwrap();
        }
    }

    #[test]
    fn a_group_of_one_is_not_steered() {
        let group =
            bind_udp_group("127.0.0.1:0".parse().unwrap(), 1, &UdpOptions::default()).unwrap();
        assert!(matches!(
            attach(&group, 7),
            Err(SteeringError::GroupSize(1))
        ));
    }
}
