//! The pattern dialect: Go's regular expressions (RE2 syntax), as the users of the routing DB write
//! them, read by the Rust parser.
//!
//! Only text and its parsed form live here. The two syntaxes are nearly one; [`parse`] rewrites
//! what is not:
//! - `\d`, `\w`, `\s` and `\b` are ASCII (a Rust regex would take every Unicode digit for `\d`);
//! - `\Q...\E` quotes, `\<` and `\>` are plain characters;
//! - `{` that begins no counted repetition is itself;
//! - inside `[...]` a further `[`, `&&` and `~~` are plain characters, not set operations.
//!
//! What stays different is refused rather than read otherwise: `\B`, `\C`, octal escapes, the flags
//! Go lacks, `--` in a class. Accepted beyond Go: stacked repetitions (`a**`) and counts above
//! 1000, both within the size limits. In both dialects the leftmost match wins and alternatives are
//! tried in order, so captures agree.

use regex_syntax::hir::{Hir, HirKind, Look};
use regex_syntax::{ParserBuilder, ast, hir};
use std::iter::Peekable;
use std::str::CharIndices;

/// How deep groups and repetitions may nest, so that a pattern cannot exhaust the stack of the
/// parser.
const NEST_MAX: u32 = 100;

/// Parses a pattern. The error is a sentence for the operator: what is wrong and where in the
/// pattern.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    if let Some(hir) = literal(pattern) {
        return Ok(hir);
    }
    let rust = to_rust(pattern)?;
    // The parser's positions are right only for the pattern as written, so that is what it
    // complains about if it can.
    parse_rust(&rust).map_err(|error| match parse_rust(pattern) {
        Err(error_as_written) => describe(&error_as_written, Some(pattern)),
        Ok(_) => describe(&error, None),
    })
}

/// `^123$` and `^123`: most of a large DB, read without the parser.
fn literal(pattern: &str) -> Option<Hir> {
    let text = pattern.strip_prefix('^')?;
    let (text, end) = match text.strip_suffix('$') {
        Some(text) => (text, Hir::look(Look::End)),
        None => (text, Hir::empty()),
    };
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| {
        Hir::concat(vec![
            Hir::look(Look::Start),
            Hir::literal(text.as_bytes()),
            end,
        ])
    })
}

/// The names of the groups by number; group 0, the whole match, has none.
pub(super) fn group_names(hir: &Hir) -> Vec<Option<String>> {
    let mut names = vec![None];
    if hir.properties().explicit_captures_len() > 0 {
        collect_names(hir, &mut names);
    }
    names
}

fn collect_names(hir: &Hir, names: &mut Vec<Option<String>>) {
    if let HirKind::Capture(capture) = hir.kind() {
        let number = capture.index as usize;
        names.resize(names.len().max(number + 1), None);
        names[number] = capture.name.as_deref().map(str::to_owned);
    }
    hir.kind()
        .subs()
        .iter()
        .for_each(|sub| collect_names(sub, names));
}

fn parse_rust(pattern: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    ParserBuilder::new()
        .nest_limit(NEST_MAX)
        .build()
        .parse(pattern)
        .map_err(Box::new)
}

fn describe(error: &regex_syntax::Error, pattern: Option<&str>) -> String {
    let (kind, span) = match error {
        regex_syntax::Error::Parse(error) => describe_ast(error),
        regex_syntax::Error::Translate(error) => describe_hir(error),
        other => (other.to_string(), None),
    };
    match (span, pattern) {
        (Some(span), Some(pattern)) => {
            let at = pattern
                .get(..span)
                .map_or(0, |before| before.chars().count())
                + 1;
            format!("{kind} (at character {at})")
        }
        _ => kind,
    }
}

fn describe_ast(error: &ast::Error) -> (String, Option<usize>) {
    (error.kind().to_string(), Some(error.span().start.offset))
}

fn describe_hir(error: &hir::Error) -> (String, Option<usize>) {
    (error.kind().to_string(), Some(error.span().start.offset))
}

/// Rewrites a Go pattern as a Rust pattern of the same meaning.
fn to_rust(pattern: &str) -> Result<String, String> {
    let mut rewriter = Rewriter {
        pattern,
        chars: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() + 16),
    };
    while let Some((at, c)) = rewriter.chars.next() {
        match c {
            '\\' => rewriter.escape()?,
            '[' => rewriter.class()?,
            '{' if !counts_repetition(&pattern[at..]) => rewriter.out.push_str("\\{"),
            '(' => rewriter.group(at)?,
            c => rewriter.out.push(c),
        }
    }
    Ok(rewriter.out)
}

struct Rewriter<'p> {
    pattern: &'p str,
    chars: Peekable<CharIndices<'p>>,
    out: String,
}

impl Rewriter<'_> {
    /// After a backslash outside a class.
    fn escape(&mut self) -> Result<(), String> {
        let Some((at, c)) = self.chars.next() else {
            self.out.push('\\');
            return Ok(());
        };
        match c {
            'Q' => self.quoted(at + 1),
            'B' => return Err("\\B is not supported".to_owned()),
            'b' => self.out.push_str("(?-u:\\b)"),
            '<' | '>' => self.out.push(c),
            'x' | 'p' | 'P' => {
                self.out.extend(['\\', c]);
                // The braces of `\x{10FFFF}` and `\p{Greek}` count no repetition.
                self.out
                    .extend(self.chars.next_if(|&(_, c)| c == '{').map(|(_, c)| c));
            }
            c => match perl_class(c) {
                Some((negated, set)) => self.push_class(negated, set),
                None => self.out.extend(['\\', c]),
            },
        }
        Ok(())
    }

    /// After `\Q`: everything up to `\E` or the end stands for itself.
    fn quoted(&mut self, from: usize) {
        let rest = &self.pattern[from..];
        let text = rest.split("\\E").next().unwrap_or(rest);
        self.out.push_str(&regex_syntax::escape(text));
        let resume = from + (text.len() + 2).min(rest.len());
        while self.chars.next_if(|&(at, _)| at < resume).is_some() {}
    }

    /// After an opening parenthesis: the flags Go does not have are refused.
    fn group(&mut self, at: usize) -> Result<(), String> {
        self.out.push('(');
        let Some(flags) = self.pattern[at..].strip_prefix("(?") else {
            return Ok(());
        };
        let flags = flags.split([')', ':', '<']).next().unwrap_or_default();
        match flags.chars().find(|c| matches!(c, 'u' | 'x' | 'R')) {
            Some(flag) => Err(format!("unknown flag `{flag}`; allowed: i, m, s, U")),
            None => Ok(()),
        }
    }

    /// After an opening bracket, up to and with the closing one.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.chars.next_if(|&(_, c)| c == '^').is_some() {
            self.out.push('^');
        }
        if self.chars.next_if(|&(_, c)| c == ']').is_some() {
            self.out.push_str("\\]");
        }
        while let Some((at, c)) = self.chars.next() {
            match c {
                ']' => {
                    self.out.push(']');
                    break;
                }
                '\\' => self.escape_in_class(),
                '[' => self.bracket_in_class(at),
                '-' if self.pattern[at..].starts_with("--") => {
                    return Err("`--` in a class; write \\- for a hyphen".to_owned());
                }
                '&' | '~' => self.out.extend(['\\', c]),
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    fn escape_in_class(&mut self) {
        let Some((_, c)) = self.chars.next() else {
            return self.out.push('\\');
        };
        match perl_class(c) {
            Some((true, set)) => self.push_class(true, set),
            Some((false, set)) => self.out.push_str(set),
            None if matches!(c, '<' | '>') => self.out.push(c),
            None => self.out.extend(['\\', c]),
        }
    }

    /// A bracket inside a class: `[:alpha:]` is copied, any other is itself.
    fn bracket_in_class(&mut self, at: usize) {
        let named = self.pattern[at..]
            .strip_prefix("[:")
            .and_then(|rest| rest.find(":]"));
        let Some(length) = named else {
            return self.out.push_str("\\[");
        };
        let end = at + 2 + length + 2;
        self.out.push_str(&self.pattern[at..end]);
        while self.chars.next_if(|&(at, _)| at < end).is_some() {}
    }

    fn push_class(&mut self, negated: bool, set: &str) {
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(set);
        self.out.push(']');
    }
}

/// The ASCII set of `\d`, `\w`, `\s` and whether the letter negates it.
fn perl_class(letter: char) -> Option<(bool, &'static str)> {
    let set = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\f\\r ",
        _ => return None,
    };
    Some((letter.is_ascii_uppercase(), set))
}

/// Whether the text begins with `{n}`, `{n,}` or `{n,m}`.
fn counts_repetition(text: &str) -> bool {
    let Some((count, _)) = text[1..].split_once('}') else {
        return false;
    };
    let (min, max) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !min.is_empty() && digits(min) && digits(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        parse(pattern).unwrap();
        regex::Regex::new(&to_rust(pattern).unwrap())
            .unwrap()
            .is_match(text)
    }

    #[test]
    fn perl_classes_are_ascii() {
        assert!(matches(r"^\d$", "7") && !matches(r"^\d$", "٣"));
        assert!(matches(r"^[\w-]$", "-") && matches(r"^[\w-]$", "_") && !matches(r"^[\w-]$", "é"));
        assert!(matches(r"^[\D]$", "٣") && matches(r"^\D$", "é") && !matches(r"^\D$", "3"));
        assert!(matches(r"^\s$", "\t") && !matches(r"^\s$", "\u{b}"));
        assert!(matches(r"\bx\b", "éxé") && !matches(r"\bx\b", "axa"));
    }

    #[test]
    fn quotes_and_braces_and_brackets_are_go_s() {
        assert!(matches(r"^\Q+49(1)\E5$", "+49(1)5") && matches(r"^\Q+49", "+49"));
        assert!(matches(r"^\Qé.\E$", "é.") && !matches(r"^\Qé.\E$", "éx"));
        assert!(matches("^a{$", "a{") && matches("^a{,5}$", "a{,5}") && matches("^a{2,}$", "aaa"));
        assert!(matches("^[[a]$", "[") && matches("^[a&&b]$", "&") && matches("^[~~]$", "~"));
        assert!(matches("^[]a]$", "]") && matches("^[^]a]$", "b"));
        assert!(matches("^[[:digit:]#]+$", "12#") && matches(r"^\<[\<\]]$", "<]"));
        assert!(matches(r"^(?P<cc>\d)(?i:AB)$", "1ab"));
        assert!(matches(r"^\x{e9}\p{Greek}\pL{2}$", "éαab"));
    }

    #[test]
    fn errors_say_what_and_where() {
        let errors: Vec<String> = [
            "^(49",
            "+49",
            "^49)",
            r"\d[z-a]",
            r"(\d)\1",
            r"a\B",
            r"a\C",
            "(?x)a",
            "[+--]",
            "[a",
            r"a\",
            "a{5,2}",
            "(?<a>x)(?<a>y)",
        ]
        .iter()
        .map(|pattern| format!("{pattern}: {}", parse(pattern).unwrap_err()))
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        ^(49: unclosed group (at character 2)
        +49: repetition operator missing expression (at character 1)
        ^49): unopened group (at character 4)
        \d[z-a]: invalid character class range, the start must be <= the end (at character 4)
        (\d)\1: backreferences are not supported (at character 5)
        a\B: \B is not supported
        a\C: unrecognized escape sequence (at character 2)
        (?x)a: unknown flag `x`; allowed: i, m, s, U
        [+--]: `--` in a class; write \- for a hyphen
        [a: unclosed character class (at character 1)
        a\: incomplete escape sequence, reached end of pattern prematurely (at character 2)
        a{5,2}: invalid repetition count range, the start must be <= the end (at character 2)
        (?<a>x)(?<a>y): duplicate capture group name (at character 11)
        ");
    }

    #[test]
    fn literals_are_read_as_the_parser_reads_them() {
        for pattern in ["^123$", "^123", "^a", "^Z9$"] {
            assert_eq!(literal(pattern), parse_rust(pattern).ok(), "{pattern}");
        }
        for pattern in ["123", "^$", "^", "^12+", r"^12\d", "^ä$"] {
            assert_eq!(literal(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
        assert!(parse(&deep).unwrap_err().contains("nest"));
    }
}
