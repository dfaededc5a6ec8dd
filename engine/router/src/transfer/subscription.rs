//! The subscription that a REFER makes (RFC 3515 2.4.4), from one leg to the other: its `id` is the CSeq
//! number of the REFER, which is another one on each leg, and the fragments that its notifications carry are
//! of a third party's messages.

use wire::{HeaderName, Message, Method, Params, print};

use crate::call::params_but;

/// The `id` of a request of a subscription to `refer`.
pub(crate) fn refer_id(request: &Message<'_>) -> Option<u32> {
    let params = refer_params(request)?;
    str::from_utf8(Params::new(params).get("id")?)
        .ok()?
        .parse()
        .ok()
}

/// The Event lines of a NOTIFY or SUBSCRIBE; an `id` of `refer` becomes the other leg's.
pub(crate) fn event_line(request: &Message<'_>, id: Option<u32>) -> Vec<u8> {
    let mut out = Vec::new();
    let (Some(params), Some(id)) = (refer_params(request), id) else {
        for header in request.lines(HeaderName::Event) {
            out.extend_from_slice(header.line);
        }
        return out;
    };
    out.extend_from_slice(b"Event: refer;id=");
    print::number(&mut out, id.into());
    params_but(&mut out, params, b"id");
    out.extend_from_slice(b"\r\n");
    out
}

/// What crosses of a body. RFC 3515 5: a fragment of a response to somebody else holds his addresses, tags
/// and Call-ID; the status line, which says all that a notification has to, is what passes.
pub(crate) fn passing_body<'b>(request: &Message<'_>, body: &'b [u8]) -> &'b [u8] {
    let kind = request.content_type().unwrap_or_default();
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default();
    let fragment = request.method() == Method::Notify
        && kind.trim_ascii().eq_ignore_ascii_case(b"message/sipfrag")
        && refer_params(request).is_some();
    if !fragment {
        return body;
    }
    let end = body.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
    let line = body.get(..end.unwrap_or(body.len())).unwrap_or_default();
    // RFC 3515 2.4.5: it MUST begin with a status line.
    if line.starts_with(b"SIP/2.0 ") {
        line
    } else {
        b""
    }
}

/// The parameters of `Event: refer`.
fn refer_params<'a>(request: &Message<'a>) -> Option<&'a [u8]> {
    let value = request.header(HeaderName::Event)?;
    let end = value.iter().position(|&byte| byte == b';');
    let (package, params) = value.split_at_checked(end.unwrap_or(value.len()))?;
    package
        .trim_ascii()
        .eq_ignore_ascii_case(b"refer")
        .then_some(params)
}

/// RFC 4488 4: who refers, or who was referred, wants no subscription.
pub(crate) fn declines_subscription(message: &Message<'_>) -> bool {
    let value = message.header(HeaderName::ReferSub).unwrap_or_default();
    let word = value.split(|&byte| byte == b';').next();
    word.unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(b"false")
}
