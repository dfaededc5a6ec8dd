//! The floor under every figure of the engine: a reactor that sends back what it receives, and
//! nothing else, with another reactor as the other end. Prints what one datagram in and one out
//! cost in processor time of the reflecting thread.
//!
//!     cargo run --release -p tipring-reactor --example reflect -- [--seconds S] [--bytes B]
//!         [--window W] [--spin US] [--varied] [--bursts] [--rounds R]
//!         [--padding PERCENT] [--buffer B] [--buffers N] [--sockets N] [--times EVERY] [RUN_LENGTH ...]
//!
//! A run length of 1 is no coalescing. With `--bursts` the other end coalesces too, so that it is
//! never what limits. With `--varied` the replies have 300 to 900 bytes, so that
//! coalescing has to pad. With `--sockets` the reflector has that many small sockets, each of which
//! gets its part in turn. With `--times` it asks in one turn of so many how long each
//! datagram waited.

#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a tool that measures

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reactor::{
    Coalesce, Completion, Counters, Reactor, ReactorConfig, SendBatch, SocketId, UdpListener,
    UdpOptions, Waker, affinity, bind_udp_group,
};

#[derive(Clone)]
struct Options {
    seconds: f64,
    bytes: usize,
    window: usize,
    spin: Duration,
    varied: bool,
    bursts: bool,
    padding: u32,
    buffer: u32,
    buffers: u16,
    rounds: usize,
    sockets: u16,
    times: u32,
    run_lengths: Vec<u16>,
}

fn options() -> Options {
    let mut options = Options {
        seconds: 2.0,
        bytes: 700,
        window: 256,
        spin: Duration::from_micros(30),
        varied: false,
        bursts: false,
        padding: ReactorConfig::default().padding_percent_max,
        buffer: ReactorConfig::default().buffer_bytes,
        buffers: ReactorConfig::default().buffers,
        rounds: 3,
        sockets: 0,
        times: 0,
        run_lengths: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind the option");
        match argument.as_str() {
            "--seconds" => options.seconds = value().parse().expect("seconds"),
            "--bytes" => options.bytes = value().parse().expect("bytes"),
            "--window" => options.window = value().parse().expect("datagrams"),
            "--spin" => options.spin = Duration::from_micros(value().parse().expect("us")),
            "--rounds" => options.rounds = value().parse().expect("rounds"),
            "--padding" => options.padding = value().parse().expect("percent"),
            "--buffer" => options.buffer = value().parse().expect("bytes"),
            "--buffers" => options.buffers = value().parse().expect("buffers"),
            "--sockets" => options.sockets = value().parse().expect("sockets"),
            "--times" => options.times = value().parse().expect("turns"),
            "--varied" => options.varied = true,
            "--bursts" => options.bursts = true,
            length => options
                .run_lengths
                .push(length.parse().expect("a run length")),
        }
    }
    if options.run_lengths.is_empty() {
        options.run_lengths = vec![1, 2, 4, 8, 16];
    }
    options
}

/// One measurement of the reflecting thread.
struct Sample {
    cpu: Duration,
    wall: Duration,
    before: Counters,
    after: Counters,
}

fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    let nanoseconds = stat.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with the time on the processor"))
}

/// A reactor with one large socket, or so many small ones.
fn bind(config: &ReactorConfig, small: u16) -> (Reactor, Vec<SocketAddr>) {
    let mut reactor = Reactor::new(config).unwrap_or_else(|error| panic!("{error}"));
    let address = "127.0.0.1:0".parse().expect("an address");
    let bind = |options: &UdpOptions| {
        let group = bind_udp_group(address, 1, options).expect("a socket");
        group.into_iter().next().expect("one")
    };
    let few = UdpOptions {
        receive_buffer_bytes: 256 << 10,
        send_buffer_bytes: 256 << 10,
        report_errors: false,
        ..Default::default()
    };
    let sockets: Vec<UdpListener> = match small {
        0 => vec![bind(&UdpOptions::default())],
        small => (0..small).map(|_| bind(&few)).collect(),
    };
    let addresses = sockets.iter().map(UdpListener::local_address).collect();
    let added = match small {
        0 => sockets
            .into_iter()
            .try_for_each(|one| reactor.add_udp(one).map(drop)),
        _ => reactor.add_udp_small(sockets).map(drop),
    };
    added.expect("room for the sockets");
    (reactor, addresses)
}

/// Sends back until told to stop; measures from the second quarter second on.
fn reflect(
    options: &Options,
    run_length: u16,
    ready: &mpsc::Sender<(Vec<SocketAddr>, Waker)>,
    stop: &AtomicBool,
) -> Sample {
    let config = ReactorConfig {
        spin: options.spin,
        segments_max: run_length,
        padding_percent_max: options.padding,
        buffer_bytes: options.buffer,
        buffers: options.buffers,
        small_buffers: if options.sockets > 0 {
            options.buffers
        } else {
            0
        },
        sockets_max: options.sockets.max(1),
        receive_times_every: options.times,
        ..Default::default()
    };
    let (mut reactor, addresses) = bind(&config, options.sockets);
    ready
        .send((addresses, reactor.waker()))
        .expect("somebody waits");
    let mut batch = SendBatch::default();
    let mut dice = 12_345_u32;
    let warm = Instant::now() + Duration::from_millis(250);
    let mut begin = None;
    while !stop.load(Ordering::Relaxed) {
        reactor
            .turn(None, |completion| {
                if let Completion::Datagram {
                    socket,
                    from,
                    bytes,
                    ..
                } = completion
                {
                    dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let varied = bytes.get(..300 + (dice >> 16) as usize % 600);
                    let reply = varied.filter(|_| options.varied).unwrap_or(bytes);
                    batch.push(socket, from, coalesce_if(run_length > 1), reply);
                }
            })
            .expect("a turn");
        reactor.flush(&mut batch);
        if begin.is_none() && Instant::now() > warm {
            begin = Some((thread_cpu(), Instant::now(), reactor.counters()));
        }
    }
    let (cpu, wall, before) = begin.expect("it ran longer than the warm-up");
    Sample {
        cpu: thread_cpu() - cpu,
        wall: wall.elapsed(),
        before,
        after: reactor.counters(),
    }
}

fn coalesce_if(coalesced: bool) -> Coalesce {
    if coalesced {
        Coalesce::Padded
    } else {
        Coalesce::Never
    }
}

/// Keeps `window` datagrams on their way until the time is up.
fn generate(options: &Options, to: &[SocketAddr]) -> u64 {
    const BURST: usize = 32;
    let (mut reactor, _) = bind(
        &ReactorConfig {
            spin: Duration::ZERO,
            ..Default::default()
        },
        0,
    );
    let mut turns = to.iter().copied().cycle();
    let payload = vec![b'x'; if options.varied { 900 } else { options.bytes }];
    let end = Instant::now() + Duration::from_secs_f64(options.seconds + 0.25);
    let mut batch = SendBatch::default();
    let (mut flying, mut lost) = (0, 0);
    while Instant::now() < end {
        while flying + BURST <= options.window {
            for to in turns.by_ref().take(BURST) {
                batch.push(SocketId(0), to, coalesce_if(options.bursts), &payload);
            }
            flying += BURST;
        }
        reactor.flush(&mut batch);
        let mut back = 0;
        reactor
            .turn(
                Some(Instant::now() + Duration::from_millis(100)),
                |completion| {
                    back += usize::from(matches!(completion, Completion::Datagram { .. }));
                },
            )
            .expect("a turn");
        flying = flying.saturating_sub(back);
        if back == 0 && reactor.counters().datagrams_in > 0 && flying >= options.window - BURST {
            lost += flying as u64;
            flying = 0;
        }
    }
    lost
}

fn measure(options: &Options, run_length: u16, cpus: &[usize]) -> (Sample, u64) {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let reflector = {
        let (options, stop, cpu) = (options.clone(), stop.clone(), cpus[0]);
        std::thread::spawn(move || {
            affinity::pin_to(cpu).expect("pinning");
            reflect(&options, run_length, &sender, &stop)
        })
    };
    affinity::pin_to(cpus[cpus.len() - 1]).expect("pinning");
    let (addresses, waker) = receiver.recv().expect("the reflector starts");
    let lost = generate(options, &addresses);
    stop.store(true, Ordering::Relaxed);
    waker.wake();
    (reflector.join().expect("the reflector ends"), lost)
}

fn main() {
    let options = options();
    let cpus = affinity::allowed_cpus().expect("allowed cpus");
    println!(
        "{:>4} {:>9} {:>9} {:>9} {:>6} {:>9} {:>9} {:>9} {:>6}",
        "run", "us/pair", "pairs/s", "pairs/cpu", "busy", "per turn", "per send", "padding", "lost"
    );
    for _ in 0..options.rounds {
        for &run_length in &options.run_lengths {
            let (sample, lost) = measure(&options, run_length, &cpus);
            print_row(run_length, &sample, lost);
        }
    }
}

fn print_row(run_length: u16, sample: &Sample, lost: u64) {
    let (after, before) = (&sample.after, &sample.before);
    let pairs = (after.datagrams_in - before.datagrams_in) as f64;
    let sent = (after.datagrams_out - before.datagrams_out) as f64;
    let cost = sample.cpu.as_secs_f64() / pairs * 1e6;
    let padding = (after.padding_bytes - before.padding_bytes) as f64;
    println!(
        "{run_length:>4} {cost:>9.3} {:>9.0} {:>9.0} {:>5.0}% {:>9.1} {:>9.1} {:>8.1}% {lost:>6}",
        pairs / sample.wall.as_secs_f64(),
        1e6 / cost,
        100.0 * sample.cpu.as_secs_f64() / sample.wall.as_secs_f64(),
        pairs / (after.turns - before.turns) as f64,
        sent / (after.sends - before.sends) as f64,
        100.0 * padding / (after.bytes_out - before.bytes_out) as f64,
    );
}
