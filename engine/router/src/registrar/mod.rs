//! The registrar (RFC 3261 10): which REGISTERs are ours, what they ask for, and how they are answered.
//!
//! `contacts` reads what is asked for, `flow` how the request came here, `answers` prints, `gruu` makes and resolves GRUUs,
//! `keep_alive` answers STUN. Which changes are in order, who else must know of them and when they end is the location
//! service's business; who has proven to be a user is decided in `proof`.

mod answers;
mod contacts;
mod counters;
mod flow;
pub(crate) mod gruu;
pub(crate) mod keep_alive;
mod proof;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use stack::{Flow, Outbox, ServerId, Time};
use wire::{HeaderName, Host, Message, Method, NameAddr, Scheme, Uri};

use self::contacts::{Registering, bad, refusal};
use self::flow::FlowRules;
use self::gruu::Rings;
use crate::call::Refusal;
use crate::core::Core;
use crate::directory::{Directory, Domain};
use crate::events;
use crate::local;
use crate::location::{Aor, Edits, Outcome, Refused, Update, entrance};
use crate::proofs::ProofKeys;

pub use counters::RegistrarCounters;
pub use settings::{Nat, RegistrarSettings, UnsupportedPath};

/// Extensions a REGISTER may require.
const UNDERSTOOD: [&str; 3] = ["path", "outbound", "gruu"];

/// What the registrar itself keeps: not the bindings.
#[derive(Debug)]
pub(crate) struct Registrar {
    settings: Option<Arc<RegistrarSettings>>,
    keys: Rings,
    /// REGISTERs whose update is under way, each with what its answer depends on. Never more than there are transactions.
    waiting: HashMap<ServerId, Waiting>,
}

impl Registrar {
    pub(crate) fn new(settings: Option<Arc<RegistrarSettings>>, keys: &ProofKeys) -> Registrar {
        Registrar {
            settings,
            keys: Rings::new(keys),
            waiting: HashMap::new(),
        }
    }

    /// No REGISTER waits for its update.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Other keys of temporary GRUUs.
    pub(crate) fn set_keys(&mut self, keys: &ProofKeys) {
        self.keys = Rings::new(keys);
    }

    /// What the operator has chosen; `None`: there is no registrar.
    pub(crate) fn settings(&self) -> Option<&RegistrarSettings> {
        self.settings.as_deref()
    }

    /// Other settings, for the REGISTERs to come.
    pub(crate) fn set(&mut self, settings: Option<Arc<RegistrarSettings>>) {
        self.settings = settings;
    }
}

/// What the answer to a REGISTER depends on beside the bindings.
#[derive(Debug)]
struct Waiting {
    /// It came with this Path.
    path: Box<[u8]>,
    /// The user agent knows GRUUs.
    gruu: bool,
    /// A flow was registered for a user agent that asked for it (RFC 5626 6).
    outbound: bool,
    /// Something was to change.
    changes: bool,
}

/// Whether there are users who can register.
pub(crate) fn is_on(core: &Core) -> bool {
    core.registrar.settings.is_some() && !core.directory.is_empty()
}

/// Whether a request is for the registrar (RFC 3261 10.3 step 1).
pub(crate) fn takes(core: &Core, request: &Message<'_>) -> bool {
    request.method() == Method::Register
        && is_on(core)
        && Uri::parse(request.request_uri()).is_ok_and(|uri| domain_of(core, &uri).is_some())
}

/// The local domain of a URI; an address of ours stands for the default domain.
pub(crate) fn domain_of<'c>(core: &'c Core, uri: &Uri<'_>) -> Option<&'c Arc<Domain>> {
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let of_name = domain_named(&core.directory, uri.host);
    of_name.or_else(|| {
        let settings = core.registrar.settings.as_ref()?;
        let default = settings.default_domain.as_deref()?;
        core.doors.named(uri.host, uri.port)?;
        core.directory.domain(default)
    })
}

fn domain_named<'d>(directory: &'d Directory, host: Host<'_>) -> Option<&'d Arc<Domain>> {
    match host {
        Host::None => None,
        Host::Name(name) => directory.domain(std::str::from_utf8(name).ok()?.trim_end_matches('.')),
        Host::Ip(ip) => directory.domain(&ip.to_string()),
    }
}

/// A REGISTER of a local domain.
pub(crate) fn receive(
    core: &mut Core,
    now: Time,
    source: Flow,
    server: ServerId,
    request: &Message<'_>,
    out: &mut Outbox,
) {
    core.counters.registrar.requests += 1;
    let asked = read_user(core, request)
        .and_then(|aor| proof::check(core, now, source, request, &aor).map(|()| aor))
        .and_then(|aor| read(core, now, source, request, aor));
    match asked {
        Ok((update, waiting)) => {
            core.registrar.waiting.insert(server, waiting);
            entrance::ask(core, now, server, update);
        }
        Err(refusal) => {
            core.counters.registrar.count(refusal.code);
            core.refuse_with(now, server, &refusal, out);
        }
    }
}

/// RFC 3261 10.3 steps 2 and 5: what is required, and whose bindings are meant.
fn read_user(core: &Core, request: &Message<'_>) -> Result<Aor, Refusal> {
    local::check_scheme(&Uri::parse(request.request_uri())?)?;
    let required = request.values(HeaderName::Require);
    local::refuse_unknown(required.filter(|option| !is_understood(option)))?;
    let to = request.to()?.uri_parsed()?;
    let domain = domain_of(core, &to).ok_or_else(|| Refusal::code(404))?;
    let user = Aor::of(&to).ok_or_else(|| Refusal::code(404))?;
    // RFC 3261 10.2: who registers is a user of the domain, not the domain.
    let named = Some(user.user()).filter(|user| !user.is_empty());
    named
        .and_then(|user| Aor::new(user, &domain.name))
        .ok_or_else(|| Refusal::code(404))
}

fn is_understood(option: &[u8]) -> bool {
    let is = |known: &&str| known.as_bytes().eq_ignore_ascii_case(option);
    UNDERSTOOD.iter().any(is)
}

/// RFC 3261 10.3 steps 6 and 7, as far as the request itself tells.
fn read(
    core: &Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    aor: Aor,
) -> Result<(Update, Waiting), Refusal> {
    let settings = core.registrar.settings.clone().unwrap_or_default();
    let (cseq, rules) = (request.cseq()?.number, FlowRules::of(request));
    let path = read_path(&settings, request)?;
    let registering = Registering {
        core,
        settings: &settings,
        request,
        now,
        source,
        aor: &aor,
        cseq,
        path: path.clone(),
        rules,
    };
    let edits = registering.edits()?;
    let waiting = Waiting {
        path,
        gruu: request.supports("gruu") || request.requires("gruu"),
        outbound: rules.asked && adds_flow(&edits),
        changes: edits != Edits::Fetch,
    };
    let call_id = request.call_id().into();
    let update = Update {
        aor,
        call_id,
        cseq,
        edits,
    };
    Ok((update, waiting))
}

/// The flow on which the sender of a request is reached, when its Contact does not lead there: it came directly, and
/// from behind a NAT, as for bindings.
pub(crate) fn nat_flow(core: &Core, source: Flow, request: &Message<'_>) -> Option<Flow> {
    let contact = request.values(HeaderName::Contact).next()?;
    let uri = NameAddr::parse(contact).ok()?.uri_parsed().ok()?;
    let behind = match core.registrar.settings()?.nat {
        Nat::Always => true,
        Nat::Never => false,
        Nat::Auto => flow::is_behind_nat(request, &uri, source.remote),
    };
    (behind && FlowRules::of(request).direct).then_some(source)
}

fn adds_flow(edits: &Edits) -> bool {
    match edits {
        Edits::Contacts(edits) => edits.iter().any(|edit| edit.binding.reg_id.is_some()),
        Edits::Fetch | Edits::RemoveAll => false,
    }
}

/// RFC 3327 5.3: the whole Path in its order.
fn read_path(settings: &RegistrarSettings, request: &Message<'_>) -> Result<Box<[u8]>, Refusal> {
    let mut path = Vec::new();
    for value in request.values(HeaderName::Path) {
        let uri = NameAddr::parse(value).and_then(|address| address.uri_parsed());
        uri.map_err(|_| bad("Bad Path"))?;
        if !path.is_empty() {
            path.extend_from_slice(b", ");
        }
        path.extend_from_slice(value);
    }
    let known = request.supports("path") || request.requires("path");
    if !path.is_empty() && !known && settings.path == UnsupportedPath::Refuse {
        let extra = b"Unsupported: path\r\n".to_vec();
        return Err(Refusal {
            extra,
            ..Refusal::code(420)
        });
    }
    Ok(path.into())
}

/// Answers every REGISTER whose update has come to its end.
pub(crate) fn answer_outcomes(core: &mut Core, now: Time, out: &mut Outbox) {
    while let Some(outcome) = entrance::poll_outcome(core) {
        answer(core, now, outcome, out);
    }
}

/// What became of an update.
pub(crate) fn answer(core: &mut Core, now: Time, outcome: Outcome, out: &mut Outbox) {
    let server = outcome.server;
    let Some(waiting) = core.registrar.waiting.remove(&server) else {
        return;
    };
    match outcome.result {
        Ok(registration) => {
            core.counters.registrar.accepted += u64::from(waiting.changes);
            core.counters.registrar.fetched += u64::from(!waiting.changes);
            answers::accept(core, now, server, &waiting, &registration, out);
        }
        Err(refused) => {
            let refusal = refusal_of(core, refused);
            core.counters.registrar.count_refused(refused);
            core.refuse_with(now, server, &refusal, out);
        }
    }
}

/// RFC 3261 10.3 step 7: an update that fails gets 500. A client may come back at once but where there is no room.
fn refusal_of(core: &mut Core, refused: Refused) -> Refusal {
    match refused {
        Refused::OutOfOrder => refusal(500, "CSeq Out Of Order"),
        Refused::TooManyContacts => refusal(403, "Too Many Contacts"),
        Refused::Full => Refusal::at_limit(core),
        Refused::NotReached => Refusal {
            extra: core.retry_after(),
            ..refusal(500, "Update Not Confirmed")
        },
    }
}

/// Whether the sender of a request is reached where that came from, and not at its Contact: the same rule as for a
/// contact that is registered.
pub(crate) fn is_at_source(core: &Core, request: &Message<'_>, source: SocketAddr) -> bool {
    let nat = core.registrar.settings.as_ref().map(|it| it.nat);
    let routed = request.header(HeaderName::RecordRoute).is_some();
    if routed || !FlowRules::of(request).direct {
        return false;
    }
    match nat.unwrap_or_default() {
        Nat::Always => true,
        Nat::Never => false,
        Nat::Auto => {
            let contact = request.contact().ok().flatten();
            let uri = contact.and_then(|contact| contact.uri_parsed().ok());
            uri.is_some_and(|uri| flow::is_behind_nat(request, &uri, source))
        }
    }
}

/// Other domains or users. Who is gone loses his bindings, as every shard finds for those it owns.
pub(crate) fn set_directory(core: &mut Core, directory: &Arc<Directory>) {
    core.directory = Arc::clone(directory);
    events::on_directory(core);
    entrance::retain(core, directory, is_user);
}

/// Whether the directory has this user.
pub(crate) fn is_user(directory: &Directory, aor: &Aor) -> bool {
    let domain = directory.domain(aor.domain());
    domain.is_some_and(|domain| domain.credentials(aor.user()).is_some())
}
