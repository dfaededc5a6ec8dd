//! Requests that the router answers for itself: OPTIONS, methods it does not serve outside a call, and
//! what it must refuse before it looks for a route.

use stack::{Outbox, ServerId, Time};
use wire::{Message, Method, Scheme, Uri, print};

use crate::call::Refusal;
use crate::core::Core;

/// The methods this router takes part in (RFC 3261 20.5). Unknown ones are relayed inside calls, but
/// cannot be listed.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, NOTIFY, REFER";

/// Options of a call that the two ends may use through this router.
const SUPPORTED: &str = "100rel, timer, replaces, join, tdialog, norefersub";

/// The answer to a request outside any dialog that is no INVITE.
pub(crate) fn answer(
    core: &mut Core,
    now: Time,
    server: ServerId,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    let allow = |code| (code, format!("Allow: {ALLOW}\r\n"));
    let (code, extra) = match request.method() {
        Method::Options => return options(core, now, server, out),
        // Methods of a dialog that name none (RFC 3261 12.2.2, RFC 3262 3, 3311 5.2, 6086 4.2, 6665 4.1.3).
        Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Notify => {
            (481, String::new())
        }
        // RFC 3261 8.2.1, 21.4.6: known, but not served outside a call.
        Method::Register
        | Method::Message
        | Method::Subscribe
        | Method::Refer
        | Method::Publish => allow(405),
        // RFC 3261 21.5.2.
        _ => allow(501),
    };
    core.refuse(now, server, code, extra.as_bytes(), out);
}

/// RFC 3261 11.2: what a call through this router may use. The two ends agree on the rest themselves.
fn options(core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
    let tag = core.own_tag();
    let name = core.server_name.as_deref();
    let rest = |out: &mut Vec<u8>| {
        print::header(out, "Allow", ALLOW.as_bytes());
        print::header(out, "Accept", b"*/*");
        print::header(out, "Accept-Encoding", b"*");
        print::header(out, "Accept-Language", b"*");
        print::header(out, "Supported", SUPPORTED.as_bytes());
        if let Some(name) = name {
            print::header(out, "Server", name.as_bytes());
        }
        print::end(out, b"");
    };
    core.transactions
        .respond(now, server, 200, b"", Some(&tag.tag_text()), rest, out);
}

/// RFC 3261 8.2.2.1: sips: asks for TLS on every hop, which UDP is not.
pub(crate) fn check_scheme(uri: &Uri<'_>) -> Result<(), Refusal> {
    match uri.scheme {
        Scheme::Sip | Scheme::Tel => Ok(()),
        Scheme::Sips | Scheme::Other(_) => Err(Refusal::code(416)),
    }
}

/// A Retry-After line.
pub(crate) fn retry_after(seconds: u32) -> Vec<u8> {
    format!("Retry-After: {seconds}\r\n").into_bytes()
}

/// A Warning line (RFC 3261 20.43) of the agent with this host and port.
pub(crate) fn warning(agent: &[u8], code: &str, text: &str) -> Vec<u8> {
    let agent = String::from_utf8_lossy(agent);
    format!("Warning: {code} {agent} \"{text}\"\r\n").into_bytes()
}
