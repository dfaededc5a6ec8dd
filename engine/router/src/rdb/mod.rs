//! The routing DB: which record a request-URI user leads to, and what that record says.
//!
//! A JSON array of `{userpartPattern, routingRecord}` is read once into a [`Table`]; a [`Matcher`]
//! finds the **first record in file order** whose pattern matches somewhere in the user (a pattern
//! that must match all of it anchors itself with `^` and `$`). Nothing here knows calls or
//! messages; files, reloads and the printing of errors are the server's.
//!
//! Literal patterns, prefixes and dial-plan patterns live in a trie (`shape`, `trie`), all others
//! in lazily built automata (`automaton`), and the least record number of both wins. The pattern
//! syntax is Go's (`dialect`), the syntax of the new user that of Go's `Regexp.Expand`
//! (`template`).

#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "works at load on tables it has just made"
    )
)]
mod automaton;
mod captures;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "works at load on tables it has just made"
    )
)]
mod compile;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "reads the operator's file at load, at positions it has just found in it"
    )
)]
mod dialect;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "reads the operator's file at load, at positions it has just found in it"
    )
)]
mod error;
mod explain;
#[cfg_attr(
    not(test),
    expect(
        clippy::string_slice,
        reason = "reads the operator's file at load, at positions it has just found in it"
    )
)]
mod json;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "reads the operator's file at load, at positions it has just found in it"
    )
)]
mod load;
mod matcher;
mod proxied;
mod record;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "works at load on tables it has just made"
    )
)]
mod shape;
mod tail;
mod target;
#[cfg_attr(
    not(test),
    expect(
        clippy::string_slice,
        reason = "reads the operator's file at load, at positions it has just found in it"
    )
)]
mod template;
#[cfg(test)]
mod tests;
#[cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        reason = "nodes, leaves and entries are numbered by the builder that stores them"
    )
)]
mod trie;

pub use error::{RdbErrors, Remark};
pub use explain::{Explanation, Winner, explain};
pub use matcher::{Found, Matcher, Route};
pub(crate) use proxied::BRANCHES_MAX;
pub use proxied::{Branch, Proxied};
pub use record::{CallFlow, Record};
pub use target::Target;
pub use template::{OutUser, Part};

use std::fmt;

/// How large a DB may become. The defaults are far above what a dial plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records in the file.
    pub records_max: usize,
    /// Bytes of one `userpartPattern`.
    pub pattern_bytes_max: usize,
    /// Bytes of one `outRuriUserpart`, `outRuriHostport` or `outCallFlow`.
    pub out_bytes_max: usize,
    /// Bytes of one compiled pattern.
    pub compiled_bytes_max: usize,
    /// Bytes of the patterns compiled into one automaton; more patterns make more automata.
    pub automaton_bytes_max: usize,
    /// Bytes of the states that one [`Matcher`] keeps for one automaton.
    pub cache_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            records_max: 1_000_000,
            pattern_bytes_max: 1024,
            out_bytes_max: 512,
            compiled_bytes_max: 1 << 20,
            automaton_bytes_max: 8 << 20,
            cache_bytes_max: 16 << 20,
        }
    }
}

/// A routing DB, checked and compiled. It never changes; shards share it and a reload makes a new
/// one.
#[derive(Default)]
pub struct Table {
    records: Vec<Record>,
    compiled: compile::Compiled,
    warnings: Vec<Remark>,
    warnings_more: usize,
    has_proxied: bool,
}

impl Table {
    /// Reads a DB. Every error is reported, the first 20 in full; one error refuses the whole DB.
    pub fn parse(json: &str) -> Result<Table, RdbErrors> {
        Table::parse_within(json, &Limits::default())
    }

    /// Reads a DB within other limits.
    pub fn parse_within(json: &str, limits: &Limits) -> Result<Table, RdbErrors> {
        let load::Loaded {
            records,
            compiled,
            warnings,
        } = load::load(json, limits)?;
        Ok(Table {
            has_proxied: records.iter().any(|record| record.proxied.is_some()),
            records,
            compiled,
            warnings: warnings.shown,
            warnings_more: warnings.more,
        })
    }

    /// A DB without records: every call gets a 404.
    pub fn empty() -> Table {
        Table::default()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether a record is proxied: what is not may skip the question.
    pub(crate) fn has_proxied(&self) -> bool {
        self.has_proxied
    }

    /// A record by its number, counted from 0.
    pub fn record(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// What looks wrong but does not refuse the DB, 20 remarks at most: unknown and repeated
    /// fields, records that lack their pattern or routing, records never reached because an earlier
    /// one has the same pattern.
    pub fn warnings(&self) -> &[Remark] {
        &self.warnings
    }

    /// How many warnings there are beyond those.
    pub fn warnings_more(&self) -> usize {
        self.warnings_more
    }

    /// Bytes that lookups run on, about; the records themselves apart.
    pub fn index_bytes(&self) -> usize {
        let automata: usize = self.compiled.automata.iter().map(|a| a.bytes()).sum();
        let captures: usize = self.compiled.captures.values().map(|c| c.bytes()).sum();
        self.compiled.trie.bytes() + automata + captures
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}
