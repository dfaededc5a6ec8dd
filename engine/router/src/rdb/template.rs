//! `outRuriUserpart`: the user of the request that leaves, as a template over the groups of the
//! pattern.
//!
//! Rules of Go's `Regexp.Expand`: `$1`, `${1}`, `$name`, `${name}`, `$$`; an unbraced name is the
//! longest run of letters, digits and `_`, so `$1x` is a group named `1x`; a `$` that begins none
//! of these is itself; a group that took no part in the match is empty. Unlike Go, a reference to a
//! group the pattern does not have is an error when the DB is loaded.
//!
//! The expansion is the **whole** new user, also when the pattern matched only a part of the old
//! one.

use std::ops::Range;

/// What becomes of the user part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutUser {
    /// The user leaves as it came.
    #[default]
    Keep,
    /// The parts, one after the other, are the new user.
    Template(Vec<Part>),
}

/// A piece of the new user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Copied as it stands.
    Text(String),
    /// What the group of this number matched; 0 is the whole match.
    Group(usize),
}

impl OutUser {
    /// Reads a template; `names` are the groups of the pattern by number, group 0 (unnamed) first.
    /// The error is a sentence for the operator.
    pub(super) fn parse(template: &str, names: &[Option<String>]) -> Result<OutUser, String> {
        if template.is_empty() {
            return Ok(OutUser::Keep);
        }
        check_characters(template)?;
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(dollar) = rest.find('$') {
            push_text(&mut parts, &rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                push_text(&mut parts, "$");
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                let braced = rest.starts_with('{');
                parts.push(Part::Group(group_number(name, braced, names)?));
                rest = after;
            } else {
                push_text(&mut parts, "$");
            }
        }
        push_text(&mut parts, rest);
        Ok(OutUser::Template(parts))
    }

    /// Whether the expansion needs to know what the groups matched.
    pub(super) fn needs_groups(&self) -> bool {
        let OutUser::Template(parts) = self else {
            return false;
        };
        parts.iter().any(|part| matches!(part, Part::Group(_)))
    }

    /// Appends the new user to `out`; `false`, and nothing appended, when the old one is kept.
    pub(super) fn expand(
        &self,
        user: &str,
        group: impl Fn(usize) -> Option<Range<usize>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let OutUser::Template(parts) = self else {
            return false;
        };
        for part in parts {
            let text = match part {
                Part::Text(text) => text.as_str(),
                Part::Group(number) => group(*number).and_then(|r| user.get(r)).unwrap_or(""),
            };
            out.extend_from_slice(text.as_bytes());
        }
        true
    }
}

/// A template must not be able to end the user part, the URI or the line it is printed into.
fn check_characters(template: &str) -> Result<(), String> {
    let forbidden = |c: &char| c.is_control() || c.is_whitespace() || "@<>\"".contains(*c);
    match template.chars().find(forbidden) {
        Some(c) => Err(format!(
            "{c:?} cannot stand in the user part of a SIP URI; escape it as %XX"
        )),
        None => Ok(()),
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// The group name after a `$`, and the text after it. `None`: the `$` begins no reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let body = braced.unwrap_or(text);
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let (name, after) = body.split_at(body.find(|c| !is_name(c)).unwrap_or(body.len()));
    let after = if braced.is_some() {
        after.strip_prefix('}')?
    } else {
        after
    };
    (!name.is_empty()).then_some((name, after))
}

fn group_number(name: &str, braced: bool, names: &[Option<String>]) -> Result<usize, String> {
    let named = || {
        names
            .iter()
            .position(|group| group.as_deref() == Some(name))
    };
    number(name)
        .filter(|&number| number < names.len())
        .or_else(named)
        .ok_or_else(|| missing_group(name, braced, names.len() - 1))
}

/// Go reads a name of digits without leading zeros as a group number.
fn number(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if plain { name.parse().ok() } else { None }
}

fn missing_group(name: &str, braced: bool, groups: usize) -> String {
    let has = match groups {
        0 => "the pattern has no groups".to_owned(),
        1 => "the pattern has 1 group".to_owned(),
        n => format!("the pattern has {n} groups"),
    };
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let (number_text, letters) = name.split_at(digits);
    let number_exists = number(number_text).is_some_and(|number| number <= groups);
    if number_exists && !braced {
        format!("${name} is read as a group named `{name}`; write ${{{number_text}}}{letters}")
    } else if number(name).is_some() {
        format!("${name}: {has}")
    } else {
        format!("${name}: the pattern has no group named `{name}`; {has}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(named: &[&str]) -> Vec<Option<String>> {
        std::iter::once(None)
            .chain(
                named
                    .iter()
                    .map(|n| (!n.is_empty()).then(|| (*n).to_owned())),
            )
            .collect()
    }

    /// Expands over the user "0123456789", group n being the n-th character, group 0 everything.
    fn expand(template: &str) -> String {
        let out_user = OutUser::parse(template, &names(&["", "area", ""])).unwrap();
        let mut out = Vec::new();
        let group = |n| {
            if n == 0 {
                Some(0..10)
            } else {
                (n != 3).then_some(n..n + 1)
            }
        };
        assert_eq!(
            out_user.expand("0123456789", group, &mut out),
            !template.is_empty()
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn expands_as_go_does() {
        for (template, expected) in [
            ("", ""),
            ("555", "555"),
            ("00$1", "001"),
            ("${1}5$2", "152"),
            ("$area-${area}", "2-2"),
            ("$$1", "$1"),
            ("5$", "5$"),
            ("$-1", "$-1"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("$0", "0123456789"),
            ("[$3]", "[]"),
            ("é$1%20", "é1%20"),
        ] {
            assert_eq!(expand(template), expected, "{template}");
        }
    }

    #[test]
    fn references_the_pattern_lacks_are_errors_with_a_suggestion() {
        let errors: Vec<String> = [
            ("$1x", &[""][..]),
            ("$1_$2", &["", ""]),
            ("$2", &[""]),
            ("${4}9", &["", ""]),
            ("$1", &[]),
            ("$01", &["", ""]),
            ("${1x}", &[""]),
            ("$area", &["zone"]),
            ("a b", &[]),
            ("1\r\nX: 1", &[]),
            ("$1@host", &[""]),
        ]
        .iter()
        .map(|(template, groups)| OutUser::parse(template, &names(groups)).unwrap_err())
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        $1x is read as a group named `1x`; write ${1}x
        $1_ is read as a group named `1_`; write ${1}_
        $2: the pattern has 1 group
        $4: the pattern has 2 groups
        $1: the pattern has no groups
        $01: the pattern has no group named `01`; the pattern has 2 groups
        $1x: the pattern has no group named `1x`; the pattern has 1 group
        $area: the pattern has no group named `area`; the pattern has 1 group
        ' ' cannot stand in the user part of a SIP URI; escape it as %XX
        '\r' cannot stand in the user part of a SIP URI; escape it as %XX
        '@' cannot stand in the user part of a SIP URI; escape it as %XX
        ");
    }

    #[test]
    fn only_references_need_groups() {
        let needs = |template| {
            OutUser::parse(template, &names(&[""]))
                .unwrap()
                .needs_groups()
        };
        assert!(needs("00$1") && needs("$0"));
        assert!(!needs("") && !needs("555") && !needs("$$1"));
    }
}
