//! Finding bytes, many at a time. Lines and names are so short that these beat a call of memchr.
//! All of it is plain integer arithmetic: what looks at sixteen bytes at once is a loop the
//! compiler makes a vector comparison of, or a number of sixteen bytes.

/// Bytes looked at together: one vector register of every x86-64 and of aarch64.
const BLOCK: usize = 16;

/// One in every byte, and the highest bit of every byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// A number whose lowest bit is in the first byte of `word` below `limit` (of 128 at most); zero
/// when there is none.
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// The offset of the first byte with a bit set in two words; 16 when there is none.
#[inline(always)]
fn first_set(low: u64, high: u64) -> usize {
    let bits = if low != 0 {
        low.trailing_zeros()
    } else {
        64 + high.trailing_zeros()
    };
    bits as usize / 8
}

/// The offset of the first `byte` in two words; 16 when there is none.
#[inline(always)]
pub(crate) fn first(low: u64, high: u64, byte: u8) -> usize {
    let bytes = ONES * u64::from(byte);
    first_set(below(low ^ bytes, 1), below(high ^ bytes, 1))
}

/// The offset of the next byte up to CR at or after `from`: CR is the highest of the few that end
/// a line or may not be in one.
#[inline(always)]
pub(crate) fn control(bytes: &[u8], from: usize) -> Option<usize> {
    let (blocks, rest) = bytes.get(from..)?.as_chunks::<BLOCK>();
    let mut at = from;
    for block in blocks {
        // Without an early exit this is one vector comparison.
        if block.iter().fold(false, |any, &byte| any | (byte <= b'\r')) {
            let (low, high) = words(block);
            return Some(at + first_set(below(low, b'\r' + 1), below(high, b'\r' + 1)));
        }
        at += BLOCK;
    }
    rest.iter()
        .position(|&byte| byte <= b'\r')
        .map(|found| at + found)
}

/// A block as two words.
#[inline(always)]
fn words(block: &[u8; BLOCK]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*block);
    (whole as u64, (whole >> 64) as u64)
}

/// The offset of the first byte of `word` that is not in one of two ranges, digits with `-./:` and
/// letters with ``[\]^_`{|}~``; 8 when there is none.
#[inline(always)]
pub(crate) fn plain_run(word: &[u8; 8]) -> usize {
    let word = u64::from_le_bytes(*word);
    let seven = word & !HIGHS;
    // The highest bit of every byte that is `least` or more: no sum carries into the next byte.
    let from = |least: u8| seven + ONES * u64::from(0x80 - least);
    let outside = !from(b'-') | (from(b';') & !from(b'A')) | from(0x7f) | word;
    (outside & HIGHS).trailing_zeros() as usize / 8
}

/// Whether `bytes` may all stand in a URI: no white space, controls, quotes or angle brackets.
#[inline]
pub(crate) fn is_uri(bytes: &[u8]) -> bool {
    run(bytes, is_uri_byte) == bytes.len()
}

#[inline(always)]
fn is_uri_byte(byte: u8) -> bool {
    // The brackets are one bit apart.
    (byte > b' ') & (byte != b'"') & (byte & 0xfd != b'<') & (byte != 0x7f)
}

/// How many bytes at the beginning of `bytes` neither separate the values of a list nor begin what
/// may hide a separator: a comma, a quote, an opening bracket.
#[inline]
pub(crate) fn value_run(bytes: &[u8]) -> usize {
    run(bytes, |byte| {
        (byte != b',') & (byte != b'"') & (byte != b'<')
    })
}

/// How many bytes at the beginning of `bytes` are in a class, block by block.
#[inline(always)]
fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool + Copy) -> usize {
    let all = |block: &[u8; BLOCK]| block.iter().fold(true, |all, &byte| all & is_in(byte));
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let whole = blocks.iter().take_while(|block| all(block)).count() * BLOCK;
    // The last block overlaps the one before, so that its bytes need not be looked at one by one.
    if whole + BLOCK > bytes.len() && bytes.last_chunk().is_some_and(all) {
        return bytes.len();
    }
    let rest = bytes.get(whole..).unwrap_or_default();
    whole
        + rest
            .iter()
            .position(|&byte| !is_in(byte))
            .unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for at in 0..40 {
                let mut bytes = [b'a'; 40];
                bytes[at] = byte;
                let control = (byte <= b'\r').then_some(at);
                assert_eq!(super::control(&bytes, 0), control, "{byte} at {at}");
                assert_eq!(super::control(&bytes, at + 1), None, "{byte} at {at}");
                let uri = !(byte <= b' ' || b"\"<>\x7f".contains(&byte));
                assert_eq!(is_uri(&bytes), uri, "{byte} at {at}");
                assert_eq!(is_uri(&bytes[..=at]), uri, "{byte} at {at}");
                let value = !b",\"<".contains(&byte);
                assert_eq!(
                    value_run(&bytes),
                    if value { 40 } else { at },
                    "{byte} at {at}"
                );
            }
        }
        assert!(is_uri(b""));
        assert_eq!(control(b"", 0), None);
        assert_eq!(control(b"\r", 2), None);
    }

    proptest! {
        #[test]
        fn the_first_is_found(block in any::<[u8; BLOCK]>(), byte in any::<u8>()) {
            let place = block.iter().position(|&found| found == byte).unwrap_or(BLOCK);
            let (low, high) = words(&block);
            prop_assert_eq!(first(low, high, byte), place);
        }

        #[test]
        fn the_first_control_is_found(
            bytes in prop::collection::vec(8u8..18, 0..70),
            from in 0usize..80,
        ) {
            let place = (from..bytes.len()).find(|&at| bytes[at] <= b'\r');
            prop_assert_eq!(control(&bytes, from), place);
        }
    }
}
