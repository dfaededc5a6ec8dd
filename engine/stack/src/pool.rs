//! Memory for stored messages: blocks of a few sizes that are handed back and used again.

/// Sizes of blocks, in steps fine enough that a held call wastes little: a key fits the first ones, the
/// text of a dialog 256 to 384, an ACK or a response 384 to 640, an INVITE with SDP 1024.
const CLASSES: [usize; 17] = [
    64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 4096, 16_384, 65_536,
];

/// Stored bytes. Hand it back with [`Pool::release`]: a dropped block is memory the pool must allocate
/// again.
#[derive(Debug)]
pub struct Block {
    bytes: Box<[u8]>,
    len: u32,
}

impl Block {
    /// How many bytes are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The stored bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

/// Free blocks by size. After warm-up storing and releasing allocate nothing.
#[derive(Debug, Default)]
pub struct Pool {
    free: [Vec<Box<[u8]>>; CLASSES.len()],
    bytes: usize,
    live: usize,
}

impl Pool {
    /// A pool that holds nothing.
    #[must_use]
    pub fn new() -> Pool {
        Pool::default()
    }

    /// Copies `bytes` into a block. What is longer than the largest class, which no datagram is, gets
    /// memory of its own.
    pub fn store(&mut self, bytes: &[u8]) -> Block {
        self.join(bytes, &[])
    }

    /// Copies `head` and, behind it, `tail` into one block.
    pub fn join(&mut self, head: &[u8], tail: &[u8]) -> Block {
        let len = head.len() + tail.len();
        let mut memory = self.take(len);
        let (first, rest) = memory.split_at_mut(head.len());
        first.copy_from_slice(head);
        if let Some(rest) = rest.get_mut(..tail.len()) {
            rest.copy_from_slice(tail);
        }
        self.live += 1;
        Block {
            bytes: memory,
            len: len as u32,
        }
    }

    /// Takes a block back.
    pub fn release(&mut self, block: Block) {
        self.live = self.live.saturating_sub(1);
        let size = block.bytes.len();
        match class_of(size).and_then(|class| self.free.get_mut(class)) {
            Some(free) => free.push(block.bytes),
            None => self.bytes = self.bytes.saturating_sub(size),
        }
    }

    /// Bytes of all blocks, free and in use.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.bytes
    }

    /// Blocks in use.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    fn take(&mut self, len: usize) -> Box<[u8]> {
        let class = class_of(len);
        match class
            .and_then(|class| self.free.get_mut(class))
            .and_then(Vec::pop)
        {
            Some(memory) => memory,
            None => self.allocate(
                class
                    .and_then(|class| CLASSES.get(class))
                    .map_or(len, |size| *size),
            ),
        }
    }

    #[cold]
    fn allocate(&mut self, size: usize) -> Box<[u8]> {
        self.bytes += size;
        vec![0; size].into_boxed_slice()
    }
}

/// The smallest class that holds `len` bytes.
fn class_of(len: usize) -> Option<usize> {
    CLASSES.iter().position(|size| len <= *size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_what_it_was_given() {
        let mut pool = Pool::new();
        for len in [0, 1, 128, 129, 5000, 65_536, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let block = pool.store(&bytes);
            assert_eq!(block.as_slice(), bytes);
            assert_eq!((block.len(), block.is_empty()), (len, len == 0));
            pool.release(block);
        }
        assert_eq!(pool.live(), 0);
    }

    #[test]
    fn joins_two_parts() {
        let mut pool = Pool::new();
        assert_eq!(pool.join(b"key", b"response").as_slice(), b"keyresponse");
    }

    #[test]
    fn released_blocks_are_used_again() {
        let mut pool = Pool::new();
        for round in 0..100_u8 {
            let (small, large) = (pool.store(&[round; 200]), pool.store(&[round; 900]));
            assert_eq!(large.as_slice(), [round; 900]);
            pool.release(small);
            pool.release(large);
        }
        assert_eq!(pool.bytes_held(), 256 + 1024);
    }

    #[test]
    fn blocks_are_of_the_smallest_size_that_holds_them() {
        // Our own branch in a key takes 65 bytes.
        for (len, size) in [(0, 64), (64, 64), (65, 96), (97, 128), (641, 768)] {
            let mut pool = Pool::new();
            pool.store(&vec![0; len]);
            assert_eq!(pool.bytes_held(), size);
        }
    }

    #[test]
    fn oversized_blocks_go_back_to_the_allocator() {
        let mut pool = Pool::new();
        let block = pool.store(&[1; 70_000]);
        assert_eq!((pool.bytes_held(), pool.live()), (70_000, 1));
        pool.release(block);
        assert_eq!((pool.bytes_held(), pool.live()), (0, 0));
    }
}
