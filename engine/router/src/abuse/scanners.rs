//! Programs that look for open SIP servers, by the name they give themselves. Whoever hides it is found by
//! what it does instead.

use memchr::memmem::Finder;
use smallvec::SmallVec;

/// So much of a User-Agent is looked at.
const LOOKED_AT: usize = 128;

/// Parts of User-Agent values, in lower case; letter case is ignored.
#[derive(Clone, Debug, Default)]
pub struct Scanners(Vec<Finder<'static>>);

impl Scanners {
    /// The well-known ones.
    pub const KNOWN: [&'static str; 11] = [
        "friendly-scanner",
        "friendly-request",
        "sipvicious",
        "sipcli",
        "sundayddr",
        "pplsip",
        "vaxsipuseragent",
        "sip-scan",
        "sipscan",
        "iwar",
        "smap ",
    ];

    /// These.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Scanners {
        let finder = |pattern: &str| Finder::new(&pattern.to_ascii_lowercase()).into_owned();
        Scanners(patterns.into_iter().map(finder).collect())
    }

    /// Nobody is one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this User-Agent is one of them.
    pub(super) fn know(&self, user_agent: &[u8]) -> bool {
        let looked_at = user_agent.iter().take(LOOKED_AT);
        let lower: SmallVec<[u8; LOOKED_AT]> = looked_at.map(u8::to_ascii_lowercase).collect();
        self.0.iter().any(|scanner| scanner.find(&lower).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_are_known_by_a_part_of_their_name_in_any_case() {
        let scanners = Scanners::new(Scanners::KNOWN);
        for name in [
            "friendly-scanner",
            "SIPVicious OSS 6.0.5",
            "sipcli/v1.8",
            "VaxSIPUserAgent/3.1",
        ] {
            assert!(scanners.know(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "Asterisk PBX 20.5.0",
            "SIPp",
            "Linphone/5.0 (Debian)",
            "Smapi",
        ] {
            assert!(!scanners.know(name.as_bytes()), "{name}");
        }
        assert!(Scanners::default().is_empty() && !Scanners::default().know(b"sipvicious"));
    }

    #[test]
    fn of_a_long_name_the_beginning_counts() {
        let name = |blanks: usize| format!("{}sundayddr", " ".repeat(blanks));
        let scanners = Scanners::new(["SundayDDR"]);
        assert!(scanners.know(name(LOOKED_AT - 9).as_bytes()));
        assert!(!scanners.know(name(LOOKED_AT).as_bytes()));
    }
}
