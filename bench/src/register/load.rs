//! The loop turn of phones and their sockets, and a stretch of it: so many registrations at a fixed rate, measured from outside.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::digest::Algorithm;
use super::phones::{Errand, Phones, Turn};
use super::tally::Tally;
use crate::drive::Progress;
use crate::io::{BATCH, Receiver, Sender, bind, drops, interrupted};
use crate::latency::Percentiles;
use crate::load::run_number;
use crate::message::Message;
use crate::outgoing::Outgoing;
use crate::probe::{Probe, Usage};
use crate::report::{mebibytes, print_percentiles};
use crate::schedule::Schedule;

/// Registrations begun in one turn at most, so that a late generator still reads its sockets.
const STARTS_PER_TURN: usize = 64;
/// Receive batches of one socket in one turn at most.
const BATCHES_PER_TURN: usize = 8;
/// The last answers of a stretch may take this long.
const DRAIN_NS: u64 = 10_000_000_000;

/// Who registers where.
#[derive(Clone, Debug)]
pub(crate) struct RegisterOptions {
    pub(crate) target: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Sockets of the phones.
    pub(crate) sockets: usize,
    /// Phones, and how many of them each user has.
    pub(crate) phones: (u32, u32),
    pub(crate) algorithm: Option<Algorithm>,
    /// Length of a turn; zero polls without pause.
    pub(crate) tick: Duration,
}

/// One stretch: what is done, how often, how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) name: &'static str,
    pub(crate) errand: Errand,
    pub(crate) count: u64,
    /// Per second.
    pub(crate) rate: f64,
    /// From one phone to the next: every `step`th takes part.
    pub(crate) step: u32,
}

/// What a stretch came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StretchReport {
    pub(crate) name: &'static str,
    pub(crate) rate: f64,
    /// Answered per second, to the last answer.
    pub(crate) rate_answered: f64,
    pub(crate) seconds: f64,
    pub(crate) attempts: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    /// Challenges answered with a proof: each costs the server another REGISTER.
    pub(crate) challenges: u64,
    pub(crate) retransmissions: u64,
    pub(crate) late: u64,
    pub(crate) unexpected: u64,
    /// From the scheduled REGISTER to the 200, challenges included.
    pub(crate) times: Percentiles,
    /// Per registration answered.
    pub(crate) server: Usage,
    pub(crate) server_drops: u64,
    pub(crate) own_drops: u64,
    pub(crate) sends_refused: u64,
    /// Share of the time the generator worked: near 1 it is the limit.
    pub(crate) generator_busy_share: f64,
    pub(crate) interrupted: bool,
}

/// Phones with their sockets.
pub(crate) struct RegisterLoad {
    phones: Phones,
    sockets: Vec<UdpSocket>,
    out: Vec<Outgoing>,
    receiver: Receiver,
    sender: Sender,
    origin: Instant,
    tick_ns: u64,
    next_tick_ns: u64,
    busy_ns: u64,
}

impl RegisterLoad {
    /// Opens the sockets; nothing is sent yet.
    pub(crate) fn open(options: &RegisterOptions) -> io::Result<RegisterLoad> {
        let sockets: Vec<_> = (0..options.sockets.max(1))
            .map(|_| bind(options.local, true))
            .collect::<io::Result<_>>()?;
        let locals = sockets.iter().map(UdpSocket::local_addr);
        let locals = locals.collect::<io::Result<Vec<_>>>()?;
        let run = format!("{:08x}", run_number());
        Ok(RegisterLoad {
            phones: Phones::new(
                run,
                options.target,
                locals,
                options.phones,
                options.algorithm,
            ),
            out: sockets.iter().map(|_| Outgoing::new(true)).collect(),
            sockets,
            receiver: Receiver::new(true),
            sender: Sender::new(),
            origin: Instant::now(),
            tick_ns: options.tick.as_nanos() as u64,
            next_tick_ns: 0,
            busy_ns: 0,
        })
    }

    /// Runs one stretch to its last answer.
    pub(crate) fn run(&mut self, stretch: &Stretch, probe: &Probe) -> io::Result<StretchReport> {
        let mut tally = Tally::new();
        let (before, own_drops, refused) = (probe.snapshot(), self.drops(), self.refused());
        let (begun_ns, busy_ns) = (self.now_ns(), self.busy_ns);
        self.phones.send_on(stretch.errand);
        let mut starts = Schedule::new(begun_ns, stretch.rate, stretch.count);
        let mut progress = Progress::new(stretch.name, stretch.count);
        while !starts.is_over() && !interrupted() {
            let now_ns = self.turn(&mut starts, stretch.step, &mut tally)?;
            progress.show(now_ns, tally.attempts);
        }
        self.drain(&mut tally)?;
        progress.finish();
        let (ended_ns, after) = (self.now_ns(), probe.snapshot());
        let seconds = (ended_ns - begun_ns) as f64 / 1e9;
        let answered = tally.answered();
        Ok(StretchReport {
            name: stretch.name,
            rate: stretch.rate,
            rate_answered: answered as f64 / seconds,
            seconds,
            attempts: tally.attempts,
            answered,
            failed: tally.failed,
            failures: causes(&tally),
            challenges: tally.challenges,
            retransmissions: tally.retransmissions,
            late: tally.late,
            unexpected: tally.unexpected,
            times: tally.times(),
            server: after.usage_since(&before, answered as f64, seconds),
            server_drops: after.drops_since(&before).0,
            own_drops: self.drops() - own_drops,
            sends_refused: self.refused() - refused,
            generator_busy_share: (self.busy_ns - busy_ns) as f64 / 1e9 / seconds,
            interrupted: interrupted(),
        })
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn drops(&self) -> u64 {
        let each = self.sockets.iter();
        each.map(|socket| drops(socket).unwrap_or(0)).sum()
    }

    fn refused(&self) -> u64 {
        self.out.iter().map(Outgoing::refused).sum()
    }

    fn drain(&mut self, tally: &mut Tally) -> io::Result<()> {
        let limit_ns = self.now_ns() + DRAIN_NS;
        while self.phones.live() > 0 && self.now_ns() < limit_ns && !interrupted() {
            self.turn(&mut Schedule::none(), 1, tally)?;
        }
        self.phones.abandon(tally);
        Ok(())
    }

    /// One turn; then waits for the next tick. Returns the time it began.
    fn turn(&mut self, starts: &mut Schedule, step: u32, tally: &mut Tally) -> io::Result<u64> {
        let begun_ns = self.now_ns();
        let mut turn = Turn {
            now_ns: begun_ns,
            out: &mut self.out,
            tally,
        };
        let mut worked = false;
        for scheduled_ns in std::iter::from_fn(|| starts.due(begun_ns)).take(STARTS_PER_TURN) {
            self.phones.start(scheduled_ns, step, &mut turn);
            worked = true;
        }
        self.phones.handle_timeout(&mut turn);
        worked |= self.receive(tally)?;
        for (socket, out) in self.sockets.iter().zip(&mut self.out) {
            out.flush(socket, &mut self.sender);
        }
        if worked {
            self.busy_ns += self.now_ns() - begun_ns;
        }
        self.wait();
        Ok(begun_ns)
    }

    fn receive(&mut self, tally: &mut Tally) -> io::Result<bool> {
        let mut worked = false;
        for socket in &self.sockets {
            for _ in 0..BATCHES_PER_TURN {
                let count = self.receiver.receive(socket)?;
                let mut turn = Turn {
                    now_ns: self.origin.elapsed().as_nanos() as u64,
                    out: &mut self.out,
                    tally,
                };
                for (_, bytes) in self.receiver.datagrams() {
                    match Message::parse(bytes) {
                        Ok(message) => self.phones.receive(&message, bytes, &mut turn),
                        Err(_) => turn.tally.unexpected += 1,
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

    fn wait(&mut self) {
        let now_ns = self.now_ns();
        if self.next_tick_ns > now_ns {
            std::thread::sleep(Duration::from_nanos(self.next_tick_ns - now_ns));
        }
        self.next_tick_ns = (self.next_tick_ns + self.tick_ns).max(now_ns);
    }
}

fn causes(tally: &Tally) -> BTreeMap<String, u64> {
    let causes = tally.failures.iter();
    causes
        .map(|(cause, count)| (cause.to_string(), *count))
        .collect()
}

impl StretchReport {
    /// Whether all was answered as it should, and nothing was dropped.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed == 0 && self.server_drops + self.own_drops == 0
    }

    /// Prints it for people.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<10} {} answered of {}, {} failed, {} challenges; {:.0}/s asked, {:.0}/s answered{}",
            self.name,
            self.answered,
            self.attempts,
            self.failed,
            self.challenges,
            self.rate,
            self.rate_answered,
            if self.interrupted {
                " (interrupted)"
            } else {
                ""
            }
        )?;
        for (cause, count) in &self.failures {
            writeln!(out, "           {count} x {cause}")?;
        }
        print_percentiles(out, "REGISTER-200", &self.times)?;
        writeln!(
            out,
            "trouble    {} retransmissions, {} late answers, {} unexpected; drops: server {}, own {}; generator {:.0} % busy",
            self.retransmissions,
            self.late,
            self.unexpected,
            self.server_drops,
            self.own_drops,
            self.generator_busy_share * 100.0
        )?;
        let server = &self.server;
        if let (Some(cpu), Some(share)) = (server.cpu_us_per_call, server.cpu_share) {
            writeln!(
                out,
                "server     {cpu:.2} CPU us per registration ({:.0} % of a core), RSS {:.1} -> {:.1} MiB",
                share * 100.0,
                mebibytes(server.resident_bytes_before),
                mebibytes(server.resident_bytes_after)
            )?;
        }
        for thread in &server.threads {
            let (cost, name) = (thread.cpu_us_per_call, &thread.name);
            writeln!(out, "           {cost:8.2} us  {name} ({})", thread.thread)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registrar that answers every REGISTER with its own headers.
    fn answer_all(server: &UdpSocket, count: usize) {
        let mut bytes = [0; 2_000];
        for _ in 0..count {
            let (length, from) = server.recv_from(&mut bytes).unwrap();
            let request = std::str::from_utf8(&bytes[..length]).unwrap();
            let (_, headers) = request.split_once("\r\n").unwrap();
            let answer = format!("SIP/2.0 200 OK\r\n{headers}");
            server.send_to(answer.as_bytes(), from).unwrap();
        }
    }

    #[test]
    fn a_stretch_counts_what_a_registrar_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let options = RegisterOptions {
            target: server.local_addr().unwrap(),
            local: "127.0.0.1:0".parse().unwrap(),
            sockets: 2,
            phones: (20, 2),
            algorithm: None,
            tick: Duration::from_millis(1),
        };
        let stretch = Stretch {
            name: "new",
            errand: Errand::Register,
            count: 30,
            rate: 10_000.0,
            step: 1,
        };
        let mut load = RegisterLoad::open(&options).unwrap();
        let registrar = std::thread::spawn(move || answer_all(&server, 30));
        let report = load.run(&stretch, &Probe::new(None, 0)).unwrap();
        let under_way = report.failures.get("still under way").copied();
        assert_eq!(report.answered + under_way.unwrap_or(0), 30, "{report:?}");
        drop(load);
        if under_way.is_none() {
            registrar.join().unwrap();
        }
    }
}
