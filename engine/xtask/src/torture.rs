//! Datagrams no honest peer sends: the torture messages of RFC 4475 and RFC 5118 as they are kept, random
//! bytes, and messages cut and bent at random. Who sends the random ones asks afterwards for a call.

use crate::failure::Failure;
use crate::house;
use crate::random::Random;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

/// How many random datagrams are sent.
const RANDOM_DATAGRAMS: usize = 10_000;
/// After this many datagrams the sender rests a little, so that the receive buffer is not what stops them.
const BURST: usize = 16;

/// Sends the random datagrams to `router`.
pub(crate) fn send_random(from: IpAddr, router: SocketAddr, seed: u64) -> Result<(), Failure> {
    let machine = || Failure::machine("sending torture messages");
    let socket = UdpSocket::bind((from, 0)).map_err(machine())?;
    let files: Vec<_> = files()?.into_values().collect();
    let mut random = Random::new(seed);
    for count in 0..RANDOM_DATAGRAMS {
        let bytes = datagram(&mut random, &files);
        // A refused port or a full buffer is the router's concern; the call afterwards tells.
        let _ = socket.send_to(&bytes, router);
        if count % BURST == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// The decoded messages of the wire room's tests, by name.
pub(crate) fn files() -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let folder = house::root().join("engine/wire/tests/torture");
    let what = || Failure::machine(format!("reading {}", folder.display()));
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(what())? {
        let path = entry.map_err(what())?.path();
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|it| it == "dat")) {
            files.insert(name, std::fs::read(&path).map_err(what())?);
        }
    }
    Ok(files)
}

/// Noise, or a real message with some bytes changed or its end cut off.
fn datagram(random: &mut Random, files: &[Vec<u8>]) -> Vec<u8> {
    if files.is_empty() || random.below(4) == 0 {
        let length = random.below(1500);
        return random.bytes(length);
    }
    let mut bytes = files[random.below(files.len())].clone();
    for _ in 0..random.below(8) {
        let at = random.below(bytes.len());
        if let (Some(byte), Some(new)) = (bytes.get_mut(at), random.bytes(1).first()) {
            *byte = *new;
        }
    }
    if random.below(2) == 0 {
        bytes.truncate(random.below(bytes.len() + 1));
    }
    bytes.truncate(65_000);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_datagrams_differ_and_repeat_by_seed() {
        let files = [b"OPTIONS sip:h SIP/2.0\r\n\r\n".to_vec()];
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..50)
                .map(|_| datagram(&mut random, &files))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().any(|d| d.starts_with(b"OPTIONS")));
    }
}
