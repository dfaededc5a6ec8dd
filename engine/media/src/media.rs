//! The streams of one shard and the pool of their ports.

use stack::{Flow, Outbox, Time};

use crate::config::{Config, Counters, Drop, End, Event, Family, Fate, Kind, Latching};
use crate::config::{Local, Remote, StreamId, Summary, Terms};

/// Every stream of one shard.
///
/// Commands: `open`, `open_echo`, `set_remote`, `close`. From outside: `receive`, `handle_timeout`. After
/// each, drain `poll_event` and look at `poll_timeout`.
#[derive(Debug)]
pub struct Media {
    config: Config,
    counters: Counters,
}

impl Media {
    /// Media without streams; all ports free.
    pub fn new(config: Config, _now: Time) -> Media {
        Media {
            config,
            counters: Counters::default(),
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        Counters {
            pairs: self.config.pairs.len() as u64,
            ..self.counters
        }
    }

    /// No stream is open.
    pub fn is_idle(&self) -> bool {
        self.counters.streams == 0
    }

    /// Whether there is a port of this family at all, free or not.
    pub fn serves(&self, family: Family) -> bool {
        let of_family = |pair: &crate::PortPair| Family::of(pair.bound) == family;
        self.config.pairs.iter().any(of_family)
    }

    /// Opens a stream between the two parties; `None` when a family has no free pair.
    pub fn open(&mut self, _now: Time, _terms: Terms) -> Option<StreamId> {
        self.counters.ports_exhausted += 1;
        None
    }

    /// Opens a stream whose packets go back to their sender; it has only a caller's end. RTCP reports of
    /// our own are sent on it.
    pub fn open_echo(
        &mut self,
        _now: Time,
        _owner: u64,
        _family: Family,
        _latching: Latching,
    ) -> Option<StreamId> {
        self.counters.ports_exhausted += 1;
        None
    }

    /// Our ports towards this end; `None` for a stale id.
    pub fn local(&self, _stream: StreamId, _end: End) -> Option<Local> {
        None
    }

    /// What signalling says of this end. A new address, or the first one, unlatches it and opens the
    /// latch window anew; the same again changes no latch.
    pub fn set_remote(&mut self, _now: Time, _stream: StreamId, _end: End, _remote: &Remote) {}

    /// What became of a stream so far.
    pub fn summary(&self, _stream: StreamId) -> Option<Summary> {
        None
    }

    /// Ends a stream; its ports are free again.
    pub fn close(&mut self, _now: Time, _stream: StreamId) -> Option<Summary> {
        None
    }

    /// Changes what a stream carries (an audio stream that becomes T.38 keeps its port).
    pub fn set_kind(&mut self, _stream: StreamId, _kind: Kind) {}

    /// A datagram came in on a media socket.
    pub fn receive(&mut self, _now: Time, _from: Flow, _bytes: &[u8], _out: &mut Outbox) -> Fate {
        self.counters.received += 1;
        self.counters.dropped_idle += 1;
        Fate::Dropped(Drop::Idle)
    }

    /// When to call [`Media::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Sends the reports that are due and looks for silent streams.
    pub fn handle_timeout(&mut self, _now: Time, _out: &mut Outbox) {}

    /// The next thing its user must know.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
