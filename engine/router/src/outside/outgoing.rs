//! A request outside any dialog and its way out: the record that the routing DB has for it, the Request-URI,
//! the address; and how it is printed on the other leg, under an identity of ours.

use stack::dialog::{Dialog, DialogError};
use stack::{ClientId, Flow, Outbox, ServerId, Time, Token};
use wire::{Message, Method, Uri};

use crate::application_server;
use crate::call::{Refusal, Request, Setup, Way, callee_dialog, max_forwards};
use crate::calls::CallId;
use crate::core::{Core, Destination, User};
use crate::headers::{POLICY, passing};
use crate::identity::{self, Veil};
use crate::local;
use crate::rdb::{CallFlow, Matcher, Record};
use crate::target::Addressed;
use crate::transfer::referring_lines;

/// Where such a request goes.
#[derive(Debug)]
struct Route {
    addressed: Addressed,
    steered: bool,
}

impl Route {
    /// As calls are routed: to the application server, or by the routing DB. `None` for a number that the
    /// router answers itself.
    fn find(
        core: &mut Core,
        matcher: &mut Matcher,
        now: Time,
        source: Flow,
        request: &Message<'_>,
    ) -> Result<Option<Route>, Refusal> {
        let uri = Uri::parse(request.request_uri())?;
        local::check_scheme(&uri)?;
        local::check_proxy_required(request)?;
        if application_server::takes(core, source) {
            let addressed = application_server::addressed(core, (request.request_uri(), &uri))?;
            let steered = false;
            return Ok(Some(Route { addressed, steered }));
        }
        let found = matcher.find_bytes(uri.user);
        let (user, mut route) = found.ok_or_else(|| Refusal::code(404))?;
        let record = route.record;
        if record.flow == CallFlow::EchoResponder {
            return Ok(None);
        }
        let written = (request.request_uri(), &uri);
        let addressed = Addressed::by_route(core, now, (user, &mut route), written, source);
        let steered = record.steer_media;
        Ok(Some(Route { addressed, steered }))
    }
}

/// A request that has a route.
pub(super) struct Outgoing<'a, 'm> {
    pub(super) request: &'a Message<'m>,
    pub(super) source: Flow,
    pub(super) server: ServerId,
    way: Way,
    route: Route,
    max_forwards: u32,
    /// What its receiver may know.
    veil: Option<Veil>,
}

impl<'a, 'm> Outgoing<'a, 'm> {
    /// Finds the way of a request; `None` for a number that the router answers itself.
    ///
    /// # Errors
    /// The answer to a request that has no way: 404 without a route, 483 without a hop left (RFC 3261
    /// 16.3), and what calls are refused with.
    pub(super) fn find(
        core: &mut Core,
        matcher: &mut Matcher,
        now: Time,
        (source, server): (Flow, ServerId),
        request: &'a Message<'m>,
    ) -> Result<Option<Outgoing<'a, 'm>>, Refusal> {
        let Some(route) = Route::find(core, matcher, now, source, request)? else {
            return Ok(None);
        };
        let max_forwards = max_forwards(request).ok_or_else(|| Refusal::code(483))?;
        let way = Way::find(core, route.addressed.destination.clone(), source)?;
        way.check_load(core, now, source, request)?;
        let veil = identity::between(core, source.remote.ip(), way.address());
        if let Some(veil) = veil {
            veil.check(request, route.steered)?;
        }
        Ok(Some(Outgoing {
            request,
            source,
            server,
            way,
            route,
            max_forwards,
            veil,
        }))
    }

    /// Whether the media of its route goes through the router.
    pub(super) fn is_steered(&self) -> bool {
        self.route.steered
    }

    /// The flow of the far leg; the near one's listener and address until a name is resolved.
    pub(super) fn flow(&self) -> Flow {
        self.way.flow(self.source)
    }

    /// Who we are on the far leg, with `tag` in Call-ID and From.
    pub(super) fn dialog(&self, core: &mut Core, tag: &Token) -> Result<Dialog, DialogError> {
        let setup = Setup {
            id: CallId::NONE,
            request: self.request,
            source: self.source,
            server: self.server,
            record: &Record::default(),
            request_uri: &self.route.addressed.request_uri,
            host: &self.route.addressed.host,
            destination: Destination::None,
            through_proxy: self.route.addressed.through_proxy,
            found: None,
        };
        callee_dialog(core, &setup, &self.way, self.veil, tag)
    }

    /// Sends it on the far leg.
    ///
    /// # Errors
    /// 503 when no transaction is free.
    pub(super) fn send(
        &self,
        core: &mut Core,
        now: Time,
        dialog: &mut Dialog,
        user: User,
        contact: Option<&Token>,
        out: &mut Outbox,
    ) -> Result<ClientId, Refusal> {
        let flow = self.flow();
        let (extra, policy) = match self.request.method() {
            Method::Refer => {
                let lines = referring_lines(core, flow.listener, self.server, self.request);
                (lines.map_err(Refusal::code)?, passing(Method::Refer))
            }
            _ => (Vec::new(), &POLICY),
        };
        let cseq = dialog.next_cseq();
        let door = core
            .doors
            .towards(flow.listener, self.way.speaks_of_overload(core));
        let body = match self.route.steered && self.request.has_sdp() {
            true => b"".as_slice(),
            false => self.request.body(),
        };
        let hidden = self
            .veil
            .and_then(|veil| veil.hides(self.request, self.route.steered));
        let print = |out: &mut Vec<u8>, branch: &Token| {
            let request = Request {
                door,
                dialog,
                method: self.request.method_token(),
                cseq,
                branch,
                max_forwards: self.max_forwards,
            };
            match hidden.as_ref() {
                None => request.print_passing(out, self.request, contact, &extra, body, policy),
                Some(hidden) => {
                    let lines = [&extra, hidden.lines()].concat();
                    let policy = hidden.policy(policy);
                    request.print_passing(out, self.request, contact, &lines, body, &policy);
                }
            }
        };
        let layers = (&mut core.transactions, &mut core.names);
        let method = self.request.method();
        let sent = self.way.send(layers, now, method, user, print, out);
        let client = sent.ok_or_else(|| {
            core.limit_reached("transactions", core.limits.transactions);
            Refusal::at_limit(core)
        })?;
        core.counters.exchanges += 1;
        core.counters.forwarded += 1;
        Ok(client)
    }
}
