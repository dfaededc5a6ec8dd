//! How much the router says: nobody can make it send many datagrams with few, and it keeps nothing for
//! longer than the timers of its transactions.

use std::collections::BTreeMap;

use super::{Evidence, Finding};
use crate::tape::{Crossing, Peer};

/// Datagrams that one of a call's may cause at most: an INVITE to a callee that says nothing is sent on 7
/// times (timer A), answered with 100 and with a final response that goes out 11 times (timer G).
const PER_DATAGRAM: usize = 7 + 1 + 11;
/// Those of the router's own accord in each leg: a BYE, which is sent 11 times, and a refresh or probe now
/// and then.
const PER_LEG: usize = 4 * 11;
/// What one INVITE of a stranger, who never acknowledges, may be answered: 100 and timer G.
const PER_STRANGE_INVITE: usize = 1 + 11;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let mut counts: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for crossing in evidence.tape {
        let Some(id) = crossing.agent() else { continue };
        let (entered, left) = counts.entry(id.call).or_default();
        *(if crossing.inbound { entered } else { left }) += 1;
    }
    let at = evidence.tape.last().map(|crossing| crossing.at);
    for (call, (entered, left)) in counts {
        if left > PER_DATAGRAM * entered + 2 * PER_LEG {
            let what = format!("call {call}: {left} datagrams for {entered}");
            findings.push(Finding {
                at: at.unwrap_or_default(),
                rule: "amounts",
                what,
            });
        }
    }
    check_stranger(evidence, findings);
}

/// RFC 3261 17.2.2: what is no INVITE is answered once at most; a stranger's ACK and responses never.
fn check_stranger(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let strange = |crossing: &&Crossing| crossing.peer == Peer::Stranger;
    let (mut entered, mut left) = (0, 0);
    for crossing in evidence.tape.iter().filter(strange) {
        let invite = crossing
            .heard
            .as_ref()
            .is_ok_and(|heard| heard.method == "INVITE");
        match (crossing.inbound, invite) {
            (true, true) => entered += PER_STRANGE_INVITE,
            (true, false) => entered += 1,
            (false, _) => left += 1,
        }
        if left > entered {
            let what = format!("{left} datagrams to the stranger, who may have {entered}");
            findings.push(Finding {
                at: crossing.at,
                rule: "amounts",
                what,
            });
        }
    }
}
