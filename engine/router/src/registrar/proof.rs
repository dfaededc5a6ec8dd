//! Whether the sender of a REGISTER is the user whose bindings it is about.

use stack::{Flow, Time};
use wire::Message;

use super::is_user;
use crate::auth;
use crate::call::Refusal;
use crate::core::Core;
use crate::location::Aor;

/// RFC 3261 10.3 steps 3 to 5. Whether there is such a user is told only to those from whom no proof is asked.
///
/// # Errors
/// The answer to one who is not.
pub(super) fn check(
    core: &mut Core,
    now: Time,
    source: Flow,
    request: &Message<'_>,
    aor: &Aor,
) -> Result<(), Refusal> {
    if auth::entrance::check_register(core, now, source, request, aor)? {
        return Ok(());
    }
    match is_user(&core.directory, aor) {
        true => Ok(()),
        false => Err(Refusal::code(404)),
    }
}
