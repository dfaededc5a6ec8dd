//! A place in a message of at most 64 KB: four bytes instead of a slice's sixteen, and free of
//! lifetimes, so that an index of spans can outlive the buffer it describes.

/// Bytes `start..end` of some message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u16,
    /// Offset after the last byte.
    pub end: u16,
}

impl Span {
    /// The span `start..end` of a message already known to be no longer than 64 KB.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: offset(start),
            end: offset(end),
        }
    }

    /// The bytes this span names in `bytes`; empty when they are not there.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }
}

/// An offset into a message already known to be no longer than 64 KB.
#[inline]
pub(crate) fn offset(at: usize) -> u16 {
    debug_assert!(at <= usize::from(u16::MAX));
    at as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_bytes_and_never_panics() {
        assert_eq!(Span::new(1, 3).of(b"abcd"), b"bc");
        assert_eq!(Span::new(3, 9).of(b"abcd"), b"");
        assert_eq!(Span { start: 3, end: 1 }.of(b"abcd"), b"");
    }
}
