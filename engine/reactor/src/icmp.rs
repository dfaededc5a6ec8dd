//! A socket's error queue: which peers the network says cannot be reached.
//!
//! With IP_RECVERR set (without it an unconnected socket hears nothing at all) each ICMP error does
//! two things. It is queued, with the address of the datagram that caused it; and its errno becomes
//! the socket's pending error, which the next receive *or send* on the socket fails with, whoever
//! that send is for. Reading the queue empty also clears the pending error. So: a receive that ends
//! with an error is armed again, a send that fails with such an errno may be innocent and is tried
//! again after the queue was read.

use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::address::{self, ADDRESS_BYTES};

/// Entries read in one go. The queue is bounded by the receive buffer; the rest waits for the next
/// error to show.
const DRAIN_MAX: usize = 1024;
/// Room for one extended error with the offender's address behind it.
const CONTROL_BYTES: usize = 256;

/// True for an errno that an ICMP error about *any* peer may have left on the socket.
pub(crate) fn may_be_anothers(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::ENOPROTOOPT
            | libc::EOPNOTSUPP
            | libc::EPROTO
            | libc::EACCES
    )
}

/// Reads the error queue and hands over each peer that is unreachable. Returns how many entries
/// there were, also those of no interest.
pub(crate) fn drain(fd: RawFd, mut on_unreachable: impl FnMut(SocketAddr)) -> usize {
    for read in 0..DRAIN_MAX {
        match read_one(fd) {
            Some(Some(peer)) => on_unreachable(peer),
            Some(None) => {}
            None => return read,
        }
    }
    DRAIN_MAX
}

/// One entry: None when the queue is empty, Some(None) for an entry of no interest.
fn read_one(fd: RawFd) -> Option<Option<SocketAddr>> {
    let mut name = [0u8; ADDRESS_BYTES];
    let mut control = [0u64; CONTROL_BYTES / 8];
    // SAFETY: msghdr is plain data for which all zeroes is valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: every pointer in the header is to a local that outlives the call, with its length.
    if unsafe { libc::recvmsg(fd, &mut header, flags) } < 0 {
        return None;
    }
    let peer = address::read(&name[..(header.msg_namelen as usize).min(ADDRESS_BYTES)]);
    Some(peer.filter(|_| is_unreachable(&header)))
}

/// Host, network, port or protocol unreachable and parameter problem are worth reporting; source
/// quench and time exceeded may pass. Too-big is not among them: the kernel has noted the path's
/// size and fragments the next try.
fn is_unreachable(header: &libc::msghdr) -> bool {
    const V4_UNREACHABLE: u8 = 3;
    const V4_TOO_BIG_CODE: u8 = 4;
    const V4_PARAMETER: u8 = 12;
    const V6_UNREACHABLE: u8 = 1;
    const V6_PARAMETER: u8 = 4;
    extended_error(header).is_some_and(|error| match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => {
            error.ee_type == V4_PARAMETER
                || error.ee_type == V4_UNREACHABLE && error.ee_code != V4_TOO_BIG_CODE
        }
        libc::SO_EE_ORIGIN_ICMP6 => {
            error.ee_type == V6_UNREACHABLE || error.ee_type == V6_PARAMETER
        }
        _ => false,
    })
}

fn extended_error(header: &libc::msghdr) -> Option<libc::sock_extended_err> {
    // SAFETY: the header describes the control buffer the kernel has just filled.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return pointers to whole headers inside the buffer.
        let found = unsafe { *control };
        let kind = (found.cmsg_level, found.cmsg_type);
        let is_error = kind == (libc::SOL_IP, libc::IP_RECVERR)
            || kind == (libc::SOL_IPV6, libc::IPV6_RECVERR);
        let whole = size_of::<libc::cmsghdr>() + size_of::<libc::sock_extended_err>();
        if is_error && found.cmsg_len >= whole {
            // SAFETY: the length says that a whole extended error follows the header.
            return Some(unsafe {
                libc::CMSG_DATA(control)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned()
            });
        }
        // SAFETY: as above; null at the end.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}
