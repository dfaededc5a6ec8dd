//! Where things are in the tree, and free loopback ports. No process is started here.

use crate::failure::Failure;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where neighbouring ports are looked for.
const PORT_MIN: u16 = 10_000;
const PORT_MAX: u16 = 32_000;

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or(here)
}

/// The directory of the scenario files.
pub(crate) fn scenarios() -> PathBuf {
    root().join("sipp-scenarios")
}

/// Where logs go unless the caller names a place.
pub(crate) fn logs() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("scenario-logs")
}

/// The first of `count` neighbouring UDP ports that nobody holds now on any of `ips` and that this process
/// hands out once; it is even. They lie below the ports that systems give to who asks for any.
pub(crate) fn free_ports(ips: &[IpAddr], count: u16) -> Result<u16, Failure> {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut first = next.unwrap_or_else(any_start);
    // Twice around, so that the search ends.
    for _ in 0..2 * (PORT_MAX - PORT_MIN) / 2 {
        if first + count > PORT_MAX {
            first = PORT_MIN;
        }
        match (first..first + count).find(|port| !is_free(ips, *port)) {
            None => {
                *next = Some(first + count + count % 2);
                return Ok(first);
            }
            Some(held) => first = held + 2 - held % 2,
        }
    }
    Err(Failure::Check(format!("no {count} free ports on {ips:?}")))
}

/// Another start in each process, since several may run at once.
fn any_start() -> u16 {
    let spread = u32::from((PORT_MAX - PORT_MIN) / 2);
    let start = std::process::id().wrapping_mul(2_654_435_761) % spread;
    PORT_MIN + u16::try_from(start).unwrap_or(0) * 2
}

fn is_free(ips: &[IpAddr], port: u16) -> bool {
    ips.iter().all(|ip| UdpSocket::bind((*ip, port)).is_ok())
}

/// A UDP address on `ip` that nobody holds now and that this process hands out once.
pub(crate) fn free_address(ip: IpAddr) -> Result<SocketAddr, Failure> {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let address = UdpSocket::bind((ip, 0))
            .and_then(|socket| socket.local_addr())
            .map_err(Failure::machine(format!("no free port on {ip}")))?;
        let mut taken = TAKEN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if taken.get_or_insert_default().insert(address.port()) {
            return Ok(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once() {
        let ip: IpAddr = [127, 0, 0, 1].into();
        let ports: HashSet<u16> = (0..200).map(|_| free_address(ip).unwrap().port()).collect();
        assert_eq!(ports.len(), 200);
    }

    #[test]
    fn neighbouring_ports_are_even_free_and_handed_out_once() {
        let ip: IpAddr = [127, 0, 0, 1].into();
        let first = free_ports(&[ip], 10).unwrap();
        let second = free_ports(&[ip], 2).unwrap();
        assert_eq!((first % 2, second % 2), (0, 0));
        assert!(!(first..first + 10).contains(&second));
        let held = UdpSocket::bind((ip, free_ports(&[ip], 2).unwrap())).unwrap();
        assert!(!is_free(&[ip], held.local_addr().unwrap().port()));
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file());
        assert!(scenarios().join("manifest.toml").is_file());
    }
}
