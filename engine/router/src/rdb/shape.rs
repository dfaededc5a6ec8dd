//! The shape of a pattern: a few literal beginnings, each with a tail, when the pattern is no more
//! than that.
//!
//! Literal patterns, prefixes and dial-plan patterns such as `^(\+|00)?49(\d{5,})$` have shapes;
//! they live in the trie, and what their groups match follows by arithmetic. A pattern without
//! shapes is left to an automaton.
//!
//! The shapes of a pattern stand in the order in which a backtracking search tries them, so the
//! first that matches is the match of the pattern. That holds because no choice is allowed after a
//! run of variable length.

use super::tail::{CharSet, Tail};
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};
use std::ops::Range;

/// More literal beginnings than this and a pattern is better off in an automaton.
const SHAPES_MAX: usize = 32;
/// A literal beginning longer than this (bytes) is no number anybody dials; the automaton takes it.
const PREFIX_MAX: usize = 128;

/// One literal beginning and what may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) prefix: String,
    pub(super) tail: Tail,
    /// By group number: where the group matched. `None` for a group that takes no part.
    groups: Vec<Option<(Edge, Edge)>>,
}

/// A place in a match, known without searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// Bytes after the start of the user.
    FromStart(usize),
    /// Bytes before the end of the match.
    FromEnd(usize),
}

/// Every shape of a pattern, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shapes {
    pub(super) shapes: Vec<Shape>,
    /// Whether every group of every shape has known edges.
    pub(super) groups_known: bool,
}

impl Shapes {
    /// The shapes of a pattern, or `None` when it has none or too many.
    pub(super) fn of(hir: &Hir) -> Option<Shapes> {
        let groups = hir.properties().explicit_captures_len() + 1;
        let mut found = Shapes {
            shapes: Vec::new(),
            groups_known: true,
        };
        for items in alternatives(hir)? {
            found.add(Sequence::of(&items)?, groups)?;
        }
        Some(found)
    }

    /// Adds one shape for each literal the beginning of the sequence can be.
    fn add(&mut self, sequence: Sequence, groups: usize) -> Option<()> {
        let split = sequence.tail_start();
        let (beginning, runs) = sequence.atoms.split_at(split);
        let tail = tail_of(runs, sequence.ended);
        // `.*` finds its match at the start of every user, as if it were anchored.
        let starts_anywhere = split == 0 && tail.min == 0 && !tail.end;
        if !sequence.anchored && !starts_anywhere {
            return None;
        }
        let groups = self.edges(&sequence, split, groups);
        for prefix in prefixes(beginning)? {
            self.shapes.push(Shape {
                prefix,
                tail,
                groups: groups.clone(),
            });
        }
        (self.shapes.len() <= SHAPES_MAX).then_some(())
    }

    fn edges(
        &mut self,
        sequence: &Sequence,
        split: usize,
        groups: usize,
    ) -> Vec<Option<(Edge, Edge)>> {
        let mut edges = vec![None; groups];
        edges[0] = Some((Edge::FromStart(0), Edge::FromEnd(0)));
        for group in &sequence.groups {
            let pair = (
                sequence.edge(group.open, split),
                sequence.edge(group.close, split),
            );
            match (pair, edges.get_mut(group.number)) {
                ((Some(open), Some(close)), Some(slot)) => *slot = Some((open, close)),
                _ => self.groups_known = false,
            }
        }
        edges
    }
}

impl Shape {
    /// Length of the match in bytes, when the user has this shape.
    pub(super) fn matched(&self, user: &str) -> Option<usize> {
        let rest = user.strip_prefix(self.prefix.as_str())?;
        Some(self.prefix.len() + self.tail.matched(rest.as_bytes())?)
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        let groups = self.groups.capacity() * size_of::<Option<(Edge, Edge)>>();
        size_of::<Shape>() + self.prefix.capacity() + groups
    }

    /// What group `number` covers in a match `length` bytes long.
    pub(super) fn group(&self, number: usize, length: usize) -> Option<Range<usize>> {
        let (open, close) = (*self.groups.get(number)?)?;
        let at = |edge| match edge {
            Edge::FromStart(bytes) => bytes,
            Edge::FromEnd(bytes) => length.saturating_sub(bytes),
        };
        Some(at(open)..at(close))
    }
}

/// A step of a pattern written out without choices.
#[derive(Debug, Clone)]
enum Item {
    Start,
    End,
    Text(String),
    Run(Run),
    Open(usize),
    Close(usize),
}

/// `min` to `max` characters of one set, as many as possible.
#[derive(Debug, Clone, Copy)]
struct Run {
    set: CharSet,
    min: u32,
    max: u32,
}

impl Run {
    fn is_fixed(&self) -> bool {
        self.min == self.max
    }
}

/// Writes a pattern out as sequences without choices, the preferred first.
fn alternatives(hir: &Hir) -> Option<Vec<Vec<Item>>> {
    let one = |item| Some(vec![vec![item]]);
    match hir.kind() {
        HirKind::Empty => Some(vec![vec![]]),
        HirKind::Literal(literal) => one(Item::Text(String::from_utf8(literal.0.to_vec()).ok()?)),
        HirKind::Class(class) => one(Item::Run(Run {
            set: CharSet::of_class(class)?,
            min: 1,
            max: 1,
        })),
        HirKind::Look(Look::Start) => one(Item::Start),
        HirKind::Look(Look::End) => one(Item::End),
        HirKind::Look(_) => None,
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => captured(capture),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![vec![]], |heads, part| {
            combined(heads, alternatives(part)?)
        }),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(alternatives(part)?);
                if all.len() > SHAPES_MAX {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// Every head followed by every tail. `None`: too many, or a choice would follow a variable run.
fn combined(mut heads: Vec<Vec<Item>>, mut tails: Vec<Vec<Item>>) -> Option<Vec<Vec<Item>>> {
    if let [only] = tails.as_mut_slice() {
        match heads.as_mut_slice() {
            [head] => head.append(only),
            heads => heads
                .iter_mut()
                .for_each(|head| head.extend_from_slice(only)),
        }
        return Some(heads);
    }
    let varies = |items: &Vec<Item>| {
        items
            .iter()
            .any(|item| matches!(item, Item::Run(run) if !run.is_fixed()))
    };
    if heads.len() * tails.len() > SHAPES_MAX || heads.iter().any(varies) {
        return None;
    }
    let join = |head: &Vec<Item>, tail: &Vec<Item>| head.iter().chain(tail).cloned().collect();
    Some(
        heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| join(head, tail)))
            .collect(),
    )
}

fn captured(capture: &Capture) -> Option<Vec<Vec<Item>>> {
    let number = capture.index as usize;
    let mut inside = alternatives(&capture.sub)?;
    for items in &mut inside {
        items.insert(0, Item::Open(number));
        items.push(Item::Close(number));
    }
    Some(inside)
}

fn repeated(repetition: &Repetition) -> Option<Vec<Vec<Item>>> {
    let Repetition {
        min,
        max,
        greedy,
        ref sub,
    } = *repetition;
    if let HirKind::Class(class) = sub.kind() {
        return run(CharSet::of_class(class)?, repetition);
    }
    if (min, max) == (0, Some(1)) {
        return optional(alternatives(sub)?, greedy);
    }
    let HirKind::Literal(literal) = sub.kind() else {
        return None;
    };
    let text = std::str::from_utf8(&literal.0).ok()?;
    if Some(min) == max && text.len() * min as usize <= PREFIX_MAX {
        return Some(vec![vec![Item::Text(text.repeat(min as usize))]]);
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) => run(CharSet::single(only)?, repetition),
        _ => None,
    }
}

fn run(set: CharSet, repetition: &Repetition) -> Option<Vec<Vec<Item>>> {
    let Repetition {
        min, max, greedy, ..
    } = *repetition;
    let run = Run {
        set,
        min,
        max: max.unwrap_or(Tail::UNLIMITED),
    };
    (greedy || run.is_fixed()).then(|| vec![vec![Item::Run(run)]])
}

fn optional(present: Vec<Vec<Item>>, greedy: bool) -> Option<Vec<Vec<Item>>> {
    let absent = vec![vec![]];
    Some(if greedy {
        [present, absent].concat()
    } else {
        [absent, present].concat()
    })
}

/// A sequence without choices, its anchors and groups set apart.
struct Sequence {
    atoms: Vec<Atom>,
    groups: Vec<Group>,
    anchored: bool,
    ended: bool,
}

enum Atom {
    Text(String),
    Run(Run),
}

/// A group opens before the atom `open` and closes before the atom `close`.
struct Group {
    number: usize,
    open: usize,
    close: usize,
}

impl Sequence {
    /// `None` when an anchor stands in the middle.
    fn of(items: &[Item]) -> Option<Sequence> {
        let mut sequence = Sequence {
            atoms: Vec::new(),
            groups: Vec::new(),
            anchored: false,
            ended: false,
        };
        for item in items {
            sequence.push(item)?;
        }
        Some(sequence)
    }

    fn push(&mut self, item: &Item) -> Option<()> {
        let here = self.atoms.len();
        match item {
            Item::Start if here > 0 => return None,
            Item::Start => self.anchored = true,
            Item::End => self.ended = true,
            Item::Text(_) | Item::Run(_) if self.ended => return None,
            Item::Text(text) => self.atoms.push(Atom::Text(text.clone())),
            Item::Run(run) => self.atoms.push(Atom::Run(*run)),
            &Item::Open(number) => self.groups.push(Group {
                number,
                open: here,
                close: here,
            }),
            &Item::Close(number) => {
                self.groups
                    .iter_mut()
                    .rfind(|group| group.number == number)?
                    .close = here;
            }
        }
        Some(())
    }

    /// The atom from which on everything is runs of one set.
    fn tail_start(&self) -> usize {
        let mut set = None;
        let is_tail = |atom: &&Atom| match atom {
            Atom::Run(run) => *set.get_or_insert(run.set) == run.set,
            Atom::Text(_) => false,
        };
        self.atoms.len() - self.atoms.iter().rev().take_while(is_tail).count()
    }

    /// The place before atom `at`; `None` when it depends on what the runs take from each other.
    fn edge(&self, at: usize, split: usize) -> Option<Edge> {
        let (before, after) = self.atoms.split_at(at);
        if at == self.atoms.len() {
            Some(Edge::FromEnd(0))
        } else if at <= split {
            fixed_bytes(before).map(Edge::FromStart)
        } else {
            fixed_bytes(before)
                .map(Edge::FromStart)
                .or_else(|| fixed_bytes(after).map(Edge::FromEnd))
        }
    }
}

/// The length of what the atoms match, if there is only one.
fn fixed_bytes(atoms: &[Atom]) -> Option<usize> {
    let bytes = |atom: &Atom| match atom {
        Atom::Text(text) => Some(text.len()),
        Atom::Run(run) => (run.is_fixed() && run.set.is_ascii()).then_some(run.min as usize),
    };
    atoms.iter().map(bytes).sum()
}

fn tail_of(runs: &[Atom], end: bool) -> Tail {
    let mut tail = Tail { end, ..Tail::OPEN };
    for atom in runs {
        if let Atom::Run(run) = atom {
            tail.set = run.set;
            tail.min = tail.min.saturating_add(run.min);
            tail.max = tail.max.saturating_add(run.max);
        }
    }
    tail
}

/// Every literal a beginning can be; `None` when there are too many or one of its runs varies.
fn prefixes(atoms: &[Atom]) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    for atom in atoms {
        match atom {
            Atom::Text(text) => all.iter_mut().for_each(|prefix| prefix.push_str(text)),
            Atom::Run(run) => all = extended(all, run)?,
        }
        if all.iter().any(|prefix| prefix.len() > PREFIX_MAX) {
            return None;
        }
    }
    Some(all)
}

fn extended(mut all: Vec<String>, run: &Run) -> Option<Vec<String>> {
    if !run.is_fixed() || !run.set.is_ascii() {
        return None;
    }
    for _ in 0..run.min {
        if all.len() * run.set.len() > SHAPES_MAX || all.iter().any(|p| p.len() > PREFIX_MAX) {
            return None;
        }
        let with = |c: char| all.iter().map(move |prefix| format!("{prefix}{c}"));
        all = run.set.chars().flat_map(with).collect();
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;

    fn shapes(pattern: &str) -> Option<Shapes> {
        Shapes::of(&dialect::parse(pattern).unwrap())
    }

    fn prefixes_of(pattern: &str) -> Vec<String> {
        shapes(pattern)
            .unwrap()
            .shapes
            .into_iter()
            .map(|shape| shape.prefix)
            .collect()
    }

    #[test]
    fn dial_plan_patterns_have_shapes() {
        assert_eq!(prefixes_of("^123$"), ["123"]);
        assert_eq!(prefixes_of(r"^\+?49\d{5,}$"), ["+49", "49"]);
        assert_eq!(prefixes_of(r"^(\+|00)?49"), ["+49", "0049", "49"]);
        assert_eq!(prefixes_of(r"^[2-4]\d{6}$"), ["2", "3", "4"]);
        assert_eq!(prefixes_of(r"^\d{10}$"), [""]);
        assert_eq!(prefixes_of(r"^0{3}1"), ["0001"]);
        assert_eq!(prefixes_of(r"^49$|^(43.*)$"), ["49", "43"]);
        assert_eq!(prefixes_of(r"(^#31#\d+$)"), ["#31#"]);
        assert_eq!(prefixes_of("(?i)^ab$"), ["A", "a"]);
        assert_eq!(prefixes_of("(.*)"), [""]);
        assert_eq!(prefixes_of(""), [""]);
    }

    #[test]
    fn other_patterns_have_none() {
        for pattern in [
            "123",
            "123$",
            ".+",
            "^1.*2",
            r"^1\d+2$",
            r"^\d*(5)?$",
            "^1\\b",
            "^(?i)äb",
            "^4$9",
            r"^\d{3}9",
            "^(12)+",
            r"^1(\d+?)",
            "^[aä]",
            "^a*^b",
            "(?m)^1",
            "x|^1",
        ] {
            assert_eq!(shapes(pattern), None, "{pattern}");
        }
    }

    /// Wherever groups are known they are those of the regex crate.
    #[test]
    fn groups_are_those_of_a_backtracking_search() {
        let mut known = 0;
        for pattern in [
            r"^(\+?)(49)(\d*)$",
            r"^(0|00)([0-9]*)",
            "(.*)",
            "^9(.*)$",
            r"^(\d+)(\d{4})$",
            r"^(\d{3})(\d+)",
            r"^(\d{1,3})(\d{2,4})",
            r"^([01])([0-9]{2})([0-9]*)$",
            r"^((\+)|00)?(.*)",
            r"^(1(2(3)))",
            r"^()4",
            r"^(a(bc)?)?(.*)$",
            r"^(4??)(4*)$",
        ] {
            let regex = regex::Regex::new(pattern).unwrap();
            let found = shapes(pattern).unwrap_or_else(|| panic!("{pattern} has shapes"));
            known += usize::from(found.groups_known);
            for user in [
                "", "4", "49", "+49", "0049123", "00", "9äö", "1234567", "abc1", "444",
            ] {
                compare(&found, &regex, user);
            }
        }
        assert_eq!(known, 12, "all but the one whose runs share the digits");
    }

    fn compare(found: &Shapes, regex: &regex::Regex, user: &str) {
        let hit = found
            .shapes
            .iter()
            .find_map(|s| s.matched(user).map(|length| (s, length)));
        let expected = regex.captures(user);
        assert_eq!(hit.is_some(), expected.is_some(), "{regex} on {user:?}");
        let (Some((shape, length)), Some(expected), true) = (hit, expected, found.groups_known)
        else {
            return;
        };
        for number in 0..expected.len() {
            let expected = expected.get(number).map(|group| group.range());
            assert_eq!(
                shape.group(number, length),
                expected,
                "{regex} on {user:?}, {number}"
            );
        }
    }
}
