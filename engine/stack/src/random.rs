//! Pseudo-random numbers from a seed, the same for the same seed on every machine.

/// A small seeded generator (xoshiro256++, seeded through splitmix64).
///
/// Good for tags, branches and jitter. It is no cipher: who has seen many of its outputs can work out
/// the next ones, so nothing secret may rest on it.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator that yields the sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        let mut weyl = seed;
        let state = [(); 4].map(|()| {
            weyl = weyl.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(weyl)
        });
        Random { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
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
    fn xoshiro_follows_its_reference_from_a_simple_state() {
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        assert_eq!(random.next_u64(), 41_943_041);
        assert_eq!(random.next_u64(), 58_720_359);
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
