//! A response on its way through a proxy (RFC 3261 16.7): the one we were sent, without the Via that was
//! ours.

use super::{Policy, end, header, passing_headers, status_line};
use crate::lex::trim;
use crate::list::Values;
use crate::message::Message;
use crate::name::HeaderName;

/// What a forwarded response does not copy where it stands: it is written first and last.
const PLACED: [HeaderName; 2] = [HeaderName::Via, HeaderName::ContentLength];

/// The whole response without its first Via value: status line, the other Vias, every header that
/// passes byte for byte and in order, `extra` complete header lines, body.
pub fn forwarded_response(
    out: &mut Vec<u8>,
    response: &Message<'_>,
    policy: &Policy,
    extra: &[u8],
) {
    status_line(out, response.code(), response.reason());
    let mut vias = response.lines(HeaderName::Via);
    if let Some(top) = vias.next() {
        let mut values = Values::new(top.value);
        values.next();
        let rest = trim(values.rest());
        if !rest.is_empty() {
            header(out, "Via", rest);
        }
    }
    vias.for_each(|line| out.extend_from_slice(line.line));
    passing_headers(out, response, &policy.also(&PLACED));
    out.extend_from_slice(extra);
    end(out, response.body());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Limits};

    fn forwarded(text: &str) -> String {
        let mut index = Index::new();
        let response = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        let mut out = Vec::new();
        let policy = Policy::dropping(&[HeaderName::WwwAuthenticate]);
        forwarded_response(&mut out, &response, &policy, b"X-Extra: 1\r\n");
        String::from_utf8(out).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn only_the_first_via_value_goes() {
        let text = "SIP/2.0 401 No\r\nTo: <sip:b@c>;tag=1\r\nv: SIP/2.0/UDP us;branch=z1 ,\r\n \
             SIP/2.0/UDP a;branch=z2\r\nX-Odd :  \"y\"\r\nVia: SIP/2.0/UDP b;branch=z3\r\n\
             WWW-Authenticate: Digest realm=\"x\"\r\nRecord-Route: <sip:p;lr>\r\nl: 2\r\n\r\nab";
        insta::assert_snapshot!(forwarded(text), @r#"
        SIP/2.0 401 No
        Via: SIP/2.0/UDP a;branch=z2
        Via: SIP/2.0/UDP b;branch=z3
        To: <sip:b@c>;tag=1
        X-Odd :  "y"
        Record-Route: <sip:p;lr>
        X-Extra: 1
        Content-Length: 2

        ab
        "#);
    }

    #[test]
    fn a_line_of_its_own_goes_whole() {
        let text = "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP us\r\nVia: SIP/2.0/UDP a\r\n\r\n";
        insta::assert_snapshot!(forwarded(text), @r"
        SIP/2.0 200 Fine
        Via: SIP/2.0/UDP a
        X-Extra: 1
        Content-Length: 0
        ");
    }
}
