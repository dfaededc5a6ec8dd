//! What the network may leave out before it reaches the shard: when far more new calls come than can
//! even be refused, reading them is what costs. A share of them is let through; the rest is as if the
//! network had lost it, and its sender sends again (RFC 3261 21.5.4 allows it).

use std::time::Duration;

use stack::Time;

use super::PriorityNumbers;

/// How often the share is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// So large a share of what is let through is to find no place and be dropped: without any, nobody would know
/// that more could be taken. What is dropped here has been paid for.
const TO_BE_DROPPED: f64 = 0.08;
/// What one look adds when none is.
const OPENING: f64 = 1.25;
/// The least that is let through.
const PASSING_MIN: f64 = 1.0 / 256.0;
/// A share that is so near to the last one is not told.
const NEAR: f64 = 0.05;

/// Of datagrams that begin with `sieved`, and with none of `spared`, `passing` of 65,536 are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sieve {
    /// How new calls begin.
    pub sieved: Vec<u8>,
    /// How those begin that must all come: requests inside a call, priority calls.
    pub spared: Vec<Vec<u8>>,
    /// How many of 65,536 of the others are let through.
    pub passing: u16,
}

/// The share, and how it follows what comes.
#[derive(Debug)]
pub(crate) struct Sieving {
    passing: f64,
    told: f64,
    looked: Time,
    came: u64,
    dropped: u64,
}

impl Sieving {
    pub(crate) fn new(now: Time) -> Sieving {
        Sieving {
            passing: 1.0,
            told: 1.0,
            looked: now,
            came: 0,
            dropped: 0,
        }
    }

    /// Whether anything is left out.
    pub(crate) fn is_on(&self) -> bool {
        self.passing < 1.0
    }

    /// Another share to tell, if it is time for one. `came` and `dropped` count requests since the start;
    /// `limited` is whether new calls are limited.
    pub(crate) fn look(
        &mut self,
        now: Time,
        came: u64,
        dropped: u64,
        limited: bool,
    ) -> Option<f64> {
        if now.duration_since(self.looked) < EVERY {
            return None;
        }
        let in_vain = dropped.saturating_sub(self.dropped);
        let came_now = came.saturating_sub(self.came).max(1);
        (self.looked, self.came, self.dropped) = (now, came, dropped);
        let passing = match in_vain {
            _ if !limited => 1.0,
            0 => self.passing * OPENING,
            _ => self.passing * (1.0 + TO_BE_DROPPED - in_vain as f64 / came_now as f64),
        };
        self.passing = passing.clamp(PASSING_MIN, 1.0);
        let near = (self.passing - self.told).abs() <= NEAR * self.told;
        let same = near && self.is_on() == (self.told < 1.0);
        if same {
            return None;
        }
        self.told = self.passing;
        Some(self.passing)
    }
}

/// The sieve for this share; `None` lets everything through.
pub(crate) fn sieve(passing: f64, priority: &PriorityNumbers) -> Option<Sieve> {
    (passing < 1.0).then(|| Sieve {
        sieved: b"INVITE ".to_vec(),
        spared: spared(priority),
        passing: (passing * 65_536.0) as u16,
    })
}

/// A request inside a call is for our Contact, whose user is a tag of ours.
fn spared(priority: &PriorityNumbers) -> Vec<Vec<u8>> {
    let own = ["INVITE sip:tpr", "INVITE urn:service:sos"].map(str::to_owned);
    let numbers = priority.beginnings().flat_map(|(number, end)| {
        [
            format!("INVITE sip:{number}{end}"),
            format!("INVITE tel:{number}"),
        ]
    });
    own.into_iter()
        .chain(numbers)
        .map(String::into_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_share_follows_what_comes_and_ends_with_the_overload() {
        let mut sieving = Sieving::new(at(0));
        // Nothing has been dropped yet.
        assert_eq!(sieving.look(at(100), 1_000, 0, true), None);
        // Of 1,000 that come 950 are in vain.
        let share = sieving.look(at(200), 2_000, 950, true);
        assert!(share.is_some_and(|share| (share - 0.13).abs() < 0.001));
        assert_eq!(sieving.look(at(250), 2_055, 955, true), None);
        // Eight of a hundred are: so it is to be, and nobody is told again.
        assert_eq!(sieving.look(at(300), 2_100, 958, true), None);
        // None is: perhaps there is room for more.
        let share = sieving.look(at(400), 2_150, 958, true);
        assert!(share.is_some_and(|share| (share - 0.1625).abs() < 0.001));
        assert_eq!(sieving.look(at(500), 2_165, 958, false), Some(1.0));
        assert!(!sieving.is_on());
    }

    #[test]
    fn calls_in_progress_and_priority_calls_are_spared() {
        let numbers = PriorityNumbers::new(["112", "116*"].map(str::to_owned));
        let sieve = sieve(0.5, &numbers).expect("a sieve");
        assert_eq!(
            (sieve.sieved.as_slice(), sieve.passing),
            (&b"INVITE "[..], 32_768)
        );
        let spared: Vec<_> = sieve
            .spared
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect();
        assert_eq!(
            spared,
            [
                "INVITE sip:tpr",
                "INVITE urn:service:sos",
                "INVITE sip:112@",
                "INVITE tel:112",
                "INVITE sip:116",
                "INVITE tel:116"
            ]
        );
    }
}
