//! A response on its way through a proxy (RFC 3261 16.7): the one we were sent, without the Via that was
//! ours.

use super::head::via_line_telling;
use super::{Policy, end, passing_headers, status_line};
use crate::list::Values;
use crate::message::Message;
use crate::name::HeaderName;
use crate::via::Via;

/// What a forwarded response does not copy where it stands: it is written first and last.
const PLACED: [HeaderName; 2] = [HeaderName::Via, HeaderName::ContentLength];

/// The whole response without its first Via value: status line, the other Vias, every header that
/// passes byte for byte and in order, `extra` complete header lines, body. `load` is what the client is
/// told of our load, if its Via asks: parameters of RFC 7339 4. What others have told of theirs goes no
/// further (5.4).
pub fn forwarded_response(
    out: &mut Vec<u8>,
    response: &Message<'_>,
    policy: &Policy,
    load: &[u8],
    extra: &[u8],
) {
    status_line(out, response.code(), response.reason());
    vias(out, response, load);
    passing_headers(out, response, &policy.also(&PLACED));
    out.extend_from_slice(extra);
    end(out, response.body());
}

/// The lines as they are, but for the first value and for those that speak of load.
fn vias(out: &mut Vec<u8>, response: &Message<'_>, load: &[u8]) {
    let (mut first, mut load) = (true, Some(load));
    for line in response.lines(HeaderName::Via) {
        let mut values = Values::new(line.value);
        if std::mem::take(&mut first) {
            values.next();
        } else if !speaks_of_load(values) {
            load = None;
            out.extend_from_slice(line.line);
            continue;
        }
        for value in values {
            via_line_telling(out, value, load.take().unwrap_or_default());
        }
    }
}

fn speaks_of_load(mut values: Values<'_>) -> bool {
    values.any(|value| Via::parse(value).is_ok_and(|via| via.oc.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Limits};

    const LOAD: &[u8] = b";oc=20;oc-algo=\"loss\";oc-validity=1000;oc-seq=1.000";

    fn forwarded(text: &str) -> String {
        let mut index = Index::new();
        let response = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        let mut out = Vec::new();
        let policy = Policy::dropping(&[HeaderName::WwwAuthenticate]);
        forwarded_response(&mut out, &response, &policy, LOAD, b"X-Extra: 1\r\n");
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

    #[test]
    fn the_client_is_told_our_load_and_nobody_that_of_others() {
        let text = "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP us;oc=90;oc-seq=9.0\r\n\
             Via: SIP/2.0/UDP a;oc=5;oc-algo=\"loss\";oc-seq=7.0;branch=z1, SIP/2.0/UDP b;oc=6\r\n\
             Via: SIP/2.0/UDP c;x\r\n\r\n";
        insta::assert_snapshot!(forwarded(text), @r#"
        SIP/2.0 200 Fine
        Via: SIP/2.0/UDP a;branch=z1;oc=20;oc-algo="loss";oc-validity=1000;oc-seq=1.000
        Via: SIP/2.0/UDP b
        Via: SIP/2.0/UDP c;x
        X-Extra: 1
        Content-Length: 0
        "#);
        let text = "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP us\r\nVia: SIP/2.0/UDP a\r\n\
             Via: SIP/2.0/UDP b;oc\r\n\r\n";
        insta::assert_snapshot!(forwarded(text), @r"
        SIP/2.0 200 Fine
        Via: SIP/2.0/UDP a
        Via: SIP/2.0/UDP b
        X-Extra: 1
        Content-Length: 0
        ");
    }
}
