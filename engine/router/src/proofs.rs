//! Proofs that the router hands out to recognise later what it has said: that a Route is one of its
//! Record-Routes, that a text stands for a dialog of its own. They are short hashes under keys that all shards
//! share and nobody else knows; nothing is kept of what they prove. What may not live here: how they are
//! written in a message.

use stack::sip_hash;

/// The keys of the proofs. The same on every shard; kept over a restart, they let dialogs live that are proven
/// by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofKeys {
    current: [u64; 2],
    previous: Vec<[u64; 2]>,
}

impl ProofKeys {
    /// Proofs are made with `current`; those made with one of `previous` still hold. Each costs a hash for
    /// every forged proof.
    pub fn new(current: [u64; 2], previous: impl IntoIterator<Item = [u64; 2]>) -> ProofKeys {
        ProofKeys {
            current,
            previous: previous.into_iter().collect(),
        }
    }
}

/// The proofs of one shard, by what they prove.
#[derive(Clone, Debug)]
pub(crate) struct Proofs {
    /// Of a Call-ID: a Route of ours was handed out in this call.
    pub(crate) path: Proof,
    /// Of a Call-ID and a tag: what stands for them was written here.
    pub(crate) dialog: Proof,
    /// Of a request's way: RFC 5393 4.2.1. It need not outlive the request.
    pub(crate) loops: Proof,
}

impl Proofs {
    pub(crate) fn new(keys: &ProofKeys) -> Proofs {
        let proof = |purpose: &[u8]| Proof {
            current: derived(keys.current, purpose),
            previous: (keys.previous.iter())
                .map(|&key| derived(key, purpose))
                .collect(),
        };
        Proofs {
            path: proof(b"path"),
            dialog: proof(b"dialog"),
            loops: proof(b"loops"),
        }
    }
}

/// A key for this purpose, which tells nothing of the others.
fn derived(key: [u64; 2], purpose: &[u8]) -> [u64; 2] {
    let half = |which: u8| sip_hash(&[purpose, &[which]].concat(), key);
    [half(0), half(1)]
}

/// One kind of proof.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    current: [u64; 2],
    previous: Vec<[u64; 2]>,
}

impl Proof {
    /// The proof of this text.
    pub(crate) fn of(&self, text: &[u8]) -> u64 {
        sip_hash(text, self.current)
    }

    /// Whether this was made here for this text.
    pub(crate) fn holds(&self, text: &[u8], proof: u64) -> bool {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        keys.any(|&key| sip_hash(text, key) == proof)
    }
}

/// Digits of a proof as text.
pub(crate) const DIGITS: usize = 16;

/// A proof, as [`wire::print::hex`] has written it with all its digits.
pub(crate) fn read_hash(digits: &[u8]) -> Option<u64> {
    let digits: &[u8; DIGITS] = digits.try_into().ok()?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_read_as_they_are_written() {
        let mut written = Vec::new();
        wire::print::hex(&mut written, 0x0123_4567_89ab_cdef, DIGITS);
        assert_eq!(read_hash(&written), Some(0x0123_4567_89ab_cdef));
        for bad in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789abcdeg",
        ] {
            assert_eq!(read_hash(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn proofs_differ_by_purpose_and_key() {
        let proofs = |key| Proofs::new(&ProofKeys::new(key, []));
        let (one, same, other) = (proofs([1, 2]), proofs([1, 2]), proofs([1, 3]));
        assert_eq!(one.path.of(b"call"), same.path.of(b"call"));
        assert_ne!(one.path.of(b"call"), other.path.of(b"call"));
        assert_ne!(one.path.of(b"call"), one.dialog.of(b"call"));
        assert_ne!(one.path.of(b"call"), one.loops.of(b"call"));
        assert_ne!(one.path.of(b"call"), one.path.of(b"cal1"));
    }

    #[test]
    fn a_key_that_was_replaced_still_proves_and_one_that_is_gone_does_not() {
        let proofs = |current, previous: &[[u64; 2]]| {
            Proofs::new(&ProofKeys::new(current, previous.iter().copied())).path
        };
        let old = proofs([1, 1], &[]).of(b"call");
        let rotated = proofs([2, 2], &[[1, 1]]);
        assert!(rotated.holds(b"call", old) && !rotated.holds(b"cal1", old));
        assert!(rotated.holds(b"call", rotated.of(b"call")));
        assert_eq!(rotated.of(b"call"), proofs([2, 2], &[]).of(b"call"));
        assert!(!proofs([2, 2], &[]).holds(b"call", old));
    }
}
