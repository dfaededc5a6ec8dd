//! Before a request is taken in: whether its sender may send it; and after, what its refusal says of him.

use stack::{Flow, Outbox, Time};
use wire::Message;

use super::Router;
use crate::{abuse, proxy};

impl Router {
    pub(super) fn receive_request(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) {
        if self.is_welcome(now, flow, request, out) {
            self.core.refused_with = None;
            self.take_request(now, flow, request, out);
            abuse::entrance::note(&mut self.core, now, flow, Some(request));
        }
    }

    /// Whether its sender may send this. Calls in progress go on, whoever else sends from there.
    fn is_welcome(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        match request.to_tag() {
            None => abuse::entrance::passes(&mut self.core, now, flow, request, out),
            Some(tag) => {
                !self.core.guard.bans_any(now)
                    || self.find_call(tag, request).is_some()
                    || proxy::own_path(&self.core, request).is_some()
                    || abuse::entrance::passes_without_dialog(
                        &mut self.core,
                        now,
                        flow.remote,
                        request,
                    )
            }
        }
    }
}
