//! Requests to users of local domains: who is asked where they go, the location service or the routing DB.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Message, Method, Uri};

use super::Router;
use crate::call::Refusal;
use crate::proxy::{self, Arrived};
use crate::reach::{Contact, Leads, Order, leads_to};

/// What becomes of a request to a local domain.
enum Reached {
    /// It is for the routing DB, or for the router itself.
    Elsewhere,
    To(Vec<Contact>),
    Refused(u16),
}

impl Router {
    /// Forwards a request to the contacts of a user of ours, or refuses it; false when it is for somebody else. Without
    /// local domains that is one look.
    pub(super) fn reach_user(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let reached = self.reached(now, request);
        let reach = &mut self.core.counters.reach;
        let started = match reached {
            Reached::Elsewhere => return false,
            Reached::Refused(code) => {
                reach.unknown += u64::from(code == 404);
                reach.unavailable += u64::from(code == 480);
                Err(Refusal::code(code))
            }
            Reached::To(contacts) => {
                reach.requests += 1;
                reach.contacts += contacts.len() as u64;
                let arrived = Arrived {
                    request,
                    source,
                    server,
                };
                let (core, calls) = (&mut self.core, &mut self.calls);
                proxy::call_contacts(core, calls, now, arrived, contacts, out)
            }
        };
        self.proxy_started(now, server, started, out);
        true
    }

    /// Whether a request would be forwarded to contacts, or refused for want of them.
    pub(super) fn is_for_user(&mut self, now: Time, request: &Message<'_>) -> bool {
        !matches!(self.reached(now, request), Reached::Elsewhere)
    }

    fn reached(&mut self, now: Time, request: &Message<'_>) -> Reached {
        if self.core.directory.is_empty() || !is_passed_on(request.method()) {
            return Reached::Elsewhere;
        }
        let Ok(uri) = Uri::parse(request.request_uri()) else {
            return Reached::Elsewhere;
        };
        let settings = self.core.registrar.settings();
        let order = settings.map_or(Order::Rdb, |settings| settings.reach.order);
        if order == Order::Rdb {
            return Reached::Elsewhere;
        }
        match leads_to(&self.core, now, &uri) {
            Leads::Elsewhere => Reached::Elsewhere,
            // A GRUU is one instance of a user's, which the routing DB knows nothing of.
            Leads::To { contacts, is_gruu } => match !is_gruu && self.rdb_first(order, &uri) {
                true => Reached::Elsewhere,
                false => Reached::To(contacts),
            },
            Leads::Nowhere { code, is_gruu } => match !is_gruu && self.rdb_second(order, &uri) {
                true => Reached::Elsewhere,
                false => Reached::Refused(code),
            },
        }
    }

    /// Whether the routing DB decides although there are contacts.
    fn rdb_first(&mut self, order: Order, uri: &Uri<'_>) -> bool {
        order == Order::RdbThenLocation && self.matcher.find_bytes(uri.user).is_some()
    }

    /// Whether it decides when there are none.
    fn rdb_second(&mut self, order: Order, uri: &Uri<'_>) -> bool {
        order != Order::Location && self.matcher.find_bytes(uri.user).is_some()
    }
}

/// What contacts are sent outside dialogs. REGISTER and PUBLISH are for servers.
fn is_passed_on(method: Method) -> bool {
    use Method::{Info, Invite, Message, Notify, Options, Refer, Subscribe};
    matches!(
        method,
        Invite | Message | Subscribe | Info | Options | Refer | Notify
    )
}
