//! Copies of SIP messages for a collector (HEP3 over UDP): which are copied, in whose name, and the thread
//! that sends them. A shard hands them over and never waits; what finds no room is dropped and counted.

mod packet;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use foldhash::fast::FixedState;
use shard::Shard;
use stack::{Flow, Token};

use crate::config::Hep;
use packet::Captured;

/// Copies that wait to be sent, all shards together.
const QUEUE: usize = 16_384;
/// How long the thread sleeps when there is nothing to send. It is not woken: that would cost the shard more
/// than the copy.
const PAUSE: Duration = Duration::from_millis(5);

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// What every shard's tap needs.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    settings: Arc<Hep>,
    queue: SyncSender<Vec<u8>>,
}

impl Collector {
    /// Starts the thread that sends to the configured collector, if there is one.
    ///
    /// # Errors
    /// No socket or no thread could be made.
    pub(crate) fn start(settings: &Hep) -> std::io::Result<Option<(Collector, JoinHandle<()>)>> {
        let Some(address) = settings.address else {
            return Ok(None);
        };
        let any = if address.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any)?;
        let (queue, copies) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("tipring-hep".into())
            .spawn(move || send(&socket, address, &copies))?;
        let settings = Arc::new(settings.clone());
        Ok(Some((Collector { settings, queue }, thread)))
    }
}

/// Sends what comes, until no shard is left. A collector that cannot be reached is said once.
fn send(socket: &UdpSocket, address: SocketAddr, copies: &Receiver<Vec<u8>>) {
    let mut failing = false;
    loop {
        match copies.try_recv() {
            Ok(copy) => {
                let failed = socket.send_to(&copy, address).err();
                if let Some(error) = failed.as_ref().filter(|_| !failing) {
                    tracing::warn!(%error, %address, "copies of SIP messages cannot be sent");
                }
                failing = failed.is_some();
            }
            Err(TryRecvError::Empty) => std::thread::sleep(PAUSE),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// One shard's messages on their way to the collector.
#[derive(Debug)]
pub(crate) struct Tap {
    collector: Collector,
    listeners: Vec<SocketAddr>,
    /// The caller's Call-ID of each call whose other leg was seen, by slot and generation: the last message of a
    /// call comes when the call is gone.
    calls: HashMap<u32, (u32, Box<[u8]>), foldhash::fast::RandomState>,
    index: wire::Index,
    limits: wire::Limits,
    sent: u64,
    dropped: u64,
}

impl Tap {
    pub(crate) fn new(
        collector: Collector,
        listeners: Vec<SocketAddr>,
        limits: wire::Limits,
    ) -> Tap {
        Tap {
            collector,
            listeners,
            calls: HashMap::default(),
            index: wire::Index::new(),
            limits,
            sent: 0,
            dropped: 0,
        }
    }

    /// A message has come in, or is about to leave.
    pub(crate) fn note(
        &mut self,
        shard: &mut Shard,
        direction: Direction,
        flow: Flow,
        bytes: &[u8],
    ) {
        let Some(local) = self.listeners.get(usize::from(flow.listener)).copied() else {
            return;
        };
        let message = wire::Message::parse(bytes, &mut self.index, &self.limits);
        let call_id = message.map_or(b"".as_slice(), |message| message.call_id());
        if direction == Direction::In && call_id.is_empty() && bytes.len() < MESSAGE_MIN {
            // A keep-alive.
            return;
        }
        let correlation = correlation(&mut self.calls, shard, call_id);
        let settings = &self.collector.settings;
        if !is_sampled(correlation, settings.sample) {
            return;
        }
        let (from, to) = match direction {
            Direction::In => (flow.remote, local),
            Direction::Out => (local, flow.remote),
        };
        let password = settings.password.as_ref();
        let captured = Captured {
            from,
            to,
            at: SystemTime::now(),
            capture_id: settings.capture_id,
            password: password.map_or(b"", |password| password.0.as_bytes()),
            correlation,
            payload: bytes,
        };
        let copy = captured.print();
        let sent = copy.is_some_and(|copy| self.collector.queue.try_send(copy).is_ok());
        self.sent += u64::from(sent);
        self.dropped += u64::from(!sent);
    }

    /// Copies handed over, and copies dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent, self.dropped)
    }
}

/// `SIP/2.0 100 T` and a line end: nothing shorter is a message, broken or not.
const MESSAGE_MIN: usize = 15;

/// The Call-ID that names the whole call: of the caller's leg, as far as it is known.
fn correlation<'a>(
    calls: &'a mut HashMap<u32, (u32, Box<[u8]>), foldhash::fast::RandomState>,
    shard: &mut Shard,
    call_id: &'a [u8],
) -> &'a [u8] {
    let Some(token) = Token::parse_call_id(call_id) else {
        return call_id;
    };
    let known = calls.get(&token.slot);
    if known.is_none_or(|(generation, _)| *generation != token.generation) {
        let Some(caller) = shard.caller_call_id(&token) else {
            return call_id;
        };
        calls.insert(token.slot, (token.generation, caller.into()));
    }
    calls.get(&token.slot).map_or(call_id, |(_, caller)| caller)
}

/// Whether this call is among the copied ones: the same for all of its messages, on every shard.
fn is_sampled(correlation: &[u8], one_of: u32) -> bool {
    let hash = FixedState::with_seed(0x6865_7033).hash_one(correlation);
    one_of <= 1 || hash.is_multiple_of(u64::from(one_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_call_of_so_many_is_copied_and_always_the_same() {
        let calls: Vec<String> = (0..10_000)
            .map(|call| format!("call-{call}@host"))
            .collect();
        let sampled = |one_of| {
            let is = |call: &&String| is_sampled(call.as_bytes(), one_of);
            calls.iter().filter(is).collect::<Vec<_>>()
        };
        assert_eq!(sampled(1).len(), 10_000);
        let tenth = sampled(10);
        assert!((800..1_200).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(sampled(10), tenth);
    }
}
