//! The text we put into Call-IDs, branches and tags, and read back: which shard, which slot, and proof.

/// What our own identifiers carry: the owner, its slot, and enough to refuse a stale or forged one.
///
/// As text it is 32 lower-case hexadecimal digits (shard 2, slot 6, generation 8, random 16) behind
/// `tpr-` in a Call-ID, `z9hG4bKtpr` in a branch and `tpr` in a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The shard that owns what the token names.
    pub shard: u8,
    /// The slot in the owner's slab; 24 bits, the rest is not printed.
    pub slot: u32,
    /// The slot's generation: a token of its former occupant does not match.
    pub generation: u32,
    /// Sixteen digits that a stranger would have to guess.
    pub random: u64,
}

const CALL_ID_PREFIX: &[u8] = b"tpr-";
/// RFC 3261 8.1.1.7: the cookie says that the branch is unique across all requests.
const BRANCH_PREFIX: &[u8] = Token::BRANCH_PREFIX;
const TAG_PREFIX: &[u8] = b"tpr";

/// Digits behind each prefix.
const DIGITS: usize = 32;

impl Token {
    /// Slots a token can name.
    pub const SLOTS: usize = 1 << 24;

    /// Bytes of a tag: its prefix and the digits.
    pub const TAG_BYTES: usize = TAG_PREFIX.len() + DIGITS;

    /// How every branch of ours begins.
    pub const BRANCH_PREFIX: &[u8] = b"z9hG4bKtpr";

    /// The last slot number.
    pub const SLOT_MAX: u32 = (1 << 24) - 1;

    /// Appends `tpr-` and the digits.
    pub fn print_call_id(&self, out: &mut Vec<u8>) {
        self.print(CALL_ID_PREFIX, out);
    }

    /// Reads a whole Call-ID back; `None` when it is not exactly one of ours.
    #[must_use]
    pub fn parse_call_id(text: &[u8]) -> Option<Token> {
        parse(text.strip_prefix(CALL_ID_PREFIX)?)
    }

    /// Appends `z9hG4bKtpr` and the digits.
    pub fn print_branch(&self, out: &mut Vec<u8>) {
        self.print(BRANCH_PREFIX, out);
    }

    /// Reads a whole branch back; `None` when it is not exactly one of ours.
    #[must_use]
    pub fn parse_branch(text: &[u8]) -> Option<Token> {
        parse(text.strip_prefix(BRANCH_PREFIX)?)
    }

    /// Reads the token a branch of ours begins with, and what stands behind it: a request that was
    /// forwarded for another has a mark there.
    #[must_use]
    pub fn split_branch(text: &[u8]) -> Option<(Token, &[u8])> {
        let digits = text.strip_prefix(BRANCH_PREFIX)?;
        let (digits, rest) = digits.split_at_checked(DIGITS)?;
        Some((parse(digits)?, rest))
    }

    /// Appends `tpr` and the digits.
    pub fn print_tag(&self, out: &mut Vec<u8>) {
        self.print(TAG_PREFIX, out);
    }

    /// The tag as a value of its own, for those who hold no buffer.
    #[must_use]
    pub fn tag_text(&self) -> [u8; Token::TAG_BYTES] {
        let mut text = [0; Token::TAG_BYTES];
        let (prefix, rest) = text.split_at_mut(TAG_PREFIX.len());
        let (high, low) = rest.split_at_mut(16);
        prefix.copy_from_slice(TAG_PREFIX);
        high.copy_from_slice(&digits(self.high()));
        low.copy_from_slice(&digits(self.random));
        text
    }

    /// Reads a whole tag back; `None` when it is not exactly one of ours.
    #[must_use]
    pub fn parse_tag(text: &[u8]) -> Option<Token> {
        parse(text.strip_prefix(TAG_PREFIX)?)
    }

    fn print(&self, prefix: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(prefix);
        out.extend_from_slice(&digits(self.high()));
        out.extend_from_slice(&digits(self.random));
    }

    fn high(&self) -> u64 {
        u64::from(self.shard) << 56
            | u64::from(self.slot & 0xff_ffff) << 32
            | u64::from(self.generation)
    }
}

/// The 16 digits of a value, most significant first.
fn digits(value: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (place, byte) in text.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' - 10 + nibble
    }
}

fn parse(text: &[u8]) -> Option<Token> {
    let text: &[u8; DIGITS] = text.try_into().ok()?;
    let (high, low) = text.split_at(16);
    let high = number(high)?;
    Some(Token {
        shard: (high >> 56) as u8,
        slot: (high >> 32) as u32 & 0xff_ffff,
        generation: high as u32,
        random: number(low)?,
    })
}

/// The value of up to 16 lower-case digits. Errors are gathered and judged once, without a branch a digit.
#[expect(
    clippy::indexing_slicing,
    reason = "every byte has its place in a table of 256"
)]
fn number(text: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut wrong = 0;
    for &byte in text {
        let nibble = NIBBLES[usize::from(byte)];
        wrong |= nibble;
        value = value << 4 | u64::from(nibble & 15);
    }
    (wrong < 16).then_some(value)
}

/// The value of each lower-case hexadecimal digit, 255 for every other byte.
#[expect(
    clippy::indexing_slicing,
    reason = "made by the compiler: an index out of bounds would fail the build"
)]
static NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        let letter = if value < 10 {
            b'0' + value
        } else {
            b'a' - 10 + value
        };
        table[letter as usize] = value;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token {
        shard: 0x0a,
        slot: 0x00_1f2e,
        generation: 7,
        random: 0x0123_4567_89ab_cdef,
    };
    const TEXT: &str = "0a001f2e000000070123456789abcdef";

    fn printed(print: impl Fn(&Token, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&TOKEN, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn layouts_are_fixed() {
        assert_eq!(printed(Token::print_call_id), format!("tpr-{TEXT}"));
        assert_eq!(printed(Token::print_branch), format!("z9hG4bKtpr{TEXT}"));
        assert_eq!(printed(Token::print_tag), format!("tpr{TEXT}"));
    }

    #[test]
    fn reads_only_exact_text() {
        let good = format!("tpr-{TEXT}");
        assert_eq!(Token::parse_call_id(good.as_bytes()), Some(TOKEN));
        let upper = good.replace('f', "F");
        let at_host = format!("{good}@host");
        for bad in ["", "tpr-", &good[..35], &at_host, &upper, &good[1..], TEXT] {
            assert_eq!(Token::parse_call_id(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn kinds_are_not_confused() {
        let branch = format!("z9hG4bKtpr{TEXT}");
        assert_eq!(Token::parse_branch(branch.as_bytes()), Some(TOKEN));
        assert_eq!(Token::parse_tag(branch.as_bytes()), None);
        assert_eq!(Token::parse_branch(format!("tpr{TEXT}").as_bytes()), None);
    }

    #[test]
    fn a_branch_may_have_more_behind_its_token() {
        let branch = format!("z9hG4bKtpr{TEXT}.5f");
        let expected = Some((TOKEN, b".5f".as_slice()));
        assert_eq!(Token::split_branch(branch.as_bytes()), expected);
        assert_eq!(Token::parse_branch(branch.as_bytes()), None);
        assert_eq!(Token::split_branch(&branch.as_bytes()[..41]), None);
    }

    proptest! {
        #[test]
        fn round_trips(shard: u8, slot in 0u32..1 << 24, generation: u32, random: u64) {
            let token = Token { shard, slot, generation, random };
            let mut out = Vec::new();
            token.print_tag(&mut out);
            prop_assert_eq!(Token::parse_tag(&out), Some(token));
        }

        #[test]
        fn never_panics(text: Vec<u8>) {
            let _ = Token::parse_branch(&text);
            let _ = Token::parse_tag(&text);
        }
    }
}
