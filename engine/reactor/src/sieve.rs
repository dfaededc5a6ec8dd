//! A sieve in the kernel: of the datagrams that begin with certain bytes only a share reaches the socket,
//! decided at random where they arrive. What is sieved out costs the owner of the socket nothing. What
//! the bytes mean is the owner's business.
//!
//! It is a classic BPF socket filter, which needs no privilege. It sees the UDP header before the payload.

use std::io;

use crate::socket::UdpListener;

/// Bytes of the UDP header.
const HEADER: usize = 8;
/// What loads a random number, and the length of the datagram with its header (linux/filter.h).
const LOAD_RANDOM: u32 = -0x1000i32 as u32 + 56;
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_LENGTH: u16 = 0x80;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_NOT_BELOW: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// What is sieved, and how finely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sieve {
    /// Datagrams that begin so are sieved.
    pub sieved: Vec<u8>,
    /// Those of them that begin so all pass.
    pub spared: Vec<Vec<u8>>,
    /// How many of 65,536 of the others pass.
    pub passing: u16,
}

impl Sieve {
    /// The program: every datagram that is too short to tell passes.
    fn program(&self) -> Vec<libc::sock_filter> {
        let longest = self.spared.iter().map(Vec::len).max().unwrap_or(0);
        let needed = HEADER + longest.max(self.sieved.len());
        let mut program = vec![
            step(LOAD_LENGTH, 0, 0, 0),
            step(JUMP_IF_NOT_BELOW, needed as u32, 1, 0),
            step(RETURN, u32::MAX, 0, 0),
        ];
        compare(&mut program, &self.sieved, |program| {
            for spared in &self.spared {
                compare(program, spared, |program| {
                    program.push(step(RETURN, u32::MAX, 0, 0));
                });
            }
            program.push(step(LOAD_WORD, LOAD_RANDOM, 0, 0));
            let share = u32::from(self.passing) << 16;
            program.push(step(JUMP_IF_NOT_BELOW, share, 0, 1));
            program.push(step(RETURN, 0, 0, 0));
            program.push(step(RETURN, u32::MAX, 0, 0));
        });
        program.push(step(RETURN, u32::MAX, 0, 0));
        program
    }

    pub(crate) fn attach(&self, socket: &UdpListener) -> io::Result<()> {
        socket.filter(Some(&self.program()))
    }
}

/// Appends: when the payload begins with `bytes` do what `then` appends, else go on behind that. Jumps on
/// a condition reach 255 steps only, the one over `then` reaches any.
fn compare(
    program: &mut Vec<libc::sock_filter>,
    bytes: &[u8],
    then: impl FnOnce(&mut Vec<libc::sock_filter>),
) {
    let mut misses = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (load, width) = match rest.len() {
            4.. => (LOAD_WORD, 4),
            2.. => (LOAD_HALF, 2),
            _ => (LOAD_BYTE, 1),
        };
        let value = rest.iter().take(width);
        let value = value.fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        program.push(step(load, (HEADER + at) as u32, 0, 0));
        program.push(step(JUMP_IF_EQUAL, value, 1, 0));
        misses.push(program.len());
        program.push(step(JUMP, 0, 0, 0));
        at += width;
    }
    then(program);
    let end = program.len();
    for miss in misses {
        if let Some(jump) = program.get_mut(miss) {
            jump.k = (end - miss - 1) as u32;
        }
    }
}

fn step(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::socket::{UdpOptions, bind_udp_group};

    /// How many of 300 copies of each datagram come through.
    fn passed(sieve: &Sieve, datagrams: &[&[u8]]) -> Vec<usize> {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = bind_udp_group(address, 1, &UdpOptions::default())
            .expect("a socket on loopback")
            .remove(0);
        sieve.attach(&listener).expect("attached");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let receiver = listener.into_std().expect("a socket");
        receiver
            .set_read_timeout(Some(Duration::from_millis(1)))
            .expect("a time");
        let count = |datagram: &[u8]| {
            for _ in 0..300 {
                let sent = sender.send_to(datagram, receiver.local_addr().expect("bound"));
                sent.expect("sent");
            }
            // On loopback what was sent is there when the call returns.
            let mut buffer = [0; 100];
            std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
        };
        datagrams.iter().map(|datagram| count(datagram)).collect()
    }

    #[test]
    fn a_share_of_what_begins_so_passes_and_all_of_the_rest() {
        let sieve = Sieve {
            sieved: b"CALL ".to_vec(),
            spared: vec![b"CALL mother".to_vec(), b"CALL 112@".to_vec()],
            passing: 0,
        };
        let datagrams: [&[u8]; 6] = [
            b"CALL anybody who listens",
            b"CALL mother now",
            b"CALL 112@x and more",
            b"CALL 1125551234",
            b"CALM down, there is time",
            b"CALL",
        ];
        assert_eq!(passed(&sieve, &datagrams), [0, 300, 300, 0, 300, 300]);
        let half = Sieve {
            passing: 1 << 15,
            ..sieve
        };
        // Six standard deviations of 300 throws are 52.
        let some = passed(&half, &datagrams[..1])[0];
        assert!((98..=202).contains(&some), "{some} of 300");
    }
}
