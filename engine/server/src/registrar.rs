//! From the section `[registrar]` to what the shards know of it.

use std::sync::Arc;

use router::RegistrarSettings;

use crate::config::{Nat, Registrar, UnsupportedPath};

/// The registrar's rules.
pub(crate) fn settings(registrar: &Registrar) -> Arc<RegistrarSettings> {
    Arc::new(RegistrarSettings {
        min_expires_s: registrar.min_expires_s,
        default_expires_s: registrar.default_expires_s,
        max_expires_s: registrar.max_expires_s,
        default_domain: registrar.default_domain.as_deref().map(Into::into),
        service_route: service_route(&registrar.service_route),
        path: match registrar.unsupported_path {
            UnsupportedPath::Refuse => router::UnsupportedPath::Refuse,
            UnsupportedPath::Accept => router::UnsupportedPath::Accept,
        },
        nat: match registrar.nat {
            Nat::Auto => router::Nat::Auto,
            Nat::Always => router::Nat::Always,
            Nat::Never => router::Nat::Never,
        },
    })
}

/// One header for all of them, in their order (RFC 3608 5).
fn service_route(uris: &[String]) -> Option<Box<str>> {
    let values: Vec<String> = uris.iter().map(|uri| format!("<{uri}>")).collect();
    (!values.is_empty()).then(|| values.join(", ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_route_is_one_value_after_the_other() {
        let route = |uris: &[&str]| {
            let uris: Vec<String> = uris.iter().map(|&uri| uri.to_owned()).collect();
            service_route(&uris)
        };
        assert_eq!(route(&[]), None);
        let both = route(&["sip:a;lr", "sip:b;lr"]);
        assert_eq!(both.as_deref(), Some("<sip:a;lr>, <sip:b;lr>"));
    }
}
