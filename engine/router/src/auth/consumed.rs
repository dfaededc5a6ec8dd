//! Credentials that were for this router end here: they are nobody's business behind it.

use wire::{DigestCredentials, HeaderName, Message};

use crate::core::Core;

/// The request without the credentials for local realms; `None` when it has none, which is free while there
/// are no local domains. RFC 3261 22.3: those for other realms are others' and pass.
///
/// A response is only as good as the secret is long: whoever gets one can try secrets at home.
pub(crate) fn without_own_credentials(core: &Core, request: &Message<'_>) -> Option<Vec<u8>> {
    if core.directory.is_empty() {
        return None;
    }
    let is_own = |header: &wire::Header<'_>| {
        let holds = matches!(
            header.name,
            HeaderName::Authorization | HeaderName::ProxyAuthorization
        );
        holds && is_for_us(core, header.value)
    };
    request.headers().find(is_own)?;
    Some(request.without_lines(is_own))
}

fn is_for_us(core: &Core, value: &[u8]) -> bool {
    let Ok(Some(credentials)) = DigestCredentials::parse(value) else {
        return false;
    };
    let realm: Vec<u8> = credentials.realm.bytes().collect();
    let realm = std::str::from_utf8(&realm);
    realm.is_ok_and(|realm| core.directory.domain(realm).is_some())
}
