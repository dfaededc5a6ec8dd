//! Why a user is routed as it is, for `tipring route`: a value and its text.

use super::proxied::Q_MAX;
use super::{CallFlow, Found, Matcher, OutUser, Proxied, Record, Route, Table};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Further matching records beyond these are only counted.
const LATER_MAX: usize = 10;

/// What a lookup found, and what else it could have found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The user that was looked up.
    pub user: String,
    /// The record that wins; `None` is the 404.
    pub winner: Option<Winner>,
    /// Number and pattern of the next records that match too, in file order, ten at most.
    pub later: Vec<(usize, String)>,
    /// How many further records match.
    pub more: usize,
}

/// The record that wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// Its number, counted from 0.
    pub index: usize,
    /// What it says.
    pub record: Record,
    /// How it was found.
    pub found: Found,
    /// The user of the request that leaves.
    pub out_user: String,
    /// The users of the requests that leave to the targets of a proxied route, in their order.
    pub branch_users: Vec<String>,
}

/// Looks a user up and says why.
pub fn explain(table: &Arc<Table>, user: &str) -> Explanation {
    let mut matcher = Matcher::new(Arc::clone(table));
    let winner = matcher.find(user).map(|mut route| {
        let record = route.record;
        let branches = record.proxied.iter().flat_map(|proxied| &proxied.targets);
        let branch_users = branches.map(|branch| written_user(&mut route, &branch.out_user, user));
        let branch_users = branch_users.collect();
        Winner {
            index: route.index,
            record: route.record.clone(),
            found: route.found,
            out_user: written_user(&mut route, &record.out_user, user),
            branch_users,
        }
    });
    let matching = matcher.all(user);
    let later = matching.iter().skip(1).take(LATER_MAX);
    let pattern = |&index: &usize| Some((index, table.record(index)?.pattern.clone()));
    Explanation {
        user: user.to_owned(),
        winner,
        later: later.filter_map(pattern).collect(),
        more: matching.len().saturating_sub(1 + LATER_MAX),
    }
}

fn written_user(route: &mut Route<'_>, out_user: &OutUser, user: &str) -> String {
    let mut out = Vec::new();
    if route.write_user_of(out_user, user, &mut out) {
        String::from_utf8_lossy(&out).into()
    } else {
        user.to_owned()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(winner) = &self.winner else {
            return write!(f, "{}: no match -> 404", self.user);
        };
        write!(f, "{}: record {}\n{winner}", self.user, winner.index)?;
        for (index, pattern) in &self.later {
            write!(f, "\n  also matches  record {index}, {}", written(pattern))?;
        }
        if self.more > 0 {
            write!(f, "\n  also matches  {} more", self.more)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Winner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        writeln!(f, "  pattern       {}", written(&record.pattern))?;
        writeln!(f, "  found in the  {}", self.found)?;
        match (&record.proxied, record.flow) {
            (Some(proxied), _) => self.show_branches(f, proxied)?,
            (None, flow) => {
                writeln!(f, "  user          {}", self.out_user)?;
                match flow {
                    CallFlow::EchoResponder => {
                        writeln!(f, "  host          none: the router answers")?;
                    }
                    _ => writeln!(f, "  host          {}", record.target)?,
                }
            }
        }
        writeln!(f, "  flow          {}", record.flow)?;
        let [no_18x, no_answer, longest] =
            [record.no_18x, record.no_answer, record.max_duration].map(shown);
        writeln!(
            f,
            "  times         no 18x {no_18x}, no answer {no_answer}, longest call {longest}"
        )?;
        write!(f, "  switches      {}", switches(record))
    }
}

impl Winner {
    fn show_branches(&self, f: &mut fmt::Formatter<'_>, proxied: &Proxied) -> fmt::Result {
        let recurse = match proxied.recurse {
            true => ", follows redirections",
            false => "",
        };
        writeln!(f, "  mode          proxy{recurse}")?;
        for (branch, user) in proxied.targets.iter().zip(&self.branch_users) {
            let q = f64::from(branch.q) / f64::from(Q_MAX);
            writeln!(f, "  target        {user} at {}, q {q}", branch.target)?;
        }
        Ok(())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Trie => "trie of literals and prefixes",
            Found::Automaton => "automaton of regular expressions",
        })
    }
}

fn written(pattern: &str) -> &str {
    if pattern.is_empty() {
        "(empty: every user)"
    } else {
        pattern
    }
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("off".to_owned(), |time| format!("{} s", time.as_secs_f64()))
}

fn switches(record: &Record) -> String {
    let switches = [
        (record.disallow_similar_18x, "disallowSimilar18x"),
        (record.disallow_different_18x, "disallowDifferent18x"),
        (record.steer_media, "steerMedia"),
    ];
    let on: Vec<_> = switches
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| *name)
        .collect();
    if on.is_empty() {
        "none".to_owned()
    } else {
        on.join(", ")
    }
}
