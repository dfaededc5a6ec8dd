//! From the bytes of segments, oldest first, to what is in force. The first pass finds the last record of
//! each address-of-record, by reference; only these are made into values then, so that a long log of
//! refreshes costs little.

use std::net::SocketAddr;

use hashbrown::HashMap;
use router::Directory;

use crate::directory::Reading;
use crate::frame::{Frames, whole_frame_after};
use crate::kind::Kind;
use crate::registration::{self, Circumstances, Revived};
use crate::segment::{self, Header, HeaderError, Sort};
use crate::times::Clocks;

/// The segments read so far.
#[derive(Debug, Default)]
pub struct Replay<'a> {
    latest: HashMap<&'a str, Latest<'a>, foldhash::quality::RandomState>,
    directory: Reading,
    listeners: Vec<Vec<SocketAddr>>,
    last_mark_ms: u64,
}

/// The last word on an address-of-record.
#[derive(Clone, Copy, Debug)]
pub struct Latest<'a> {
    payload: &'a [u8],
    written_ms: u64,
    /// Which of the tables of listeners its flows speak of.
    segment: u32,
}

/// What was found in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it says of itself.
    pub header: Header,
    /// Its records.
    pub counts: Counts,
    /// How much of it is whole.
    pub whole_bytes: usize,
    /// What is behind; `None`: nothing.
    pub damage: Option<Damage>,
    /// It is a log, or a snapshot with its end.
    pub complete: bool,
}

/// Records by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bindings of an address-of-record.
    pub registrations: u64,
    /// That an address-of-record has none any more.
    pub removals: u64,
    /// Of the directory.
    pub directory: u64,
    /// Of them, whole domains.
    pub domains: u64,
    /// Of a later version.
    pub unknown: u64,
    /// Whole, and without sense. Should be 0.
    pub senseless: u64,
    /// The last mark: milliseconds since 1970.
    pub last_mark_ms: u64,
}

/// What is behind the last whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A write that was cut short: no whole frame follows.
    Tail {
        /// How much.
        bytes: usize,
    },
    /// Whole frames follow: something in the middle has changed.
    Middle {
        /// How much, with the whole frames in it.
        bytes: usize,
    },
}

impl<'a> Replay<'a> {
    /// Reads the next segment.
    ///
    /// # Errors
    /// It has no header that can be read. Nothing of it was taken over.
    pub fn read(&mut self, bytes: &'a [u8]) -> Result<Segment, HeaderError> {
        let mut frames = Frames::new(bytes);
        let header = Header::of(frames.next().ok_or(HeaderError::NoHeader)?)?;
        self.listeners.push(header.listeners.clone());
        let mut counts = Counts {
            last_mark_ms: header.begun_ms,
            ..Counts::default()
        };
        let mut ended = header.sort == Sort::Log;
        for frame in frames.by_ref() {
            match frame.kind {
                None => counts.unknown += 1,
                Some(Kind::End) => ended = has_all(frame.payload, &counts),
                Some(kind) => self.take_over(kind, frame.payload, &mut counts),
            }
        }
        self.last_mark_ms = self.last_mark_ms.max(counts.last_mark_ms);
        Ok(Segment {
            header,
            counts,
            whole_bytes: frames.at(),
            damage: Damage::of(frames.rest()),
            complete: ended,
        })
    }

    fn take_over(&mut self, kind: Kind, payload: &'a [u8], counts: &mut Counts) {
        let sense = match kind {
            Kind::Mark => segment::mark(payload).map(|ms| counts.last_mark_ms = ms),
            Kind::Registration => self.register(payload, counts),
            kind => {
                counts.directory += 1;
                counts.domains += u64::from(kind == Kind::DomainEnd);
                self.directory.read(kind, payload)
            }
        };
        counts.senseless += u64::from(sense.is_none());
    }

    fn register(&mut self, payload: &'a [u8], counts: &mut Counts) -> Option<()> {
        let (aor, bindings) = registration::subject(payload)?;
        if bindings == 0 {
            counts.removals += 1;
            self.latest.remove(aor);
            return Some(());
        }
        counts.registrations += 1;
        let segment = (self.listeners.len() as u32).saturating_sub(1);
        let latest = Latest {
            payload,
            written_ms: counts.last_mark_ms,
            segment,
        };
        self.latest.insert(aor, latest);
        Some(())
    }

    /// The last mark of all: the latest wall clock that was written.
    pub fn last_mark_ms(&self) -> u64 {
        self.last_mark_ms
    }

    /// The last record of every address-of-record that has bindings, in no order.
    pub fn latest(&self) -> Vec<Latest<'a>> {
        self.latest.values().copied().collect()
    }

    /// The directory. Taken out.
    pub fn directory(&mut self) -> Directory {
        std::mem::take(&mut self.directory).directory
    }

    /// For each segment the number that its listeners have among those of now: the one of the same
    /// address, else the first of the same family.
    pub fn listeners(&self, now: &[SocketAddr]) -> Vec<Vec<Option<u16>>> {
        let number = |old: &SocketAddr| {
            let same = now.iter().position(|new| new == old);
            let family = || now.iter().position(|new| new.is_ipv4() == old.is_ipv4());
            same.or_else(family).map(|number| number as u16)
        };
        let table = |table: &Vec<SocketAddr>| table.iter().map(number).collect();
        self.listeners.iter().map(table).collect()
    }
}

impl Latest<'_> {
    /// Makes a value of it, with what [`Replay::listeners`] said; `None` when it makes no sense.
    pub fn revive(&self, now: Clocks, listeners: &[Vec<Option<u16>>]) -> Option<Revived> {
        let around = Circumstances {
            now,
            written_ms: self.written_ms,
            listeners: listeners.get(self.segment as usize)?,
        };
        registration::revive(self.payload, &around)
    }
}

impl Damage {
    fn of(rest: &[u8]) -> Option<Damage> {
        let bytes = rest.len();
        match bytes {
            0 => None,
            _ if whole_frame_after(rest) => Some(Damage::Middle { bytes }),
            _ => Some(Damage::Tail { bytes }),
        }
    }
}

fn has_all(payload: &[u8], counts: &Counts) -> bool {
    segment::end(payload) == Some((counts.registrations, counts.domains))
}
