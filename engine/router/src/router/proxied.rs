//! Requests that the router forwards as a proxy: those of a route that says so, and those whose path leads
//! through it.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Message, Method, Uri};

use super::Router;
use crate::application_server;
use crate::call::Refusal;
use crate::entry::Entry;
use crate::proxy::{self, Arrived, Path, Routed};

impl Router {
    /// Forwards a request whose route has it proxied; false when it is for somebody else here. OPTIONS and
    /// REGISTER that name no user are for the router itself.
    pub(super) fn proxy_request(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        if application_server::takes(&self.core, source) {
            return false;
        }
        if self.reach_user(now, source, server, request, out) {
            return true;
        }
        if !self.matcher.table().has_proxied() {
            return false;
        }
        let Ok(uri) = Uri::parse(request.request_uri()) else {
            return false;
        };
        if uri.user.is_empty() && matches!(request.method(), Method::Options | Method::Register) {
            return false;
        }
        let Some((user, route)) = self.matcher.find_bytes(uri.user) else {
            return false;
        };
        let Some(proxied) = &route.record.proxied else {
            return false;
        };
        let routed = Routed {
            proxied,
            route,
            uri: &uri,
            user,
        };
        let arrived = Arrived {
            request,
            source,
            server,
        };
        let (core, calls) = (&mut self.core, &mut self.calls);
        let started = proxy::start(core, calls, now, arrived, routed, out);
        self.proxy_started(now, server, started, out);
        true
    }

    /// A request inside a dialog whose path leads through us (RFC 3261 16.12).
    pub(super) fn proxy_in_dialog(
        &mut self,
        now: Time,
        source: Flow,
        server: ServerId,
        path: &Path<'_>,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        let arrived = Arrived {
            request,
            source,
            server,
        };
        let (core, calls) = (&mut self.core, &mut self.calls);
        let started = proxy::receive_in_dialog(core, calls, now, arrived, path, out);
        self.proxy_started(now, server, started, out);
    }

    pub(super) fn proxy_started(
        &mut self,
        now: Time,
        server: ServerId,
        started: Result<Option<Entry>, Refusal>,
        out: &mut Outbox,
    ) {
        match started {
            Ok(Some(context)) => self.calls.insert(context),
            Ok(None) => {}
            Err(refusal) => self.refuse_start(now, server, &refusal, out),
        }
    }
}
