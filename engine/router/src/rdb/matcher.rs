//! Lookups: one matcher per shard, with caches of its own over the shared table.

use super::captures::Scratch;
use super::{OutUser, Record, Table};
use regex_automata::hybrid::dfa::Cache;
use std::fmt;
use std::sync::Arc;

/// Finds the record of a user. After warm-up a lookup allocates nothing.
pub struct Matcher {
    table: Arc<Table>,
    /// One for each automaton of the table.
    caches: Vec<Cache>,
    scratch: Scratch,
}

/// How a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its pattern is a literal, a prefix or a dial-plan pattern.
    Trie,
    /// Its pattern is any other regular expression.
    Automaton,
}

/// The record of a user.
pub struct Route<'m> {
    /// Its number, counted from 0 in file order.
    pub index: usize,
    /// What it says.
    pub record: &'m Record,
    /// How it was found.
    pub found: Found,
    table: &'m Table,
    scratch: &'m mut Scratch,
}

impl Matcher {
    /// A matcher with empty caches.
    pub fn new(table: Arc<Table>) -> Matcher {
        let caches = table
            .compiled
            .automata
            .iter()
            .map(|automaton| automaton.cache())
            .collect();
        Matcher {
            table,
            caches,
            scratch: Scratch::default(),
        }
    }

    /// The first record in file order whose pattern matches the request-URI user; `None` is the
    /// 404.
    ///
    /// The user is matched as received: percent-escapes are not decoded, so `%2B49` is not `+49`.
    pub fn find(&mut self, user: &str) -> Option<Route<'_>> {
        let (index, found) = self.search(user)?;
        let Matcher { table, scratch, .. } = self;
        let record = table.records.get(index)?;
        Some(Route {
            index,
            record,
            found,
            table,
            scratch,
        })
    }

    /// The same for a user as it stands in a URI, and the user as text; what is not UTF-8 matches nothing.
    pub(crate) fn find_bytes<'u>(&mut self, user: &'u [u8]) -> Option<(&'u str, Route<'_>)> {
        let user = std::str::from_utf8(user).ok()?;
        Some((user, self.find(user)?))
    }

    /// The table that is searched.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Bytes the caches hold.
    pub fn bytes(&self) -> usize {
        self.caches.iter().map(Cache::memory_usage).sum()
    }

    fn search(&mut self, user: &str) -> Option<(usize, Found)> {
        let compiled = &self.table.compiled;
        let mut best = compiled
            .trie
            .first(user.as_bytes())
            .map(|record| (record, Found::Trie));
        for (automaton, cache) in compiled.automata.iter().zip(&mut self.caches) {
            let limit = best.map_or(u32::MAX, |(record, _)| record);
            let earlier = automaton.first(cache, user, limit);
            best = earlier.map(|record| (record, Found::Automaton)).or(best);
        }
        best.map(|(record, found)| (record as usize, found))
    }

    /// The number of every record whose pattern matches, in file order.
    pub(super) fn all(&mut self, user: &str) -> Vec<usize> {
        let compiled = &self.table.compiled;
        let mut records = Vec::new();
        compiled.trie.all(user.as_bytes(), &mut records);
        for (automaton, cache) in compiled.automata.iter().zip(&mut self.caches) {
            automaton.all(cache, user, &mut records);
        }
        records.sort_unstable();
        records.dedup();
        records.into_iter().map(|record| record as usize).collect()
    }
}

impl Route<'_> {
    /// Appends the user of the request that leaves to `out`, given the user that was looked up.
    /// `false`, and nothing appended, when the record keeps the user.
    pub fn write_user(&mut self, user: &str, out: &mut Vec<u8>) -> bool {
        let record = self.record;
        self.write_user_of(&record.out_user, user, out)
    }

    /// The same by another template of the record: that of one target of a proxied route.
    pub fn write_user_of(&mut self, out_user: &OutUser, user: &str, out: &mut Vec<u8>) -> bool {
        if *out_user == OutUser::Keep {
            return false;
        }
        match self.table.compiled.captures.get(&(self.index as u32)) {
            Some(captures) => captures.expand(out_user, user, self.scratch, out),
            None => out_user.expand(user, |_| None, out),
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route {
            index,
            record,
            found,
            ..
        } = self;
        let mut route = f.debug_struct("Route");
        route
            .field("index", index)
            .field("record", record)
            .field("found", found);
        route.finish_non_exhaustive()
    }
}
