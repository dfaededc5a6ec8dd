//! The reflector: what the same datagrams cost when nobody reads them. It forwards every datagram from the callee to the
//! callers in turn and every other one to the callee, in batches, with the plain system calls a server cannot do without.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::io::{Address, Receiver, Sender, bind, interrupted, wait_readable};

/// Callers remembered at most.
const CALLERS_MAX: usize = 256;

/// Who gets what: the callee is known, callers are learned from what they send.
struct Routes {
    callee: Address,
    callers: Vec<Address>,
    next: usize,
}

impl Routes {
    fn next_hop(&mut self, from: Address) -> Address {
        if from != self.callee {
            if !self.callers.contains(&from) && self.callers.len() < CALLERS_MAX {
                self.callers.push(from);
            }
            return self.callee;
        }
        // Any caller socket serves any call, so turns are as good as the right one.
        self.next = (self.next + 1) % self.callers.len().max(1);
        self.callers.get(self.next).copied().unwrap_or(self.callee)
    }
}

/// Reflects between callers and callee until interrupted.
pub(crate) fn reflect(listen: SocketAddr, callee: SocketAddr) -> io::Result<()> {
    let socket = bind(listen, false)?;
    let mut routes = Routes {
        callee: callee.into(),
        callers: Vec::new(),
        next: 0,
    };
    let (mut receiver, mut sender) = (Receiver::new(false), Sender::new());
    let mut runs = Vec::new();
    while !interrupted() {
        if receiver.receive(&socket)? == 0 {
            wait_readable(&socket, Duration::from_millis(200));
            continue;
        }
        receiver.route(&mut runs, |from| routes.next_hop(from));
        sender.send(&socket, receiver.bytes(), &runs);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    #[test]
    fn requests_go_to_the_callee_and_answers_to_the_callers_in_turn() {
        let mut routes = Routes {
            callee: address(9),
            callers: Vec::new(),
            next: 0,
        };
        assert_eq!(routes.next_hop(address(1)), address(9));
        assert_eq!(routes.next_hop(address(2)), address(9));
        assert_eq!(routes.next_hop(address(1)), address(9));
        let answers: Vec<_> = (0..4).map(|_| routes.next_hop(address(9))).collect();
        assert_eq!(answers, [address(2), address(1), address(2), address(1)]);
    }
}
