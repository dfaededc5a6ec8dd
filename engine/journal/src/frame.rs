//! One record among others: a mark, its kind, its length and a checksum over all of it. A frame that was
//! half written, or changed on the disk, is found out.
//!
//! ```text
//! mark 2 | kind 1 | zero 1 | payload's length 4 | CRC32C of kind, zero, length and payload 4 | payload
//! ```
//! Numbers are little-endian.

use crate::kind::Kind;

/// Not text, so that it stands nowhere in a name or an address by chance.
const MARK: [u8; 2] = [0xF1, 0x9E];
/// Before the payload.
const HEAD: usize = 12;
/// No payload is longer: a damaged length is found out before so much is read. The bindings of one
/// address-of-record are at most a few datagrams of 64 KiB each.
pub const PAYLOAD_MAX: usize = 64 << 20;

/// Appends a frame whose payload `print` appends. False when the payload is too long: nothing is appended.
pub(crate) fn append(out: &mut Vec<u8>, kind: Kind, print: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[MARK[0], MARK[1], kind.number(), 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    print(out);
    let written = out.get_mut(start..).unwrap_or_default();
    let Some((head, payload)) = written.split_first_chunk_mut::<HEAD>() else {
        return false;
    };
    if payload.len() > PAYLOAD_MAX {
        out.truncate(start);
        return false;
    }
    let [_, _, kind, zero, length @ .., _, _, _, _] = head;
    *length = (payload.len() as u32).to_le_bytes();
    let sum = checksum([*kind, *zero], *length, payload).to_le_bytes();
    let [.., s0, s1, s2, s3] = head;
    (*s0, *s1, *s2, *s3) = (sum[0], sum[1], sum[2], sum[3]);
    true
}

fn checksum(kind: [u8; 2], length: [u8; 4], payload: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&kind), &length);
    crc32c::crc32c_append(head, payload)
}

/// A frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds; `None`: something of a later version.
    pub kind: Option<Kind>,
    /// What it says.
    pub payload: &'a [u8],
}

/// The frames of a segment in their order, up to the first that is none.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// Those in these bytes.
    pub fn new(bytes: &'a [u8]) -> Frames<'a> {
        Frames { rest: bytes, at: 0 }
    }

    /// Where the next frame begins, or what is none.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What was not read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (frame, rest) = take(self.rest)?;
        self.at += self.rest.len() - rest.len();
        self.rest = rest;
        Some(frame)
    }
}

fn take(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [m0, m1, kind, zero, length @ .., s0, s1, s2, s3] = *head;
    let payload_len = u32::from_le_bytes(length) as usize;
    if [m0, m1] != MARK || payload_len > PAYLOAD_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(payload_len)?;
    let sum = u32::from_le_bytes([s0, s1, s2, s3]);
    let right = checksum([kind, zero], length, payload) == sum;
    let kind = Kind::of(kind);
    right.then_some((Frame { kind, payload }, rest))
}

/// How far behind damage a whole frame is looked for.
const SEARCHED: usize = 4 << 20;

/// Whether a whole frame stands somewhere behind the first byte of `bytes`: then they are no write that
/// was cut short, but damage in the middle.
pub fn whole_frame_after(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(1..).unwrap_or_default();
    let most = rest.len().min(SEARCHED);
    for _ in 0..most {
        if rest.starts_with(&MARK) && take(rest).is_some() {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for text in ["one", "", "three"] {
            assert!(append(&mut out, Kind::Registration, |out| out
                .extend_from_slice(text.as_bytes())));
        }
        out
    }

    #[test]
    fn frames_come_back_in_their_order() {
        let bytes = three();
        let mut frames = Frames::new(&bytes);
        let payloads: Vec<_> = frames.by_ref().map(|frame| frame.payload).collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"three"]);
        assert_eq!((frames.at(), frames.rest().len()), (bytes.len(), 0));
    }

    #[test]
    fn a_cut_at_any_byte_leaves_the_frames_before_it() {
        let bytes = three();
        for cut in 0..bytes.len() {
            let mut frames = Frames::new(&bytes[..cut]);
            let whole = frames.by_ref().count();
            let wanted = [12 + 3, 24 + 3, 36 + 8].iter().filter(|end| cut >= **end);
            assert_eq!(whole, wanted.count(), "cut at {cut}");
            assert!(!whole_frame_after(frames.rest()), "cut at {cut}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found_out() {
        let bytes = three();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let mut frames = Frames::new(&bent);
            let whole = frames.by_ref().count();
            assert!(whole < 3, "bit {bit}");
            assert_eq!(whole_frame_after(frames.rest()), whole < 2, "bit {bit}");
        }
    }

    #[test]
    fn what_a_later_version_writes_is_passed_by() {
        let mut bytes = three();
        let sum = checksum([200, 0], 3u32.to_le_bytes(), b"one").to_le_bytes();
        bytes[2] = 200;
        bytes[8..12].copy_from_slice(&sum);
        let kinds: Vec<_> = Frames::new(&bytes).map(|frame| frame.kind).collect();
        let known = Some(Kind::Registration);
        assert_eq!(kinds, [None, known, known]);
    }
}
