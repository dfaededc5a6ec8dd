//! Where the proof is asked for: what needs it, the challenges that answer what lacks it, and the refusals of
//! those who prove to be somebody else.

use std::sync::Arc;

use stack::digest::{Challenge, Context};
use stack::{Flow, Time};
use wire::{Message, Method, ParseError, Uri};

use super::verifier::Failure;
use super::{AuthCounts, Demand};
use crate::abuse;
use crate::application_server;
use crate::call::Refusal;
use crate::core::Core;
use crate::directory::Domain;
use crate::location::Aor;
use crate::registrar;

/// In which part the router asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// As a user agent server or registrar (RFC 3261 22.2).
    Server,
    /// As a proxy (22.3).
    Proxy,
}

impl Ask {
    fn answer(self) -> (u16, &'static str) {
        match self {
            Ask::Server => (401, "WWW-Authenticate"),
            Ask::Proxy => (407, "Proxy-Authenticate"),
        }
    }
}

/// What a request needs.
enum Needed {
    Nothing,
    /// Proof by a user of this domain.
    Proof(Arc<Domain>),
    /// It cannot be proven: it says to be from nobody here.
    Impossible,
}

/// Whether a request outside any dialog needs proof. REGISTER is the registrar's business. Free while there
/// are no rules that ask for any.
pub(crate) fn asks(core: &Core, source: Flow, request: &Message<'_>) -> bool {
    !matches!(needed(core, source, request), Needed::Nothing)
}

/// Whether a request outside any dialog may go on, in the name of its From.
///
/// # Errors
/// The answer to one that may not.
pub(crate) fn check(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    ask: Ask,
) -> Result<(), Refusal> {
    match needed(core, source, request) {
        Needed::Nothing => Ok(()),
        Needed::Impossible => Err(forbid(core, request.method())),
        Needed::Proof(domain) => {
            let from = sender(request).as_ref().and_then(Aor::of);
            let user = from.as_ref().map_or("", Aor::user);
            prove(core, now, source, request, (&domain, user), ask)
        }
    }
}

/// Whether a REGISTER may go on, in the name of this user of a local domain. `Ok(false)`: nobody asked.
///
/// # Errors
/// The answer to one that may not.
pub(crate) fn check_register(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    aor: &Aor,
) -> Result<bool, Refusal> {
    let Some(domain) = core.directory.domain(aor.domain()).cloned() else {
        return Err(forbid(core, Method::Register));
    };
    if is_trusted(core, source) || !core.auth.rules.policy_of(&domain.name).register {
        return Ok(false);
    }
    let user = (&*domain, aor.user());
    prove(core, now, source, request, user, Ask::Server).map(|()| true)
}

fn prove(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    (domain, user): (&Domain, &str),
    ask: Ask,
) -> Result<(), Refusal> {
    let method = request.method();
    match core.auth.judge(now, source.remote.ip(), domain, request) {
        Ok(proven) if proven == user => {
            core.auth.counters.of(method).proven += 1;
            Ok(())
        }
        Ok(_) => Err(forbid(core, method)),
        Err(Failure::Malformed) => {
            core.auth.counters.of(method).malformed += 1;
            Err(Refusal::from(ParseError::BadCredentials))
        }
        Err(failure) => {
            count(core.auth.counters.of(method), failure);
            if failure == Failure::Wrong {
                abuse::entrance::note_wrong_secret(core, now, source.remote);
            }
            Err(challenge(core, now, source, domain, ask, failure))
        }
    }
}

fn needed(core: &Core, source: Flow, request: &Message<'_>) -> Needed {
    let rules = &core.auth.rules;
    let nobody_is_local = core.directory.is_empty() && rules.policy.requests != Demand::Always;
    if nobody_is_local || is_free(request) || is_trusted(core, source) {
        return Needed::Nothing;
    }
    let domain = sender(request).and_then(|from| registrar::domain_of(core, &from));
    let peer = core.peers.of(source.remote.ip()).authenticate;
    let policy = domain.map_or(&rules.policy, |it| rules.policy_of(&it.name));
    match (peer.unwrap_or(policy.requests), domain) {
        (Demand::Never, _) | (Demand::Local, None) => Needed::Nothing,
        (_, Some(domain)) => Needed::Proof(Arc::clone(domain)),
        (Demand::Always, None) => Needed::Impossible,
    }
}

/// RFC 3261 22.1: an ACK or a CANCEL cannot be sent again with credentials. OPTIONS to the router itself ask
/// whether it lives.
fn is_free(request: &Message<'_>) -> bool {
    match request.method() {
        Method::Ack | Method::Cancel | Method::Register => true,
        Method::Options => Uri::parse(request.request_uri()).is_ok_and(|uri| uri.user.is_empty()),
        _ => false,
    }
}

/// What is said of a peer counts before what is said of its network.
fn is_trusted(core: &Core, source: Flow) -> bool {
    let address = source.remote.ip();
    let trusted = match core.peers.of(address).authenticate {
        Some(demand) => demand == Demand::Never,
        None => core.auth.rules.trusted.of(address).is_some(),
    };
    trusted || application_server::sends_from(core, source.remote)
}

/// Whose name a request is sent in.
fn sender<'m>(request: &Message<'m>) -> Option<Uri<'m>> {
    request.from().ok()?.uri_parsed().ok()
}

/// RFC 3261 10.3 step 4, 22.1: authentic perhaps, but not allowed to.
fn forbid(core: &mut Core, method: Method) -> Refusal {
    core.auth.counters.of(method).forbidden += 1;
    Refusal::code(403)
}

fn count(counts: &mut AuthCounts, failure: Failure) {
    counts.challenges += 1;
    match failure {
        Failure::Wrong => counts.wrong += 1,
        Failure::Stale => counts.stale += 1,
        Failure::Replayed => counts.replayed += 1,
        Failure::Unsupported => counts.unsupported += 1,
        Failure::Absent | Failure::Malformed => {}
    }
}

/// RFC 8760 2.3: a challenge for each algorithm, in the order of preference. What made it necessary is told
/// only of nonces (RFC 7616 3.3): the secret may be right then, so its user need not be asked for another.
fn challenge(
    core: &mut Core,
    now: Time,
    source: Flow,
    domain: &Domain,
    ask: Ask,
    failure: Failure,
) -> Refusal {
    let (code, header) = ask.answer();
    let realm = &domain.name;
    let source = source.remote.ip();
    let nonce = core.auth.give_nonce(now, Context { source, realm });
    let policy = core.auth.rules.policy_of(realm);
    let mut extra = Vec::with_capacity(256);
    for &algorithm in &policy.algorithms {
        let challenge = Challenge {
            header,
            realm,
            algorithm,
            nonce: nonce.text(),
            qop: &policy.qop,
            stale: matches!(failure, Failure::Stale | Failure::Replayed),
        };
        challenge.print(&mut extra);
    }
    Refusal {
        extra,
        ..Refusal::code(code)
    }
}
