//! Which headers pass from a message to the one made from it, and the copying of those that do.

use crate::message::Message;
use crate::name::HeaderName;

/// A set of headers that do not pass; all others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    dropped: u128,
}

const _: () = assert!(
    HeaderName::COUNT <= 128,
    "a policy has one bit for each header name"
);

impl Policy {
    /// Lets everything pass but `names`.
    pub const fn dropping(names: &[HeaderName]) -> Policy {
        Policy { dropped: 0 }.also(names)
    }

    /// This policy, dropping `names` too.
    #[expect(
        clippy::indexing_slicing,
        reason = "a const fn has no iterators; `at` is below the length"
    )]
    pub const fn also(self, names: &[HeaderName]) -> Policy {
        let mut dropped = self.dropped;
        let mut at = 0;
        while at < names.len() {
            dropped |= 1 << names[at] as u8;
            at += 1;
        }
        Policy { dropped }
    }

    /// Whether headers called `name` pass.
    #[inline]
    pub const fn passes(&self, name: HeaderName) -> bool {
        self.dropped >> (name as u8) & 1 == 0
    }
}

/// Every line of `message` whose name passes, byte for byte and in order. Lines that stand
/// together are copied together.
pub fn passing_headers(out: &mut Vec<u8>, message: &Message<'_>, policy: &Policy) {
    let mut run = 0..0;
    for (name, line) in message.spans() {
        if !policy.passes(name) {
            continue;
        }
        if run.end != line.start {
            out.extend_from_slice(message.bytes().get(run).unwrap_or_default());
            run = line.clone();
        }
        run.end = line.end;
    }
    out.extend_from_slice(message.bytes().get(run).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Limits};

    const BASE: Policy = Policy::dropping(&[HeaderName::Via, HeaderName::ContentLength]);
    const MORE: Policy = BASE.also(&[HeaderName::Other, HeaderName::Accept]);

    #[test]
    fn names_are_dropped_by_set() {
        assert!(!BASE.passes(HeaderName::Via) && BASE.passes(HeaderName::Other));
        assert!(!MORE.passes(HeaderName::Via) && !MORE.passes(HeaderName::Other));
        assert!(
            HeaderName::ALL
                .iter()
                .all(|&name| Policy::dropping(&[]).passes(name))
        );
    }

    #[test]
    fn lines_pass_byte_for_byte_and_in_order() {
        let text = "BYE sip:a SIP/2.0\r\nX-A: 1\r\n 2\r\nv: 1\r\nto :a\r\n\
             Via: 2\r\nvia: 3\r\nY-B:\r\nl: 0\r\n\r\n";
        let mut index = Index::new();
        let message = Message::parse(text.as_bytes(), &mut index, &Limits::default()).unwrap();
        let copied = |policy: &Policy| {
            let mut out = Vec::new();
            passing_headers(&mut out, &message, policy);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(copied(&BASE), "X-A: 1\r\n 2\r\nto :a\r\nY-B:\r\n");
        assert_eq!(copied(&MORE), "to :a\r\n");
        let all = copied(&Policy::dropping(&[]));
        assert_eq!(format!("BYE sip:a SIP/2.0\r\n{all}\r\n"), text);
    }
}
