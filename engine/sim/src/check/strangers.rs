//! Who is no party of any call: requests for the router itself are answered as they should be, those
//! that pretend to be of a call are refused, and stray responses provoke nothing.

use super::{Evidence, Finding};
use crate::heard::Heard;
use crate::tape::{Crossing, Peer};
use crate::world::OUTSIDE;

pub(super) fn check(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for (at, crossing) in evidence.tape.iter().enumerate() {
        let request = crossing
            .heard
            .as_ref()
            .ok()
            .filter(|heard| heard.is_request());
        let Some(request) = request.filter(|_| crossing.inbound && crossing.peer == Peer::Stranger)
        else {
            continue;
        };
        let answers = answers(&evidence.tape[at..], request);
        if let Some(what) = fault(request, &answers) {
            findings.push(Finding {
                at: crossing.at,
                rule: "strangers",
                what,
            });
        }
    }
}

/// The codes of the answers, copies left out.
fn answers(tape: &[Crossing], request: &Heard) -> Vec<u16> {
    let sent = tape
        .iter()
        .filter(|crossing| !crossing.inbound && crossing.peer == Peer::Stranger);
    let heard = sent.filter_map(|crossing| crossing.heard.as_ref().ok());
    let own =
        heard.filter(|heard| heard.branch == request.branch && heard.method == request.method);
    let mut codes: Vec<u16> = own.map(|heard| heard.code).collect();
    codes.dedup();
    codes
}

fn fault(request: &Heard, answers: &[u16]) -> Option<String> {
    let refused = matches!(answers, [code] if (300..700).contains(code));
    let right = match OUTSIDE.iter().find(|(method, _)| *method == request.method) {
        _ if request.method == "ACK" => answers.is_empty(),
        Some((_, codes)) if request.call_id.starts_with("out") => {
            matches!(answers, [code] if codes.contains(code))
        }
        // A broken copy may have lost its To tag, and is then for the router itself.
        _ => refused || request.to_tag.is_empty(),
    };
    (!right).then(|| {
        format!(
            "{} of the stranger was answered {answers:?}",
            request.title()
        )
    })
}
