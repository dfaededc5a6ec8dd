//! Requests on their way in, as far as their credentials go: where they are looked at, and where those for this
//! router are taken off.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{Index, Message, Method, Uri};

use super::Router;
use crate::auth::entrance::{self, Ask};
use crate::auth::without_own_credentials;
use crate::call::Refusal;
use crate::events;

impl Router {
    /// A request that has not been here before. A REGISTER keeps its credentials: they go no further than to
    /// the registrar.
    pub(super) fn unread_request(
        &mut self,
        now: Time,
        flow: Flow,
        server: ServerId,
        unread: &Message<'_>,
        out: &mut Outbox,
    ) {
        let text = match unread.method() {
            Method::Register => None,
            _ => without_own_credentials(&self.core, unread),
        };
        let Some(text) = text else {
            return self.new_request(now, flow, server, unread, unread, out);
        };
        let mut index = Index::new();
        match Message::parse(&text, &mut index, &self.core.limits.wire) {
            Ok(request) => self.new_request(now, flow, server, unread, &request, out),
            Err(error) => self.core.refuse(now, server, error.code(), b"", out),
        }
    }

    /// RFC 3261 22.1: an ACK has the credentials of its INVITE.
    pub(super) fn unread_ack(
        &mut self,
        now: Time,
        flow: Flow,
        unread: &Message<'_>,
        out: &mut Outbox,
    ) {
        let Some(text) = without_own_credentials(&self.core, unread) else {
            return self.on_ack(now, flow, unread, out);
        };
        let mut index = Index::new();
        if let Ok(ack) = Message::parse(&text, &mut index, &self.core.limits.wire) {
            self.on_ack(now, flow, &ack, out);
        }
    }

    /// Whether a request may go on: inside dialogs all may, and one that loops is told that.
    pub(super) fn check_sender(
        &mut self,
        now: Time,
        flow: Flow,
        unread: &Message<'_>,
    ) -> Result<(), Refusal> {
        if !entrance::asks(&self.core, flow, unread) {
            return Ok(());
        }
        let ask = if self.is_proxied(now, unread) {
            Ask::Proxy
        } else {
            Ask::Server
        };
        entrance::check(&mut self.core, now, flow, unread, ask)
    }

    /// Whether a request is proxied, by its route or to a user of ours.
    fn is_proxied(&mut self, now: Time, request: &Message<'_>) -> bool {
        // What the router answers itself is nobody else's.
        if events::takes(&self.core, request) {
            return false;
        }
        if self.is_for_user(now, request) {
            return true;
        }
        if !self.matcher.table().has_proxied() {
            return false;
        }
        let uri = Uri::parse(request.request_uri());
        let found = uri.ok().and_then(|uri| self.matcher.find_bytes(uri.user));
        found.is_some_and(|(_, route)| route.record.proxied.is_some())
    }
}
