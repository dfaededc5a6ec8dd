//! Pairs of neighbouring ports, many of them at one address: an even port and the next. No reuse
//! group: each socket is one reactor's alone. What travels through them is the reactor's.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use crate::error::SetupError;
use crate::socket::{UdpListener, UdpOptions, bind_one};

/// Sockets for some ports of a range.
#[derive(Debug)]
pub struct UdpPairs {
    /// The pairs that could be had, in the order asked for: a port and the next one.
    pub pairs: Vec<[UdpListener; 2]>,
    /// The lower ports of pairs left out because another program has one of the two.
    pub skipped: Vec<u16>,
}

/// Binds `port` and `port` + 1 at `address` for each of `ports`. A pair of which somebody else has a
/// port is left out.
///
/// # Errors
/// [`SetupError::Bind`] when the address is not ours or a port needs a privilege;
/// [`SetupError::Socket`] when sockets cannot be made (open files) or an option is refused.
pub fn bind_udp_pairs(
    address: IpAddr,
    ports: impl IntoIterator<Item = u16>,
    options: &UdpOptions,
) -> Result<UdpPairs, SetupError> {
    let mut bound = UdpPairs {
        pairs: Vec::new(),
        skipped: Vec::new(),
    };
    for port in ports {
        match bind_pair(address, port, options) {
            Ok(pair) => bound.pairs.push(pair),
            Err(error) if is_taken(&error) => bound.skipped.push(port),
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

fn bind_pair(
    address: IpAddr,
    port: u16,
    options: &UdpOptions,
) -> Result<[UdpListener; 2], SetupError> {
    let next = port.checked_add(1).ok_or(SetupError::Config {
        what: "the lower port of a pair",
        wanted: "below 65535",
        found: port.into(),
    })?;
    let bind = |port| bind_one(SocketAddr::new(address, port), false, options);
    Ok([bind(port)?, bind(next)?])
}

fn is_taken(error: &SetupError) -> bool {
    matches!(error, SetupError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// An even port with three free ones above it, or at least they were free a moment ago.
    fn free_ports() -> u16 {
        (0..1000)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .map(|socket| socket.local_addr().unwrap().port() & !1)
            .find(|&port| {
                port < u16::MAX - 3
                    && (port..port + 4)
                        .all(|port| std::net::UdpSocket::bind((LOOPBACK, port)).is_ok())
            })
            .expect("four free ports in a row")
    }

    #[test]
    fn a_taken_port_costs_its_pair_and_no_other() {
        let options = UdpOptions::default();
        // Others run at the same time and may take a port in between.
        for _ in 0..20 {
            let port = free_ports();
            let Ok(stranger) = std::net::UdpSocket::bind((LOOPBACK, port + 1)) else {
                continue;
            };
            let Ok(bound) = bind_udp_pairs(LOOPBACK, [port, port + 2], &options) else {
                continue;
            };
            assert_eq!(bound.skipped, [port]);
            let ports = bound.pairs[0]
                .each_ref()
                .map(|socket| socket.local_address().port());
            assert_eq!(ports, [port + 2, port + 3]);
            drop(stranger);
            return;
        }
        panic!("no ports to be had");
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error_at_once() {
        let address = "192.0.2.1".parse().unwrap();
        let error = bind_udp_pairs(address, [16_384, 16_386], &UdpOptions::default()).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1:16384"), "{error}");
    }

    #[test]
    fn the_last_port_has_no_next_one() {
        let error = bind_udp_pairs(LOOPBACK, [u16::MAX], &UdpOptions::default()).unwrap_err();
        assert!(matches!(error, SetupError::Config { .. }), "{error}");
    }
}
