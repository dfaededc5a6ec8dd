//! Socket addresses between Rust's form and the kernel's. Nothing else.

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for the longer of the two address forms.
pub(crate) const ADDRESS_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// An address as the kernel reads it, with its length.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union KernelAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl KernelAddress {
    pub(crate) fn new(address: &SocketAddr) -> (KernelAddress, libc::socklen_t) {
        match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                (
                    KernelAddress { v4: raw },
                    size_of::<libc::sockaddr_in>() as libc::socklen_t,
                )
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                };
                (KernelAddress { v6: raw }, ADDRESS_BYTES as libc::socklen_t)
            }
        }
    }
}

/// Reads an address as the kernel wrote it. None for a family that is not IP or for too few bytes.
pub(crate) fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk::<2>()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk::<2>()?);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
            // The flow label is left out: it is the sender's business and would make two equal
            // peers compare as different.
            Some(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str) {
        let address: SocketAddr = text.parse().unwrap();
        let (raw, length) = KernelAddress::new(&address);
        // SAFETY: the union is at least `length` bytes and every byte of it was written: the
        // shorter form ends where `length` says.
        let bytes = unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(&raw).cast::<u8>(), length as usize)
        };
        assert_eq!(read(bytes), Some(address));
        assert_eq!(read(&bytes[..length as usize - 9]), None, "short {text}");
    }

    #[test]
    fn both_families_survive_the_kernel_form() {
        there_and_back("[2001:db8::1]:5061");
        there_and_back("[fe80::1%3]:5060");
        let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let (raw, length) = KernelAddress::new(&address);
        assert_eq!(length, 16);
        // SAFETY: a sockaddr_in has 16 bytes, all written.
        let bytes =
            unsafe { std::slice::from_raw_parts(std::ptr::from_ref(&raw).cast::<u8>(), 16) };
        assert_eq!(read(bytes), Some(address));
    }

    #[test]
    fn other_families_and_stumps_are_none() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
