//! Whether the sender of a REGISTER is the user whose bindings it is about.

use stack::{Flow, ServerId, Time};
use wire::Message;

use crate::call::Refusal;
use crate::core::Core;
use crate::location::Aor;

/// RFC 3261 10.3 steps 3 to 5.
///
/// # Errors
/// The answer to one who is not.
pub(super) fn check(
    core: &mut Core,
    _now: Time,
    (_source, _server): (Flow, ServerId),
    _request: &Message<'_>,
    aor: &Aor,
) -> Result<(), Refusal> {
    let domain = core.directory.domain(aor.domain());
    let known = domain.is_some_and(|domain| domain.credentials(aor.user()).is_some());
    match known {
        true => Ok(()),
        false => Err(Refusal::code(404)),
    }
}
