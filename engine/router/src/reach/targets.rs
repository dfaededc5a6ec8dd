//! From a Request-URI to contacts (RFC 3261 16.5): an address-of-record, or a GRUU, which stands for one instance.

use std::cmp::Reverse;

use stack::{Flow, Time};
use wire::{Host, Scheme, Uri};

use crate::core::Core;
use crate::location::{Aor, Binding};
use crate::rdb::BRANCHES_MAX;
use crate::registrar::gruu::{self, Resolved};
use crate::registrar::{self, domain_of};

/// What a Request-URI leads to.
#[derive(Debug, PartialEq)]
pub(crate) enum Leads {
    /// To no user of a local domain.
    Elsewhere,
    /// To nobody who can be reached: answered with this code.
    Nowhere {
        /// 404, or 480.
        code: u16,
        /// It is a GRUU: nobody else can stand in for the instance.
        is_gruu: bool,
    },
    /// To these, the most preferred first.
    To {
        /// Never empty.
        contacts: Vec<Contact>,
        /// As above.
        is_gruu: bool,
    },
}

/// Where a user is reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contact {
    /// The next Request-URI.
    pub(crate) uri: Box<[u8]>,
    /// Its preference, 0 to 1000.
    pub(crate) q: u16,
    pub(crate) way: Way,
}

/// The way to a contact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Way {
    /// Where it registered from. The listener it came in by is the one that reaches it.
    pub(crate) source: Flow,
    /// It is reached at its source, whatever its URI says.
    pub(crate) at_source: bool,
    /// Its Path (RFC 3327): the route to it.
    pub(crate) path: Box<[u8]>,
}

impl Way {
    pub(crate) fn of(binding: &Binding) -> Way {
        Way {
            source: binding.source,
            at_source: binding.at_source,
            path: binding.path.clone(),
        }
    }
}

/// Looks a Request-URI up. Free while there are no local domains.
pub(crate) fn leads_to(core: &Core, now: Time, uri: &Uri<'_>) -> Leads {
    if !registrar::is_on(core) || uri.user.is_empty() || domain_of(core, uri).is_none() {
        return Leads::Elsewhere;
    }
    match gruu::resolve(core, now, uri) {
        Resolved::Invalid => Leads::Nowhere {
            code: 404,
            is_gruu: true,
        },
        Resolved::At(bindings) => leads(core, &bindings, true),
        Resolved::NoGruu => user(core, now, uri),
    }
}

fn user(core: &Core, now: Time, uri: &Uri<'_>) -> Leads {
    let aor = gruu::user_of(core, uri);
    let Some(aor) = aor.filter(|aor| is_known(core, aor)) else {
        return Leads::Nowhere {
            code: 404,
            is_gruu: false,
        };
    };
    let registration = core.location.of(aor.as_str());
    let bindings = registration.iter().flat_map(|it| it.bindings.iter());
    let alive: Vec<&Binding> = bindings.filter(|it| it.expires > now).collect();
    leads(core, &alive, false)
}

fn is_known(core: &Core, aor: &Aor) -> bool {
    let domain = core.directory.domain(aor.domain());
    domain.is_some_and(|domain| domain.credentials(aor.user()).is_some())
}

/// RFC 3261 20.10: by preference; of equal ones the newest first.
fn leads(core: &Core, bindings: &[&Binding], is_gruu: bool) -> Leads {
    let asked = asks(core);
    let mut contacts: Vec<&Binding> = bindings
        .iter()
        .rev()
        .copied()
        .filter(|it| can_be_called(&it.contact) && !(asked && it.unreachable))
        .collect();
    one_flow_each(&mut contacts);
    contacts.sort_by_key(|it| Reverse(it.q));
    contacts.truncate(BRANCHES_MAX);
    if contacts.is_empty() {
        return Leads::Nowhere { code: 480, is_gruu };
    }
    let contact = |it: &&Binding| Contact {
        uri: it.contact.clone(),
        q: it.q,
        way: Way::of(it),
    };
    let contacts = contacts.iter().map(contact).collect();
    Leads::To { contacts, is_gruu }
}

/// What was found out about contacts counts only while they are asked: nothing else would take it back.
fn asks(core: &Core) -> bool {
    let settings = core.registrar.settings();
    settings.is_some_and(|settings| settings.reach.keep_alive.is_some())
}

/// RFC 5626 7: of the flows of one instance only one is used at a time: the newest that answers. No other is tried when
/// it fails (430); the keep-alive takes care of that.
fn one_flow_each(newest_first: &mut Vec<&Binding>) {
    let mut seen: Vec<&[u8]> = Vec::new();
    newest_first.retain(|it| {
        let flow = it.instance.as_deref().filter(|_| it.reg_id.is_some());
        let Some(instance) = flow else { return true };
        let is_first = !seen.contains(&instance);
        seen.push(instance);
        is_first
    });
}

/// A contact that can be a Request-URI here: sip:, with a host, and without headers (RFC 3261 19.1.5).
pub(super) fn can_be_called(contact: &[u8]) -> bool {
    Uri::parse(contact).is_ok_and(|uri| {
        uri.scheme == Scheme::Sip && uri.host != Host::None && uri.headers.is_empty()
    })
}
