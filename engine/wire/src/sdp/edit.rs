//! A changed body from the old one: a list of edits, applied once when it is printed.

use crate::span::Span;
use smallvec::SmallVec;

#[derive(Clone, Copy, Debug)]
struct Edit {
    place: Span,
    /// Where the new text stands in [`Edits::text`].
    from: usize,
    to: usize,
}

/// Edits of one body. Everything they do not name passes byte for byte.
///
/// Made in any order, but of places that do not overlap; kept and cleared, the list and its text
/// cost no allocation for the next body.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    list: SmallVec<[Edit; 16]>,
    text: Vec<u8>,
}

impl Edits {
    /// Without edits.
    pub fn new() -> Edits {
        Edits::default()
    }

    /// Forgets every edit.
    pub fn clear(&mut self) {
        self.list.clear();
        self.text.clear();
    }

    /// Nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What `print` appends stands in the place of these bytes.
    pub fn replace(&mut self, place: Span, print: impl FnOnce(&mut Vec<u8>)) {
        let from = self.text.len();
        print(&mut self.text);
        // A printer that took text away has taken that of an earlier edit: an empty piece is left.
        let (from, to) = (from.min(self.text.len()), self.text.len());
        self.list.push(Edit { place, from, to });
    }

    /// These bytes do not pass.
    pub fn remove(&mut self, place: Span) {
        self.replace(place, |_| {});
    }

    /// What `print` appends stands before the byte at `at`. Of several insertions at one place the
    /// first made comes first.
    pub fn insert(&mut self, at: u16, print: impl FnOnce(&mut Vec<u8>)) {
        self.replace(Span { start: at, end: at }, print);
    }

    /// Appends `original` as edited to `out`. Where edits overlap, the old bytes of all of them go and
    /// the new ones of all of them come.
    pub fn print(&mut self, original: &[u8], out: &mut Vec<u8>) {
        self.list
            .sort_by_key(|edit| (edit.place.start, edit.place.end));
        let mut at = 0;
        for edit in &self.list {
            let inside = |at: u16| usize::from(at).min(original.len());
            let (start, end) = (inside(edit.place.start), inside(edit.place.end));
            out.extend_from_slice(original.get(at..start).unwrap_or_default());
            out.extend_from_slice(self.text.get(edit.from..edit.to).unwrap_or_default());
            at = at.max(end);
        }
        out.extend_from_slice(original.get(at..).unwrap_or_default());
    }
}
