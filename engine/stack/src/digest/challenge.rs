//! The line that asks for credentials (RFC 7616 3.3).

use super::{Algorithm, Qop};

/// One WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The name of the header.
    pub header: &'a str,
    /// The domain of the users and their secrets.
    pub realm: &'a str,
    /// What to hash with.
    pub algorithm: Algorithm,
    /// The nonce to use.
    pub nonce: &'a [u8],
    /// What the hash may cover. RFC 8760 2.6 (8): never left out.
    pub qop: &'a [Qop],
    /// The nonce that was used is no longer good; the secret may be.
    pub stale: bool,
}

impl Challenge<'_> {
    /// Appends the whole line.
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.header.as_bytes());
        out.extend_from_slice(b": Digest realm=\"");
        for byte in self.realm.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.extend_from_slice(b"\", nonce=\"");
        out.extend_from_slice(self.nonce);
        out.extend_from_slice(b"\", qop=\"");
        for (at, qop) in self.qop.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b"," } else { b"" });
            out.extend_from_slice(qop.name().as_bytes());
        }
        out.extend_from_slice(b"\", algorithm=");
        out.extend_from_slice(self.algorithm.name().as_bytes());
        if self.stale {
            out.extend_from_slice(b", stale=true");
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_complete() {
        let mut challenge = Challenge {
            header: "Proxy-Authenticate",
            realm: "a\"b",
            algorithm: Algorithm::Sha512_256,
            nonce: b"0a",
            qop: &[Qop::Auth, Qop::AuthInt],
            stale: false,
        };
        let print = |challenge: &Challenge<'_>| {
            let mut out = Vec::new();
            challenge.print(&mut out);
            String::from_utf8(out).unwrap()
        };
        let expected = "Proxy-Authenticate: Digest realm=\"a\\\"b\", nonce=\"0a\", \
                        qop=\"auth,auth-int\", algorithm=SHA-512-256\r\n";
        assert_eq!(print(&challenge), expected);
        challenge.stale = true;
        assert!(print(&challenge).ends_with("-256, stale=true\r\n"));
    }
}
