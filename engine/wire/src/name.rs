//! Header names: every name in common use as a small number, found without allocation.
//!
//! A name is looked up in two steps: a perfect hash of its length, its first and its last eight
//! bytes picks the one candidate, and a comparison that ignores case decides. Names that are not in
//! the table are `Other`; their spelling stays in the message.

use crate::scan;

macro_rules! header_names {
    ($($variant:ident = $text:literal,)*) => {
        /// A header field name. Names ignore case, and some have a one-letter compact form
        /// (RFC 3261 7.3.3); both spellings are the same value here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is the header of its name")]
        pub enum HeaderName {
            $($variant,)*
            /// Any name that is none of the above.
            Other,
        }

        impl HeaderName {
            /// How many values the enum has, `Other` included.
            pub const COUNT: usize = HeaderName::Other as usize + 1;

            /// Every known name, `Other` left out, in alphabetical order of the spelling.
            pub const ALL: [HeaderName; HeaderName::COUNT - 1] = [$(HeaderName::$variant,)*];

            /// The name as the RFCs write it; empty for `Other`.
            #[inline]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(HeaderName::$variant => $text,)*
                    HeaderName::Other => "",
                }
            }
        }
    };
}

header_names! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events",
    AnswerMode = "Answer-Mode",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID",
    CallInfo = "Call-Info",
    Contact = "Contact",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding",
    ContentId = "Content-ID",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event",
    Expires = "Expires",
    FeatureCaps = "Feature-Caps",
    FlowTimer = "Flow-Timer",
    From = "From",
    Geolocation = "Geolocation",
    GeolocationError = "Geolocation-Error",
    GeolocationRouting = "Geolocation-Routing",
    HistoryInfo = "History-Info",
    Identity = "Identity",
    IdentityInfo = "Identity-Info",
    InfoPackage = "Info-Package",
    InReplyTo = "In-Reply-To",
    Join = "Join",
    MaxBreadth = "Max-Breadth",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PAssertedIdentity = "P-Asserted-Identity",
    PAssertedService = "P-Asserted-Service",
    PAssociatedUri = "P-Associated-URI",
    PCalledPartyId = "P-Called-Party-ID",
    PChargingFunctionAddresses = "P-Charging-Function-Addresses",
    PChargingVector = "P-Charging-Vector",
    PEarlyMedia = "P-Early-Media",
    PPreferredIdentity = "P-Preferred-Identity",
    PPreferredService = "P-Preferred-Service",
    PServedUser = "P-Served-User",
    PVisitedNetworkId = "P-Visited-Network-ID",
    Path = "Path",
    PermissionMissing = "Permission-Missing",
    Priority = "Priority",
    PrivAnswerMode = "Priv-Answer-Mode",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthenticationInfo = "Proxy-Authentication-Info",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    RecvInfo = "Recv-Info",
    ReferSub = "Refer-Sub",
    ReferTo = "Refer-To",
    ReferredBy = "Referred-By",
    RejectContact = "Reject-Contact",
    RemotePartyId = "Remote-Party-ID",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition",
    Require = "Require",
    ResourcePriority = "Resource-Priority",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    SecurityClient = "Security-Client",
    SecurityServer = "Security-Server",
    SecurityVerify = "Security-Verify",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires",
    SessionId = "Session-ID",
    SipETag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject",
    SubscriptionState = "Subscription-State",
    Supported = "Supported",
    SuppressIfMatch = "Suppress-If-Match",
    TargetDialog = "Target-Dialog",
    Timestamp = "Timestamp",
    To = "To",
    TriggerConsent = "Trigger-Consent",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    UserToUser = "User-to-User",
    Via = "Via",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

impl HeaderName {
    /// The header `token` names: any case, long or compact.
    pub fn parse(token: &[u8]) -> HeaderName {
        if let &[letter] = token {
            return compact(letter);
        }
        let name = Key::of(token).name();
        let text = name.as_str().as_bytes();
        if token.len() <= 16 || token.eq_ignore_ascii_case(text) {
            name
        } else {
            HeaderName::Other
        }
    }

    /// The known header whose name `bytes` begins with, and the length of the name: only when a
    /// colon follows at once and is one of the first 16 bytes, as nearly always.
    #[inline(always)]
    pub(crate) fn before_colon(bytes: &[u8]) -> Option<(HeaderName, usize)> {
        let block: &[u8; 16] = bytes.first_chunk()?;
        let head = Key::word(block, 0);
        let length = scan::first(head, Key::word(block, 8), b':');
        let name = match length {
            1 => compact(head as u8),
            2..8 => {
                let head = head & !(u64::MAX << (8 * length));
                Key {
                    head,
                    tail: head,
                    length,
                }
                .name()
            }
            8..16 => Key {
                head,
                tail: Key::word(block, length - 8),
                length,
            }
            .name(),
            _ => return None,
        };
        (name != HeaderName::Other).then_some((name, length))
    }

    /// The one-letter compact form, when the name has one (RFC 3261 7.3.3 and the IANA registry).
    pub fn compact(self) -> Option<u8> {
        (b'a'..=b'z').find(|&letter| compact(letter) == self && self != HeaderName::Other)
    }
}

/// The header a compact form stands for.
#[inline]
fn compact(letter: u8) -> HeaderName {
    match letter | 0x20 {
        _ if !letter.is_ascii_alphabetic() => HeaderName::Other,
        b'a' => HeaderName::AcceptContact,
        b'b' => HeaderName::ReferredBy,
        b'c' => HeaderName::ContentType,
        b'd' => HeaderName::RequestDisposition,
        b'e' => HeaderName::ContentEncoding,
        b'f' => HeaderName::From,
        b'i' => HeaderName::CallId,
        b'j' => HeaderName::RejectContact,
        b'k' => HeaderName::Supported,
        b'l' => HeaderName::ContentLength,
        b'm' => HeaderName::Contact,
        b'n' => HeaderName::IdentityInfo,
        b'o' => HeaderName::Event,
        b'r' => HeaderName::ReferTo,
        b's' => HeaderName::Subject,
        b't' => HeaderName::To,
        b'u' => HeaderName::AllowEvents,
        b'v' => HeaderName::Via,
        b'x' => HeaderName::SessionExpires,
        b'y' => HeaderName::Identity,
        _ => HeaderName::Other,
    }
}

/// The length of a name with its first and last eight bytes (a shorter one twice, zeros after
/// it): all of a name of up to 16 bytes.
#[derive(Clone, Copy)]
struct Key {
    head: u64,
    tail: u64,
    length: usize,
}

/// The bit that makes ASCII letters lower case, in every byte.
const LOWER: u64 = u64::from_le_bytes([0x20; 8]);

/// Makes the slot of every known name distinct. Found by trying random odd numbers; a collision
/// after a change of the names fails the build (see `SLOTS`), and a new number is then needed.
const MULTIPLIER: u64 = 0x77d6_fd05_e0f1_aa0b;

impl Key {
    #[expect(
        clippy::indexing_slicing,
        reason = "a const fn has no iterators; `at` is below the length, `from + at` too"
    )]
    const fn of(text: &[u8]) -> Key {
        let (mut head, mut tail) = (0, 0);
        let from = text.len().saturating_sub(8);
        let mut at = 0;
        while at < 8 && at < text.len() {
            head |= (text[at] as u64) << (8 * at);
            tail |= (text[from + at] as u64) << (8 * at);
            at += 1;
        }
        Key {
            head,
            tail,
            length: text.len(),
        }
    }

    /// The eight bytes at `at`, which is at most 8.
    #[inline(always)]
    fn word(block: &[u8; 16], at: usize) -> u64 {
        let bytes = block.get(at..).and_then(|rest| rest.first_chunk());
        u64::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    /// The one known name that may have this key; it has, but for what is between its first and
    /// last eight bytes.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "a slot is nine bits, and there are 512"
    )]
    fn name(&self) -> HeaderName {
        match KNOWN.get(usize::from(SLOTS[self.slot()])) {
            Some(known) if known.key.is_spelled(self) => known.name,
            _ => HeaderName::Other,
        }
    }

    /// The slot of this name, whatever its case: nine bits of a product.
    #[inline(always)]
    const fn slot(&self) -> usize {
        let mixed = (self.head | LOWER) ^ (self.tail | LOWER).rotate_left(29);
        (mixed
            .wrapping_add(self.length as u64)
            .wrapping_mul(MULTIPLIER)
            >> 55) as usize
    }

    /// Whether `token` spells this name, in any case.
    #[inline(always)]
    fn is_spelled(&self, token: &Key) -> bool {
        self.length == token.length
            && differs(self.head, token.head) | differs(self.tail, token.tail) == 0
    }
}

/// The case bits of eight bytes of a known name: its letters have bit 0x40, a hyphen has not.
#[inline(always)]
const fn case(name: u64) -> u64 {
    (name & 0x4040_4040_4040_4040) >> 1
}

/// The bits in which eight bytes of a token differ from those of a name, case aside.
#[inline(always)]
fn differs(name: u64, token: u64) -> u64 {
    (token ^ name) & !case(name)
}

#[derive(Clone, Copy)]
struct Known {
    key: Key,
    name: HeaderName,
}

#[expect(
    clippy::indexing_slicing,
    reason = "made by the compiler: an index out of bounds would fail the build"
)]
static KNOWN: [Known; HeaderName::ALL.len()] = {
    let none = Known {
        key: Key::of(b""),
        name: HeaderName::Other,
    };
    let mut known = [none; HeaderName::ALL.len()];
    let mut at = 0;
    while at < known.len() {
        let name = HeaderName::ALL[at];
        known[at] = Known {
            key: Key::of(name.as_str().as_bytes()),
            name,
        };
        at += 1;
    }
    known
};

/// For each slot the position in `KNOWN` of the one name that can be there. A fifth of them are
/// used, so that a multiplier without collisions exists.
#[expect(
    clippy::indexing_slicing,
    reason = "made by the compiler: an index out of bounds would fail the build"
)]
static SLOTS: [u8; 512] = {
    let mut slots = [u8::MAX; 512];
    let mut at = 0;
    while at < HeaderName::ALL.len() {
        let slot = Key::of(HeaderName::ALL[at].as_str().as_bytes()).slot();
        assert!(slots[slot] == u8::MAX, "two header names share a slot");
        slots[slot] = at as u8;
        at += 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_name_in_every_case() {
        for name in HeaderName::ALL {
            let text = name.as_str();
            for spelling in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
                assert_eq!(HeaderName::parse(spelling.as_bytes()), name, "{spelling}");
            }
        }
    }

    #[test]
    fn compact_forms() {
        let mut forms = String::new();
        for letter in b'a'..=b'z' {
            let name = HeaderName::parse(&[letter]);
            assert_eq!(HeaderName::parse(&[letter.to_ascii_uppercase()]), name);
            if name != HeaderName::Other {
                assert_eq!(name.compact(), Some(letter));
                forms.push_str(&format!("{} {}\n", char::from(letter), name.as_str()));
            }
        }
        insta::assert_snapshot!(forms, @r"
        a Accept-Contact
        b Referred-By
        c Content-Type
        d Request-Disposition
        e Content-Encoding
        f From
        i Call-ID
        j Reject-Contact
        k Supported
        l Content-Length
        m Contact
        n Identity-Info
        o Event
        r Refer-To
        s Subject
        t To
        u Allow-Events
        v Via
        x Session-Expires
        y Identity
        ");
    }

    #[test]
    fn near_misses_are_other() {
        for token in [
            "",
            "Vi",
            "Vja",
            "Call\rID",
            "Call_ID",
            "MaxaForwards",
            "CSeqq",
            "\x16ia",
            "6",
        ] {
            assert_eq!(
                HeaderName::parse(token.as_bytes()),
                HeaderName::Other,
                "{token:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_linear_search(token in "[A-Za-z-]{2,20}") {
            let expected = HeaderName::ALL
                .into_iter()
                .find(|name| name.as_str().eq_ignore_ascii_case(&token));
            let expected = expected.unwrap_or(HeaderName::Other);
            prop_assert_eq!(HeaderName::parse(token.as_bytes()), expected);
        }

        #[test]
        fn before_a_colon_the_same_names_are_found(
            name in proptest::sample::select(HeaderName::ALL.to_vec()),
            short in any::<bool>(),
            space in "[ \t]{0,2}",
        ) {
            let text = match name.compact() {
                Some(letter) if short => char::from(letter).to_string(),
                _ => name.as_str().to_owned(),
            };
            let line = format!("{text}{space}: a value: and more");
            let expected = (space.is_empty() && text.len() < 16).then_some((name, text.len()));
            prop_assert_eq!(HeaderName::before_colon(line.as_bytes()), expected);
        }

        #[test]
        fn any_change_of_a_known_name_is_seen(
            name in proptest::sample::select(HeaderName::ALL.to_vec()),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut token = name.as_str().as_bytes().to_vec();
            let at = at.index(token.len());
            prop_assume!(!token[at].eq_ignore_ascii_case(&byte));
            token[at] = byte;
            prop_assert_ne!(HeaderName::parse(&token), name);
        }
    }
}
