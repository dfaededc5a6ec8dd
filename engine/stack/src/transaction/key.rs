//! What makes two requests the same server transaction (RFC 3261 17.2.3), as bytes to hash and compare.

use wire::{Message, Method, ParseError, Via, print};

/// RFC 3261 8.1.1.7: a branch that begins so is unique across all requests of its sender.
const COOKIE: &[u8] = b"z9hG4bK";

/// Appends the key that `request` has as one of `method`; the two differ for an ACK and a CANCEL, which
/// look for their INVITE.
pub(super) fn print_key(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    via: &Via<'_>,
    method: Method,
) -> Result<(), ParseError> {
    let token = if method == Method::Other {
        request.method_token()
    } else {
        method.as_str().as_bytes()
    };
    join(out, token);
    match via.branch.filter(|branch| has_cookie(branch)) {
        Some(branch) => {
            join(out, branch);
            join(out, via.sent_by);
        }
        None => print_old_key(out, request, via)?,
    }
    Ok(())
}

/// The cookie alone tells nothing apart: RFC 4475 3.2.1 falls back to the old rules then.
fn has_cookie(branch: &[u8]) -> bool {
    branch
        .split_at_checked(COOKIE.len())
        .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(COOKIE) && !rest.is_empty())
}

/// RFC 3261 17.2.3, for the elements of RFC 2543: Request-URI, From tag, Call-ID, CSeq number and top Via.
/// The To tag is left out: an ACK has it and its INVITE has not, and no two requests differ in it alone.
fn print_old_key(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    via: &Via<'_>,
) -> Result<(), ParseError> {
    join(out, request.request_uri());
    join(out, request.from_tag().unwrap_or_default());
    join(out, request.call_id());
    join(out, via.raw);
    print::number(out, u64::from(request.cseq()?.number));
    Ok(())
}

/// Appends a part and a byte that no part contains.
fn join(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(part);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use wire::{Index, Limits};

    use super::*;

    fn key(method: Method, text: &str) -> Vec<u8> {
        let mut index = Index::new();
        let request = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        let mut out = Vec::new();
        print_key(&mut out, &request, &request.top_via().unwrap(), method).unwrap();
        out
    }

    fn request(method: &str, via: &str, cseq: u32) -> String {
        format!(
            "{method} sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\n\
             From: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.9>\r\nCall-ID: one\r\n\
             CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn branch_sent_by_and_method_are_the_whole_key() {
        let via = "192.0.2.1:5060;branch=z9hG4bKx";
        let invite = key(Method::Invite, &request("INVITE", via, 1));
        assert_eq!(invite, b"INVITE\nz9hG4bKx\n192.0.2.1:5060\n");
        assert_eq!(invite, key(Method::Invite, &request("ACK", via, 1)));
        assert_eq!(invite, key(Method::Invite, &request("CANCEL", via, 1)));
        assert_eq!(invite, key(Method::Invite, &request("INVITE", via, 2)));
        assert_ne!(invite, key(Method::Cancel, &request("CANCEL", via, 1)));
        let elsewhere = "192.0.2.1:5062;branch=z9hG4bKx";
        assert_ne!(
            invite,
            key(Method::Invite, &request("INVITE", elsewhere, 1))
        );
    }

    #[test]
    fn unknown_methods_are_told_apart() {
        let via = "192.0.2.1;branch=z9hG4bKx";
        assert_ne!(
            key(Method::Other, &request("PING", via, 1)),
            key(Method::Other, &request("PONG", via, 1))
        );
    }

    #[test]
    fn without_the_cookie_the_old_rules_hold() {
        for via in [
            "192.0.2.1",
            "192.0.2.1;branch=1",
            "192.0.2.1;branch=z9hG4bK",
        ] {
            let invite = key(Method::Invite, &request("INVITE", via, 1));
            assert_eq!(invite, key(Method::Invite, &request("ACK", via, 1)));
            assert_ne!(invite, key(Method::Invite, &request("INVITE", via, 2)));
        }
    }
}
