//! Sends every stream's packets at their times, evenly spread over the packet interval, and takes in what the relay sends on.
//! One thread and a few sockets; what is measured is the relay between the kernel's two loopback ends.

use std::io;
use std::net::UdpSocket;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;

use crate::io::{Address, BATCH, Receiver, Run, Sender, interrupted};
use crate::latency::{Intervals, Percentiles, histogram};
use crate::media::ends::Ends;
use crate::media::packet::{Shape, report_stream, stamp};
use crate::media::reception::{Direction, Received, Receptions};
use crate::media::session::{Routes, Session};
use crate::probe::{Probe, Snapshot};
use crate::schedule::Schedule;

/// Packets printed before they are stamped and sent; few, so that the last of them is not long under way to the kernel.
const BURST: usize = 32;
/// Bursts in one turn at most, so that a late generator still reads its sockets.
const BURSTS_PER_TURN: usize = 16;
/// Receive batches of one socket in one turn at most.
const BATCHES_PER_TURN: usize = 8;
/// Seconds between two sender reports of a stream.
const REPORT_INTERVAL_S: f64 = 5.0;
/// How often signalling and RTCP are looked at.
const SERVE_NS: u64 = 5_000_000;
/// After the last packet was sent, packets under way are awaited until none came for so long, and in all no longer than the
/// second number: a relay that is starved of its core still has them.
const LAST_NS: (u64, u64) = (300_000_000, 5_000_000_000);
/// Names in the interval log.
pub(crate) const LOGGED: [&str; 2] = ["media-to-callee", "media-to-caller"];

/// What is sent, how often and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) packets_per_second: f64,
    pub(crate) bytes: usize,
    /// Seconds at the beginning that do not count.
    pub(crate) warmup_s: f64,
    /// Seconds with them.
    pub(crate) duration_s: f64,
    /// Length of a turn; zero polls without pause.
    pub(crate) tick: Duration,
}

impl Rhythm {
    /// Packets of a stream.
    fn packets(&self) -> u32 {
        (self.duration_s * self.packets_per_second) as u32
    }

    /// Those of them that count.
    fn measured(&self) -> Range<u32> {
        let first = (self.warmup_s * self.packets_per_second).ceil() as u32;
        first.min(self.packets())..self.packets()
    }
}

/// A party's stream to the relay.
#[derive(Clone, Copy, Debug)]
struct Stream {
    rtp: Address,
    rtcp: Address,
    /// Number of the pair of sockets it leaves from.
    pair: usize,
}

/// What one socket sends next.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

impl Queue {
    fn push(&mut self, to: Address, print: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len() as u32;
        print(&mut self.bytes);
        let end = self.bytes.len() as u32;
        self.runs.push(Run {
            to,
            start,
            end,
            segment: (end - start) as u16,
        });
    }

    /// Stamps the packets when `sent_ns` is given and sends them: sends the kernel refused.
    fn flush(&mut self, socket: &UdpSocket, sender: &mut Sender, sent_ns: Option<u64>) -> u64 {
        if let Some(sent_ns) = sent_ns {
            for run in &self.runs {
                stamp(
                    &mut self.bytes[run.start as usize..run.end as usize],
                    sent_ns,
                );
            }
        }
        let refused = sender.send(socket, &self.bytes, &self.runs);
        self.bytes.clear();
        self.runs.clear();
        refused
    }
}

/// RTCP, both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Reports {
    pub(crate) sent: u64,
    /// Of ours, arrived at the other party.
    pub(crate) received: u64,
    /// Of anybody else, such as the relay's own.
    pub(crate) others: u64,
}

/// Server and generator at one moment.
struct Mark {
    at_ns: u64,
    busy_ns: u64,
    relayed: u64,
    server: Snapshot,
}

/// What a run of packets gave.
pub(crate) struct Outcome {
    pub(crate) rhythm: Rhythm,
    pub(crate) measured_s: f64,
    /// RTP and RTCP packets that came through in the measured time, both directions.
    pub(crate) relayed: u64,
    pub(crate) to_callee: Direction,
    pub(crate) to_caller: Direction,
    pub(crate) reports: Reports,
    /// Datagrams on our RTP sockets that belong to no stream of the direction.
    pub(crate) foreign: u64,
    /// How long after its time a packet was sent.
    pub(crate) lateness: Percentiles,
    pub(crate) busy_share: f64,
    pub(crate) sends_refused: u64,
    pub(crate) server: [Snapshot; 2],
    pub(crate) intervals: Intervals,
}

/// The streams under way.
pub(crate) struct Generator<'a> {
    ends: &'a Ends,
    streams: Vec<Stream>,
    shape: Shape,
    rhythm: Rhythm,
    packets: Schedule,
    packets_sent: u64,
    measured_sent: [u64; 2],
    reports_due: Schedule,
    reports: Reports,
    receptions: [Receptions; 2],
    intervals: Intervals,
    foreign: u64,
    received: u64,
    lateness: Histogram<u64>,
    queues: Vec<Queue>,
    sender: Sender,
    receiver: Receiver,
    refused: u64,
    busy_ns: u64,
    next_serve_ns: u64,
    origin: Instant,
}

impl<'a> Generator<'a> {
    /// Streams along these routes; the even ones are the callers'.
    pub(crate) fn new(ends: &'a Ends, routes: &Routes, rhythm: Rhythm) -> Generator<'a> {
        let [callers, callees] = routes;
        let stream = |party: usize, route: &crate::media::session::Route| Stream {
            rtp: route.remote.rtp.into(),
            rtcp: route.remote.rtcp.into(),
            pair: ends.pair(party, route.lane),
        };
        let both = callers.iter().zip(callees);
        let streams: Vec<Stream> = both
            .flat_map(|(caller, callee)| [stream(0, caller), stream(1, callee)])
            .collect();
        let count = streams.len() as f64;
        let total = streams.len() as u64 * u64::from(rhythm.packets());
        let reports_rate = (count / REPORT_INTERVAL_S).max(f64::MIN_POSITIVE);
        let reports = (rhythm.duration_s * reports_rate) as u64;
        Generator {
            ends,
            shape: Shape {
                run: std::process::id().rotate_left(16) ^ since_1970_ns() as u32,
                bytes: rhythm.bytes,
                packets_per_second: rhythm.packets_per_second,
            },
            rhythm,
            packets: Schedule::new(0, rhythm.packets_per_second * count, total),
            packets_sent: 0,
            measured_sent: [0; 2],
            reports_due: Schedule::new(0, reports_rate, reports),
            reports: Reports::default(),
            receptions: [0, 1].map(|p| Receptions::new(p, streams.len(), rhythm.measured())),
            intervals: Intervals::new(&LOGGED, SystemTime::now(), 0),
            foreign: 0,
            received: 0,
            lateness: histogram(),
            queues: ends.rtp.iter().map(|_| Queue::default()).collect(),
            sender: Sender::new(),
            receiver: Receiver::new(false),
            refused: 0,
            busy_ns: 0,
            next_serve_ns: 0,
            origin: Instant::now(),
            streams,
        }
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Sends and receives for the whole time (or until interrupted), and measures the server meanwhile.
    pub(crate) fn run(mut self, probe: &Probe, session: &mut Session) -> io::Result<Outcome> {
        let warmup = u64::from(self.rhythm.measured().start) * self.streams.len() as u64;
        let mut begin = None;
        self.origin = Instant::now();
        self.intervals = Intervals::new(&LOGGED, SystemTime::now(), 0);
        while !self.packets.is_over() && !interrupted() {
            let now_ns = self.turn(session)?;
            if begin.is_none() && self.packets_sent >= warmup {
                begin = Some(self.mark(probe));
            }
            self.wait(now_ns);
        }
        let end = self.mark(probe);
        self.await_last(session)?;
        let begin = begin.unwrap_or_else(|| self.mark(probe));
        Ok(self.outcome(begin, end))
    }

    fn turn(&mut self, session: &mut Session) -> io::Result<u64> {
        let now_ns = self.now_ns();
        let mut worked = self.send_due(now_ns);
        worked |= self.receive_media(now_ns)?;
        if now_ns >= self.next_serve_ns {
            self.next_serve_ns = now_ns + SERVE_NS;
            self.send_reports(now_ns);
            self.receive_reports()?;
            session.serve()?;
        }
        if worked {
            self.busy_ns += self.now_ns() - now_ns;
        }
        Ok(now_ns)
    }

    fn wait(&self, begun_ns: u64) {
        let tick_ns = self.rhythm.tick.as_nanos() as u64;
        if tick_ns == 0 {
            return std::hint::spin_loop();
        }
        let next_ns = (begun_ns / tick_ns + 1) * tick_ns;
        let now_ns = self.now_ns();
        if next_ns > now_ns {
            std::thread::sleep(Duration::from_nanos(next_ns - now_ns));
        }
    }

    // --- out

    fn send_due(&mut self, now_ns: u64) -> bool {
        for burst in 0..BURSTS_PER_TURN {
            let mut printed = 0;
            while printed < BURST
                && let Some(due_ns) = self.packets.due(now_ns)
            {
                self.print_next(now_ns - due_ns);
                printed += 1;
            }
            if printed == 0 {
                return burst > 0;
            }
            for (queue, socket) in self.queues.iter_mut().zip(&self.ends.rtp) {
                if !queue.runs.is_empty() {
                    let sent_ns = Some(since_1970_ns());
                    self.refused += queue.flush(socket, &mut self.sender, sent_ns);
                }
            }
        }
        true
    }

    /// Prints the next packet: streams in turn, so that they are evenly spread and every stream has the same rhythm.
    fn print_next(&mut self, late_ns: u64) {
        let streams = self.streams.len() as u64;
        let (number, index) = (
            self.packets_sent % streams,
            (self.packets_sent / streams) as u32,
        );
        self.packets_sent += 1;
        if self.rhythm.measured().contains(&index) {
            self.measured_sent[number as usize % 2] += 1;
            self.lateness.saturating_record(late_ns);
        }
        let (stream, shape) = (self.streams[number as usize], &self.shape);
        self.queues[stream.pair].push(stream.rtp, |out| shape.print(number as u32, index, out));
    }

    fn send_reports(&mut self, now_ns: u64) {
        let streams = self.streams.len() as u64;
        while self.reports_due.due(now_ns).is_some() {
            let number = self.reports.sent % streams;
            let packets = (self.packets_sent / streams) as u32;
            self.reports.sent += 1;
            let (stream, shape) = (self.streams[number as usize], &self.shape);
            self.queues[stream.pair].push(stream.rtcp, |out| {
                shape.print_report(number as u32, packets, since_1970_ns(), out);
            });
        }
        for (queue, socket) in self.queues.iter_mut().zip(&self.ends.rtcp) {
            self.refused += queue.flush(socket, &mut self.sender, None);
        }
    }

    // --- in

    fn receive_media(&mut self, now_ns: u64) -> io::Result<bool> {
        let mut worked = false;
        for (pair, socket) in self.ends.rtp.iter().enumerate() {
            // What a caller sent is received by callees.
            let direction = 1 - self.ends.party(pair);
            for _ in 0..BATCHES_PER_TURN {
                let count = self.receiver.receive(socket)?;
                for (bytes, arrived_ns) in self.receiver.arrivals() {
                    let receptions = &mut self.receptions[direction];
                    let arrived_ns = arrived_ns.unwrap_or_else(since_1970_ns);
                    let stamp = self.shape.read(bytes);
                    match stamp.map(|stamp| receptions.receive(&stamp, arrived_ns)) {
                        None | Some(Received::Foreign) => self.foreign += 1,
                        Some(Received::Uncounted) => self.received += 1,
                        Some(Received::Counted(delay_ns)) => {
                            self.received += 1;
                            self.intervals.record(direction, delay_ns, now_ns);
                        }
                    }
                }
                worked |= count > 0;
                if count < BATCH {
                    break;
                }
            }
        }
        Ok(worked)
    }

    fn receive_reports(&mut self) -> io::Result<()> {
        let streams = self.streams.len() as u32;
        for (pair, socket) in self.ends.rtcp.iter().enumerate() {
            let sender = 1 - self.ends.party(pair) as u32;
            while self.receiver.receive(socket)? > 0 {
                for (bytes, _) in self.receiver.arrivals() {
                    let is_ours = |&stream: &u32| stream < streams && stream % 2 == sender;
                    match report_stream(bytes).filter(is_ours) {
                        Some(_) => self.reports.received += 1,
                        None => self.reports.others += 1,
                    }
                }
            }
        }
        Ok(())
    }

    fn await_last(&mut self, session: &mut Session) -> io::Result<()> {
        self.packets.stop();
        self.reports_due.stop();
        let begun_ns = self.now_ns();
        let (mut came, mut silent_since_ns) = (self.received, begun_ns);
        while !interrupted() {
            let now_ns = self.turn(session)?;
            if self.received > came {
                (came, silent_since_ns) = (self.received, now_ns);
            }
            if now_ns >= silent_since_ns + LAST_NS.0 || now_ns >= begun_ns + LAST_NS.1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    // --- figures

    fn mark(&self, probe: &Probe) -> Mark {
        Mark {
            at_ns: self.now_ns(),
            busy_ns: self.busy_ns,
            relayed: self.received + self.reports.received,
            server: probe.snapshot(),
        }
    }

    fn outcome(mut self, begin: Mark, end: Mark) -> Outcome {
        self.intervals.close(self.now_ns());
        let measured_s = end.at_ns.saturating_sub(begin.at_ns) as f64 / 1e9;
        let busy_s = end.busy_ns.saturating_sub(begin.busy_ns) as f64 / 1e9;
        let [to_callee, to_caller] = &self.receptions;
        Outcome {
            rhythm: self.rhythm,
            measured_s,
            relayed: end.relayed.saturating_sub(begin.relayed),
            to_callee: to_callee.direction(self.measured_sent[0]),
            to_caller: to_caller.direction(self.measured_sent[1]),
            reports: self.reports,
            foreign: self.foreign,
            lateness: Percentiles::of(&self.lateness),
            busy_share: busy_s / measured_s.max(1e-9),
            sends_refused: self.refused,
            server: [begin.server, end.server],
            intervals: self.intervals,
        }
    }
}

fn since_1970_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sdp::Remote;
    use crate::media::session::Route;

    fn rhythm(duration_s: f64, warmup_s: f64) -> Rhythm {
        Rhythm {
            packets_per_second: 50.0,
            bytes: 172,
            warmup_s,
            duration_s,
            tick: Duration::from_micros(500),
        }
    }

    #[test]
    fn the_measured_part_is_what_follows_the_warm_up() {
        assert_eq!(rhythm(10.0, 2.0).measured(), 100..500);
        assert_eq!(rhythm(1.0, 0.01).measured(), 1..50);
        assert_eq!(rhythm(1.0, 5.0).measured(), 50..50);
    }

    /// Each party sends straight to the other: no relay, so nothing may be lost, late or foreign.
    #[test]
    fn parties_without_a_relay_hear_each_other() {
        let ends = Ends::open([127, 0, 0, 1].into(), 2).unwrap();
        let [callers, callees] = ends.addresses().unwrap();
        let routes_to = |addresses: &[std::net::SocketAddr]| {
            let route = |call: usize| {
                let rtp = addresses[call % 2];
                let mut rtcp = rtp;
                rtcp.set_port(rtp.port() + 1);
                Route {
                    remote: Remote { rtp, rtcp },
                    lane: call,
                }
            };
            (0..5).map(route).collect::<Vec<_>>()
        };
        let routes = [routes_to(&callees), routes_to(&callers)];
        let generator = Generator::new(&ends, &routes, rhythm(0.6, 0.2));
        let nobody = Probe::of_process(None);
        let outcome = generator.run(&nobody, &mut Session::Floor).unwrap();
        for direction in [outcome.to_callee, outcome.to_caller] {
            assert_eq!((direction.sent, direction.received), (100, 100));
            assert_eq!((direction.lost, direction.silent_streams), (0, 0));
            assert_eq!((direction.duplicated, direction.reordered), (0, 0));
            assert_eq!((direction.delay.count, direction.jitter.count), (100, 0));
        }
        assert_eq!((outcome.foreign, outcome.sends_refused), (0, 0));
        assert_eq!(
            outcome.reports,
            Reports {
                sent: 1,
                received: 1,
                others: 0
            }
        );
        assert_eq!(outcome.lateness.count, 200);
    }
}
