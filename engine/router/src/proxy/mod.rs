//! The stateful proxy (RFC 3261 16): requests of routes with `mode = "proxy"`, and those inside the dialogs
//! they made, are passed on as they are.
//!
//! `arrival` takes a request in, `path` knows which Routes are ours, `admission` is what is checked before
//! anything leaves, `onward` prints and sends, `context` is the response context with its branches, `best`
//! the choice among final responses, `redirection` the Contacts that become targets, `back` what the client
//! gets of a response. A call that was answered leaves nothing here: the requests inside it bring their own
//! path. What may not live here: dialogs, sessions, media. Topology hiding does not apply.

mod admission;
mod arrival;
mod back;
mod best;
mod context;
mod onward;
mod path;
mod redirection;

use wire::HeaderName;
use wire::print::Policy;

pub(crate) use arrival::{
    Arrived, Routed, ack, found, on_answer, on_cancel, on_failed, own_path, receive_in_dialog,
    start,
};
pub(crate) use context::ResponseContext;
pub(crate) use path::Path;

/// What of a request is written anew. Everything else is copied byte for byte and in order.
const REQUEST: Policy = Policy::dropping(&[
    HeaderName::Via,
    HeaderName::Route,
    HeaderName::MaxForwards,
    HeaderName::MaxBreadth,
    HeaderName::ContentLength,
]);

/// Of a response nothing is but the Via, which `forwarded_response` sees to.
const RESPONSE: Policy = Policy::dropping(&[]);

/// A 401 or 407 that waits: challenges are gathered from all of them (RFC 3261 16.7 step 7).
const CHALLENGED: Policy =
    RESPONSE.also(&[HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate]);

/// A redirection some of whose Contacts are tried here.
const REDIRECTED: Policy = RESPONSE.also(&[HeaderName::Contact]);
