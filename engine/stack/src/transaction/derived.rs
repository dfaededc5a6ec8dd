//! The two requests the layer makes by itself out of an INVITE it sent: the ACK for a failure
//! (RFC 3261 17.1.1.3) and the CANCEL (9.1).

use wire::{HeaderName, Message, ParseError, print};

/// Prints the ACK for a 3xx-6xx whose To value is `to`.
pub(super) fn print_ack(
    out: &mut Vec<u8>,
    invite: &Message<'_>,
    to: &[u8],
) -> Result<(), ParseError> {
    print_derived(out, invite, b"ACK", to)?;
    print::end(out, b"");
    Ok(())
}

/// Prints the CANCEL with `extra` complete header lines.
pub(super) fn print_cancel(
    out: &mut Vec<u8>,
    invite: &Message<'_>,
    extra: &[u8],
) -> Result<(), ParseError> {
    print_derived(
        out,
        invite,
        b"CANCEL",
        invite.header(HeaderName::To).unwrap_or_default(),
    )?;
    out.extend_from_slice(extra);
    print::end(out, b"");
    Ok(())
}

/// What both have in common: one Via, the INVITE's top one; Request-URI, Route, From, Call-ID and the
/// CSeq number as in the INVITE.
fn print_derived(
    out: &mut Vec<u8>,
    invite: &Message<'_>,
    method: &[u8],
    to: &[u8],
) -> Result<(), ParseError> {
    let (via, cseq) = (invite.top_via()?, invite.cseq()?);
    print::request_line(out, method, invite.request_uri());
    print::header(out, "Via", via.raw);
    for name in [HeaderName::Route, HeaderName::MaxForwards, HeaderName::From] {
        for line in invite.lines(name) {
            out.extend_from_slice(line.line);
        }
    }
    print::header(out, "To", to);
    print::header(out, "Call-ID", invite.call_id());
    out.extend_from_slice(b"CSeq: ");
    print::number(out, u64::from(cseq.number));
    out.push(b' ');
    out.extend_from_slice(method);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use wire::{Index, Limits};

    use super::*;

    const INVITE: &str = "INVITE sip:bob@192.0.2.9 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n\
        Route: <sip:192.0.2.7;lr>\r\nMax-Forwards: 69\r\nRoute: <sip:192.0.2.8;lr>\r\n\
        From: \"A\" <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.9>\r\nCall-ID: one\r\n\
        CSeq: 41 INVITE\r\nContact: <sip:a@192.0.2.1>\r\nRequire: 100rel\r\n\
        Content-Length: 4\r\n\r\nbody";

    fn printed(print: impl FnOnce(&mut Vec<u8>, &Message<'_>) -> Result<(), ParseError>) -> String {
        let mut index = Index::new();
        let invite = Message::parse(INVITE.as_bytes(), &mut index, &Limits::default()).unwrap();
        let mut out = Vec::new();
        print(&mut out, &invite).unwrap();
        String::from_utf8(out).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn ack_takes_its_to_from_the_response() {
        insta::assert_snapshot!(
            printed(|out, invite| print_ack(out, invite, b"<sip:b@192.0.2.9>;tag=b")), @r#"
        ACK sip:bob@192.0.2.9 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport
        Route: <sip:192.0.2.7;lr>
        Route: <sip:192.0.2.8;lr>
        Max-Forwards: 69
        From: "A" <sip:a@192.0.2.1>;tag=a
        To: <sip:b@192.0.2.9>;tag=b
        Call-ID: one
        CSeq: 41 ACK
        Content-Length: 0
        "#);
    }

    #[test]
    fn cancel_takes_its_to_from_the_invite() {
        insta::assert_snapshot!(
            printed(|out, invite| print_cancel(out, invite, b"Reason: SIP;cause=200\r\n")), @r#"
        CANCEL sip:bob@192.0.2.9 SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport
        Route: <sip:192.0.2.7;lr>
        Route: <sip:192.0.2.8;lr>
        Max-Forwards: 69
        From: "A" <sip:a@192.0.2.1>;tag=a
        To: <sip:b@192.0.2.9>
        Call-ID: one
        CSeq: 41 CANCEL
        Reason: SIP;cause=200
        Content-Length: 0
        "#);
    }
}
