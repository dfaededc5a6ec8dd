//! What may follow the literal beginning of a pattern in the trie: a run of characters of one set,
//! counted.
//!
//! Only character sets and runs live here; where a run starts is the trie's and the shape's
//! knowledge.

use regex_syntax::hir::Class;

/// A set of characters: every ASCII character for itself, those beyond ASCII all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CharSet {
    ascii: u128,
    beyond: bool,
}

impl CharSet {
    pub(super) const NONE: CharSet = CharSet {
        ascii: 0,
        beyond: false,
    };

    /// The set of one character; `None` beyond ASCII.
    pub(super) fn single(c: char) -> Option<CharSet> {
        c.is_ascii().then(|| CharSet {
            ascii: 1 << u32::from(c),
            beyond: false,
        })
    }

    /// The set of a parsed class; `None` when it holds some but not all characters beyond ASCII.
    pub(super) fn of_class(class: &Class) -> Option<CharSet> {
        let Class::Unicode(class) = class else {
            return None;
        };
        let mut set = CharSet::NONE;
        for range in class.ranges() {
            let (start, end) = (u32::from(range.start()), u32::from(range.end()));
            if end >= 0x80 {
                if start > 0x80 || range.end() != char::MAX {
                    return None;
                }
                set.beyond = true;
            }
            for c in start..=end.min(0x7f) {
                set.ascii |= 1 << c;
            }
        }
        Some(set)
    }

    /// Whether every character of the set is one byte long, so that counting characters counts
    /// bytes.
    pub(super) fn is_ascii(self) -> bool {
        !self.beyond
    }

    /// How many ASCII characters the set holds.
    pub(super) fn len(self) -> usize {
        self.ascii.count_ones() as usize
    }

    /// The ASCII characters of the set, in order.
    pub(super) fn chars(self) -> impl Iterator<Item = char> {
        (0..128u8)
            .filter(move |&b| self.contains(b))
            .map(char::from)
    }

    /// Whether the character that begins with this byte is in the set.
    fn contains(self, first_byte: u8) -> bool {
        if first_byte < 0x80 {
            self.ascii >> first_byte & 1 == 1
        } else {
            self.beyond
        }
    }
}

/// `min` to `max` characters of `set`, then the end of the user or anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tail {
    pub(super) set: CharSet,
    pub(super) min: u32,
    /// [`Tail::UNLIMITED`] when the pattern sets no upper bound.
    pub(super) max: u32,
    /// Whether the user must end after the run.
    pub(super) end: bool,
}

impl Tail {
    pub(super) const UNLIMITED: u32 = u32::MAX;
    /// Nothing may follow: the pattern is a literal.
    pub(super) const END: Tail = Tail {
        set: CharSet::NONE,
        min: 0,
        max: 0,
        end: true,
    };
    /// Anything may follow: the pattern is a prefix.
    pub(super) const OPEN: Tail = Tail {
        set: CharSet::NONE,
        min: 0,
        max: 0,
        end: false,
    };

    /// Length in bytes of the longest run at the start of `rest` that satisfies the tail.
    /// `rest` is valid UTF-8 and starts at a character.
    #[inline]
    pub(super) fn matched(&self, rest: &[u8]) -> Option<usize> {
        let (mut chars, mut bytes) = (0, 0);
        for &byte in rest {
            let continues_a_character = byte & 0xc0 == 0x80;
            if !continues_a_character {
                if chars == self.max || !self.set.contains(byte) {
                    break;
                }
                chars += 1;
            }
            bytes += 1;
        }
        (chars >= self.min && (!self.end || bytes == rest.len())).then_some(bytes)
    }

    /// The simplest tail that accepts the same users; the length of the match may differ.
    pub(super) fn simplest(self) -> Tail {
        match self {
            Tail {
                max: 0, end: true, ..
            } => Tail::END,
            Tail {
                min: 0, end: false, ..
            } => Tail::OPEN,
            Tail { end: false, .. } => Tail {
                max: self.min,
                ..self
            },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::HirKind;

    fn set(class: &str) -> Option<CharSet> {
        match regex_syntax::parse(class).unwrap().into_kind() {
            HirKind::Class(class) => CharSet::of_class(&class),
            kind => panic!("{class} is not a class but {kind:?}"),
        }
    }

    #[test]
    fn classes_become_sets_unless_they_pick_among_non_ascii() {
        assert_eq!(
            set("[0-9]").unwrap().chars().collect::<String>(),
            "0123456789"
        );
        assert_eq!(set("[^a]").unwrap().len(), 127);
        assert!(!set(".").unwrap().is_ascii());
        assert!(!set("[a\u{80}-\u{10FFFF}]").unwrap().is_ascii());
        assert_eq!(set("[aä]"), None);
        assert_eq!(set("[^ä]"), None);
        assert_eq!(CharSet::single('ä'), None);
    }

    #[test]
    fn runs_count_characters_and_answer_bytes() {
        let digits = set("[0-9]").unwrap();
        let two_to_four = Tail {
            set: digits,
            min: 2,
            max: 4,
            end: false,
        };
        assert_eq!(two_to_four.matched(b"1"), None);
        assert_eq!(two_to_four.matched(b"12a"), Some(2));
        assert_eq!(two_to_four.matched(b"123456"), Some(4));
        assert_eq!(
            Tail {
                end: true,
                ..two_to_four
            }
            .matched(b"12345"),
            None
        );
        let any_two = Tail {
            set: set(".").unwrap(),
            min: 2,
            max: 2,
            end: true,
        };
        assert_eq!(any_two.matched("äß".as_bytes()), Some(4));
        assert_eq!(any_two.matched("äßx".as_bytes()), None);
    }

    #[test]
    fn tails_without_an_end_are_cut_to_what_they_require() {
        let digits = set("[0-9]").unwrap();
        let run = |min, end| Tail {
            set: digits,
            min,
            max: Tail::UNLIMITED,
            end,
        };
        assert_eq!(run(0, false).simplest(), Tail::OPEN);
        assert_eq!(
            run(3, false).simplest(),
            Tail {
                max: 3,
                ..run(3, false)
            }
        );
        assert_eq!(run(3, true).simplest(), run(3, true));
        assert_eq!(
            Tail {
                max: 0,
                ..run(0, true)
            }
            .simplest(),
            Tail::END
        );
    }
}
