//! Random numbers from a seed, the same for the same seed on every machine.

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
        sip_hash(self.key, self.counter)
    }
}

/// SipHash-1-3 of one word, as if of its eight bytes in little-endian order.
fn sip_hash([key0, key1]: [u64; 2], word: u64) -> u64 {
    let mut state = [
        key0 ^ 0x736f_6d65_7073_6575,
        key1 ^ 0x646f_7261_6e64_6f6d,
        key0 ^ 0x6c79_6765_6e65_7261,
        key1 ^ 0x7465_6462_7974_6573,
    ];
    for block in [word, 8 << 56] {
        state[3] ^= block;
        round(&mut state);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
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
    use std::hash::Hasher;

    #[test]
    fn splitmix_gives_its_published_first_output() {
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn the_hash_is_the_standard_librarys_siphash_1_3() {
        for word in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            // The default hasher is SipHash-1-3 with a key of zeroes.
            let mut reference = std::collections::hash_map::DefaultHasher::new();
            reference.write(&word.to_le_bytes());
            assert_eq!(sip_hash([0, 0], word), reference.finish());
        }
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
