//! Where things are in the tree, and free loopback ports. No process is started here.

use crate::failure::Failure;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

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
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file());
        assert!(scenarios().join("manifest.toml").is_file());
    }
}
