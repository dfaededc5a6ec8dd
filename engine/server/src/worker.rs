//! The loop of one shard's thread: completions in, one input after another applied, sends out. It
//! chooses what the shard sees next and knows nothing of what a message means.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use control::{News, Teller};
use latency::Metric;
use reactor::clock::Clock;
use reactor::mailbox::{Receiver, Sender};
use reactor::{Completion, Reactor, Send, SendBatch, Sieve, SocketId, TurnError};
use shard::{Applied, Command, Event, Input, Shard};
use stack::{Flow, Outbox, Time};

use crate::abuse::BanLog;
use crate::board::{Board, Snapshot};
use crate::call_records::RecordSender;
use crate::drops::Drops;
use crate::hep::{self, Tap};
use crate::housekeeping::journal::Outgoing;
use crate::letter::{Letter, Notice, Question};
use crate::peers::Coalescing;
use crate::sip_trace::{self, Direction};
use crate::stopwatch::Stopwatch;

/// One shard with everything around it. Lives and dies on its own thread.
pub(crate) struct Worker {
    /// Its ring and sockets; socket n is listener n.
    pub(crate) reactor: Reactor,
    /// Everything else, which completions are delivered to.
    pub(crate) station: Station,
}

/// A shard and its ways to the other threads.
pub(crate) struct Station {
    /// Its number.
    pub(crate) id: u8,
    /// The world of this core.
    pub(crate) shard: Shard,
    /// How many sockets it listens on. Those with higher numbers are media ports.
    pub(crate) listeners: u16,
    /// What the kernel dropped on the listeners.
    pub(crate) drops: Drops,
    /// What it dropped on the media ports.
    pub(crate) media_drops: Drops,
    /// The engine's clock.
    pub(crate) clock: Clock,
    /// Letters from each other thread.
    pub(crate) inboxes: Vec<Receiver<Letter>>,
    /// Ways to the other shards, by number; none to itself.
    pub(crate) neighbours: Vec<Option<Sender<Letter>>>,
    /// Questions to the resolver.
    pub(crate) resolver: tokio::sync::mpsc::Sender<Question>,
    /// News for the supervisor.
    pub(crate) notices: mpsc::Sender<Notice>,
    /// Where its numbers are read.
    pub(crate) board: Board,
    /// Who may be sent coalesced datagrams.
    pub(crate) coalescing: Coalescing,
    /// Print every message.
    pub(crate) sip_trace: bool,
    /// What the loop itself keeps.
    pub(crate) turn: Turn,
    /// Where its latencies are recorded.
    pub(crate) stopwatch: Stopwatch,
    /// News for the control thread, when it serves somebody.
    pub(crate) news: Option<Teller>,
    /// Where records of calls go; `None` when none are written.
    pub(crate) records: Option<RecordSender>,
    /// Copies of its messages for a collector; `None` without one.
    pub(crate) tap: Option<Tap>,
    /// Changes of bindings on their way to the journal.
    pub(crate) bindings: Outgoing,
}

/// What the loop carries from turn to turn.
#[derive(Default)]
pub(crate) struct Turn {
    outbox: Outbox,
    batch: SendBatch,
    snapshot: Snapshot,
    publish_at: Time,
    /// When the board was renewed.
    published: Time,
    turns: u32,
    stopped: bool,
    /// How long the reactor had waited before this turn, in all.
    idle: Duration,
    /// The sieve the shard has asked for and that is not set yet.
    sieve: Option<Option<shard::Sieve>>,
    /// A sieve is set, or was since the last look for drops: those it makes are no cause for a warning.
    sieving: (bool, bool),
    bans: BanLog,
    /// The control thread listens to how calls go.
    watched: bool,
}

/// How often the numbers on the board are renewed.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How many turns there are to one look at media sockets.
const TURNS_A_LOOK: u32 = 64;

impl Worker {
    /// Carries calls until told to stop.
    ///
    /// The rules of the loop:
    /// 1. Time is read once a batch; everything applied in a turn happens at that time.
    /// 2. Wait only in `receive`, no longer than the earliest timer allows. All else runs through.
    /// 3. Order: letters, datagrams, timers, events, sends. What a turn causes leaves in that turn,
    ///    and an order the supervisor gave before a datagram came is obeyed before it is read.
    /// 4. Nothing is sent but by `send`, once a turn, so that datagrams to one peer can go together.
    /// 5. What the turn sends leaves before its latencies are taken, and these come last.
    /// 6. A datagram of another shard is copied to its mailbox and changes nothing here.
    pub(crate) fn run(mut self) -> Result<(), TurnError> {
        while !self.station.turn.stopped {
            let now = self.receive()?;
            self.note_load(now);
            self.station.fire_timers(now);
            self.station.answer_events(now);
            self.station.bindings.hand_over();
            self.sieve();
            self.send();
            let sent = self.sent()?;
            self.look_for_drops();
            self.publish(now);
            self.station.measure(now, sent);
        }
        if let Some(records) = &mut self.station.records {
            records.finish();
        }
        self.station.bindings.finish();
        // What the last turn flushed leaves with one more.
        self.reactor
            .turn(Some(self.station.clock.instant(0)), |_| {})
    }

    /// Waits for datagrams, a wake or the next deadline, and applies what came.
    fn receive(&mut self) -> Result<Time, TurnError> {
        let deadline = self.station.deadline();
        let station = &mut self.station;
        let mut begun = None;
        self.reactor.turn(Some(deadline), |completion| {
            let now = *begun.get_or_insert_with(|| station.begin());
            station.deliver(now, completion);
        })?;
        Ok(begun.unwrap_or_else(|| station.begin()))
    }

    /// Tells the shard how long there was nothing to do before this turn.
    fn note_load(&mut self, now: Time) {
        let idle = self.reactor.idle();
        let station = &mut self.station;
        let before = std::mem::replace(&mut station.turn.idle, idle);
        let input = Input::Load {
            idle: idle.saturating_sub(before),
        };
        station.shard.apply(now, input, &mut station.turn.outbox);
    }

    /// Sets the sieve the shard has asked for.
    fn sieve(&mut self) {
        let Some(sieve) = self.station.turn.sieve.take() else {
            return;
        };
        let sieve = sieve.map(|sieve| Sieve {
            sieved: sieve.sieved,
            spared: sieve.spared,
            passing: sieve.passing,
        });
        self.station.turn.sieving = (sieve.is_some(), true);
        if let Err(error) = self.reactor.set_sieve(sieve.as_ref()) {
            tracing::warn!(shard = self.station.id, %error, "no sieve in the kernel");
        }
    }

    /// Hands the outbox to the kernel, coalescing where the peer's class allows.
    fn send(&mut self) {
        let Station {
            id,
            turn,
            coalescing,
            sip_trace,
            listeners,
            tap,
            shard,
            ..
        } = &mut self.station;
        let Turn { outbox, batch, .. } = turn;
        if outbox.is_empty() {
            return;
        }
        if *sip_trace {
            let show = |(flow, bytes): (Flow, &[u8])| {
                sip_trace::write(*id, Direction::Out, flow.remote, bytes);
            };
            let is_sip = |(flow, _): &(Flow, &[u8])| flow.listener < *listeners;
            outbox.iter().filter(is_sip).for_each(show);
        }
        if let Some(tap) = tap {
            for (flow, bytes) in outbox.iter() {
                tap.note(shard, hep::Direction::Out, flow, bytes);
            }
        }
        let (bytes, datagrams) = outbox.parts_mut();
        std::mem::swap(bytes, &mut batch.bytes);
        let bytes = &batch.bytes;
        // STUN on a SIP port (RFC 5626 8) has no body behind which anything is discarded.
        let is_stun = |start: u32| bytes.get(start as usize).is_some_and(|&first| first < 2);
        batch.sends.extend(datagrams.drain(..).map(|datagram| Send {
            socket: SocketId(datagram.flow.listener),
            to: datagram.flow.remote,
            start: datagram.start,
            end: datagram.end,
            coalesce: match datagram.flow.listener < *listeners && !is_stun(datagram.start) {
                true => coalescing.of_sip(datagram.flow.remote),
                false => coalescing.of_media(),
            },
        }));
        self.reactor.flush(batch);
    }

    /// The time at which the turn's datagrams had left; `None` when nobody wants to know.
    fn sent(&mut self) -> Result<Option<Time>, TurnError> {
        if !self.station.stopwatch.is_running() {
            return Ok(None);
        }
        self.reactor.submit()?;
        Ok(Some(self.station.time()))
    }

    /// In one turn of so many: asks some media sockets what the kernel dropped. A busy shard comes
    /// round all of them in seconds; in one that hardly turns nothing is dropped.
    fn look_for_drops(&mut self) {
        let turns = &mut self.station.turn.turns;
        *turns = turns.wrapping_add(1);
        if turns.is_multiple_of(TURNS_A_LOOK) {
            let ask = |id| self.reactor.kernel_drops(id);
            self.station.media_drops.look(ask);
        }
    }

    /// Once a second: looks for datagrams the kernel dropped, and renews the board.
    fn publish(&mut self, now: Time) {
        if now < self.station.turn.publish_at {
            return;
        }
        let since = now.duration_since(self.station.turn.published);
        self.station.turn.published = now;
        self.station.turn.publish_at = now + PUBLISH_EVERY;
        let refused = self
            .station
            .neighbours
            .iter()
            .flatten()
            .map(Sender::refused)
            .sum();
        let ask = |id| self.reactor.kernel_drops(id);
        let drops = self.station.drops.look(ask);
        let media_drops = self.station.media_drops.total();
        self.station.warn_of_drops(now);
        let snapshot = &mut self.station.turn.snapshot;
        let before = *snapshot;
        snapshot.beat += 1;
        snapshot.shard = self.station.shard.counters();
        snapshot.reactor = self.reactor.counters();
        snapshot.pace = snapshot.pace_since(&before, since);
        snapshot.kernel_drops = drops;
        snapshot.media_kernel_drops = media_drops;
        snapshot.hand_over_refused = refused;
        if let Some(records) = &mut self.station.records {
            records.catch_up();
            (snapshot.records, snapshot.records_lost) = (records.sent(), records.lost());
        }
        if let Some(tap) = &self.station.tap {
            (snapshot.hep_sent, snapshot.hep_dropped) = tap.counts();
        }
        snapshot.latency_delayed = self.station.stopwatch.delayed();
        self.station.board.publish(snapshot);
    }
}

impl Station {
    fn deadline(&self) -> Instant {
        let publish = self.turn.publish_at;
        let earliest = self
            .shard
            .poll_timeout()
            .map_or(publish, |(at, _)| at.min(publish));
        self.clock.instant(earliest.as_nanos())
    }

    /// The begin of a batch: its time, and the letters that were there before its datagrams are read.
    fn begin(&mut self) -> Time {
        let now = self.time();
        self.read_letters(now);
        now
    }

    fn time(&self) -> Time {
        Time::from_nanos(self.clock.now_ns())
    }

    /// The end of a turn that began at `begun` and whose datagrams left at `sent`.
    fn measure(&mut self, begun: Time, sent: Option<Time>) {
        if let Some(sent) = sent {
            // Later than `sent` when the board was renewed.
            let end = self.time();
            self.stopwatch
                .end_turn(begun, sent, end, self.shard.progress());
        }
    }

    fn deliver(&mut self, now: Time, completion: Completion<'_>) {
        match completion {
            // Media that was cut is of no use to anybody; the reactor has counted it.
            Completion::Datagram {
                socket,
                truncated: true,
                ..
            } if socket.0 >= self.listeners => {}
            // A message that was cut is shorter than its Content-Length: the shard answers 400.
            Completion::Datagram {
                socket,
                from,
                bytes,
                waited,
                ..
            } => {
                self.stopwatch.note_wait(Metric::KernelQueueWait, waited);
                self.datagram(
                    now,
                    Flow {
                        listener: socket.0,
                        remote: from,
                    },
                    bytes,
                );
            }
            Completion::Unreachable { to, .. } => self.unreachable(now, to),
            // Letters that came after `begin` would wait for the next wake.
            Completion::Woken => self.read_letters(now),
        }
    }

    fn datagram(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        if self.sip_trace && flow.listener < self.listeners {
            sip_trace::write(self.id, Direction::In, flow.remote, bytes);
        }
        let Applied::Foreign(owner) = self.apply_datagram(now, flow, bytes) else {
            return;
        };
        if let Some(Some(neighbour)) = self.neighbours.get_mut(usize::from(owner)) {
            // A full mailbox is overload of that shard: the datagram is lost as on a full socket,
            // and the sender counts it.
            let letter = Letter::Datagram {
                flow,
                bytes: bytes.into(),
                read: now,
            };
            self.turn.snapshot.handed_over += u64::from(neighbour.send(letter).is_ok());
        }
    }

    /// Applies a datagram. Its copy for the collector is made by the shard it belongs to, which knows its call.
    fn apply_datagram(&mut self, now: Time, flow: Flow, bytes: &[u8]) -> Applied {
        let input = Input::Datagram { flow, bytes };
        let is_sip = flow.listener < self.listeners;
        let Some(tap) = self.tap.as_mut().filter(|_| is_sip) else {
            return self.shard.apply(now, input, &mut self.turn.outbox);
        };
        // Before it is applied: what ends a call is of that call.
        if self.shard.owns(bytes) {
            tap.note(&mut self.shard, hep::Direction::In, flow, bytes);
        }
        self.shard.apply(now, input, &mut self.turn.outbox)
    }

    fn unreachable(&mut self, now: Time, remote: SocketAddr) {
        let input = Input::Unreachable { remote };
        self.shard.apply(now, input, &mut self.turn.outbox);
        for neighbour in self.neighbours.iter_mut().flatten() {
            // Lost when the mailbox is full; then that shard's transactions time out instead.
            let _ = neighbour.send(Letter::Unreachable { remote });
        }
    }

    /// Takes what is in the mailboxes now; what comes later wakes again.
    fn read_letters(&mut self, now: Time) {
        for inbox in 0..self.inboxes.len() {
            for _ in 0..self.inboxes[inbox].waiting() {
                let Some(letter) = self.inboxes[inbox].receive() else {
                    break;
                };
                self.read_letter(now, letter);
            }
        }
    }

    fn read_letter(&mut self, now: Time, letter: Letter) {
        if let Letter::Datagram { read, .. } = &letter {
            self.stopwatch.note(Metric::HandOverWait, *read, now);
        }
        let applied = match &letter {
            Letter::Datagram { flow, bytes, .. } => self.apply_datagram(now, *flow, bytes),
            Letter::Unreachable { remote } => self.shard.apply(
                now,
                Input::Unreachable { remote: *remote },
                &mut self.turn.outbox,
            ),
            Letter::Resolved {
                host,
                addresses,
                ttl,
            } => {
                let answer = shard::Resolved {
                    host,
                    addresses,
                    ttl: *ttl,
                };
                self.shard
                    .apply(now, Input::Resolved(answer), &mut self.turn.outbox)
            }
            Letter::Command(command) => {
                if let Command::Watch(watched) = command {
                    self.turn.watched = *watched;
                }
                self.shard
                    .apply(now, Input::Command(command), &mut self.turn.outbox)
            }
            Letter::Peers(peers) => {
                self.coalescing.replace(Arc::clone(peers));
                Applied::Done
            }
            Letter::Stop => {
                self.turn.stopped = true;
                Applied::Done
            }
        };
        debug_assert_eq!(
            applied,
            Applied::Done,
            "all shards agree on who owns a Call-ID"
        );
    }

    fn fire_timers(&mut self, now: Time) {
        let due = self.shard.poll_timeout().filter(|(at, _)| *at <= now);
        if let Some((at, _)) = due {
            self.stopwatch.note(Metric::TimerLateness, at, now);
            self.shard.apply(now, Input::Timeout, &mut self.turn.outbox);
        }
    }

    fn answer_events(&mut self, now: Time) {
        while let Some(event) = self.shard.poll_event() {
            match event {
                Event::Resolve { host } => self.ask(now, host),
                // The supervisor outlives its shards, unless the process is ending anyway.
                Event::Drained => drop(self.notices.send(Notice::Drained(self.id))),
                Event::ApplicationServer {
                    address,
                    up,
                    change,
                } => self.tell_of_application_server(address, up, change),
                // A letter lost to a full mailbox is made good by the wait for its answer.
                Event::ToShard { shard, word } => {
                    let neighbour = self.neighbours.get_mut(usize::from(shard));
                    if let Some(Some(neighbour)) = neighbour {
                        let _ = neighbour.send(Letter::Command(Command::FromShard(word)));
                    }
                }
                Event::LimitReached { limit, value } => tracing::warn!(
                    shard = self.id,
                    limit,
                    value,
                    "limit reached: refusing with 503 until there is room again"
                ),
                Event::Overload {
                    begins: true, rate, ..
                } => tracing::warn!(
                    shard = self.id,
                    rate,
                    "overload: more comes than can be done; new calls are limited and the rest get 503"
                ),
                Event::Overload { turned_away, .. } => tracing::info!(
                    shard = self.id,
                    turned_away,
                    "overload is over; turned away since the start"
                ),
                Event::Banned(ban) => {
                    self.turn.bans.tell(self.id, now, ban, &mut self.neighbours);
                }
                Event::Sieve(sieve) => self.turn.sieve = Some(sieve.map(|sieve| *sieve)),
                Event::Answer(answer) => self.tell_control(News::Answer(answer)),
                Event::CallProgress(view) => self.tell_control(News::Progress(view)),
                Event::CallEnded(record) => {
                    if self.turn.watched {
                        self.tell_control(News::Ended(Arc::clone(&record)));
                    }
                    if let Some(records) = &mut self.records {
                        records.send(record);
                    }
                }
                Event::MediaEnded(ended) => {
                    tracing::debug!(shard = self.id, ?ended, "stream ended")
                }
                Event::Location(change) => {
                    let (now, cause) = (&change.registration, change.cause);
                    self.bindings.put(now);
                    let (aor, bindings) = (&now.aor, now.bindings.len());
                    tracing::debug!(shard = self.id, %aor, bindings, ?cause, "bindings changed");
                    self.tell_control(News::Location(change));
                }
            }
        }
    }

    /// Tells the control thread. When it is behind, this is lost, and counted.
    fn tell_control(&mut self, news: News) {
        let lost = self.news.as_ref().is_some_and(|teller| !teller.tell(news));
        self.turn.snapshot.news_lost += u64::from(lost);
    }

    /// Another shard's word on the application server is as good as its own: only the first one asks. A
    /// letter lost to a full mailbox is made good by the next, which comes after every question.
    fn tell_of_application_server(
        &mut self,
        address: SocketAddr,
        up: bool,
        change: Option<shard::Probed>,
    ) {
        if change.is_some() {
            self.tell_control(News::Peer { address, up });
        }
        match change {
            Some(why) if up => tracing::info!(%address, %why, "application server is up"),
            Some(why) => tracing::error!(
                %address,
                %why,
                "application server is down: refusing calls to it with 503"
            ),
            None => {}
        }
        for neighbour in self.neighbours.iter_mut().flatten() {
            let _ = neighbour.send(Letter::Command(Command::ApplicationServer { up }));
        }
    }

    /// Asks the resolver. When it is too busy to be asked the answer is that there is none.
    fn ask(&mut self, now: Time, host: String) {
        let question = Question {
            shard: self.id,
            host,
        };
        if let Err(refused) = self.resolver.try_send(question) {
            let host = refused.into_inner().host;
            let none = shard::Resolved {
                host: &host,
                addresses: &[],
                ttl: Duration::ZERO,
            };
            self.shard
                .apply(now, Input::Resolved(none), &mut self.turn.outbox);
        }
    }

    fn warn_of_drops(&mut self, now: Time) {
        let (sieving, sieved) = self.turn.sieving;
        if sieving || sieved {
            self.drops.forgive();
        }
        self.turn.sieving = (sieving, sieving);
        let rows = [
            (&mut self.drops, "udp.receive_buffer_bytes"),
            (&mut self.media_drops, "media.socket_buffer_bytes"),
        ];
        for (drops, key) in rows {
            if let Some(dropped) = drops.unwarned(now) {
                tracing::warn!(
                    shard = self.id,
                    dropped,
                    key,
                    "the kernel dropped datagrams: a socket's receive buffer was full; raise the \
                     key's value, or use more shards or a less busy CPU"
                );
            }
        }
    }
}
