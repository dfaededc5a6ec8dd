//! What must hold in every scene: the checkers, one subject a file. Each reads what crossed the router's edge
//! and what the phones have lived through; none of them knows how the router works inside.

mod bridged;
mod proxied;
mod subscriptions;
#[cfg(test)]
mod tests;
mod transactions;

use std::time::Duration;

use stack::Time;

use super::phone::Phone;
use super::plan::Scene;
use crate::check::Finding;
use crate::heard::Heard;
use crate::tape::Crossing;

/// 64*T1: when anybody gives up.
const GIVING_UP: Duration = Duration::from_secs(32);
/// Within this time of a timer's end a message may come before or after it.
const TICK: Duration = Duration::from_millis(5);

/// What a finished scene leaves behind.
pub(super) struct Evidence<'a> {
    pub(super) scene: &'a Scene,
    pub(super) tape: &'a [Crossing],
    pub(super) phones: &'a [Phone],
}

/// A message and the phone at its far end.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    /// Its place on the tape: several may fall together in time.
    order: usize,
    at: Time,
    phone: usize,
    heard: &'a Heard,
}

impl<'a> Evidence<'a> {
    fn crossings(&self, inbound: bool) -> impl Iterator<Item = Said<'a>> + use<'a> {
        let tape = self.tape.iter().enumerate();
        let tape = tape.filter(move |(_, it)| it.inbound == inbound);
        tape.filter_map(|(order, it)| {
            Some(Said {
                order,
                at: it.at,
                phone: it.phone()?,
                heard: it.heard.as_ref().ok()?,
            })
        })
    }

    /// Messages to phones.
    fn sent(&self) -> impl Iterator<Item = Said<'a>> + use<'a> {
        self.crossings(false)
    }

    /// Messages of phones.
    fn received(&self) -> impl Iterator<Item = Said<'a>> + use<'a> {
        self.crossings(true)
    }

    /// Whether the router is a proxy here.
    fn is_proxied(&self) -> bool {
        self.scene.routes.iter().any(|route| route.proxied)
    }

    /// Some phone answers no request of this method.
    fn is_anybody_deaf_to(&self, method: &str) -> bool {
        let mut phones = self.scene.phones.iter();
        phones.any(|phone| phone.deaf == Some(method))
    }

    fn end(&self) -> Time {
        self.tape.last().map_or(Time::ZERO, |last| last.at)
    }
}

/// What is wrong, where it is.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static str, said: Said<'_>, what: &str) {
        let (title, phone) = (said.heard.title(), said.phone);
        self.0.push(Finding {
            at: said.at,
            rule,
            what: format!("{} {title} of or to phone {phone} {what}", said.heard.cseq),
        });
    }
}

/// Lists what is wrong.
pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    transactions::check(evidence, &mut findings);
    match evidence.is_proxied() {
        true => proxied::check(evidence, &mut findings),
        false => bridged::check(evidence, &mut findings),
    }
    subscriptions::check(evidence, &mut findings);
    check_phones(evidence, &mut findings);
    findings.0.sort_by_key(|finding| finding.at);
    findings.0
}

/// No dialog leaks, and nobody saw what must not be.
fn check_phones(evidence: &Evidence<'_>, findings: &mut Findings) {
    for (id, phone) in evidence.phones.iter().enumerate() {
        let mut whats = phone.lived().faults.clone();
        if phone.calls_up() > 0 {
            whats.push(format!("believes that {} calls are up", phone.calls_up()));
        }
        for what in whats {
            findings.0.push(Finding {
                at: evidence.end(),
                rule: "phones",
                what: format!("phone {id}: {what}"),
            });
        }
    }
}
