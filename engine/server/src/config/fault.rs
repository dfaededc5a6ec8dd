//! Mistakes in a configuration file and how they are shown: file, line, column and key on one line,
//! then the offending line with a caret under the place. Nothing here knows what a key means.

use std::fmt;
use std::ops::Range;

/// A line with this word may hold a password, and what is shown may end in a log.
const SECRET: &str = "secret";

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes of the text it concerns; `None` when it concerns the file as a whole.
    pub(crate) span: Option<Range<usize>>,
    /// The key, like `listen[0].address`; empty when there is none.
    pub(crate) key: String,
    /// What is wrong and what is allowed.
    pub(crate) message: String,
}

/// All mistakes of one file. Its text form is meant for the operator as it is.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) struct Faults {
    /// The file's name as the operator wrote it.
    pub(crate) file: String,
    /// Its text; empty when it could not be read.
    pub(crate) text: String,
    /// At least one, in the order of the text.
    pub(crate) list: Vec<Fault>,
}

impl Faults {
    /// The mistakes in the order of the text, if there are any.
    pub(crate) fn of(file: String, text: String, mut list: Vec<Fault>) -> Option<Faults> {
        list.sort_by_key(|fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start));
        (!list.is_empty()).then_some(Faults { file, text, list })
    }

    /// A single mistake that concerns the file as a whole.
    pub(crate) fn whole_file(file: &str, message: String) -> Faults {
        let fault = Fault {
            span: None,
            key: String::new(),
            message,
        };
        Faults {
            file: file.to_owned(),
            text: String::new(),
            list: vec![fault],
        }
    }

    /// One line a mistake, for a log.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.list.iter().map(|fault| self.headline(fault)).collect()
    }

    /// `file:line:column: key: message`, the form editors and grep understand.
    fn headline(&self, fault: &Fault) -> String {
        let mut out = self.file.clone();
        if let Some(span) = &fault.span {
            let place = Place::of(&self.text, span);
            out += &format!(":{}:{}", place.line, place.column);
        }
        out += ": ";
        if !fault.key.is_empty() {
            out += &format!("{}: ", fault.key);
        }
        out + &fault.message
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "error: {}", self.headline(fault))?;
            let place = fault.span.as_ref().map(|span| Place::of(&self.text, span));
            if let Some(place) = place.filter(|place| !place.content.contains(SECRET)) {
                write_excerpt(f, &place)?;
            }
        }
        Ok(())
    }
}

fn write_excerpt(f: &mut fmt::Formatter<'_>, place: &Place<'_>) -> fmt::Result {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    // A tab keeps its width in the line of the caret, so that both move alike.
    let before = place.content.chars().take(place.column - 1);
    let pad: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let carets = "^".repeat(place.width);
    write!(
        f,
        "\n{margin} |\n{number} | {}\n{margin} | {pad}{carets}",
        place.content
    )
}

/// A span in the terms of a person: line and column from 1, columns in characters.
struct Place<'t> {
    line: usize,
    column: usize,
    content: &'t str,
    width: usize,
}

impl<'t> Place<'t> {
    fn of(text: &'t str, span: &Range<usize>) -> Place<'t> {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &text[line_start..];
        let content = rest
            .split('\n')
            .next()
            .unwrap_or(rest)
            .trim_end_matches('\r');
        let end = floor_char_boundary(text, span.end).min(line_start + content.len());
        Place {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            content,
            width: text.get(start..end).map_or(1, |s| s.chars().count().max(1)),
        }
    }
}

/// The line a span begins in, from 1.
pub(crate) fn line_of(text: &str, span: &Range<usize>) -> usize {
    Place::of(text, span).line
}

/// The byte at a line and column, both from 1, columns in bytes as JSON readers count them.
pub(crate) fn span_at(text: &str, line: usize, column: usize) -> Option<Range<usize>> {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let at = floor_char_boundary(text, before + column.saturating_sub(1));
    Some(at..at)
}

/// The parser may point at the end of the text or, in broken UTF-8 escapes, into a character.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, span: Option<Range<usize>>) -> Faults {
        let fault = Fault {
            span,
            key: "a.b".into(),
            message: "must be from 1 to 2".into(),
        };
        Faults {
            file: "x.toml".into(),
            text: text.into(),
            list: vec![fault],
        }
    }

    #[test]
    fn the_caret_stands_under_the_value() {
        insta::assert_snapshot!(faults("[a]\nb = 30 # no\n", Some(8..10)), @r"
        error: x.toml:2:5: a.b: must be from 1 to 2
          |
        2 | b = 30 # no
          |     ^^
        ");
    }

    #[test]
    fn a_span_over_several_lines_is_marked_to_the_end_of_its_first() {
        insta::assert_snapshot!(faults("a = [\r\n1,\r\n]\r\n", Some(4..12)), @r"
        error: x.toml:1:5: a.b: must be from 1 to 2
          |
        1 | a = [
          |     ^
        ");
    }

    #[test]
    fn any_span_can_be_shown() {
        let text = "é = 'ü'\n\tb = 1";
        for start in 0..text.len() + 3 {
            for end in start..text.len() + 3 {
                assert!(faults(text, Some(start..end)).to_string().contains('^'));
            }
        }
    }

    #[test]
    fn without_a_span_only_the_file_is_named() {
        assert_eq!(
            faults("", None).to_string(),
            "error: x.toml: a.b: must be from 1 to 2"
        );
    }
}
