//! Which headers do not cross the router, and why. Everything not named here passes byte for byte,
//! in both directions, in requests and in responses: known or unknown, in the order it came.

use wire::print::Policy;
use wire::{HeaderName, Method};

/// A header that is not copied from one leg to the other.
#[derive(Clone, Copy, Debug)]
pub struct Withheld {
    /// The header.
    pub name: HeaderName,
    /// Why it does not pass, and what stands in its place.
    pub reason: &'static str,
}

const fn withheld(name: HeaderName, reason: &'static str) -> Withheld {
    Withheld { name, reason }
}

/// The one table of headers that do not pass.
pub const WITHHELD: [Withheld; 20] = [
    withheld(
        HeaderName::Via,
        "hop by hop, names the other leg's hosts: each leg has its own",
    ),
    withheld(
        HeaderName::Route,
        "the path of one leg: each dialog has its own route set",
    ),
    withheld(
        HeaderName::RecordRoute,
        "the path of one leg: each dialog has its own route set",
    ),
    withheld(
        HeaderName::Contact,
        "the other leg's address: ours instead, save in 3xx and 485",
    ),
    withheld(
        HeaderName::From,
        "carries the other dialog's tag: rewritten with ours",
    ),
    withheld(
        HeaderName::To,
        "carries the other dialog's tag: rewritten with ours",
    ),
    withheld(
        HeaderName::CallId,
        "names the other dialog: each leg has its own",
    ),
    withheld(
        HeaderName::CSeq,
        "counts in the other dialog: each leg has its own",
    ),
    withheld(HeaderName::RAck, "holds a CSeq of the other dialog: mapped"),
    withheld(HeaderName::MaxForwards, "counted down here"),
    withheld(HeaderName::ContentLength, "written anew before the body"),
    withheld(
        HeaderName::Timestamp,
        "measures one hop: answered by the transaction (8.2.6.1)",
    ),
    withheld(
        HeaderName::Warning,
        "names the agent's host: written anew with ours (20.43)",
    ),
    withheld(
        HeaderName::Path,
        "the path of a registration, not of a call (RFC 3327)",
    ),
    withheld(
        HeaderName::ServiceRoute,
        "the path of a registration, not of a call (RFC 3608)",
    ),
    withheld(
        HeaderName::Replaces,
        "names a dialog of this leg: what it is to the party meant is written anew (RFC 3891)",
    ),
    withheld(
        HeaderName::Join,
        "names a dialog of this leg: what it is to the party meant is written anew (RFC 3911)",
    ),
    withheld(
        HeaderName::TargetDialog,
        "names a dialog of this leg: what it is to the party meant is written anew (RFC 4538)",
    ),
    withheld(
        HeaderName::InReplyTo,
        "lists Call-IDs of the other leg (20.21)",
    ),
    withheld(
        HeaderName::ProxyRequire,
        "asks those between the two ends: judged here, where a proxy would stand (20.29)",
    ),
];

#[expect(clippy::indexing_slicing, reason = "a wrong index fails the build")]
const NAMES: [HeaderName; WITHHELD.len()] = {
    let mut names = [HeaderName::Other; WITHHELD.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = WITHHELD[at].name;
        at += 1;
    }
    names
};

/// What does not pass in requests and in most responses.
pub(crate) const POLICY: Policy = Policy::dropping(&NAMES);

/// What does not pass in a request that becomes another, or whose answer will: options whose duties
/// (PRACK, session refresh) its sender could not do, for it never sees what they are about.
pub(crate) const RECAST: Policy = POLICY.also(&[
    HeaderName::Supported,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
]);

/// What does not pass in a REFER: the reference may be to us, by an address of the other leg.
const REFERRING: Policy = POLICY.also(&[HeaderName::ReferTo, HeaderName::ReferredBy]);

/// What does not pass in the requests of a subscription: its id may be a CSeq of the other leg.
const SUBSCRIBED: Policy = POLICY.also(&[HeaderName::Event]);

/// What does not pass in a request of this method inside a call.
pub(crate) fn passing(method: Method) -> &'static Policy {
    match method {
        Method::Refer => &REFERRING,
        Method::Notify | Method::Subscribe => &SUBSCRIBED,
        _ => &POLICY,
    }
}

/// What does not pass from a provisional response that is no reliable one any more (RFC 3262).
pub(crate) const UNRELIABLE: Policy = POLICY.also(&[HeaderName::Require, HeaderName::RSeq]);

/// What does not pass from a reliable provisional that has another number on the other leg.
pub(crate) const RENUMBERED: Policy = POLICY.also(&[HeaderName::RSeq]);

/// What does not pass from a response whose body is left out.
pub(crate) const BODILESS: Policy = UNRELIABLE.also(&BODY);

/// The headers that speak of the body (RFC 3261 20, RFC 2045).
pub(crate) const BODY: [HeaderName; 6] = [
    HeaderName::ContentDisposition,
    HeaderName::ContentEncoding,
    HeaderName::ContentId,
    HeaderName::ContentLanguage,
    HeaderName::ContentType,
    HeaderName::MimeVersion,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_withheld_header_is_named_once_and_dropped() {
        for (at, row) in WITHHELD.iter().enumerate() {
            assert!(!POLICY.passes(row.name), "{:?}", row.name);
            assert!(
                !WITHHELD[..at].iter().any(|other| other.name == row.name),
                "{:?}",
                row.name
            );
            assert!(!row.reason.is_empty());
        }
    }

    #[test]
    fn everything_else_passes() {
        for name in [
            HeaderName::Other,
            HeaderName::Subject,
            HeaderName::UserAgent,
        ] {
            assert!(POLICY.passes(name), "{name:?}");
        }
    }
}
