//! Which requests were turned away lately: so many bits of each, in a table of fixed size. A copy of such
//! a request must not become a call, for its sender has its answer and would not know it.

/// Entries: those turned away in a second at 65,000 a second, in 256 KiB.
const ENTRIES: usize = 1 << 16;

/// The last requests that were turned away, each in the place its number gives it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Empty until the first overload.
    entries: Box<[u32]>,
}

impl Memory {
    /// Keeps a request, by the number its copies have in common.
    pub(crate) fn keep(&mut self, identity: u64) {
        if self.entries.is_empty() {
            self.entries = vec![0; ENTRIES].into_boxed_slice();
        }
        if let Some(entry) = self.entries.get_mut(place(identity)) {
            *entry = mark(identity);
        }
    }

    /// Whether it was kept, and not many others since.
    pub(crate) fn has(&self, identity: u64) -> bool {
        self.entries.get(place(identity)) == Some(&mark(identity))
    }
}

fn place(identity: u64) -> usize {
    identity as usize % ENTRIES
}

/// The other half of the number; never 0, which is nobody.
fn mark(identity: u64) -> u32 {
    (identity >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_known_until_another_takes_its_place() {
        let mut memory = Memory::default();
        let one = 0xdead_beef_0000_0007;
        assert!(!memory.has(one));
        memory.keep(one);
        assert!(memory.has(one));
        assert!(!memory.has(0xdead_beef_0000_0008));
        assert!(!memory.has(0xfeed_beef_0000_0007));
        memory.keep(0xfeed_beef_0000_0007);
        assert!(!memory.has(one));
        assert!(!Memory::default().has(0));
    }
}
