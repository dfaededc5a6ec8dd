//! Patterns into what lookups run on: shapes go to the trie, the rest to automata.

use super::Limits;
use super::automaton::{Automaton, Member};
use super::captures::{Captures, Search};
use super::shape::Shapes;
use super::trie::{Entry, Trie};
use hashbrown::HashMap;
use regex_syntax::hir::Hir;

/// Takes patterns in file order.
pub(super) struct Compiler<'l> {
    limits: &'l Limits,
    entries: Vec<Entry>,
    members: Vec<Member>,
    captures: HashMap<u32, Captures>,
    /// Records with one shape only: their doubles can be told.
    single: Vec<bool>,
}

/// Everything a lookup runs on.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) trie: Trie,
    pub(super) automata: Vec<Automaton>,
    /// By record; only those whose new user is made of groups.
    pub(super) captures: HashMap<u32, Captures>,
    /// (record, the earlier record with the same pattern that always wins).
    pub(super) doubles: Vec<(u32, u32)>,
}

impl<'l> Compiler<'l> {
    pub(super) fn new(limits: &'l Limits) -> Compiler<'l> {
        Compiler {
            limits,
            entries: Vec::new(),
            members: Vec::new(),
            captures: HashMap::new(),
            single: Vec::new(),
        }
    }

    /// Adds the pattern of the next record. The error is a sentence for the operator.
    pub(super) fn add(&mut self, hir: Hir, needs_groups: bool) -> Result<(), String> {
        let record = self.single.len() as u32;
        let shapes = Shapes::of(&hir);
        self.single
            .push(shapes.as_ref().is_some_and(|found| found.shapes.len() == 1));
        if needs_groups {
            let captures = self.captures(&hir, shapes.as_ref())?;
            self.captures.insert(record, captures);
        }
        match shapes {
            Some(found) => self
                .entries
                .extend(found.shapes.into_iter().map(|shape| Entry {
                    tail: shape.tail.simplest(),
                    prefix: shape.prefix,
                    record,
                })),
            None => {
                let member = Member::new(record, hir, self.limits);
                self.members.push(member.ok_or_else(|| self.too_large())?);
            }
        }
        Ok(())
    }

    /// Builds the trie and the automata.
    pub(super) fn finish(self) -> Result<Compiled, String> {
        let trie = Trie::new(self.entries);
        let single = |&(record, _): &(u32, u32)| self.single[record as usize];
        let mut doubles: Vec<_> = trie.shadowed().filter(single).collect();
        doubles.sort_unstable();
        let automata = Automaton::build(self.members, self.limits)?;
        Ok(Compiled {
            trie,
            automata,
            captures: self.captures,
            doubles,
        })
    }

    fn captures(&self, hir: &Hir, shapes: Option<&Shapes>) -> Result<Captures, String> {
        if let Some(found) = shapes.filter(|found| found.groups_known) {
            return Ok(Captures::Shapes(found.shapes.clone()));
        }
        let search = Search::new(hir, self.limits).map_err(|_| self.too_large())?;
        Ok(Captures::Search(Box::new(search)))
    }

    fn too_large(&self) -> String {
        format!(
            "too large: more than {} bytes when compiled",
            self.limits.compiled_bytes_max
        )
    }
}
