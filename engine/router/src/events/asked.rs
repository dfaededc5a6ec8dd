//! What a SUBSCRIBE or PUBLISH asks for: whose state, in whose name, for how long.

use wire::{HeaderName, Message, Uri};

use super::package::Package;
use super::settings::{EventsSettings, Watchers};
use crate::call::Refusal;
use crate::core::Core;
use crate::location::Aor;
use crate::registrar;

/// The user of the directory whom a request is for: a GRUU is for one of his devices, not for him.
pub(super) fn user_of(core: &Core, uri: &[u8]) -> Option<Aor> {
    let uri = Uri::parse(uri).ok().filter(|it| it.param("gr").is_none())?;
    let domain = registrar::domain_of(core, &uri)?;
    let aor = Aor::new(Aor::of(&uri)?.user(), &domain.name)?;
    registrar::is_user(&core.directory, &aor).then_some(aor)
}

/// The user of the directory who sends a request. That it is he has been proven, as far as anybody asked.
fn sender(core: &Core, request: &Message<'_>) -> Option<Aor> {
    user_of(core, request.from().ok()?.uri)
}

/// Whether its sender may subscribe to this.
///
/// # Errors
/// 403: there is no other user whom it is the business of.
pub(super) fn check_subscriber(
    core: &Core,
    settings: &EventsSettings,
    request: &Message<'_>,
    (aor, package): (&Aor, Package),
) -> Result<(), Refusal> {
    let allowed = sender(core, request).is_some_and(|sender| {
        let watches = match settings.watchers {
            Watchers::Local => true,
            Watchers::Domain => sender.domain() == aor.domain(),
            Watchers::User => false,
        };
        sender == *aor || (package.is_published() && watches)
    });
    allowed.then_some(()).ok_or_else(|| Refusal::code(403))
}

/// Whether its sender may publish for this user: he himself.
///
/// # Errors
/// 403: somebody else.
pub(super) fn check_publisher(
    core: &Core,
    request: &Message<'_>,
    aor: &Aor,
) -> Result<(), Refusal> {
    let allowed = sender(core, request).is_some_and(|sender| sender == *aor);
    allowed.then_some(()).ok_or_else(|| Refusal::code(403))
}

/// For how many seconds it is granted; 0: it is over.
///
/// # Errors
/// 423 with Min-Expires (RFC 6665 4.2.1.1, RFC 3903 6 step 4).
pub(super) fn interval(settings: &EventsSettings, request: &Message<'_>) -> Result<u32, Refusal> {
    let said = request.header(HeaderName::Expires).and_then(seconds);
    match said.unwrap_or(settings.default_expires_s) {
        0 => Ok(0),
        brief if brief < settings.min_expires_s => Err(Refusal {
            extra: format!("Min-Expires: {}\r\n", settings.min_expires_s).into_bytes(),
            ..Refusal::code(423)
        }),
        asked => Ok(asked.min(settings.max_expires_s)),
    }
}

/// RFC 3261 20.19: up to 2^32-1, and more is as good; what is no number is as if it were not there.
fn seconds(value: &[u8]) -> Option<u32> {
    let digits = value.trim_ascii();
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    Some(text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_number_however_long() {
        assert_eq!(seconds(b" 60 "), Some(60));
        assert_eq!(seconds(b"99999999999"), Some(u32::MAX));
        assert_eq!(
            (seconds(b"never"), seconds(b"+1"), seconds(b"")),
            (None, None, None)
        );
    }
}
