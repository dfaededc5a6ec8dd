//! Subscriptions and referrals from both ends: they end, by a notification that says so where anybody is left
//! to hear it; what is told never goes backwards; nothing is told that was not said.

use super::{Evidence, Findings};
use crate::check::Finding;
use crate::scene::phone::Watch;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (id, phone) in evidence.phones.iter().enumerate() {
        for watch in phone.watches() {
            if let Some(what) = fault(evidence, watch) {
                findings.0.push(Finding {
                    at: evidence.end(),
                    rule: "subscriptions",
                    what: format!("phone {id}, {:?} of {}: {what}", watch.role, watch.event),
                });
            }
        }
    }
}

fn fault(evidence: &Evidence<'_>, watch: &Watch) -> Option<String> {
    let told = &watch.told;
    let backwards = match watch.is_referral() {
        // RFC 3515 2.4.5: what was final stays so, and a target that rings does not begin anew.
        true => told.windows(2).any(|pair| match pair {
            [before, after] => *before >= 200 || *before > 100 && *after == 100,
            _ => false,
        }),
        false => told.windows(2).any(|pair| pair.first() >= pair.last()),
    };
    if backwards {
        return Some(format!("{told:?} goes backwards"));
    }
    let silent = evidence.is_anybody_deaf_to("NOTIFY") || evidence.is_anybody_deaf_to("REFER");
    (!watch.ended && !watch.left && !silent).then(|| format!("never ended; {told:?}"))
}
