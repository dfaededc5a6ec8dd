//! Nonces that prove themselves: what one says is under a keyed MAC, so that none needs to be remembered
//! before somebody has used it with the right secret.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Hex;
use super::algorithm::digit;
use crate::Time;

/// What the keys of nonces come from: one for all shards of a run. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of these bytes. On a live system they come from the operating system.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// A MAC under this secret. HMAC-SHA-256, not the router's own SipHash: nonces are shown to everybody,
    /// keys last for minutes, and SipHash-1-3 is made for hash tables.
    fn mac(&self) -> Hmac<Sha256> {
        keyed(&self.0)
    }

    /// A number for this purpose that tells nothing of the secret nor of that for another purpose.
    #[must_use]
    pub fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        self.mac()
            .chain_update(purpose)
            .finalize()
            .into_bytes()
            .into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// RFC 2104 2: a key is filled up with zeros to a block of the hash function.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::<Sha256>::new(&block.into())
}

/// What a nonce is bound to beside its shard and time.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where the request came from. Its port is left out: a NAT may change it from one to the next.
    pub source: IpAddr,
    /// The realm of the challenge.
    pub realm: &'a str,
}

/// Shard, second, number.
const PLAIN: usize = 1 + 4 + 8;
/// HMAC-SHA-256 cut to 128 bits (RFC 2104 5: no less than half of it).
const TAG: usize = 16;
const BYTES: usize = PLAIN + TAG;

/// The maker and judge of a shard's nonces. A nonce is good on the shard that gave it: only that one knows
/// the counts it was used with. The keys change once in a lifetime, by the time alone, so shards need not
/// tell each other.
#[derive(Debug)]
pub struct Nonces {
    secret: Secret,
    shard: u8,
    lifetime_s: u64,
    given: u64,
    /// The keyed MACs of the two periods a good nonce can be of.
    keys: [Option<(u64, Key)>; 2],
}

/// A MAC with its key; never printed.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Nonces {
    /// Digits of a nonce.
    pub const DIGITS: usize = 2 * BYTES;

    /// Nonces of this shard that are good for `lifetime`, at least a second.
    #[must_use]
    pub fn new(secret: Secret, shard: u8, lifetime: Duration) -> Nonces {
        Nonces {
            secret,
            shard,
            lifetime_s: lifetime.as_secs().max(1),
            given: 0,
            keys: [None, None],
        }
    }

    /// Another lifetime, for those given before too.
    pub fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime_s = lifetime.as_secs().max(1);
        self.keys = [None, None];
    }

    /// How long a nonce is good, seconds.
    #[must_use]
    pub fn lifetime_s(&self) -> u64 {
        self.lifetime_s
    }

    /// A new nonce: lower-case hexadecimal digits.
    pub fn give(&mut self, now: Time, context: Context<'_>) -> Hex {
        self.given = self.given.wrapping_add(1);
        let issued_s = seconds(now);
        let plain = plain(self.shard, issued_s, self.given);
        let tag = self.tag(issued_s, &plain, context);
        let mut bytes = [0; BYTES];
        let (front, back) = bytes.split_at_mut(PLAIN);
        front.copy_from_slice(&plain);
        back.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
        Hex::of(&bytes)
    }

    /// The number of a nonce that this shard gave in this context not too long ago; numbers rise. `None`:
    /// it is too old, another's, or nobody's.
    pub fn number(&mut self, now: Time, context: Context<'_>, text: &[u8]) -> Option<u64> {
        let bytes = from_hex(text)?;
        let (plain, tag) = bytes.split_first_chunk::<PLAIN>()?;
        let (shard, issued_s, number) = parts(plain)?;
        let age = seconds(now).checked_sub(issued_s)?;
        if shard != self.shard || u64::from(age) > self.lifetime_s {
            return None;
        }
        let mac = self.mac(issued_s, plain, context);
        mac.verify_truncated_left(tag).ok().map(|()| number)
    }

    fn tag(&mut self, issued_s: u32, plain: &[u8], context: Context<'_>) -> [u8; 32] {
        let mac = self.mac(issued_s, plain, context);
        mac.finalize().into_bytes().into()
    }

    fn mac(&mut self, issued_s: u32, plain: &[u8], context: Context<'_>) -> Hmac<Sha256> {
        let source = match context.source.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mac = self.key(u64::from(issued_s) / self.lifetime_s);
        mac.chain_update(plain)
            .chain_update(source.octets())
            .chain_update(context.realm)
    }

    fn key(&mut self, period: u64) -> Hmac<Sha256> {
        let is_of = |(of, _): &&(u64, Key)| *of == period;
        if let Some((_, key)) = self.keys.iter().flatten().find(is_of) {
            return key.0.clone();
        }
        let purpose = [b"nonce ".as_slice(), &period.to_be_bytes()].concat();
        let key = keyed(&self.secret.derive(&purpose));
        self.keys.rotate_right(1);
        self.keys[0] = Some((period, Key(key.clone())));
        key
    }
}

/// Enough for 136 years.
fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

fn plain(shard: u8, issued_s: u32, number: u64) -> [u8; PLAIN] {
    let mut plain = [0; PLAIN];
    let parts = [shard].into_iter();
    let parts = parts
        .chain(issued_s.to_be_bytes())
        .chain(number.to_be_bytes());
    plain
        .iter_mut()
        .zip(parts)
        .for_each(|(to, from)| *to = from);
    plain
}

fn parts(plain: &[u8; PLAIN]) -> Option<(u8, u32, u64)> {
    let (&shard, rest) = plain.split_first()?;
    let (issued_s, number) = rest.split_first_chunk()?;
    let number = number.first_chunk()?;
    Some((
        shard,
        u32::from_be_bytes(*issued_s),
        u64::from_be_bytes(*number),
    ))
}

/// The bytes that lower-case digits spell.
fn from_hex(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != Nonces::DIGITS {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(text: u8) -> Option<u8> {
    (0..16).find(|&value| digit(value) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Context<'static> = Context {
        source: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        realm: "example.com",
    };

    fn nonces(secret: u8, shard: u8) -> Nonces {
        Nonces::new(Secret::new([secret; 32]), shard, Duration::from_secs(60))
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_nonce_is_good_for_its_lifetime_where_it_was_given() {
        let mut nonces = nonces(1, 3);
        let first = nonces.give(at(59_000), HERE);
        let second = nonces.give(at(59_000), HERE);
        assert_ne!(first.text(), second.text());
        assert_eq!(first.text().len(), Nonces::DIGITS);
        for ms in [59_000, 60_000, 119_999] {
            assert_eq!(nonces.number(at(ms), HERE, first.text()), Some(1), "{ms}");
            assert_eq!(nonces.number(at(ms), HERE, second.text()), Some(2), "{ms}");
        }
        assert_eq!(nonces.number(at(120_000), HERE, first.text()), None);
        assert_eq!(nonces.number(at(58_999), HERE, first.text()), None);
    }

    #[test]
    fn another_source_realm_shard_or_secret_has_other_nonces() {
        let nonce = nonces(1, 3).give(at(0), HERE);
        let elsewhere = Context {
            source: "192.0.2.2".parse().unwrap(),
            ..HERE
        };
        let other_realm = Context {
            realm: "example.org",
            ..HERE
        };
        let mut same = nonces(1, 3);
        assert_eq!(same.number(at(0), HERE, nonce.text()), Some(1));
        assert_eq!(same.number(at(0), elsewhere, nonce.text()), None);
        assert_eq!(same.number(at(0), other_realm, nonce.text()), None);
        assert_eq!(nonces(1, 4).number(at(0), HERE, nonce.text()), None);
        assert_eq!(nonces(2, 3).number(at(0), HERE, nonce.text()), None);
        let in_ipv6 = Context {
            source: "::ffff:192.0.2.1".parse().unwrap(),
            ..HERE
        };
        assert_eq!(same.number(at(0), in_ipv6, nonce.text()), Some(1));
    }

    #[test]
    fn no_digit_may_be_changed() {
        let mut nonces = nonces(1, 3);
        let nonce = nonces.give(at(0), HERE).text().to_vec();
        for at_digit in 0..nonce.len() {
            let mut forged = nonce.clone();
            forged[at_digit] = if forged[at_digit] == b'0' { b'1' } else { b'0' };
            assert_eq!(nonces.number(at(0), HERE, &forged), None, "{at_digit}");
        }
        let upper = nonce.to_ascii_uppercase();
        for bad in [&b""[..], b"0", &nonce[1..], &upper, &[0xff; Nonces::DIGITS]] {
            assert_eq!(nonces.number(at(0), HERE, bad), None);
        }
    }

    #[test]
    fn keys_change_with_time_and_the_former_one_is_still_known() {
        let mut nonces = nonces(1, 0);
        let old = nonces.give(at(59_999), HERE);
        let young = nonces.give(at(60_001), HERE);
        let key = |period| {
            nonces
                .secret
                .derive(&[b"nonce ".as_slice(), &u64::to_be_bytes(period)].concat())
        };
        assert_ne!(key(0), key(1));
        for nonce in [old, young, old] {
            assert!(nonces.number(at(60_002), HERE, nonce.text()).is_some());
        }
    }

    /// RFC 4231 4.3, its key filled up as ours never need to be.
    #[test]
    fn the_mac_is_hmac_sha_256() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = Secret::new(key).derive(b"what do ya want for nothing?");
        assert_eq!(
            Hex::of(&tag).text(),
            b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut nonces = Nonces::new(Secret::new([0xab; 32]), 0, Duration::ZERO);
        let _ = nonces.give(at(0), HERE);
        assert_eq!(nonces.lifetime_s(), 1);
        let text = format!("{nonces:?}");
        assert!(text.contains("Secret") && !text.contains("171"), "{text}");
    }
}
