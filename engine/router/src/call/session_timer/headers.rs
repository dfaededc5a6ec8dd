//! Session-Expires and Min-SE (RFC 4028 4, 5): read from a message, written into one. What they come to
//! is agreed on in `negotiation`.

use wire::{HeaderName, Message, Params, print};

use crate::call::print::options_but;

/// Longer than any call: what a peer asks for beyond it is taken as this.
pub(super) const INTERVAL_MAX_S: u32 = 30 * 86_400;

/// What the session timer decides on itself in a message that crosses: each leg has its own.
pub(super) const OWN: [HeaderName; 4] = [
    HeaderName::Supported,
    HeaderName::Require,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
];

/// The option tag (RFC 4028 12.3).
pub(in crate::call) const TIMER: &str = "timer";

/// Which end of a transaction refreshes the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    Uac,
    Uas,
}

/// The value of Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expires {
    /// The session interval.
    pub(super) seconds: u32,
    pub(super) refresher: Option<Refresher>,
}

/// Session-Expires; `None` when there is none that can be read.
pub(super) fn expires(message: &Message<'_>) -> Option<Expires> {
    let (seconds, params) = delta(message.header(HeaderName::SessionExpires)?)?;
    let refresher = Params::new(params).get("refresher").and_then(refresher);
    Some(Expires { seconds, refresher })
}

fn refresher(value: &[u8]) -> Option<Refresher> {
    if value.eq_ignore_ascii_case(b"uac") {
        Some(Refresher::Uac)
    } else if value.eq_ignore_ascii_case(b"uas") {
        Some(Refresher::Uas)
    } else {
        None
    }
}

/// Min-SE in seconds; 0 when there is none that can be read.
pub(super) fn min_se(message: &Message<'_>) -> u32 {
    let value = message.header(HeaderName::MinSe);
    value.and_then(delta).map_or(0, |(seconds, _)| seconds)
}

/// Delta-seconds and the parameters behind them.
fn delta(value: &[u8]) -> Option<(u32, &[u8])> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, params) = value.split_at_checked(end.unwrap_or(value.len()))?;
    if digits.is_empty() {
        return None;
    }
    // What does not fit is more than enough.
    let seconds: u32 = std::str::from_utf8(digits)
        .ok()?
        .parse()
        .unwrap_or(u32::MAX);
    Some((seconds.min(INTERVAL_MAX_S), params))
}

/// What the router says of a leg's session timer in one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionLines {
    pub(super) expires: Option<Expires>,
    /// 0 is not said.
    pub(super) min_se: u32,
    /// The peer of this response has to look at it.
    pub(super) require: bool,
}

impl SessionLines {
    /// The header lines of a message that is not made from another.
    pub(in crate::call) fn print(&self, out: &mut Vec<u8>) {
        print::header(out, "Supported", TIMER.as_bytes());
        if self.require {
            print::header(out, "Require", TIMER.as_bytes());
        }
        self.print_values(out);
    }

    /// Session-Expires and Min-SE alone.
    pub(super) fn print_values(&self, out: &mut Vec<u8>) {
        if let Some(expires) = self.expires {
            out.extend_from_slice(b"Session-Expires: ");
            print::number(out, expires.seconds.into());
            out.extend_from_slice(match expires.refresher {
                Some(Refresher::Uac) => b";refresher=uac\r\n",
                Some(Refresher::Uas) => b";refresher=uas\r\n",
                None => b"\r\n",
            });
        }
        if self.min_se > 0 {
            out.extend_from_slice(b"Min-SE: ");
            print::number(out, self.min_se.into());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The header lines of a response made from the other leg's, with the other options of that one;
    /// `reliable` unless it became an unreliable one.
    pub(crate) fn print_crossing(&self, out: &mut Vec<u8>, original: &Message<'_>, reliable: bool) {
        let left_out: &[&str] = if reliable {
            &[TIMER]
        } else {
            &[TIMER, "100rel"]
        };
        let supported = HeaderName::Supported;
        options_but(out, "Supported", original, supported, &[TIMER]);
        options_but(out, "Require", original, HeaderName::Require, left_out);
        self.print(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Index;

    fn with<T>(lines: &str, read: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("UPDATE sip:a SIP/2.0\r\n{lines}\r\n\r\n");
        let mut index = Index::new();
        read(&Message::parse(text.as_bytes(), &mut index, &Default::default()).expect("a message"))
    }

    #[test]
    fn values_are_read_in_every_form_the_grammar_has() {
        for (lines, seconds, refresher) in [
            ("Session-Expires: 1800", 1800, None),
            ("x: 90;refresher=uac", 90, Some(Refresher::Uac)),
            (
                "Session-Expires:  4000 ; foo ; Refresher = UAS",
                4000,
                Some(Refresher::Uas),
            ),
            ("Session-Expires: 90;refresher=me", 90, None),
            ("Session-Expires: 99999999999", INTERVAL_MAX_S, None),
        ] {
            let expected = Some(Expires { seconds, refresher });
            assert_eq!(with(lines, expires), expected, "{lines}");
        }
        for lines in ["Session-Expires: soon", "Session-Expires:", "Min-SE: 90"] {
            assert_eq!(with(lines, expires), None, "{lines}");
        }
        assert_eq!(with("Min-SE: 120;x", min_se), 120);
        assert_eq!(with("Min-SE: -1", min_se), 0);
    }

    #[test]
    fn a_crossing_response_keeps_the_other_options() {
        let lines = SessionLines {
            expires: Some(Expires {
                seconds: 1800,
                refresher: Some(Refresher::Uac),
            }),
            min_se: 0,
            require: true,
        };
        let original = "Supported: replaces, Timer\r\nRequire: timer, 100rel, foo";
        let printed = |reliable| {
            with(original, |message| {
                let mut out = Vec::new();
                lines.print_crossing(&mut out, message, reliable);
                String::from_utf8(out).expect("UTF-8")
            })
        };
        let end = "Supported: timer\r\nRequire: timer\r\nSession-Expires: 1800;refresher=uac\r\n";
        let expected = format!("Supported: replaces\r\nRequire: 100rel, foo\r\n{end}");
        assert_eq!(printed(true), expected);
        let expected = format!("Supported: replaces\r\nRequire: foo\r\n{end}");
        assert_eq!(printed(false), expected);
    }
}
