//! From the section `[registrar]` to what the shards know of it.

use std::sync::Arc;
use std::time::Duration;

use router::{ContactKeepAlive, Order, Reach, RegistrarSettings};

use crate::config::{Asked, Nat, Registrar, UnsupportedPath};

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
        reach: Reach {
            order: order(&registrar.order),
            ring: Duration::from_secs(registrar.ring_s.into()),
            keep_alive: keep_alive(registrar),
        },
    })
}

fn order(asked: &[Asked]) -> Order {
    match asked {
        [Asked::Rdb, Asked::Location, ..] => Order::RdbThenLocation,
        [Asked::Rdb, ..] => Order::Rdb,
        [Asked::Location, Asked::Rdb, ..] => Order::LocationThenRdb,
        _ => Order::Location,
    }
}

fn keep_alive(registrar: &Registrar) -> Option<ContactKeepAlive> {
    (registrar.keepalive_s > 0).then(|| ContactKeepAlive {
        every: Duration::from_secs(registrar.keepalive_s.into()),
        failures: u8::try_from(registrar.keepalive_failures).unwrap_or(u8::MAX),
        per_second: registrar.keepalive_per_s,
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

    #[test]
    fn the_order_is_the_one_of_the_list() {
        use Asked::{Location, Rdb};
        assert_eq!(order(&[Location, Rdb]), Order::LocationThenRdb);
        assert_eq!(order(&[Rdb, Location]), Order::RdbThenLocation);
        assert_eq!(order(&[Location]), Order::Location);
        assert_eq!(order(&[Rdb]), Order::Rdb);
    }

    #[test]
    fn no_interval_is_no_keep_alive() {
        let mut registrar = Registrar::default();
        assert_eq!(keep_alive(&registrar), None);
        registrar.keepalive_s = 30;
        let every = keep_alive(&registrar).map(|it| it.every);
        assert_eq!(every, Some(Duration::from_secs(30)));
    }
}
