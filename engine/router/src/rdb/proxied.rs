//! `mode = "proxy"`: the targets a request is forked to and their order, read and checked. What a proxy
//! does with them is the business of `router::proxy`.

use super::target::Target;
use super::template::OutUser;
use super::{CallFlow, Record};

/// A route that is proxied (RFC 3261 16) and not bridged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// Where requests go, those tried first in front. Never empty.
    pub targets: Vec<Branch>,
    /// Try the Contacts of a redirection instead of passing it back (RFC 3261 16.7 step 4).
    pub recurse: bool,
}

/// One target of a proxied route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Where it is.
    pub target: Target,
    /// The user of the request that leaves to it.
    pub out_user: OutUser,
    /// Its preference, 0 to 1000: targets of one value are tried at once, higher ones before lower ones.
    pub q: u16,
}

/// The highest preference, `1.0`.
pub(super) const Q_MAX: u16 = 1000;

/// Targets of one record, and branches of one request: as many as a hunt group has.
pub(crate) const BRANCHES_MAX: usize = 16;

impl Proxied {
    /// The targets in the order they are tried; equal ones stay in the order of the file.
    pub(super) fn new(mut targets: Vec<Branch>, recurse: bool) -> Proxied {
        targets.sort_by_key(|branch| std::cmp::Reverse(branch.q));
        Proxied { targets, recurse }
    }
}

/// Reads the name of a mode: whether it is the proxy.
pub(super) fn is_proxy(mode: &str) -> Result<bool, String> {
    match mode {
        "" | "b2bua" => Ok(false),
        "proxy" => Ok(true),
        other => Err(format!("unknown mode {other:?}; allowed: b2bua, proxy")),
    }
}

/// A preference as the file has it: 0 to 1, three digits count (RFC 3261 25.1 `qvalue`).
pub(super) fn q(value: f64) -> Result<u16, String> {
    if (0.0..=1.0).contains(&value) {
        Ok((value * f64::from(Q_MAX)).round() as u16)
    } else {
        Err("a preference is a number from 0 to 1".to_owned())
    }
}

/// What only a back-to-back user agent can do, by the names of the fields.
pub(super) fn beyond_a_proxy(record: &Record) -> Vec<&'static str> {
    [
        (record.flow != CallFlow::Transparent, "outCallFlow"),
        (record.max_duration.is_some(), "maxCallDuration"),
        (record.steer_media, "steerMedia"),
        (record.disallow_similar_18x, "disallowSimilar18x"),
        (record.disallow_different_18x, "disallowDifferent18x"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_have_three_digits() {
        assert_eq!(q(1.0), Ok(1000));
        assert_eq!(q(0.7004), Ok(700));
        assert_eq!(q(0.0), Ok(0));
        assert!(q(1.1).is_err() && q(-0.1).is_err() && q(f64::NAN).is_err());
    }

    #[test]
    fn targets_are_ordered_and_equal_ones_stay() {
        let branch = |port, q| Branch {
            target: Target::Ip {
                ip: [127, 0, 0, 1].into(),
                port: Some(port),
            },
            out_user: OutUser::Keep,
            q,
        };
        let proxied = Proxied::new(vec![branch(1, 500), branch(2, 1000), branch(3, 500)], false);
        assert_eq!(
            proxied.targets,
            [branch(2, 1000), branch(1, 500), branch(3, 500)]
        );
    }
}
