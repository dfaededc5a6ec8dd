//! The messages of one call in little room: the first ones and the last ones.

use stack::Time;
use wire::Method;

use crate::query::TimelineEntry;

/// A call's set-up is in its first messages.
const FIRST: usize = 8;
/// And its end, or what goes on now, in its last.
const LAST: usize = 24;

/// One message, 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    pub(super) at: Time,
    pub(super) code: u16,
    pub(super) method: Method,
    pub(super) on_caller_leg: bool,
    pub(super) received: bool,
    pub(super) with_body: bool,
}

impl Noted {
    fn entry(&self) -> TimelineEntry {
        TimelineEntry {
            at: self.at,
            on_caller_leg: self.on_caller_leg,
            received: self.received,
            code: self.code,
            method: self.method.as_str(),
            with_body: self.with_body,
        }
    }
}

const NOTHING: Noted = Noted {
    at: Time::ZERO,
    code: 0,
    method: Method::Other,
    on_caller_leg: false,
    received: false,
    with_body: false,
};

/// The first [`FIRST`] messages and the last [`LAST`].
#[derive(Debug)]
pub(super) struct Timeline {
    first: [Noted; FIRST],
    last: [Noted; LAST],
    count: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline {
            first: [NOTHING; FIRST],
            last: [NOTHING; LAST],
            count: 0,
        }
    }
}

impl Timeline {
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) fn push(&mut self, noted: Noted) {
        let place = match self.count.checked_sub(FIRST) {
            None => self.first.get_mut(self.count),
            Some(later) => self.last.get_mut(later % LAST),
        };
        if let Some(place) = place {
            *place = noted;
        }
        self.count = self.count.saturating_add(1);
    }

    /// What is kept, oldest first.
    pub(super) fn entries(&self) -> Vec<TimelineEntry> {
        let later = self.count.saturating_sub(FIRST);
        // A full ring begins where the next one would be written.
        let begin = if later > LAST { later % LAST } else { 0 };
        let (newer, older) = self.last.split_at(begin.min(LAST));
        let last = older.iter().chain(newer).take(later.min(LAST));
        let first = self.first.iter().take(self.count);
        first.chain(last).map(Noted::entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(messages: u64) -> Vec<u64> {
        let mut timeline = Timeline::default();
        for at in 0..messages {
            timeline.push(Noted {
                at: Time::from_nanos(at),
                ..NOTHING
            });
        }
        let at = |entry: &TimelineEntry| entry.at.as_nanos();
        timeline.entries().iter().map(at).collect()
    }

    #[test]
    fn the_first_and_the_last_messages_are_kept_in_order() {
        for messages in 0..=32 {
            assert_eq!(kept(messages), (0..messages).collect::<Vec<_>>());
        }
        for messages in 33..100 {
            let expected: Vec<u64> = (0..8).chain(messages - 24..messages).collect();
            assert_eq!(kept(messages), expected, "{messages}");
        }
    }

    #[test]
    fn a_message_is_sixteen_bytes() {
        assert_eq!(size_of::<Noted>(), 16);
    }
}
