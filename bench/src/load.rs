//! The loop turn of the generator: calls that are due start, what came in is handled by caller and callee, timers expire, and
//! everything printed meanwhile leaves in a burst. One thread, non-blocking sockets, no waiting for the peer.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use crate::callee::Callee;
use crate::caller::{Caller, Hold, Turn};
use crate::io::{Address, BATCH, Receiver, Sender, bind, drops};
use crate::latency::Latency;
use crate::media::sdp::Heard;
use crate::message::Message;
use crate::outgoing::Outgoing;
use crate::schedule::Schedule;
use crate::tally::{Failure, Tally};

/// Calls started in one turn at most, so that a late generator still reads its sockets.
const STARTS_PER_TURN: usize = 64;
/// Receive batches of one socket in one turn at most.
const BATCHES_PER_TURN: usize = 8;

/// How to load the server.
#[derive(Clone, Debug)]
pub(crate) struct LoadOptions {
    /// Where every request of the caller goes.
    pub(crate) target: SocketAddr,
    /// Sockets of the caller, on ports of the kernel's choice.
    pub(crate) callers: usize,
    /// Where the callee listens, one socket each.
    pub(crate) callees: Vec<SocketAddr>,
    /// The caller's own address.
    pub(crate) local: IpAddr,
    /// Called user; `#` is a digit of the call's number.
    pub(crate) user: String,
    pub(crate) hold: Hold,
    /// Use UDP_SEGMENT and UDP_GRO, which lower the generator's own cost.
    pub(crate) segment: bool,
    /// Length of a turn; zero polls without pause.
    pub(crate) tick: Duration,
    /// Calls at a time at most.
    pub(crate) calls_max: usize,
    /// Calls due earlier than this after the start are not measured.
    pub(crate) warmup: Duration,
    /// Where callers and callees get their media; none: no media.
    pub(crate) media: [Vec<SocketAddr>; 2],
}

/// One side's sockets and what waits to be sent on them.
struct Side {
    sockets: Vec<UdpSocket>,
    out: Vec<Outgoing>,
}

impl Side {
    fn open(addresses: &[SocketAddr], segment: bool) -> io::Result<Side> {
        let sockets: Vec<_> = addresses
            .iter()
            .map(|&address| bind(address, segment))
            .collect::<io::Result<_>>()?;
        let out = sockets.iter().map(|_| Outgoing::new(segment)).collect();
        Ok(Side { sockets, out })
    }

    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(UdpSocket::local_addr).collect()
    }

    fn flush(&mut self, sender: &mut Sender) {
        for (socket, out) in self.sockets.iter().zip(&mut self.out) {
            out.flush(socket, sender);
        }
    }

    /// Takes what waits at every socket and hands each readable message on, with its source and the socket's number.
    fn receive(
        &mut self,
        receiver: &mut Receiver,
        counted: &mut Counted,
        origin: Instant,
        mut handle: impl FnMut(&Message<'_>, Address, usize, &mut Turn<'_>),
    ) -> io::Result<bool> {
        let mut worked = false;
        for (number, socket) in self.sockets.iter().enumerate() {
            for _ in 0..BATCHES_PER_TURN {
                let count = receiver.receive(socket)?;
                let now_ns = origin.elapsed().as_nanos() as u64;
                for (from, bytes) in receiver.datagrams() {
                    counted.received += 1;
                    match Message::parse(bytes) {
                        Ok(message) => {
                            let mut turn = counted.turn(now_ns, &mut self.out);
                            handle(&message, from, number, &mut turn);
                        }
                        Err(_) => counted.tally.malformed += 1,
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

    fn drops(&self) -> u64 {
        self.sockets
            .iter()
            .map(|socket| drops(socket).unwrap_or(0))
            .sum()
    }
}

/// What happened so far.
pub(crate) struct Counted {
    pub(crate) tally: Tally,
    pub(crate) latency: Latency,
    /// Datagrams received.
    pub(crate) received: u64,
}

impl Counted {
    fn turn<'a>(&'a mut self, now_ns: u64, out: &'a mut [Outgoing]) -> Turn<'a> {
        Turn {
            now_ns,
            out,
            tally: &mut self.tally,
            latency: &mut self.latency,
        }
    }
}

/// Caller and callee with their sockets, and what they counted.
pub(crate) struct Load {
    caller: Caller,
    callee: Callee,
    caller_side: Side,
    callee_side: Side,
    receiver: Receiver,
    sender: Sender,
    pub(crate) counted: Counted,
    origin: Instant,
    tick_ns: u64,
    next_tick_ns: u64,
    /// Time spent in turns that did something, in nanoseconds.
    pub(crate) busy_ns: u64,
}

impl Load {
    /// Opens the sockets; nothing is sent yet.
    pub(crate) fn open(options: &LoadOptions) -> io::Result<Load> {
        let run = format!("{:08x}", run_number());
        let any_port = vec![SocketAddr::new(options.local, 0); options.callers.max(1)];
        let caller_side = Side::open(&any_port, options.segment)?;
        let callee_side = Side::open(&options.callees, options.segment)?;
        let (user, target, calls_max) = (&options.user, options.target, options.calls_max);
        let locals = caller_side.addresses()?;
        let [caller_media, callee_media] = &options.media;
        let caller = Caller::new(
            &run,
            user,
            target,
            &locals,
            options.hold,
            calls_max,
            caller_media,
        );
        let callee = Callee::new(&run, &callee_side.addresses()?, calls_max, callee_media);
        Ok(Load {
            caller,
            callee,
            caller_side,
            callee_side,
            receiver: Receiver::new(options.segment),
            sender: Sender::new(),
            counted: Counted {
                tally: Tally::default(),
                latency: Latency::new(SystemTime::now(), options.warmup.as_nanos() as u64),
                received: 0,
            },
            origin: Instant::now(),
            tick_ns: options.tick.as_nanos() as u64,
            next_tick_ns: 0,
            busy_ns: 0,
        })
    }

    /// Nanoseconds since the load was opened.
    pub(crate) fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// Calls that caller or callee have not ended; a BYE may be answered before it reaches the callee.
    pub(crate) fn live(&self) -> usize {
        self.caller.live().max(self.callee.live())
    }

    /// Where the server wants the media of callers and of callees.
    pub(crate) fn heard(&self) -> [&[Heard]; 2] {
        [self.caller.heard(), self.callee.heard()]
    }

    /// Datagrams sent so far, and sends the kernel refused.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let out = || self.caller_side.out.iter().chain(&self.callee_side.out);
        (
            out().map(Outgoing::datagrams).sum(),
            out().map(Outgoing::refused).sum(),
        )
    }

    /// Datagrams the kernel dropped at the caller's and at the callee's sockets.
    pub(crate) fn drops(&self) -> (u64, u64) {
        (self.caller_side.drops(), self.callee_side.drops())
    }

    /// One turn; then waits for the next tick or, when polling, not at all. Returns the time the turn began.
    pub(crate) fn turn(
        &mut self,
        starts: &mut Schedule,
        releases: &mut Schedule,
    ) -> io::Result<u64> {
        let begun_ns = self.now_ns();
        let mut worked = self.start_and_release(begun_ns, starts, releases);
        worked |= self.receive()?;
        self.handle_timeouts(begun_ns);
        self.caller_side.flush(&mut self.sender);
        self.callee_side.flush(&mut self.sender);
        if worked {
            self.busy_ns += self.now_ns() - begun_ns;
        }
        self.wait(worked);
        Ok(begun_ns)
    }

    fn start_and_release(
        &mut self,
        now_ns: u64,
        starts: &mut Schedule,
        releases: &mut Schedule,
    ) -> bool {
        let mut turn = self.counted.turn(now_ns, &mut self.caller_side.out);
        let mut worked = false;
        for scheduled_ns in std::iter::from_fn(|| starts.due(now_ns)).take(STARTS_PER_TURN) {
            self.caller.start(scheduled_ns, &mut turn);
            worked = true;
        }
        while releases.due(now_ns).is_some() {
            if !self.caller.release_next(&mut turn) {
                releases.stop();
            }
            worked = true;
        }
        worked
    }

    fn receive(&mut self) -> io::Result<bool> {
        let (receiver, counted, origin) = (&mut self.receiver, &mut self.counted, self.origin);
        let caller = &mut self.caller;
        let to_caller =
            self.caller_side
                .receive(receiver, counted, origin, |message, _, _, turn| {
                    caller.receive(message, turn);
                })?;
        let callee = &mut self.callee;
        let to_callee = self.callee_side.receive(
            receiver,
            counted,
            origin,
            |message, from, socket, turn| {
                callee.receive(message, from, socket, turn);
            },
        )?;
        Ok(to_caller || to_callee)
    }

    fn handle_timeouts(&mut self, now_ns: u64) {
        self.caller
            .handle_timeout(&mut self.counted.turn(now_ns, &mut self.caller_side.out));
        self.callee
            .handle_timeout(&mut self.counted.turn(now_ns, &mut self.callee_side.out));
    }

    fn wait(&mut self, worked: bool) {
        if self.tick_ns == 0 {
            if !worked {
                std::hint::spin_loop();
            }
            return;
        }
        let now_ns = self.now_ns();
        if self.next_tick_ns > now_ns {
            std::thread::sleep(Duration::from_nanos(self.next_tick_ns - now_ns));
        }
        self.next_tick_ns = (self.next_tick_ns + self.tick_ns).max(now_ns);
    }

    /// Gives up every call that has not ended, each a failure. A call the callee alone still has (its BYE never came, though
    /// the caller has ended it) is a failure too.
    pub(crate) fn abandon(&mut self) {
        let caller_live = self.caller.live();
        self.caller.abandon(&mut self.counted.tally);
        let callee_alone = self.callee.live().saturating_sub(caller_live);
        self.counted
            .tally
            .fail(Failure::Abandoned, callee_alone as u64);
        self.callee.abandon();
    }
}

/// A number that tells this run from others: the wall clock's low bits and the process.
pub(crate) fn run_number() -> u32 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_micros() as u32) ^ std::process::id().rotate_left(16)
}
