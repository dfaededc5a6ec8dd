//! The part of a response that repeats the request's headers (RFC 3261 8.2.6.2), with the first
//! Via told where the request really came from (18.2.1, RFC 3581 4).

use super::{header, ip, number};
use crate::lex::{split_around, trim};
use crate::list::Values;
use crate::message::{Header, Message};
use crate::name::HeaderName;
use crate::params::{Param, Params};
use crate::via::Via;
use memchr::memchr;
use std::net::SocketAddr;

/// Every Via line, the first value with `received` and `rport` filled from `source`, then the
/// Record-Route lines, From, Call-ID, CSeq, Timestamp, and last `To: value` without its line end,
/// so that a tag can be appended. What the request has not is left out.
pub fn response_head(out: &mut Vec<u8>, request: &Message<'_>, source: SocketAddr) {
    response_head_telling(out, request, source, b"");
}

/// The same, and to a client whose first Via asks for it (`oc`, RFC 7339 4.1) the `load` of this server:
/// complete Via parameters, which take the place of the client's own. Empty tells nothing.
pub fn response_head_telling(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    source: SocketAddr,
    load: &[u8],
) {
    vias_telling(out, request, source, load);
    for line in request.lines(HeaderName::RecordRoute) {
        out.extend_from_slice(line.line);
    }
    for name in [
        HeaderName::From,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::Timestamp,
    ] {
        if let Some(line) = request.lines(name).next() {
            out.extend_from_slice(line.line);
        }
    }
    out.extend_from_slice(b"To: ");
    out.extend_from_slice(request.header(HeaderName::To).unwrap_or_default());
}

/// Every Via line of a request, the first value with `received` and `rport` filled from `source`.
pub fn vias(out: &mut Vec<u8>, request: &Message<'_>, source: SocketAddr) {
    vias_telling(out, request, source, b"");
}

fn vias_telling(out: &mut Vec<u8>, request: &Message<'_>, source: SocketAddr, load: &[u8]) {
    let mut vias = request.lines(HeaderName::Via);
    if let Some(top) = vias.next() {
        top_via_line(out, &top, source, load);
    }
    vias.for_each(|line| out.extend_from_slice(line.line));
}

/// The line as it is, unless its first value must be told the source.
fn top_via_line(out: &mut Vec<u8>, line: &Header<'_>, source: SocketAddr, load: &[u8]) {
    let mut values = Values::new(line.value);
    match values.next().map(Via::parse) {
        Some(Ok(via)) if is_told_source(&via, source) || is_told_load(&via, load) => {
            out.extend_from_slice(line.token);
            out.extend_from_slice(b": ");
            via_with_source(out, &via, source, load);
            if !values.rest().is_empty() {
                out.push(b',');
                out.extend_from_slice(values.rest());
            }
            out.extend_from_slice(b"\r\n");
        }
        _ => out.extend_from_slice(line.line),
    }
}

/// RFC 3261 18.2.1: `received` is added when the sent-by has a name, or another address than the
/// packet came from. RFC 3581 4: and whenever `rport` asks. A `received` the sender wrote itself is
/// replaced: nobody but the receiver may set it.
fn is_told_source(via: &Via<'_>, source: SocketAddr) -> bool {
    let same = via.host.ip().map(|ip| ip.to_canonical()) == Some(source.ip().to_canonical());
    !same || via.rport.is_some() || via.received.is_some()
}

fn is_told_load(via: &Via<'_>, load: &[u8]) -> bool {
    via.oc.is_some() && !load.is_empty()
}

fn via_with_source(out: &mut Vec<u8>, via: &Via<'_>, source: SocketAddr, load: &[u8]) {
    let telling = is_told_load(via, load);
    let (before, _) = split_around(via.raw, memchr(b';', via.raw).unwrap_or(via.raw.len()));
    out.extend_from_slice(before);
    for param in Params::new(via.raw.get(before.len()..).unwrap_or_default()) {
        if param.name.eq_ignore_ascii_case(b"rport") {
            out.extend_from_slice(b";rport=");
            number(out, source.port().into());
        } else if !is_written_anew(param.name, telling) {
            via_param(out, &param);
        }
    }
    if is_told_source(via, source) {
        out.extend_from_slice(b";received=");
        ip(out, source.ip().to_canonical());
    }
    if telling {
        out.extend_from_slice(load);
    }
}

/// A Via line of a response that goes on to a client: with `load`, when it asks for it, in the place of
/// all that is said of load, and without that otherwise.
pub(super) fn via_line_telling(out: &mut Vec<u8>, value: &[u8], load: &[u8]) {
    match Via::parse(value) {
        Ok(via) if via.oc.is_some() => {
            out.extend_from_slice(b"Via: ");
            let end = memchr(b';', via.raw).unwrap_or(via.raw.len());
            let (before, params) = via.raw.split_at_checked(end).unwrap_or_default();
            out.extend_from_slice(before);
            for param in Params::new(params).filter(|param| !is_of_load(param.name)) {
                via_param(out, &param);
            }
            out.extend_from_slice(load);
            out.extend_from_slice(b"\r\n");
        }
        _ => header(out, "Via", trim(value)),
    }
}

/// What follows behind the sender's own parameters; those of RFC 7339 4 when it is told the load.
fn is_written_anew(name: &[u8], telling: bool) -> bool {
    name.eq_ignore_ascii_case(b"received") || telling && is_of_load(name)
}

/// RFC 7339 4.
fn is_of_load(name: &[u8]) -> bool {
    let of_load: [&[u8]; 4] = [b"oc", b"oc-algo", b"oc-validity", b"oc-seq"];
    of_load.iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn via_param(out: &mut Vec<u8>, param: &Param<'_>) {
    out.push(b';');
    out.extend_from_slice(param.name);
    if let Some(value) = param.value {
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Limits};

    fn head(headers: &str, source: &str) -> String {
        let text = format!("INVITE sip:a@b SIP/2.0\r\n{headers}\r\n");
        let mut index = Index::new();
        let request = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        let mut out = Vec::new();
        response_head(&mut out, &request, source.parse().unwrap());
        String::from_utf8(out).unwrap()
    }

    fn top_via(value: &str, source: &str) -> String {
        let head = head(&format!("Via: {value}\r\n"), source);
        head.strip_prefix("Via: ")
            .unwrap()
            .strip_suffix("\r\nTo: ")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn repeats_what_a_response_must_in_order() {
        let headers = "f: <sip:a@b>;tag=1\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z1\r\n\
             To: <sip:c@d>\r\nVia: SIP/2.0/TCP h2,\r\n SIP/2.0/UDP h3\r\n\
             Record-Route: <sip:p;lr>\r\nContact: <sip:x>\r\nCall-ID: 1@a\r\nTimestamp: 54\r\n\
             Record-Route: <sip:q;lr>\r\nCSeq: 1\r\n INVITE\r\nl: 0\r\n";
        insta::assert_snapshot!(head(headers, "192.0.2.1:5060"), @r"
        v: SIP/2.0/UDP 192.0.2.1;branch=z1
        Via: SIP/2.0/TCP h2,
         SIP/2.0/UDP h3
        Record-Route: <sip:p;lr>
        Record-Route: <sip:q;lr>
        f: <sip:a@b>;tag=1
        Call-ID: 1@a
        CSeq: 1
         INVITE
        Timestamp: 54
        To: <sip:c@d>
        ");
    }

    #[test]
    fn a_truthful_via_is_left_alone() {
        let via = "SIP/2.0/UDP  192.0.2.1:5060 ; branch = z9hG4bK1 ;x";
        assert_eq!(top_via(via, "192.0.2.1:9999"), via);
        let via = "SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1";
        assert_eq!(top_via(via, "[2001:DB8:0::1]:5060"), via);
        let via = "SIP/2.0/UDP 192.0.2.1";
        assert_eq!(top_via(via, "[::ffff:192.0.2.1]:5060"), via);
    }

    #[test]
    fn received_is_added_for_names_and_other_addresses() {
        assert_eq!(
            top_via("SIP/2.0/UDP h:5060;branch=z1", "192.0.2.9:7"),
            "SIP/2.0/UDP h:5060;branch=z1;received=192.0.2.9"
        );
        assert_eq!(
            top_via("SIP/2.0/UDP 10.0.0.1;branch=z1", "[2001:db8::9]:7"),
            "SIP/2.0/UDP 10.0.0.1;branch=z1;received=2001:db8::9"
        );
    }

    #[test]
    fn rport_is_filled_and_brings_received() {
        assert_eq!(
            top_via("SIP/2.0/UDP 192.0.2.1;rport;branch=z1", "192.0.2.1:4242"),
            "SIP/2.0/UDP 192.0.2.1;rport=4242;branch=z1;received=192.0.2.1"
        );
    }

    #[test]
    fn what_the_sender_claims_about_itself_is_replaced() {
        assert_eq!(
            top_via(
                "SIP/2.0/UDP 192.0.2.1;received=203.0.113.9;branch=z1;rport=1",
                "192.0.2.1:4"
            ),
            "SIP/2.0/UDP 192.0.2.1;branch=z1;rport=4;received=192.0.2.1"
        );
    }

    #[test]
    fn only_a_client_that_asks_is_told_the_load() {
        let told = |value: &str, load: &str| {
            let text = format!("INVITE sip:a@b SIP/2.0\r\nVia: {value}\r\n\r\n");
            let mut index = Index::new();
            let request = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
            let (mut out, source) = (Vec::new(), "192.0.2.1:5060".parse().unwrap());
            response_head_telling(&mut out, &request, source, load.as_bytes());
            let line = String::from_utf8(out).unwrap();
            line.split_once("\r\n").unwrap().0.to_owned()
        };
        let load = ";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=7";
        let asks = "SIP/2.0/UDP 192.0.2.1;branch=z1;oc;oc-algo=\"loss,A\"";
        assert_eq!(
            told(asks, load),
            format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z1{load}")
        );
        assert_eq!(
            told("SIP/2.0/UDP h;OC;rport", load),
            format!("Via: SIP/2.0/UDP h;rport=5060;received=192.0.2.1{load}")
        );
        assert_eq!(told(asks, ""), format!("Via: {asks}"));
        let silent = "SIP/2.0/UDP 192.0.2.1;branch=z1";
        assert_eq!(told(silent, load), format!("Via: {silent}"));
    }

    #[test]
    fn only_the_first_value_of_a_line_is_told() {
        assert_eq!(
            top_via("SIP/2.0/UDP h;rport , SIP/2.0/TCP i;rport", "192.0.2.1:4"),
            "SIP/2.0/UDP h;rport=4;received=192.0.2.1, SIP/2.0/TCP i;rport"
        );
        assert_eq!(top_via("SIP/2.0/UDP ;;", "192.0.2.1:4"), "SIP/2.0/UDP ;;");
    }
}
