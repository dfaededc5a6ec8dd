//! SipHash-1-3: strong enough to be keyed against strangers, small enough for a BPF program.

/// The SipHash-1-3 of `bytes` under `key`.
#[must_use]
pub fn sip_hash(bytes: &[u8], [key0, key1]: [u64; 2]) -> u64 {
    let mut state = State {
        v0: key0 ^ 0x736f_6d65_7073_6575,
        v1: key1 ^ 0x646f_7261_6e64_6f6d,
        v2: key0 ^ 0x6c79_6765_6e65_7261,
        v3: key1 ^ 0x7465_6462_7974_6573,
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    let last = rest
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    state.absorb(last | (bytes.len() as u64) << 56);
    state.finish()
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        (0..3).for_each(|_| self.round());
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    #[test]
    fn the_hash_is_siphash_1_3() {
        // The standard library's hasher is SipHash-1-3 with a zero key.
        for length in 0..=64 {
            let bytes: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(37) ^ 0xa5).collect();
            let mut reference = std::collections::hash_map::DefaultHasher::new();
            reference.write(&bytes);
            let hash = sip_hash(&bytes, [0, 0]);
            assert_eq!(hash, reference.finish(), "length {length}");
        }
    }
}
