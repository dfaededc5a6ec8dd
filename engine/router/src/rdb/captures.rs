//! What the groups of the winning pattern matched, for records whose new user is made of them.

use super::Limits;
use super::shape::Shape;
use super::template::OutUser;
use regex_automata::Input;
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{BuildError, NFA};
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::Hir;

/// How the groups of one pattern are found.
pub(super) enum Captures {
    /// By arithmetic on the first shape that matches.
    Shapes(Vec<Shape>),
    /// By a search.
    Search(Box<Search>),
}

/// One pattern with its groups. The backtracker is the faster one; the other takes users too long
/// for it.
pub(super) struct Search {
    backtracker: BoundedBacktracker,
    pike: PikeVM,
}

/// Memory of one matcher for searches, used again for each.
#[derive(Default)]
pub(super) struct Scratch {
    cache: Option<backtrack::Cache>,
    slots: Vec<Option<NonMaxUsize>>,
}

impl Search {
    /// Fails when the compiled pattern is larger than the limit for one pattern.
    pub(super) fn new(hir: &Hir, limits: &Limits) -> Result<Search, Box<BuildError>> {
        let config = NFA::config().nfa_size_limit(Some(limits.compiled_bytes_max));
        let nfa = NFA::compiler().configure(config).build_from_hir(hir)?;
        Ok(Search {
            backtracker: BoundedBacktracker::new_from_nfa(nfa.clone())?,
            pike: PikeVM::new_from_nfa(nfa)?,
        })
    }

    /// Fills the slots: start and end of group n at 2n and 2n+1.
    fn fill(&self, user: &str, scratch: &mut Scratch) {
        let input = Input::new(user);
        scratch.slots.clear();
        scratch
            .slots
            .resize(self.backtracker.get_nfa().group_info().slot_len(), None);
        let cache = scratch
            .cache
            .get_or_insert_with(|| self.backtracker.create_cache());
        self.backtracker.reset_cache(cache);
        if self
            .backtracker
            .try_search_slots(cache, &input, &mut scratch.slots)
            .is_err()
        {
            self.pike
                .search_slots(&mut self.pike.create_cache(), &input, &mut scratch.slots);
        }
    }

    fn bytes(&self) -> usize {
        self.backtracker.get_nfa().memory_usage()
    }
}

impl Captures {
    /// Appends the new user to `out`; `false` when the old one is kept.
    pub(super) fn expand(
        &self,
        out_user: &OutUser,
        user: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Captures::Shapes(shapes) => {
                let found = shapes
                    .iter()
                    .find_map(|s| s.matched(user).map(|length| (s, length)));
                out_user.expand(
                    user,
                    |n| found.and_then(|(s, length)| s.group(n, length)),
                    out,
                )
            }
            Captures::Search(search) => {
                search.fill(user, scratch);
                let slot = |n: usize| Some(scratch.slots.get(n).copied()??.get());
                out_user.expand(user, |n| Some(slot(2 * n)?..slot(2 * n + 1)?), out)
            }
        }
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Captures::Shapes(shapes) => shapes.iter().map(Shape::bytes).sum(),
            Captures::Search(search) => search.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect;
    use super::*;

    fn expand(pattern: &str, template: &str, user: &str, scratch: &mut Scratch) -> String {
        let hir = dialect::parse(pattern).unwrap();
        let out_user = OutUser::parse(template, &dialect::group_names(&hir)).unwrap();
        let search = Captures::Search(Box::new(Search::new(&hir, &Limits::default()).unwrap()));
        let mut out = Vec::new();
        assert!(search.expand(&out_user, user, scratch, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_scratch_serves_every_pattern() {
        let scratch = &mut Scratch::default();
        assert_eq!(expand(r"(\d)(\d+)5", "$2-$1", "x12345", scratch), "234-1");
        assert_eq!(
            expand("(?P<name>[a-z]+)|(9)", "$name[$2]", "9bob", scratch),
            "[9]"
        );
        assert_eq!(
            expand("(a)(b)(c)(d)$", "$4$3$2$1$0", "abcd", scratch),
            "dcbaabcd"
        );
        assert_eq!(
            expand("(a)", "<$1".trim_start_matches('<'), "zzz", scratch),
            ""
        );
    }

    #[test]
    fn a_user_too_long_for_the_backtracker_is_searched_all_the_same() {
        let user = format!("{}7x", "1".repeat(300_000));
        assert_eq!(
            expand("(7)(x{1,50})$", "$2", &user, &mut Scratch::default()),
            "x"
        );
    }
}
