//! Who is calling, and who may know it: P-Asserted-Identity within a network whose members trust each
//! other (RFC 3325), and the privacy that a party asks for towards everybody else (RFC 3323).
//!
//! What is here decides which header lines of a message do not cross from one leg to the other, and what
//! stands in their place. Addresses, Via, Contact, Record-Route and Call-ID never cross, whoever asks. Who
//! is trusted is configured, peer by peer; while nobody is, there is no such network, and all passes.

use std::net::IpAddr;

use smallvec::SmallVec;
use wire::print::Policy;
use wire::{HeaderName, Message, NameAddr, print};

use crate::call::Refusal;
use crate::core::{Core, Side};

/// Headers that may name a party, or say what may be told of it. A message without them crosses as it is.
const SPEAKING: [HeaderName; 6] = [
    HeaderName::PAssertedIdentity,
    HeaderName::PPreferredIdentity,
    HeaderName::Privacy,
    HeaderName::RemotePartyId,
    HeaderName::HistoryInfo,
    HeaderName::Diversion,
];

/// What names a user in the network it comes from: asserted by who is trusted to.
const ASSERTED: [HeaderName; 2] = [HeaderName::PAssertedIdentity, HeaderName::RemotePartyId];

/// RFC 3323 5.3 and 4.1: what a user may say of itself, and its agent. In-Reply-To never crosses.
const PERSONAL: [HeaderName; 6] = [
    HeaderName::Subject,
    HeaderName::CallInfo,
    HeaderName::Organization,
    HeaderName::UserAgent,
    HeaderName::ReplyTo,
    HeaderName::Server,
];

/// RFC 3323 4.1.1.3.
const ANONYMOUS: &[u8] = b"<sip:anonymous@anonymous.invalid>";

/// RFC 3323 4.1: who calls, when that is not to be told.
pub(crate) const ANONYMOUS_PARTY: NameAddr<'static> = NameAddr {
    display: b"\"Anonymous\"",
    uri: b"sip:anonymous@anonymous.invalid",
    params: b"",
};

/// Who of a call's parties belongs to the network that trusts its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    caller: bool,
    callee: bool,
}

impl Trust {
    /// `None` when nobody is trusted. A callee whose name has no address yet is a stranger.
    pub(crate) fn of(core: &Core, caller: IpAddr, callee: Option<IpAddr>) -> Option<Trust> {
        let peers = &core.peers;
        peers.any_trusted().then(|| Trust {
            caller: peers.of(caller).trusted,
            callee: callee.is_some_and(|callee| peers.of(callee).trusted),
        })
    }

    /// The callee's name has this address.
    pub(crate) fn with_callee(self, core: &Core, callee: IpAddr) -> Trust {
        let callee = core.peers.of(callee).trusted;
        Trust { callee, ..self }
    }

    /// How a message of this party is seen by the other.
    pub(crate) fn veil(self, from: Side) -> Veil {
        let (sender, receiver) = match from {
            Side::Caller => (self.caller, self.callee),
            Side::Callee => (self.callee, self.caller),
        };
        Veil { sender, receiver }
    }
}

/// How a message outside calls is seen by its receiver, a stranger while its name has no address; `None`
/// while nobody is trusted.
pub(crate) fn between(core: &Core, sender: IpAddr, receiver: Option<IpAddr>) -> Option<Veil> {
    Trust::of(core, sender, receiver).map(|trust| trust.veil(Side::Caller))
}

/// A message on its way from one party to the other: which of them is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Veil {
    sender: bool,
    receiver: bool,
}

/// The levels of privacy a message asks for (RFC 3323 4.2, RFC 3325 9.3, RFC 7044 10.1).
#[derive(Clone, Copy, Debug, Default)]
struct Privacy {
    header: bool,
    user: bool,
    id: bool,
    history: bool,
    none: bool,
    critical: bool,
}

impl Privacy {
    fn of(message: &Message<'_>) -> Privacy {
        let mut privacy = Privacy::default();
        for value in privacy_values(message) {
            match value.to_ascii_lowercase().as_slice() {
                b"header" => privacy.header = true,
                b"user" => privacy.user = true,
                b"id" => privacy.id = true,
                b"history" => privacy.history = true,
                b"none" => privacy.none = true,
                b"critical" => privacy.critical = true,
                _ => {}
            }
        }
        if privacy.none {
            // RFC 3323 4.2: nothing is to be done, whatever else stands there.
            return Privacy {
                none: true,
                ..Privacy::default()
            };
        }
        privacy
    }
}

/// Priv-values stand apart by semicolons; some senders write commas.
fn privacy_values<'a>(message: &Message<'a>) -> impl Iterator<Item = &'a [u8]> {
    let lines = message.lines(HeaderName::Privacy);
    lines
        .flat_map(|header| {
            header
                .value
                .split(|byte| matches!(byte, b';' | b',' | b' ' | b'\t'))
        })
        .filter(|value| !value.is_empty())
}

/// What can be done for who asks for privacy, on the way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// Each leg is a dialog of its own; `steered` says that the media goes through the router, too.
    Legs { steered: bool },
    /// It is passed on as a proxy may: addresses and From stay as they are. Who asks for them to be hidden
    /// needs a privacy service behind this one (RFC 3323 5.1, 5.3).
    Proxied,
}

/// What does not cross of a message, and what stands in its place.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    names: SmallVec<[HeaderName; 16]>,
    lines: Vec<u8>,
}

impl Hidden {
    fn drop(&mut self, names: &[HeaderName]) {
        self.names.extend_from_slice(names);
    }

    /// The policy with what is hidden dropped too.
    pub(crate) fn policy(&self, policy: &Policy) -> Policy {
        policy.also(&self.names)
    }

    /// Complete header lines.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

impl Veil {
    /// What is hidden of a message; `None` when it crosses as it is. `steered` says that its media goes
    /// through the router.
    pub(crate) fn hides(self, message: &Message<'_>, steered: bool) -> Option<Hidden> {
        self.hides_by(message, Means::Legs { steered })
    }

    /// The same of a message that is proxied.
    pub(crate) fn hides_proxied(self, message: &Message<'_>) -> Option<Hidden> {
        self.hides_by(message, Means::Proxied)
    }

    fn hides_by(self, message: &Message<'_>, means: Means) -> Option<Hidden> {
        if !SPEAKING.iter().any(|&name| message.header(name).is_some()) {
            return None;
        }
        let mut hidden = Hidden::default();
        if !self.sender {
            // RFC 3325 5: an identity asserted by who is not trusted is none. Its wish for one of several
            // (P-Preferred-Identity, 6) is for who authenticates it, which is not done here.
            hidden.drop(&ASSERTED);
            hidden.drop(&[HeaderName::PPreferredIdentity]);
        }
        if !self.receiver {
            hide_from_stranger(&mut hidden, message, means);
        }
        (!hidden.names.is_empty()).then_some(hidden)
    }

    /// Whether the sender's name is not to be told in From (RFC 3323 5.3).
    pub(crate) fn hides_from(self, invite: &Message<'_>) -> bool {
        !self.receiver && Privacy::of(invite).user
    }

    /// RFC 3323 5: a request is refused when privacy that its sender calls critical cannot be given.
    ///
    /// # Errors
    /// 500, naming what cannot be done.
    pub(crate) fn check(self, invite: &Message<'_>, steered: bool) -> Result<(), Refusal> {
        self.check_by(invite, Means::Legs { steered })
    }

    /// The same for a request that is to be proxied.
    ///
    /// # Errors
    /// As [`Veil::check`].
    pub(crate) fn check_proxied(self, request: &Message<'_>) -> Result<(), Refusal> {
        self.check_by(request, Means::Proxied)
    }

    fn check_by(self, request: &Message<'_>, means: Means) -> Result<(), Refusal> {
        let privacy = Privacy::of(request);
        if self.receiver || !privacy.critical {
            return Ok(());
        }
        let unmet: Vec<String> = privacy_values(request)
            .filter(|value| !is_honoured(value, means))
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect();
        if unmet.is_empty() {
            return Ok(());
        }
        Err(Refusal {
            phrase: format!("Privacy Failure: {}", unmet.join(", ")),
            ..Refusal::code(500)
        })
    }
}

/// Whether a proxy can do all that a request asks of it with `Proxy-Require: privacy` (RFC 3323 4.3): it has a
/// network to keep the identity in, and no more is asked for.
pub(crate) fn proxy_understands(core: &Core, request: &Message<'_>) -> bool {
    let honoured = |value| is_honoured(value, Means::Proxied);
    core.peers.any_trusted() && (Privacy::of(request).none || privacy_values(request).all(honoured))
}

fn hide_from_stranger(hidden: &mut Hidden, message: &Message<'_>, means: Means) {
    let privacy = Privacy::of(message);
    // RFC 3325 7: who asks for `id` is not named to strangers. Without it the identity may pass (5).
    if privacy.id || privacy.user {
        hidden.drop(&ASSERTED);
        hidden.drop(&[HeaderName::PPreferredIdentity]);
    }
    if privacy.user && means != Means::Proxied {
        hidden.drop(&PERSONAL);
    }
    let all = privacy.history || privacy.header || privacy.user;
    hide_history(hidden, message, all);
    hide_diversions(hidden, message, all || privacy.id);
    leave_privacy(hidden, message, means);
}

/// RFC 7044 10.1.2: entries that are private, or all, keep their place and lose their address.
fn hide_history(hidden: &mut Hidden, message: &Message<'_>, all: bool) {
    let private = |entry: &[u8]| all || asks_for_history(entry);
    if !message.values(HeaderName::HistoryInfo).any(private) {
        return;
    }
    hidden.drop(&[HeaderName::HistoryInfo]);
    for entry in message.values(HeaderName::HistoryInfo) {
        let mut value = Vec::with_capacity(entry.len());
        match NameAddr::parse(entry) {
            Ok(address) if private(entry) => {
                value.extend_from_slice(ANONYMOUS);
                value.extend_from_slice(address.params);
            }
            Ok(_) => value.extend_from_slice(entry),
            Err(_) => continue,
        }
        print::header(&mut hidden.lines, "History-Info", &value);
    }
}

/// Whether the URI of an entry carries `Privacy=history`.
fn asks_for_history(entry: &[u8]) -> bool {
    let Ok(address) = NameAddr::parse(entry) else {
        return false;
    };
    let headers = address.uri.splitn(2, |&byte| byte == b'?').nth(1);
    let mut headers = headers
        .unwrap_or_default()
        .split(|&byte| byte == b'&')
        .map(<[u8]>::to_ascii_lowercase);
    headers.any(|header| {
        header
            .strip_prefix(b"privacy=")
            .is_some_and(|value| value.windows(7).any(|word| word == b"history"))
    })
}

/// RFC 5806 4: a diversion says for itself whether it is private.
fn hide_diversions(hidden: &mut Hidden, message: &Message<'_>, all: bool) {
    let private = |entry: &[u8]| {
        let address = NameAddr::parse(entry);
        let asks = |address: NameAddr<'_>| {
            let privacy = wire::Params::new(address.params).get("privacy");
            privacy.is_some_and(|value| !value.trim_ascii().eq_ignore_ascii_case(b"off"))
        };
        all || address.is_ok_and(asks)
    };
    if !message.values(HeaderName::Diversion).any(private) {
        return;
    }
    hidden.drop(&[HeaderName::Diversion]);
    for entry in message.values(HeaderName::Diversion) {
        if !private(entry) {
            print::header(&mut hidden.lines, "Diversion", entry);
        }
    }
}

/// RFC 3323 5: what has been done is not asked for any longer; `critical` alone is nothing. `none` stays:
/// it is for whoever comes next.
fn leave_privacy(hidden: &mut Hidden, message: &Message<'_>, means: Means) {
    if message.header(HeaderName::Privacy).is_none() || Privacy::of(message).none {
        return;
    }
    let left = |value: &&[u8]| !is_honoured(value, means);
    let left: Vec<&[u8]> = privacy_values(message).filter(left).collect();
    hidden.drop(&[HeaderName::Privacy]);
    if left.is_empty() {
        // A proxy understands no other option (`proxy_understands`); on a leg it never crosses.
        hidden.drop(&[HeaderName::ProxyRequire]);
        return;
    }
    let critical = Privacy::of(message).critical;
    let critical = critical.then_some(b"critical".as_slice());
    let left: Vec<&[u8]> = left.into_iter().chain(critical).collect();
    print::header(&mut hidden.lines, "Privacy", &left.join(b";".as_slice()));
}

/// What the router does towards a stranger. `critical` is no level of its own.
fn is_honoured(value: &[u8], means: Means) -> bool {
    match value.to_ascii_lowercase().as_slice() {
        b"id" | b"history" | b"critical" => true,
        b"header" | b"user" => means != Means::Proxied,
        b"session" => means == Means::Legs { steered: true },
        _ => false,
    }
}
