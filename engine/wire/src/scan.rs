//! Finding bytes, many at a time. Lines and names are so short that these beat a call of memchr.
//! All of it is plain integer arithmetic: what looks at sixteen bytes at once is a loop the
//! compiler makes a vector comparison of, or a number of sixteen bytes.

/// Bytes looked at together: one vector register of every x86-64 and of aarch64.
const BLOCK: usize = 16;

/// One in every byte, and the highest bit of every byte: of a word w, `(w - ONES * n) & !w & HIGHS`
/// has its lowest bit in the first byte below n (for n up to 128).
const ONES: u128 = u128::from_le_bytes([1; BLOCK]);
const HIGHS: u128 = u128::from_le_bytes([0x80; BLOCK]);

/// The offset of the first byte of `block` below `limit`; 16 when there is none.
#[inline(always)]
fn first_below(block: u128, limit: u8) -> usize {
    let found = block.wrapping_sub(ONES * u128::from(limit)) & !block & HIGHS;
    found.trailing_zeros() as usize / 8
}

/// The offset of the first `byte` in `block`; 16 when there is none.
#[inline(always)]
pub(crate) fn first(block: u128, byte: u8) -> usize {
    first_below(block ^ (ONES * u128::from(byte)), 1)
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
            return Some(at + first_below(u128::from_le_bytes(*block), b'\r' + 1));
        }
        at += BLOCK;
    }
    rest.iter()
        .position(|&byte| byte <= b'\r')
        .map(|found| at + found)
}

/// Whether `bytes` may all stand in a URI: no white space, controls, quotes or angle brackets.
#[inline]
pub(crate) fn is_uri(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    // The last block overlaps the one before, so that no byte is looked at alone.
    match bytes.last_chunk::<BLOCK>() {
        Some(last) => blocks.iter().all(is_uri_block) && is_uri_block(last),
        None => rest.iter().all(|&byte| is_uri_byte(byte)),
    }
}

#[inline(always)]
fn is_uri_block(block: &[u8; BLOCK]) -> bool {
    block
        .iter()
        .fold(true, |all, &byte| all & is_uri_byte(byte))
}

#[inline(always)]
fn is_uri_byte(byte: u8) -> bool {
    (byte > b' ') & (byte != b'"') & (byte != b'<') & (byte != b'>') & (byte != 0x7f)
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
            prop_assert_eq!(first(u128::from_le_bytes(block), byte), place);
        }

        #[test]
        fn the_first_control_is_found(bytes in prop::collection::vec(8u8..18, 0..70), from in 0usize..80) {
            let place = (from..bytes.len()).find(|&at| bytes[at] <= b'\r');
            prop_assert_eq!(control(&bytes, from), place);
        }
    }
}
