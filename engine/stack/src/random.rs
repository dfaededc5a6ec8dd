//! Random numbers from a seed, the same for the same seed on every machine.

use crate::sip_hash;

/// A seeded generator: SipHash-1-3 of a counter, under a key made from the seed.
///
/// Tags, branches and Call-IDs show its outputs to every peer, so the next ones must not follow from
/// those seen; a keyed function of a counter gives nothing away while the seed stays secret.
#[derive(Clone, Debug)]
pub struct Random {
    key: [u64; 2],
    counter: u64,
}

impl Random {
    /// A generator that yields the sequence of `seed`. On a live system the seed comes from the
    /// operating system and is told to nobody.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;
        let key = [1, 2].map(|step: u64| mix(seed.wrapping_add(WEYL.wrapping_mul(step))));
        Random { key, counter: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        sip_hash(&self.counter.to_le_bytes(), self.key)
    }
}

/// The finaliser of splitmix64: every bit of the input reaches every bit of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_its_published_first_output() {
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn equal_seeds_agree_and_others_do_not() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(move |_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }
}
