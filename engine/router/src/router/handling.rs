//! REFERs that the router carries out itself: for which peers, and to whom the call goes that they ask for.

use stack::{Flow, Outbox, ServerId, Time};
use wire::{HeaderName, Message, Method, NameAddr, Scheme, Uri};

use super::Router;
use crate::call::{Refusal, Target, Way};
use crate::calls::CallId;
use crate::core::Side;
use crate::peers::Transfers;
use crate::rdb::CallFlow;
use crate::target::Addressed;
use crate::transfer::{Named, OtherEnd, named_in_uri};

impl Router {
    /// Carries out a REFER, or refuses it; false when it is to be passed like any other request.
    #[expect(clippy::too_many_arguments, reason = "a request and its surroundings")]
    pub(super) fn handles_refer(
        &mut self,
        now: Time,
        id: CallId,
        side: Side,
        server: ServerId,
        flow: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let peer = self.core.peers.of(flow.remote.ip());
        let handled = request.method() == Method::Refer && peer.transfers == Transfers::Handle;
        let call = self.calls.get_mut(id);
        if !handled || !call.is_some_and(|call| call.can_transfer()) {
            return false;
        }
        let Some(uri) = reference(request) else {
            return false;
        };
        match self.target_of(now, id, flow, uri) {
            Ok(None) => return false,
            Ok(Some(target)) => {
                if let Some(call) = self.calls.get_mut(id) {
                    let core = &mut self.core;
                    call.refer(core, now, side, server, flow, request, &target, out);
                }
            }
            Err(refusal) => self
                .core
                .refuse(now, server, refusal.code, &refusal.extra, out),
        }
        true
    }

    /// Whom the reference leads to; `None` when that is not for the router to find out.
    fn target_of(
        &mut self,
        now: Time,
        id: CallId,
        source: Flow,
        text: &[u8],
    ) -> Result<Option<Target>, Refusal> {
        let uri = Uri::parse(text)?;
        match named_in_uri(&uri) {
            Some(named) => self.replaced(now, id, &named),
            // What else its headers ask for is not done here.
            None if !uri.headers.is_empty() => Ok(None),
            None if self.draining => Err(Refusal::code(503)),
            None => self.routed(now, source, text, &uri),
        }
    }

    /// The party of another call that the target is to replace. What another shard has, the transferee
    /// finds there with an INVITE of its own.
    fn replaced(
        &mut self,
        now: Time,
        id: CallId,
        named: &Named,
    ) -> Result<Option<Target>, Refusal> {
        let token = named.token;
        if token.shard != self.core.shard || CallId::of_token(&token) == id {
            return Ok(None);
        }
        let end = self.other_end(now, named).map_err(Refusal::code)?;
        let way = Way::Known(end.flow);
        Ok(Some(Target { end, way }))
    }

    /// The target by the routing DB, as for an INVITE of the one who refers.
    fn routed(
        &mut self,
        now: Time,
        source: Flow,
        text: &[u8],
        uri: &Uri<'_>,
    ) -> Result<Option<Target>, Refusal> {
        let found = self.matcher.find_bytes(uri.user);
        let (user, mut route) = found.ok_or_else(|| Refusal::code(404))?;
        let record = route.record.clone();
        if record.flow != CallFlow::Transparent || record.steer_media {
            return Ok(None);
        }
        let (core, found) = (&mut self.core, (user, &mut route));
        let addressed = Addressed::by_route(core, now, found, (text, uri), source);
        let way = Way::find(&self.core, addressed.destination, source)?;
        let routes = self.core.proxy.as_ref().map(|proxy| proxy.route.clone());
        let end = OtherEnd {
            flow: way.flow(source),
            target: addressed.request_uri.to_vec(),
            routes: routes.unwrap_or_default(),
            line: Vec::new(),
            record,
        };
        Ok(Some(Target { end, way }))
    }
}

/// The URI that a REFER asks to call, when it is one that the router can call. RFC 3515 2.4.2: any other is
/// for the transferee to judge.
fn reference<'a>(request: &Message<'a>) -> Option<&'a [u8]> {
    let mut values = request.values(HeaderName::ReferTo);
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let address = NameAddr::parse(value).ok()?;
    let uri = Uri::parse(address.uri).ok()?;
    let callable = matches!(uri.scheme, Scheme::Sip | Scheme::Tel) && uri.param("method").is_none();
    callable.then_some(address.uri)
}
