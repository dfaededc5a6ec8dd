//! What a record says, read and checked. Nothing here knows JSON or how records are found.

use super::proxied::Proxied;
use super::target::Target;
use super::template::OutUser;
use std::fmt;
use std::time::Duration;

/// One routing record. The times count from the INVITE that leaves, the last one from the ACK.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The regular expression over the request-URI user, as written.
    pub pattern: String,
    /// How long the callee may take to answer; `None` is as long as it likes.
    pub no_answer: Option<Duration>,
    /// How long the callee may take to send an 18x; `None` is as long as it likes.
    pub no_18x: Option<Duration>,
    /// How long an answered call may last; `None` is as long as it likes.
    pub max_duration: Option<Duration>,
    /// The user of the request that leaves.
    pub out_user: OutUser,
    /// Where the request leaves to.
    pub target: Target,
    /// How the call is carried.
    pub flow: CallFlow,
    /// Drop an 18x without SDP whose code was already sent.
    pub disallow_similar_18x: bool,
    /// Drop an 18x whose code differs from the first.
    pub disallow_different_18x: bool,
    /// Let the media pass through the router.
    pub steer_media: bool,
    /// Proxy the requests instead of bridging the call; `target` and `out_user` say nothing then.
    pub proxied: Option<Box<Proxied>>,
}

impl Record {
    /// Whether a new user is made of what the groups of the pattern matched.
    pub(super) fn needs_groups(&self) -> bool {
        let branches = self.proxied.iter().flat_map(|proxied| &proxied.targets);
        let mut users = branches.map(|branch| &branch.out_user);
        self.out_user.needs_groups() || users.any(OutUser::needs_groups)
    }
}

/// How a call is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallFlow {
    /// Responses pass as they come.
    #[default]
    Transparent,
    /// Early media is turned into an answer.
    TransformEarlyToFinal,
    /// The router answers and sends the media back.
    EchoResponder,
}

impl CallFlow {
    /// Every flow, by the name the DB has for it.
    pub(super) const ALL: [CallFlow; 3] = [
        CallFlow::Transparent,
        CallFlow::TransformEarlyToFinal,
        CallFlow::EchoResponder,
    ];

    /// Reads the name of a flow; empty is [`CallFlow::Transparent`].
    pub(super) fn parse(name: &str) -> Result<CallFlow, String> {
        let flow = CallFlow::ALL.into_iter().find(|flow| flow.name() == name);
        flow.or(name.is_empty().then_some(CallFlow::Transparent))
            .ok_or_else(|| {
                let allowed = CallFlow::ALL.map(CallFlow::name).join(", ");
                format!("unknown call flow {name:?}; allowed: {allowed}")
            })
    }

    /// The name the DB has for the flow.
    pub fn name(self) -> &'static str {
        match self {
            CallFlow::Transparent => "Transparent",
            CallFlow::TransformEarlyToFinal => "TransformEarlyToFinal",
            CallFlow::EchoResponder => "EchoResponder",
        }
    }
}

impl fmt::Display for CallFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No call lasts longer than a year; a longer time is a slip of the pen.
const SECONDS_MAX: f64 = 31_536_000.0;

/// A time of the DB: seconds, whole or fractional; 0 or less is off.
pub(super) fn time(seconds: f64) -> Result<Option<Duration>, String> {
    if seconds > SECONDS_MAX {
        return Err(format!("more than {SECONDS_MAX} seconds; 0 or less is off"));
    }
    Ok(Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_known_by_name() {
        for flow in CallFlow::ALL {
            assert_eq!(CallFlow::parse(flow.name()), Ok(flow));
        }
        assert_eq!(CallFlow::parse(""), Ok(CallFlow::Transparent));
        assert!(CallFlow::parse("transparent").is_err());
    }

    #[test]
    fn times_of_zero_or_less_are_off() {
        assert_eq!(time(2.5), Ok(Some(Duration::from_millis(2500))));
        assert_eq!(time(0.0), Ok(None));
        assert_eq!(time(-3.0), Ok(None));
        assert_eq!(time(1e-12), Ok(None));
        assert!(time(1e12).is_err() && time(f64::INFINITY).is_err());
    }
}
