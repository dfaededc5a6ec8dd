//! Bytes taken as choices, from the front to the back: cutting an input off or appending to it leaves
//! what it began with as it was, which suits both a mutator and whoever reads a finding. When the bytes
//! are used up every choice is the first one.

use std::time::Duration;

/// What is left to choose with.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Choices<'a> {
        Choices { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of `0..count`; 0 of none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// Rarely true: for what would keep a world from getting anywhere if it were common.
    pub(crate) fn rarely(&mut self) -> bool {
        self.byte() > 0xe8
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).cloned()
    }

    /// The next bytes themselves, `count_max` or what is left.
    pub(crate) fn bytes(&mut self, count_max: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(count_max.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// No time, some milliseconds, some seconds or some minutes.
    pub(crate) fn duration(&mut self) -> Duration {
        let amount = u64::from(self.byte());
        match self.byte() % 4 {
            0 => Duration::from_millis(amount),
            1 => Duration::from_millis(amount * 50),
            2 => Duration::from_secs(amount),
            _ => Duration::from_secs(amount * 20),
        }
    }
}
