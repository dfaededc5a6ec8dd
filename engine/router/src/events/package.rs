//! The event packages that are served, and how they are named in messages.

use wire::{HeaderName, Message, Params};

use crate::call::Refusal;

/// An event package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Package {
    /// `reg` (RFC 3680).
    Reg,
    /// `message-summary` (RFC 3842).
    MessageSummary,
    /// `presence` (RFC 3856).
    Presence,
    /// `dialog` (RFC 4235).
    Dialog,
}

/// Those that can be subscribed to.
pub(crate) const ALLOW_EVENTS: &[u8] = b"Allow-Events: reg, message-summary, presence, dialog\r\n";
/// Those that can be published.
const PUBLISHABLE: &[u8] = b"Allow-Events: presence, dialog\r\n";

impl Package {
    const ALL: [Package; 4] = [
        Package::Reg,
        Package::MessageSummary,
        Package::Presence,
        Package::Dialog,
    ];

    fn name(self) -> &'static str {
        match self {
            Package::Reg => "reg",
            Package::MessageSummary => "message-summary",
            Package::Presence => "presence",
            Package::Dialog => "dialog",
        }
    }

    /// The package that a SUBSCRIBE is for.
    ///
    /// # Errors
    /// 489 with those that are served (RFC 6665 4.2.1.1).
    pub(super) fn subscribed(request: &Message<'_>) -> Result<Package, Refusal> {
        Package::of(request).ok_or_else(|| bad_event(ALLOW_EVENTS))
    }

    /// The package that a PUBLISH is for.
    ///
    /// # Errors
    /// 489 with those that can be published (RFC 3903 6 step 2).
    pub(super) fn published(request: &Message<'_>) -> Result<Package, Refusal> {
        let package = Package::of(request).filter(|package| package.is_published());
        package.ok_or_else(|| bad_event(PUBLISHABLE))
    }

    fn of(request: &Message<'_>) -> Option<Package> {
        let name = event_name(request.header(HeaderName::Event)?);
        let is = |package: &Package| package.name().as_bytes() == name;
        Package::ALL.into_iter().find(is)
    }

    /// Whether its state is what users publish.
    pub(super) fn is_published(self) -> bool {
        matches!(self, Package::Presence | Package::Dialog)
    }

    /// The type of what is notified.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Package::Reg => "application/reginfo+xml",
            Package::MessageSummary => "application/simple-message-summary",
            Package::Presence => "application/pidf+xml",
            Package::Dialog => "application/dialog-info+xml",
        }
    }

    /// Whether a subscriber can read it (RFC 3261 20.1); without Accept it can.
    pub(super) fn is_acceptable(self, request: &Message<'_>) -> bool {
        let mut accepted = request.values(HeaderName::Accept).peekable();
        accepted.peek().is_none() || accepted.any(|range| self.is_within(media_type(range)))
    }

    fn is_within(self, range: &[u8]) -> bool {
        let whole = |known: &str| range.eq_ignore_ascii_case(known.as_bytes());
        whole(self.content_type()) || whole("application/*") || whole("*/*")
    }

    /// Whether a body has its type.
    pub(super) fn is_type_of(self, request: &Message<'_>) -> bool {
        let told = request.content_type().map(media_type);
        told.is_some_and(|told| told.eq_ignore_ascii_case(self.content_type().as_bytes()))
    }
}

fn bad_event(extra: &[u8]) -> Refusal {
    Refusal {
        extra: extra.to_vec(),
        ..Refusal::code(489)
    }
}

fn before_parameters(value: &[u8]) -> &[u8] {
    let name = value.split(|&byte| byte == b';').next();
    name.unwrap_or_default().trim_ascii()
}

fn media_type(value: &[u8]) -> &[u8] {
    before_parameters(value)
}

fn event_name(value: &[u8]) -> &[u8] {
    before_parameters(value)
}

/// Whether two Event values name the same subscription (RFC 6665 8.2.1): package and `id`.
pub(super) fn is_same_event(one: &[u8], other: &[u8]) -> bool {
    event_name(one) == event_name(other) && event_id(one) == event_id(other)
}

fn event_id(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().position(|&byte| byte == b';')?;
    Params::new(value.get(at..)?).get("id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_and_its_id() {
        assert!(is_same_event(b"reg", b"reg ; x=y"));
        assert!(is_same_event(b"reg;id=7", b"reg;x=y;id=7"));
        assert!(!is_same_event(b"reg;id=7", b"reg;id=8"));
        assert!(!is_same_event(b"reg", b"reg.winfo"));
    }

    #[test]
    fn ranges_hold_a_type() {
        for range in ["Application/PIDF+xml", "application/*", "*/*"] {
            assert!(Package::Presence.is_within(range.as_bytes()), "{range}");
        }
        assert!(!Package::Presence.is_within(b"application/reginfo+xml"));
    }
}
