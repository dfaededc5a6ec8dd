//! Requests of the router's own inside a dialog: where they go, their number, their transaction. What they
//! say is for who sends them.

use stack::dialog::Dialog;
use stack::{ClientId, Flow, Outbox, Time, Token};
use wire::Method;

use super::Call;
use super::print::{MAX_FORWARDS, Request};
use crate::core::{Core, Purpose, Side, User};

/// A request that the router makes inside a dialog.
pub(crate) struct Own<'d> {
    pub(crate) dialog: &'d mut Dialog,
    /// Where the other party was last seen.
    pub(crate) peer: Flow,
    pub(crate) user: User,
    pub(crate) method: Method,
    pub(crate) max_forwards: u32,
}

impl Own<'_> {
    /// Sends it as `printed` writes it; `None` when no transaction is free.
    pub(crate) fn send(
        self,
        core: &mut Core,
        now: Time,
        printed: impl FnOnce(&Request<'_>, &mut Vec<u8>),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let flow = core.next_hop(now, self.dialog, self.peer);
        self.send_to(core, now, flow, printed, out)
    }

    /// The same to where the peer was last seen, whatever its dialog says: it is behind a NAT.
    pub(crate) fn send_back(
        self,
        core: &mut Core,
        now: Time,
        printed: impl FnOnce(&Request<'_>, &mut Vec<u8>),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let flow = self.peer;
        self.send_to(core, now, flow, printed, out)
    }

    fn send_to(
        self,
        core: &mut Core,
        now: Time,
        flow: Flow,
        printed: impl FnOnce(&Request<'_>, &mut Vec<u8>),
        out: &mut Outbox,
    ) -> Option<ClientId> {
        let cseq = self.dialog.next_cseq();
        let door = core.doors.of(flow.listener);
        let print = |out: &mut Vec<u8>, branch: &Token| {
            let request = Request {
                door,
                dialog: self.dialog,
                method: self.method.as_str().as_bytes(),
                cseq,
                branch,
                max_forwards: self.max_forwards,
            };
            printed(&request, out);
        };
        core.transactions
            .request(now, flow, self.method, self.user, print, out)
    }
}

impl Call {
    /// A request to this side.
    pub(super) fn own(&mut self, to: Side, method: Method, purpose: Purpose) -> Own<'_> {
        let call = self.id;
        let leg = self.leg_mut(to);
        Own {
            peer: leg.peer,
            dialog: &mut leg.dialog,
            user: User { call, purpose },
            method,
            max_forwards: MAX_FORWARDS,
        }
    }
}
