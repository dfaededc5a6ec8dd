//! What loading has to say: errors that refuse the DB and remarks that do not, each with its place
//! in the file.
//!
//! The caller knows the file's name and puts it in front.

use std::fmt;

/// Something about one place in the DB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The record, counted from 0; `None` when it is about the file.
    pub record: Option<usize>,
    /// Line in the file, counted from 1.
    pub line: usize,
    /// Column in bytes, counted from 1.
    pub column: usize,
    /// The field, as in `routingRecord.noAnswerTimeout`; empty when it is about the whole record or
    /// file.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.record {
            Some(record) => write!(f, "record {record}, line {}", self.line)?,
            None => write!(f, "line {}", self.line)?,
        }
        write!(f, ", column {}: ", self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Why a DB was refused: always at fault is the file. One line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.errors, *.more))]
pub struct RdbErrors {
    /// The first 20 errors, in file order.
    pub errors: Vec<Remark>,
    /// How many further errors there are.
    pub more: usize,
}

struct Lines<'e>(&'e [Remark], usize);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, remark) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{remark}")?;
        }
        if self.1 > 0 {
            write!(f, "\n... and {} more", self.1)
        } else {
            Ok(())
        }
    }
}

/// The first remarks of a kind and the count of the others.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) shown: Vec<Remark>,
    pub(super) more: usize,
}

impl Remarks {
    /// A file that is wrong throughout is described by its first remarks.
    pub(super) const SHOWN_MAX: usize = 20;

    /// Makes the remark only if it will be shown.
    pub(super) fn add(&mut self, remark: impl FnOnce() -> Remark) {
        if self.shown.len() < Self::SHOWN_MAX {
            self.shown.push(remark());
        } else {
            self.more += 1;
        }
    }
}

/// Line and column, both counted from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(record: Option<usize>, field: &str) -> Remark {
        Remark {
            record,
            line: 3,
            column: 5,
            field: field.into(),
            message: "is wrong".into(),
        }
    }

    #[test]
    fn remarks_name_record_place_and_field() {
        let shown = [
            remark(Some(7), "userpartPattern"),
            remark(Some(7), ""),
            remark(None, ""),
        ];
        let errors = RdbErrors {
            errors: shown.to_vec(),
            more: 2,
        };
        insta::assert_snapshot!(errors, @"
        record 7, line 3, column 5: userpartPattern: is wrong
        record 7, line 3, column 5: is wrong
        line 3, column 5: is wrong
        ... and 2 more
        ");
    }

    #[test]
    fn only_the_first_remarks_are_kept() {
        let mut remarks = Remarks::default();
        (0..25).for_each(|n| remarks.add(|| remark(Some(n), "")));
        assert_eq!((remarks.shown.len(), remarks.more), (20, 5));
        assert_eq!(remarks.shown[19].record, Some(19));
    }

    #[test]
    fn positions_count_from_one() {
        assert_eq!(position("ab\ncd", 0), (1, 1));
        assert_eq!(position("ab\ncd", 2), (1, 3));
        assert_eq!(position("ab\ncd", 4), (2, 2));
        assert_eq!(position("ab\n", 9), (2, 1));
    }
}
