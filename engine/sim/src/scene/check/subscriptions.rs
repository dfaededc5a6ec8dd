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
    if goes_backwards(told, watch.is_referral()) {
        return Some(format!("{told:?} goes backwards"));
    }
    let silent = evidence.is_anybody_deaf_to("NOTIFY") || evidence.is_anybody_deaf_to("REFER");
    (!watch.ended && !watch.left && !silent).then(|| format!("never ended; {told:?}"))
}

fn goes_backwards(told: &[u16], referral: bool) -> bool {
    match referral {
        // RFC 3515 2.4.5: what was final stays so, and a target that rings does not begin anew.
        true => told.windows(2).any(|pair| match pair {
            [before, after] => *before >= 200 || *before > 100 && *after == 100,
            _ => false,
        }),
        false => told.windows(2).any(|pair| pair.first() >= pair.last()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_forward() {
        for (told, referral, bad) in [
            (&[100, 180, 200][..], true, false),
            (&[100, 183, 180, 486], true, false),
            (&[180, 100], true, true),
            (&[200, 486], true, true),
            (&[486, 180], true, true),
            (&[1, 2, 5], false, false),
            (&[2, 2], false, true),
            (&[3, 2], false, true),
        ] {
            assert_eq!(goes_backwards(told, referral), bad, "{told:?}");
        }
    }
}
