//! Random choices of the simulator. Every one of them follows from the seed, so a run can be repeated.

use std::time::Duration;

use stack::Random;

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct Draw(Random);

impl Draw {
    /// The choices of this seed.
    pub fn new(seed: u64) -> Draw {
        Draw(Random::new(seed))
    }

    /// Another source, whose choices do not shift those of this one.
    pub fn fork(&mut self) -> Draw {
        Draw::new(self.0.next_u64())
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from `low` up to and with `high`; `low` when they are in the wrong order.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let choices = high.saturating_sub(low).saturating_add(1);
        low + self.0.next_u64() % choices
    }

    /// A time of `low` to `high` milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 99) < percent
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let last = choices.len().saturating_sub(1) as u64;
        choices[self.between(0, last) as usize]
    }

    /// A value in `percent` of 100 cases.
    pub fn sometimes<T>(&mut self, percent: u64, value: impl FnOnce(&mut Draw) -> T) -> Option<T> {
        self.chance(percent).then(|| value(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_from_the_seed_and_keep_their_bounds() {
        let choose = |seed| {
            let mut draw = Draw::new(seed);
            (0..50).map(move |_| draw.between(3, 7)).collect::<Vec<_>>()
        };
        assert_eq!(choose(1), choose(1));
        assert_ne!(choose(1), choose(2));
        assert!(choose(1).iter().all(|n| (3..=7).contains(n)));
        assert!((3..=7).all(|n| choose(1).contains(&n)), "every value comes");
    }

    #[test]
    fn chances_of_nought_and_a_hundred_are_certain() {
        let mut draw = Draw::new(5);
        assert!((0..100).all(|_| !draw.chance(0) && draw.chance(100)));
    }
}
