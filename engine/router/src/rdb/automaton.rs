//! The automata: patterns without a shape, many in one lazily built DFA that is walked once per
//! lookup.
//!
//! The automaton is shared and never changes; its states are made on demand in a cache that belongs
//! to one [`super::Matcher`]. A cache that is full is emptied and filled again, never grown.

use super::Limits;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::PatternID;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

/// A pattern for an automaton.
pub(super) struct Member {
    record: u32,
    hir: Hir,
    anchored: bool,
    /// Compiled size on its own: those of a chunk together stay within the limit.
    bytes: usize,
}

impl Member {
    /// `None` when the compiled pattern is larger than the limit for one pattern.
    pub(super) fn new(record: u32, hir: Hir, limits: &Limits) -> Option<Member> {
        let anchored = hir.properties().look_set_prefix().contains(Look::Start);
        let hir = without_open_end(hir);
        let nfa = compile(&[&hir], Some(limits.compiled_bytes_max)).ok()?;
        Some(Member {
            record,
            anchored,
            bytes: nfa.memory_usage(),
            hir,
        })
    }
}

/// Some of the patterns, in file order.
pub(super) struct Automaton {
    dfa: DFA,
    /// The record of each pattern; ascending.
    records: Vec<u32>,
    anchored: Anchored,
}

impl Automaton {
    /// Builds as few automata as the limits allow; patterns bound to the start of the user get
    /// their own, which die as soon as the user leaves them all.
    pub(super) fn build(members: Vec<Member>, limits: &Limits) -> Result<Vec<Automaton>, String> {
        let (anchored, free): (Vec<_>, Vec<_>) = members.into_iter().partition(|m| m.anchored);
        let mut automata = Vec::new();
        for members in [anchored, free] {
            for chunk in chunks(&members, limits.automaton_bytes_max) {
                automata.push(Automaton::of(chunk, limits).map_err(|error| error.to_string())?);
            }
        }
        Ok(automata)
    }

    fn of(members: &[Member], limits: &Limits) -> Result<Automaton, Box<dyn std::error::Error>> {
        let hirs: Vec<&Hir> = members.iter().map(|member| &member.hir).collect();
        let config = Config::new()
            .match_kind(MatchKind::All)
            .cache_capacity(limits.cache_bytes_max)
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .configure(config)
            .build_from_nfa(compile(&hirs, None)?)?;
        let bound = members.iter().all(|member| member.anchored);
        Ok(Automaton {
            dfa,
            records: members.iter().map(|member| member.record).collect(),
            anchored: if bound { Anchored::Yes } else { Anchored::No },
        })
    }

    pub(super) fn cache(&self) -> Cache {
        self.dfa.create_cache()
    }

    /// The first record in file order below `limit` whose pattern matches.
    pub(super) fn first(&self, cache: &mut Cache, user: &str, limit: u32) -> Option<u32> {
        let earliest = *self.records.first()?;
        if earliest >= limit {
            return None;
        }
        let mut best = limit;
        self.walk(cache, user, |record| {
            best = best.min(record);
            best > earliest
        });
        (best < limit).then_some(best)
    }

    /// Appends every record whose pattern matches, in no order, some perhaps twice.
    pub(super) fn all(&self, cache: &mut Cache, user: &str, out: &mut Vec<u32>) {
        self.walk(cache, user, |record| {
            out.push(record);
            true
        });
    }

    /// Bytes held, caches apart.
    pub(super) fn bytes(&self) -> usize {
        let records = self.records.capacity() * size_of::<u32>();
        self.dfa.memory_usage() + self.dfa.get_nfa().memory_usage() + records
    }

    /// Hands the record of each match to `visit` until that answers `false`.
    ///
    /// Errors of the DFA end the walk; none can arise: no byte makes it quit, and it never gives up
    /// on a cache since no limit on emptying it is set.
    fn walk(&self, cache: &mut Cache, user: &str, mut visit: impl FnMut(u32) -> bool) {
        let input = Input::new(user).anchored(self.anchored);
        let Ok(mut state) = self.dfa.start_state_forward(cache, &input) else {
            return;
        };
        for &byte in user.as_bytes() {
            let Ok(next) = self.dfa.next_state(cache, state, byte) else {
                return;
            };
            state = next;
            let mut enough = || state.is_match() && !self.report(cache, state, &mut visit);
            if state.is_tagged() && (state.is_dead() || enough()) {
                return;
            }
        }
        // A match is known one byte late: the end of the user is a step of its own.
        if let Ok(state) = self.dfa.next_eoi_state(cache, state)
            && state.is_match()
        {
            self.report(cache, state, &mut visit);
        }
    }

    fn report(
        &self,
        cache: &Cache,
        state: regex_automata::hybrid::LazyStateID,
        visit: &mut impl FnMut(u32) -> bool,
    ) -> bool {
        let pattern = |n| self.dfa.match_pattern(cache, state, n);
        let record = |id: PatternID| self.records.get(id.as_usize()).copied();
        (0..self.dfa.match_len(cache, state))
            .filter_map(|n| record(pattern(n)))
            .all(visit)
    }
}

fn compile(hirs: &[&Hir], bytes_max: Option<usize>) -> Result<NFA, Box<thompson::BuildError>> {
    let config = NFA::config()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(bytes_max);
    Ok(NFA::compiler()
        .configure(config)
        .build_many_from_hir(hirs)?)
}

/// Splits the members so that the compiled sizes of each part stay within `bytes_max`.
fn chunks(members: &[Member], bytes_max: usize) -> Vec<&[Member]> {
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, member) in members.iter().enumerate() {
        if at > start && bytes + member.bytes > bytes_max {
            chunks.push(&members[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += member.bytes;
    }
    if start < members.len() {
        chunks.push(&members[start..]);
    }
    chunks
}

/// The pattern cut to what decides whether it matches: `49\d*` becomes `49`, `49\d{3,9}` becomes
/// `49\d{3}`. Its states then die early instead of living beside all others to the end of the user.
fn without_open_end(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Concat(mut parts) => {
            while let Some(last) = parts.pop().map(without_open_end) {
                if !matches!(last.kind(), HirKind::Empty) {
                    parts.push(last);
                    break;
                }
            }
            Hir::concat(parts)
        }
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            max: Some(repetition.min),
            ..repetition
        }),
        HirKind::Capture(capture) => without_open_end(*capture.sub),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.into_iter().map(without_open_end).collect())
        }
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;

    fn automata(patterns: &[&str], limits: &Limits) -> Vec<Automaton> {
        let member = |(record, pattern): (usize, &&str)| {
            Member::new(record as u32, dialect::parse(pattern).unwrap(), limits).unwrap()
        };
        Automaton::build(patterns.iter().enumerate().map(member).collect(), limits).unwrap()
    }

    fn first(automata: &[Automaton], user: &str) -> Option<u32> {
        let find = |automaton: &Automaton| automaton.first(&mut automaton.cache(), user, u32::MAX);
        automata.iter().filter_map(find).min()
    }

    const PATTERNS: [&str; 5] = ["77$", "^1.*5", "7", r"\b8", "(9|^6)(x*)$"];

    #[test]
    fn the_earliest_pattern_wins_wherever_it_matches() {
        let automata = automata(&PATTERNS, &Limits::default());
        assert_eq!(
            automata.len(),
            2,
            "one for the anchored pattern, one for the rest"
        );
        for (user, winner) in [
            ("177", Some(0)),
            ("1775", Some(1)),
            ("775", Some(2)),
            ("0-8", Some(3)),
            ("08", None),
            ("6xx", Some(4)),
            ("46", None),
            ("ä9x", Some(4)),
            ("", None),
        ] {
            assert_eq!(first(&automata, user), winner, "{user}");
        }
    }

    #[test]
    fn small_limits_make_more_automata_and_the_same_answers() {
        let small = Limits {
            automaton_bytes_max: 1,
            cache_bytes_max: 0,
            ..Limits::default()
        };
        let (many, few) = (
            automata(&PATTERNS, &small),
            automata(&PATTERNS, &Limits::default()),
        );
        assert_eq!(many.len(), PATTERNS.len());
        for user in ["177", "1775", "775", "0-8", "6xx", "ä9x", "", "1234567890"] {
            assert_eq!(first(&many, user), first(&few, user), "{user}");
        }
    }

    #[test]
    fn open_ends_are_cut() {
        let cut = |pattern| without_open_end(dialect::parse(pattern).unwrap()).to_string();
        assert_eq!(cut("49[0-9]*"), cut("49"));
        assert_eq!(cut("(49(?:x)?[0-9]{3,9}(y*))"), cut("49x?[0-9]{3}"));
        assert_eq!(cut("49(a*|b+)"), cut("49(?:|b)"));
        let ended = dialect::parse("49x*$").unwrap();
        assert_eq!(cut("49x*$"), ended.to_string());
    }

    #[test]
    fn a_pattern_too_large_when_compiled_is_refused() {
        let hir = dialect::parse("((a{50}){50}){50}").unwrap();
        assert!(Member::new(0, hir, &Limits::default()).is_none());
    }
}
