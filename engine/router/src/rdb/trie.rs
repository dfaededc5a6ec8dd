//! The trie of literal beginnings: a path-compressed tree in flat arrays, walked once per lookup.
//!
//! The thirteen characters a telephone dials (`#`, `*`, `+`, digits) are found by a bit in the
//! node, any other byte by a search among the remaining children. Records are found in file order:
//! the least number wins.

use super::tail::Tail;
use hashbrown::HashMap;
use std::ops::Range;

/// A literal beginning, what may follow it and the record it leads to.
pub(super) struct Entry {
    pub(super) prefix: String,
    pub(super) tail: Tail,
    pub(super) record: u32,
}

#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The labels of the nodes, one after the other.
    labels: Vec<u8>,
    /// The leaves of the nodes, one after the other; those of one node in file order, no tail
    /// twice.
    leaves: Vec<Leaf>,
    /// Every different tail once: the ones in use stay in cache.
    tails: Vec<Tail>,
    /// (leaf, record): records whose beginning and tail an earlier record has too, sorted.
    shadowed: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Leaf {
    tail: u32,
    record: u32,
}

/// One node. Its children follow each other in `nodes`: first the dialled ones, then the others, by
/// first byte.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    label: u32,
    first_child: u32,
    first_leaf: u32,
    leaves: u32,
    label_len: u16,
    /// Bit n: a child whose label begins with dialled character n.
    dialled: u16,
    first_byte: u8,
    others: u8,
}

/// The number of a dialled character, in byte order.
fn dialled(byte: u8) -> Option<u32> {
    match byte {
        b'#' => Some(0),
        b'*' => Some(1),
        b'+' => Some(2),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 3),
        _ => None,
    }
}

impl Trie {
    /// Builds the trie of all entries, in any order.
    pub(super) fn new(mut entries: Vec<Entry>) -> Trie {
        entries.sort_unstable_by(|a, b| {
            (a.prefix.as_str(), &a.tail, a.record).cmp(&(b.prefix.as_str(), &b.tail, b.record))
        });
        let mut builder = Builder {
            entries: &entries,
            trie: Trie::default(),
            tails: HashMap::new(),
        };
        if !entries.is_empty() {
            builder.build();
        }
        let mut trie = builder.trie;
        trie.shadowed.sort_unstable();
        trie
    }

    /// The first record in file order that the user reaches.
    #[inline]
    pub(super) fn first(&self, user: &[u8]) -> Option<u32> {
        let mut best = u32::MAX;
        self.walk(user, |leaves, rest| {
            for leaf in self.leaves.get(leaves).unwrap_or_default() {
                if leaf.record >= best {
                    break;
                }
                if self.accepts(leaf, rest) {
                    best = leaf.record;
                }
            }
        });
        (best != u32::MAX).then_some(best)
    }

    /// Appends every record that the user reaches, in no order, some perhaps twice.
    pub(super) fn all(&self, user: &[u8], out: &mut Vec<u32>) {
        self.walk(user, |leaves, rest| {
            let found = self.leaves.get(leaves.clone()).unwrap_or_default();
            for (number, leaf) in leaves.zip(found) {
                if self.accepts(leaf, rest) {
                    out.push(leaf.record);
                    out.extend(self.shadows_of(number as u32));
                }
            }
        });
    }

    /// Pairs of records with one same beginning and tail: (the later, the first).
    pub(super) fn shadowed(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.shadowed
            .iter()
            .map(|&(leaf, record)| (record, self.leaves[leaf as usize].record))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.labels.capacity()
            + self.leaves.capacity() * size_of::<Leaf>()
            + self.tails.capacity() * size_of::<Tail>()
            + self.shadowed.capacity() * size_of::<(u32, u32)>()
    }

    fn shadows_of(&self, leaf: u32) -> impl Iterator<Item = u32> + '_ {
        let from = self.shadowed.partition_point(|&(of, _)| of < leaf);
        self.shadowed[from..]
            .iter()
            .take_while(move |&&(of, _)| of == leaf)
            .map(|&(_, r)| r)
    }

    #[inline]
    fn accepts(&self, leaf: &Leaf, rest: &[u8]) -> bool {
        match self.tails.get(leaf.tail as usize) {
            Some(&Tail { max: 0, end, .. }) => !end || rest.is_empty(),
            Some(tail) => tail.matched(rest).is_some(),
            None => false,
        }
    }

    /// Hands the leaves of every node on the user's path to `visit`, with what follows the node.
    #[inline]
    fn walk<'u>(&self, user: &'u [u8], mut visit: impl FnMut(Range<usize>, &'u [u8])) {
        let (mut next, mut rest) = (self.nodes.first(), user);
        while let Some(node) = next {
            let Some(after) = rest.strip_prefix(self.label(node)) else {
                return;
            };
            rest = after;
            visit(
                node.first_leaf as usize..(node.first_leaf + node.leaves) as usize,
                rest,
            );
            next = rest.first().and_then(|&byte| self.child(node, byte));
        }
    }

    #[inline]
    fn label(&self, node: &Node) -> &[u8] {
        let start = node.label as usize;
        self.labels
            .get(start..start + usize::from(node.label_len))
            .unwrap_or_default()
    }

    #[inline]
    fn child(&self, node: &Node, byte: u8) -> Option<&Node> {
        let first = node.first_child as usize;
        if let Some(bit) = dialled(byte) {
            let present = node.dialled >> bit & 1 == 1;
            let before = (node.dialled & ((1 << bit) - 1)).count_ones() as usize;
            return present.then(|| self.nodes.get(first + before)).flatten();
        }
        let first = first + node.dialled.count_ones() as usize;
        let others = self.nodes.get(first..first + usize::from(node.others))?;
        others.get(
            others
                .binary_search_by_key(&byte, |child| child.first_byte)
                .ok()?,
        )
    }
}

/// The entries in `range` share their first `depth` bytes, which lead to `node`.
struct Task {
    node: usize,
    range: Range<usize>,
    depth: usize,
}

struct Builder<'e> {
    /// Sorted by prefix, tail and record.
    entries: &'e [Entry],
    trie: Trie,
    tails: HashMap<Tail, u32>,
}

impl Builder<'_> {
    fn build(&mut self) {
        self.trie.nodes.push(Node::default());
        let mut tasks = vec![Task {
            node: 0,
            range: 0..self.entries.len(),
            depth: 0,
        }];
        while let Some(task) = tasks.pop() {
            self.fill(task, &mut tasks);
        }
        self.trie.nodes.shrink_to_fit();
        self.trie.labels.shrink_to_fit();
        self.trie.leaves.shrink_to_fit();
    }

    fn fill(&mut self, task: Task, tasks: &mut Vec<Task>) {
        let depth = self.common_depth(&task.range);
        let byte_at = |entry: &Entry| entry.prefix.as_bytes().get(depth).copied();
        let ending = self.entries[task.range.clone()].partition_point(|e| byte_at(e).is_none());
        let leaves_end = task.range.start + ending;
        let mut node = self.labelled(&task, depth);
        self.add_leaves(&mut node, task.range.start..leaves_end);
        let mut groups = self.groups(leaves_end..task.range.end, depth);
        groups.sort_by_key(|&(byte, _)| dialled(byte).is_none());
        node.first_child = self.trie.nodes.len() as u32;
        for (byte, range) in groups {
            match dialled(byte) {
                Some(bit) => node.dialled |= 1 << bit,
                None => node.others += 1,
            }
            tasks.push(Task {
                node: self.trie.nodes.len(),
                range,
                depth,
            });
            self.trie.nodes.push(Node::default());
        }
        self.trie.nodes[task.node] = node;
    }

    /// How many bytes all entries of the range share: sorted, the first and the last decide.
    fn common_depth(&self, range: &Range<usize>) -> usize {
        let first = self.entries[range.start].prefix.bytes();
        let last = self.entries[range.end - 1].prefix.bytes();
        first.zip(last).take_while(|(a, b)| a == b).count()
    }

    fn labelled(&mut self, task: &Task, depth: usize) -> Node {
        let label = &self.entries[task.range.start].prefix.as_bytes()[task.depth..depth];
        let start = self.trie.labels.len();
        self.trie.labels.extend_from_slice(label);
        Node {
            label: start as u32,
            label_len: label.len() as u16,
            first_byte: label.first().copied().unwrap_or_default(),
            ..Node::default()
        }
    }

    /// Adds the leaves of entries that end at the node: of one tail only the first record, then in
    /// file order.
    fn add_leaves(&mut self, node: &mut Node, range: Range<usize>) {
        let entries = &self.entries[range];
        let mut firsts: Vec<(Leaf, &[Entry])> = Vec::new();
        for same_tail in entries.chunk_by(|a, b| a.tail == b.tail) {
            let leaf = Leaf {
                tail: self.tail(same_tail[0].tail),
                record: same_tail[0].record,
            };
            firsts.push((leaf, &same_tail[1..]));
        }
        firsts.sort_by_key(|(leaf, _)| leaf.record);
        node.first_leaf = self.trie.leaves.len() as u32;
        node.leaves = firsts.len() as u32;
        for (leaf, later) in firsts {
            let number = self.trie.leaves.len() as u32;
            let later = later.iter().filter(|entry| entry.record != leaf.record);
            self.trie
                .shadowed
                .extend(later.map(|entry| (number, entry.record)));
            self.trie.leaves.push(leaf);
        }
    }

    fn tail(&mut self, tail: Tail) -> u32 {
        *self.tails.entry(tail).or_insert_with(|| {
            self.trie.tails.push(tail);
            self.trie.tails.len() as u32 - 1
        })
    }

    /// The entries of the range by their byte at `depth`, in byte order.
    fn groups(&self, range: Range<usize>, depth: usize) -> Vec<(u8, Range<usize>)> {
        let byte_at = |entry: &Entry| entry.prefix.as_bytes().get(depth).copied();
        let mut start = range.start;
        let mut groups = Vec::new();
        for group in self.entries[range].chunk_by(|a, b| byte_at(a) == byte_at(b)) {
            let end = start + group.len();
            groups.push((byte_at(&group[0]).unwrap_or_default(), start..end));
            start = end;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::tail::CharSet;
    use super::*;

    fn trie(entries: &[(&str, Tail)]) -> Trie {
        let entry = |(record, &(prefix, tail)): (usize, &(&str, Tail))| Entry {
            prefix: prefix.to_owned(),
            tail,
            record: record as u32,
        };
        Trie::new(entries.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn the_earliest_record_on_the_path_wins() {
        let trie = trie(&[
            ("4930", Tail::OPEN),
            ("49", Tail::END),
            ("49", Tail::OPEN),
            ("493012", Tail::END),
            ("", Tail::OPEN),
        ]);
        assert_eq!(trie.first(b"493012"), Some(0));
        assert_eq!(trie.first(b"49"), Some(1));
        assert_eq!(trie.first(b"4931"), Some(2));
        assert_eq!(trie.first(b"5"), Some(4));
        assert_eq!(trie.first(b""), Some(4));
    }

    #[test]
    fn an_empty_trie_finds_nothing() {
        assert_eq!(Trie::new(Vec::new()).first(b"1"), None);
        assert_eq!(Trie::new(Vec::new()).first(b""), None);
    }

    #[test]
    fn every_byte_can_lead_to_a_child() {
        let prefixes: Vec<String> = (1..=0x17f)
            .filter_map(char::from_u32)
            .map(|c| format!("1{c}"))
            .collect();
        let entries: Vec<_> = prefixes.iter().map(|p| (p.as_str(), Tail::END)).collect();
        let trie = trie(&entries);
        for (record, prefix) in prefixes.iter().enumerate() {
            assert_eq!(
                trie.first(prefix.as_bytes()),
                Some(record as u32),
                "{prefix:?}"
            );
        }
        assert_eq!(trie.first(b"1"), None);
        assert_eq!(trie.first("1ä1".as_bytes()), None);
        assert_eq!(trie.first("1ƀ".as_bytes()), None);
    }

    #[test]
    fn doubles_are_shadowed_but_not_forgotten() {
        let digit = Tail {
            set: CharSet::single('7').unwrap(),
            min: 1,
            max: 1,
            end: true,
        };
        let trie = trie(&[("1", digit), ("1", Tail::OPEN), ("1", digit), ("1", digit)]);
        assert_eq!(trie.first(b"17"), Some(0));
        assert_eq!(trie.shadowed().collect::<Vec<_>>(), [(2, 0), (3, 0)]);
        let mut all = Vec::new();
        trie.all(b"17", &mut all);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}
