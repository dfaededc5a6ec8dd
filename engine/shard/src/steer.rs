//! Which shard a datagram belongs to: one keyed function of its Call-ID, the same here and in the
//! kernel's steering program. What may not live here: anything that acts on the answer.
//!
//! A Call-ID we made ourselves names its shard and is decoded. Any other is hashed with a key that
//! strangers do not know, so that nobody can aim all of their calls at one shard.
//!
//! This file is the specification of `engine/reactor/bpf/steer.c`; a test of the reactor sends
//! datagrams of every header style through both.

use stack::sip_hash;

/// Bytes of the value that count.
const VALUE_BYTES_MAX: usize = 64;
/// How a Call-ID begins that the engine made; two lower-case hex digits of the shard follow.
const OWN_PREFIX: &[u8] = b"tpr-";

/// The shard, below `shards`, that owns the dialogs and transactions of a Call-ID.
///
/// `call_id` is the header's value (RFC 3261 20.8). Only its first word counts, which is all of a
/// well-formed one, and of that at most 64 bytes. `shards` of 0 is taken as 1.
pub fn shard_of(call_id: &[u8], shards: u8, key: u64) -> u8 {
    if shards <= 1 {
        return 0;
    }
    let value = first_word(call_id);
    if let Some(named) = named_shard(value).filter(|named| *named < shards) {
        return named;
    }
    let hash = sip_hash(value, [key, key.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15]);
    // Multiply-shift: the hash's upper half, seen as a fraction, times the number of shards.
    (((hash >> 32) * u64::from(shards)) >> 32) as u8
}

/// The value up to the first blank or control character: what the kernel sees, whatever blanks or
/// folding stand behind it.
fn first_word(value: &[u8]) -> &[u8] {
    let value = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
    value.split(|byte| *byte <= b' ').next().unwrap_or_default()
}

fn named_shard(value: &[u8]) -> Option<u8> {
    let [high, low, ..] = value.strip_prefix(OWN_PREFIX)? else {
        return None;
    };
    Some(hex_digit(*high)? << 4 | hex_digit(*low)?)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: u64 = 0x0123_4567_89ab_cdef;

    #[test]
    fn our_own_call_ids_name_their_shard() {
        for shard in 0..8 {
            let call_id = format!("tpr-{shard:02x}00002a00000001aaaaaaaaaaaaaaaa");
            assert_eq!(shard_of(call_id.as_bytes(), 8, KEY), shard);
        }
        assert_eq!(shard_of(b"tpr-3f", 64, KEY), 63);
    }

    #[test]
    fn a_shard_that_does_not_exist_is_hashed() {
        for call_id in [
            b"tpr-08abcdef".as_slice(),
            b"tpr-FF",
            b"tpr-0",
            b"tpr-",
            b"TPR-01xx",
            b"",
        ] {
            assert!(shard_of(call_id, 8, KEY) < 8, "{call_id:?}");
        }
        let spread: std::collections::BTreeSet<u8> =
            (0..32).map(|i| shard_of(b"tpr-0A", 8, KEY ^ i)).collect();
        assert!(
            spread.len() > 4,
            "an upper-case digit must not decode: {spread:?}"
        );
    }

    #[test]
    fn only_the_first_word_and_64_bytes_count() {
        let long = [b'x'; 80];
        let mut longer = long;
        longer[64] = b'y';
        assert_eq!(shard_of(&long, 64, KEY), shard_of(&longer, 64, KEY));
        for ending in [" ", "\t \t", "\r\n \r\n", "\r"] {
            let with = format!("a84b4c76e66710@pc33.example{ending}");
            assert_eq!(
                shard_of(with.as_bytes(), 64, KEY),
                shard_of(b"a84b4c76e66710@pc33.example", 64, KEY)
            );
        }
    }

    #[test]
    fn no_shards_or_one_is_shard_zero() {
        assert_eq!(shard_of(b"tpr-05", 0, KEY), 0);
        assert_eq!(shard_of(b"anything", 1, KEY), 0);
    }

    #[test]
    fn calls_spread_evenly_and_the_key_moves_them() {
        let mut counts = [0u32; 7];
        let mut moved = 0;
        for i in 0..70_000 {
            let call_id = format!("{i}-4711@192.0.2.1");
            let shard = shard_of(call_id.as_bytes(), 7, KEY);
            counts[usize::from(shard)] += 1;
            moved += u32::from(shard != shard_of(call_id.as_bytes(), 7, KEY + 1));
        }
        // Standard deviation of each count is 93, of `moved` 93.
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert!((59_500..60_500).contains(&moved), "{moved}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_existing_shard(
            call_id in proptest::collection::vec(any::<u8>(), 0..100),
            shards in 1u8..=64,
            key: u64,
        ) {
            prop_assert!(shard_of(&call_id, shards, key) < shards);
        }
    }
}
