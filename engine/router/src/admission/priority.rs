//! Which new calls go before all others: emergency calls, by the number or by the service they name, and what
//! those who may say so have marked as urgent (RFC 4412).

use wire::{HeaderName, Message, Method, Uri};

/// RFC 5031 4.2: emergency services, and their kinds (`.fire`, `.police`).
const EMERGENCY: &[u8] = b"urn:service:sos";

/// Numbers that go first: `112` is this user alone, `1161*` every user that begins so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriorityNumbers(Vec<String>);

impl PriorityNumbers {
    /// These numbers.
    pub fn new(numbers: impl IntoIterator<Item = String>) -> PriorityNumbers {
        PriorityNumbers(numbers.into_iter().collect())
    }

    /// Whether the request is a call to one of them, or names an emergency service.
    pub(crate) fn go_for(&self, request: &Message<'_>) -> bool {
        if request.method() != Method::Invite {
            return false;
        }
        let uri = request.request_uri();
        names_emergency(uri) || Uri::parse(uri).is_ok_and(|uri| self.have(uri.user))
    }

    /// How each user begins, and what follows it in a SIP URI.
    pub(crate) fn beginnings(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().map(|number| match number.strip_suffix('*') {
            Some(beginning) => (beginning, ""),
            None => (number.as_str(), "@"),
        })
    }

    fn have(&self, user: &[u8]) -> bool {
        self.0.iter().any(|number| match number.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning.as_bytes()),
            None => user == number.as_bytes(),
        })
    }
}

/// Values of Resource-Priority (RFC 4412 3.1) that are believed of trusted peers: `ets` is each priority of this
/// namespace, `wps.0` this one alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePriorities(Vec<String>);

impl ResourcePriorities {
    /// These values.
    pub fn new(values: impl IntoIterator<Item = String>) -> ResourcePriorities {
        ResourcePriorities(values.into_iter().collect())
    }

    /// Whether none is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the request has one of them.
    pub(crate) fn mark(&self, request: &Message<'_>) -> bool {
        let mut values = request.values(HeaderName::ResourcePriority);
        !self.is_empty() && values.any(|value| self.have(value))
    }

    /// RFC 4412 3.1: case does not matter.
    fn have(&self, value: &[u8]) -> bool {
        let namespace = value.split(|&byte| byte == b'.').next();
        self.0.iter().map(String::as_bytes).any(|own| {
            own.eq_ignore_ascii_case(value)
                || namespace.is_some_and(|namespace| own.eq_ignore_ascii_case(namespace))
        })
    }
}

fn names_emergency(uri: &[u8]) -> bool {
    let Some((start, rest)) = uri.split_at_checked(EMERGENCY.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(EMERGENCY) && matches!(rest.first(), None | Some(b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_unless_they_end_in_a_star() {
        let numbers = PriorityNumbers::new(["112", "+49116*"].map(str::to_owned));
        for (user, expected) in [
            ("112", true),
            ("1125551234", false),
            ("12", false),
            ("+49116117", true),
            ("+49116", true),
            ("", false),
        ] {
            assert_eq!(numbers.have(user.as_bytes()), expected, "{user}");
        }
    }

    #[test]
    fn resource_priorities_are_namespaces_or_single_values() {
        let values = ResourcePriorities::new(["ets", "wps.0"].map(str::to_owned));
        for (value, expected) in [
            ("ets.4", true),
            ("ETS.0", true),
            ("etsx.0", false),
            ("wps.0", true),
            ("wps.00", false),
            ("wps.1", false),
            ("wps", false),
            ("", false),
        ] {
            assert_eq!(values.have(value.as_bytes()), expected, "{value}");
        }
        assert!(!ResourcePriorities::default().have(b"ets.0"));
    }

    #[test]
    fn emergency_services_are_named_by_urn() {
        for (uri, expected) in [
            ("urn:service:sos", true),
            ("URN:service:sos.fire", true),
            ("urn:service:sosial", false),
            ("urn:service:counseling", false),
            ("sip:sos@example.com", false),
        ] {
            assert_eq!(names_emergency(uri.as_bytes()), expected, "{uri}");
        }
    }
}
