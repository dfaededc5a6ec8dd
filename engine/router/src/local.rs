//! Requests that the router answers for itself: OPTIONS, methods it does not serve outside a call, and
//! what it must refuse before it looks for a route.

use stack::{Outbox, ServerId, Time};
use wire::{HeaderName, Message, Method, Scheme, Uri, print};

use crate::call::Refusal;
use crate::core::Core;
use crate::events;
use crate::registrar;

/// The methods this router takes part in (RFC 3261 20.5). Unknown ones are relayed inside calls, but
/// cannot be listed.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, NOTIFY, REFER, PUBLISH";

/// What comes behind them while users can register (RFC 3261 10).
const ALLOW_REGISTER: &str = ", REGISTER";

/// Options of a call that the two ends may use through this router.
const SUPPORTED: [&str; 6] = [
    "100rel",
    "timer",
    "replaces",
    "join",
    "tdialog",
    "norefersub",
];

/// Those of a REGISTER.
const SUPPORTED_BY_REGISTRAR: &str = "path, outbound, gruu";

/// What may be asked of this router in the place of a proxy: privacy (RFC 3323).
const UNDERSTOOD: [&str; 1] = ["privacy"];

/// The answer to a request outside any dialog that is no INVITE.
pub(crate) fn answer(
    core: &mut Core,
    now: Time,
    server: ServerId,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    let allowed = allow(core);
    let allow = |code| (code, format!("Allow: {allowed}\r\n"));
    let (code, extra) = match request.method() {
        Method::Options => match check_options(request) {
            Ok(()) => return options(core, now, server, out),
            Err(refusal) => {
                return core.refuse(now, server, refusal.code, &refusal.extra, out);
            }
        },
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

/// The methods that a request to the router itself may have.
fn allow(core: &Core) -> String {
    match registrar::is_on(core) {
        true => format!("{ALLOW}{ALLOW_REGISTER}"),
        false => ALLOW.to_owned(),
    }
}

/// RFC 3261 8.2.2: what a user agent asks of a request before it looks at what it wants. Proxy-Require is
/// for those on the way (20.29), and this request is at its end.
fn check_options(request: &Message<'_>) -> Result<(), Refusal> {
    check_scheme(&Uri::parse(request.request_uri())?)?;
    let required = request.values(HeaderName::Require);
    refuse_unknown(required.filter(|option| !is_among(&SUPPORTED, option)))
}

/// RFC 3261 11.2: what a call through this router may use. The two ends agree on the rest themselves.
fn options(core: &mut Core, now: Time, server: ServerId, out: &mut Outbox) {
    let tag = core.own_tag();
    let allow = allow(core);
    let mut supported = SUPPORTED.join(", ");
    if registrar::is_on(core) {
        supported = format!("{supported}, {SUPPORTED_BY_REGISTRAR}");
    }
    let has_events = events::is_on(core);
    let name = core.server_name.as_deref();
    let rest = |out: &mut Vec<u8>| {
        print::header(out, "Allow", allow.as_bytes());
        print::header(out, "Accept", b"*/*");
        print::header(out, "Accept-Encoding", b"*");
        print::header(out, "Accept-Language", b"*");
        print::header(out, "Supported", supported.as_bytes());
        // RFC 6665 7.2.2: of these events it is the notifier itself.
        if has_events {
            out.extend_from_slice(events::ALLOW_EVENTS);
        }
        if let Some(name) = name {
            print::header(out, "Server", name.as_bytes());
        }
        print::end(out, b"");
    };
    core.transactions
        .respond(now, server, 200, b"", Some(&tag.tag_text()), rest, out);
}

/// RFC 3261 16.3 (5), 20.29: what is asked of those between caller and callee, whose place a call's router
/// takes. The header does not cross, so what is not understood here would be promised to nobody.
pub(crate) fn check_proxy_required(request: &Message<'_>) -> Result<(), Refusal> {
    let required = request.values(HeaderName::ProxyRequire);
    refuse_unknown(required.filter(|option| !is_among(&UNDERSTOOD, option)))
}

/// Option tags are tokens and ignore case (RFC 3261 7.3.1).
fn is_among(options: &[&str], option: &[u8]) -> bool {
    options
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(option))
}

/// 420 with the options that are not understood, if there are any.
pub(crate) fn refuse_unknown<'a>(
    mut unknown: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Refusal> {
    let Some(first) = unknown.next() else {
        return Ok(());
    };
    let mut extra = [b"Unsupported: ", first].concat();
    for option in unknown {
        extra.extend_from_slice(b", ");
        extra.extend_from_slice(option);
    }
    extra.extend_from_slice(b"\r\n");
    Err(Refusal {
        extra,
        ..Refusal::code(420)
    })
}

/// RFC 3261 8.2.2.1: sips: asks for TLS on every hop, which UDP is not.
pub(crate) fn check_scheme(uri: &Uri<'_>) -> Result<(), Refusal> {
    match uri.scheme {
        Scheme::Sip | Scheme::Tel => Ok(()),
        Scheme::Sips | Scheme::Other(_) => Err(Refusal::code(416)),
    }
}

/// A Retry-After line.
pub(crate) fn retry_after(seconds: u64) -> Vec<u8> {
    format!("Retry-After: {seconds}\r\n").into_bytes()
}

/// A Retry-After line with a number of seconds from `least` to twice that, by the random `draw`: those
/// who are refused together must not come back together. No line when that is 0.
pub(crate) fn retry_after_spread(least: u32, draw: u64) -> Vec<u8> {
    let least = u64::from(least);
    match least {
        0 => Vec::new(),
        _ => retry_after(least + draw % (least + 1)),
    }
}

/// A Warning line (RFC 3261 20.43) of the agent with this host and port.
pub(crate) fn warning(agent: &[u8], code: &str, text: &str) -> Vec<u8> {
    let agent = String::from_utf8_lossy(agent);
    format!("Warning: {code} {agent} \"{text}\"\r\n").into_bytes()
}
