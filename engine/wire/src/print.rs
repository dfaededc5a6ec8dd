//! Printing messages: every function appends to the caller's buffer, in one pass and with no
//! other allocation. What is sent is composed by the caller, line by line.

mod forward;
mod head;
mod policy;
mod reason;

pub use forward::forwarded_response;
pub use head::{response_head, response_head_telling, vias};
pub use policy::{Policy, passing_headers};
pub use reason::reason_phrase;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The digits of `n` in decimal.
#[inline]
pub fn number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// The lowest `digits` hexadecimal digits of `value` (16 at most), in lower case.
#[inline]
pub fn hex(out: &mut Vec<u8>, value: u64, digits: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in (0..digits.min(16)).rev() {
        #[expect(clippy::indexing_slicing, reason = "four bits of sixteen digits")]
        out.push(DIGITS[(value >> (4 * place) & 0xf) as usize]);
    }
}

/// `Name: value` and CRLF.
#[inline]
pub fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `192.0.2.1:5060` or `[2001:db8::1]:5060`.
pub fn address(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(_) => ip(out, addr.ip()),
        IpAddr::V6(_) => {
            out.push(b'[');
            ip(out, addr.ip());
            out.push(b']');
        }
    }
    out.push(b':');
    number(out, addr.port().into());
}

/// An address without brackets, as `received` and session descriptions have it.
pub fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(ip) => _ = write!(out, "{ip}"),
    }
}

/// `METHOD uri SIP/2.0` and CRLF.
pub fn request_line(out: &mut Vec<u8>, method: &[u8], uri: &[u8]) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(uri);
    out.extend_from_slice(b" SIP/2.0\r\n");
}

/// `SIP/2.0 code reason` and CRLF; an empty `reason` is the standard phrase.
pub fn status_line(out: &mut Vec<u8>, code: u16, reason: &[u8]) {
    let reason = if reason.is_empty() {
        reason_phrase(code).as_bytes()
    } else {
        reason
    };
    out.extend_from_slice(b"SIP/2.0 ");
    number(out, code.into());
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Content-Length, the blank line and `body`: the end of every message.
pub fn end(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(b"Content-Length: ");
    number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"|".to_vec();
        print(&mut out);
        String::from_utf8(out.split_off(1)).unwrap()
    }

    #[test]
    fn lines() {
        assert_eq!(
            printed(|out| header(out, "To", b"<sip:a>")),
            "To: <sip:a>\r\n"
        );
        assert_eq!(
            printed(|out| request_line(out, b"BYE", b"sip:a")),
            "BYE sip:a SIP/2.0\r\n"
        );
        assert_eq!(
            printed(|out| status_line(out, 486, b"")),
            "SIP/2.0 486 Busy Here\r\n"
        );
        assert_eq!(
            printed(|out| status_line(out, 200, b"Fine")),
            "SIP/2.0 200 Fine\r\n"
        );
        assert_eq!(
            printed(|out| end(out, b"ab")),
            "Content-Length: 2\r\n\r\nab"
        );
    }

    #[test]
    fn hex_keeps_its_width() {
        assert_eq!(printed(|out| hex(out, 0xabc, 6)), "000abc");
        assert_eq!(printed(|out| hex(out, 0xabc, 2)), "bc");
        assert_eq!(printed(|out| hex(out, u64::MAX, 99)), "f".repeat(16));
    }

    proptest! {
        #[test]
        fn numbers_as_the_standard_library_has_them(n in any::<u64>(), shift in 0u32..64) {
            prop_assert_eq!(printed(|out| number(out, n >> shift)), (n >> shift).to_string());
        }

        #[test]
        fn addresses_as_the_standard_library_has_them(
            address in any::<(std::net::IpAddr, u16)>().prop_map(SocketAddr::from),
        ) {
            prop_assert_eq!(printed(|out| super::address(out, address)), address.to_string());
        }
    }
}
