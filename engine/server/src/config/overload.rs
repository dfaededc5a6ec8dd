//! The section `[overload]`: what happens to new calls when a shard has more to do than it can.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::within;

/// What happens to new calls when a shard has more to do than it can.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Overload {
    /// false: nothing; calls wait until the kernel's buffers are full.
    #[garde(skip)]
    pub(crate) enabled: bool,
    /// How long a shard may work without one free moment before it begins to refuse.
    #[garde(custom(within(1, 10_000)))]
    pub(crate) target_ms: u64,
    /// Numbers whose calls are taken all the same: "112" is this one, "1161*" all that begin so.
    #[garde(length(max = 256), inner(custom(number)))]
    pub(crate) priority_numbers: Vec<String>,
    /// Answers of 503 for each call that is taken; what comes beyond them is dropped.
    #[garde(range(min = 0.0, max = 1_000.0))]
    pub(crate) refusals_per_call: f64,
    /// Values of Resource-Priority (RFC 4412) whose requests are taken all the same when a trusted peer sends
    /// them: "ets" is the whole namespace, "wps.0" this priority. The kernel cannot see them, so while there are
    /// any it drops nothing for the shards.
    #[garde(length(max = 64), inner(custom(resource)))]
    pub(crate) resource_priorities: Vec<String>,
}

impl Default for Overload {
    fn default() -> Self {
        Overload {
            enabled: true,
            target_ms: 20,
            priority_numbers: Vec::new(),
            refusals_per_call: 0.4,
            resource_priorities: Vec::new(),
        }
    }
}

/// The user of a SIP URI, which has no blanks; a star stands at the end alone.
fn number(value: &str, _: &()) -> garde::Result {
    let user = value.strip_suffix('*').unwrap_or(value);
    let fits = |b: u8| b.is_ascii_graphic() && b != b'*' && b != b'@';
    match !user.is_empty() && user.len() <= 64 && user.bytes().all(fits) {
        true => Ok(()),
        false => Err(garde::Error::new(
            "must be 1 to 64 visible characters, with a * at the end for all that begin so",
        )),
    }
}

/// RFC 4412 3.1: a namespace, and perhaps a point and a priority; both are tokens without points.
fn resource(value: &str, _: &()) -> garde::Result {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-!%*_+`'~".contains(&b);
    let mut parts = value.split('.');
    let is_token = |part: &str| (1..=32).contains(&part.len()) && part.bytes().all(fits);
    match parts.by_ref().take(2).all(is_token) && parts.next().is_none() {
        true => Ok(()),
        false => Err(garde::Error::new(
            "must be a namespace as \"ets\", or one of its priorities as \"ets.0\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_a_namespace_or_one_of_its_priorities() {
        for good in ["ets", "wps.0", "q735.0", "dsn.flash-override"] {
            assert!(resource(good, &()).is_ok(), "{good}");
        }
        for bad in ["", ".", "ets.", ".0", "a.b.c", "a b", "a,b"] {
            assert!(resource(bad, &()).is_err(), "{bad}");
        }
    }
}
