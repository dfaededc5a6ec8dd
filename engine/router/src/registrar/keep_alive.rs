//! STUN on the SIP port: how a user agent on UDP keeps its flow open and learns that it is the same (RFC 5626 4.4.2, 8).
//! The double CRLF of 4.4.1 is for streams, and a datagram of it gets no answer.

use stack::{Flow, Outbox};
use wire::stun::BindingRequest;

use crate::core::Core;

/// A datagram that looks like STUN. Answered is a Binding request, whatever shard it came to: nothing is kept of it.
pub(crate) fn receive_stun(core: &mut Core, flow: Flow, bytes: &[u8], out: &mut Outbox) {
    match BindingRequest::parse(bytes) {
        Some(request) => {
            core.counters.registrar.stun_answered += 1;
            out.push(flow, |out| request.print_answer(out, flow.remote));
        }
        None => core.counters.registrar.stun_dropped += 1,
    }
}
