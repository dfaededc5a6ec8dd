//! The way to one other shard: what is to be told to it, and the letters it has not confirmed. Few are under way at
//! once, so that a shard that is behind finds no flood in its mailbox; what must wait for them is told as it is then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stack::Time;

use super::letter::{Ask, Letter, Told};
use super::{Aor, Registration};

/// Letters with registrations that are under way to one shard at once. A letter takes one turn of its reader.
pub(super) const LETTERS_MAX: usize = 8;
/// Registrations in one letter: some tens of microseconds of the reader's turn.
pub(super) const REGISTRATIONS_MAX: usize = 128;
/// A letter that is not confirmed by then is written again. Turns take milliseconds at the most.
pub(super) const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// The way to one shard.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What the next letter says beside registrations.
    draft: Letter,
    /// Whose registrations are to be told.
    waiting: VecDeque<Aor>,
    under_way: VecDeque<Parcel>,
    last: u64,
}

/// The registrations of a letter that is under way.
#[derive(Debug)]
pub(super) struct Parcel {
    number: u64,
    sent: Time,
    pub(super) registrations: Vec<Arc<Registration>>,
}

impl Lane {
    /// Its registration is to be told.
    pub(super) fn tell_of(&mut self, aor: &Aor) {
        self.waiting.push_back(aor.clone());
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.draft.asked.push(ask);
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.draft.told.push(told);
    }

    pub(super) fn confirm(&mut self, number: u64) {
        self.draft.confirmed.push(number);
    }

    /// Takes out the parcel with this number.
    pub(super) fn confirmed(&mut self, number: u64) -> Option<Parcel> {
        let at = self.under_way.iter().position(|it| it.number == number)?;
        self.under_way.remove(at)
    }

    /// Takes out a parcel that was not confirmed in time.
    pub(super) fn overdue(&mut self, now: Time) -> Option<Parcel> {
        let due = self.due()?;
        self.under_way.pop_front_if(|_| due <= now)
    }

    /// When the first parcel is to be repeated.
    pub(super) fn due(&self) -> Option<Time> {
        self.under_way.front().map(|it| it.sent + REPEAT_AFTER)
    }

    /// The next address-of-record to be told of, if there may be another letter.
    pub(super) fn next(&mut self) -> Option<Aor> {
        let room = self.under_way.len() < LETTERS_MAX;
        self.waiting.pop_front_if(|_| room)
    }

    /// A new parcel.
    pub(super) fn pack(&mut self, registrations: Vec<Arc<Registration>>) -> Parcel {
        self.last += 1;
        Parcel {
            number: self.last,
            sent: Time::ZERO,
            registrations,
        }
    }

    /// The letter with this parcel, and with whatever else is to be said; `None`: nothing.
    pub(super) fn write(&mut self, from: u8, now: Time, parcel: Option<Parcel>) -> Option<Letter> {
        let mut letter = std::mem::take(&mut self.draft);
        (letter.from, letter.sent) = (from, now);
        if let Some(parcel) = parcel {
            letter.number = parcel.number;
            letter.registrations.clone_from(&parcel.registrations);
            self.under_way.push_back(Parcel {
                sent: now,
                ..parcel
            });
        }
        Some(letter).filter(|letter| !letter.is_empty())
    }

    /// How many letters are under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is to be said and nothing under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.draft.is_empty() && self.waiting.is_empty() && self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{aor, at, registration};
    use super::*;

    #[test]
    fn few_letters_are_under_way_and_each_until_it_is_confirmed() {
        let mut lane = Lane::default();
        (0..20).for_each(|n| lane.tell_of(&aor(&n.to_string())));
        let mut numbers = Vec::new();
        while let Some(aor) = lane.next() {
            let parcel = lane.pack(vec![registration(aor.user(), 1, [])]);
            numbers.push(lane.write(0, at(1), Some(parcel)).unwrap().number);
        }
        assert_eq!(numbers.len(), LETTERS_MAX);
        assert!(lane.confirmed(99).is_none());
        assert!(lane.confirmed(numbers[3]).is_some() && lane.confirmed(numbers[3]).is_none());
        assert_eq!(lane.next(), Some(aor("8")));
    }

    #[test]
    fn a_parcel_keeps_its_number_when_it_is_repeated() {
        let mut lane = Lane::default();
        let parcel = lane.pack(vec![registration("a", 1, [])]);
        let first = lane.write(2, at(1), Some(parcel)).unwrap();
        assert!(lane.overdue(at(1)).is_none());
        assert_eq!(lane.due(), Some(at(1) + REPEAT_AFTER));
        let parcel = lane.overdue(at(2));
        let again = lane.write(2, at(2), parcel).unwrap();
        assert_eq!((again.number, again.sent), (first.number, at(2)));
        assert!(lane.confirmed(first.number).is_some() && lane.is_quiet());
        assert_eq!(lane.write(2, at(3), None), None);
    }
}
