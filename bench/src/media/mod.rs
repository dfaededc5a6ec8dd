//! `media`, `media-compare`: calls with RTP both ways through a relay, measured from outside. The same streams at the same rate
//! go through the floor (the reactor alone), the router and rtpengine, in interleaved rounds.

mod beside;
pub(crate) mod cli;
mod ends;
mod generator;
mod ng;
mod packet;
mod reception;
pub(crate) mod relay;
mod report;
pub(crate) mod sdp;
pub(crate) mod servers;
mod session;

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::caller::Hold;
use crate::cli::settle;
use crate::io::{interrupted, raise_open_files};
use crate::latency::{Intervals, write_log_file};
use crate::load::LoadOptions;
use crate::media::beside::Beside;
use crate::media::cli::MediaArgs;
use crate::media::ends::Ends;
use crate::media::generator::Generator;
use crate::media::report::{Drops, MediaReport, Row};
use crate::media::servers::Contender;
use crate::media::session::{Routes, Session};
use crate::metrics;
use crate::probe::Probe;
use crate::procfs::{port_drops, receive_buffer_errors};
use crate::report::write_json;
use crate::suite::{note, run_directory};

/// What the names of the router's metrics of media begin with.
const PREFIX: &str = "tipring_media_";
/// Its gauge of streams.
const STREAMS: &str = "tipring_media_streams";
/// How long it may take to fall to zero after the last BYE.
const STREAMS_LIMIT: Duration = Duration::from_secs(3);

/// Everything a comparison found.
#[derive(Serialize)]
struct Summary {
    calls: u16,
    rows: Vec<Row>,
}

/// Runs the contenders; success when every packet of every one came through once and in order.
pub(crate) fn run(args: &MediaArgs, contenders: &[Contender]) -> io::Result<ExitCode> {
    settle(args.load.cpu);
    raise_open_files()?;
    let wanted = |contender: &&Contender| args.only.is_empty() || args.only.contains(contender);
    let contenders: Vec<Contender> = contenders.iter().filter(wanted).copied().collect();
    let directory = run_directory(&args.runs, "media");
    let (mut reports, mut intervals) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds.max(1) {
        for &contender in contenders.iter().filter(|_| !interrupted()) {
            let name = contender.name();
            note(&format!("round {round} of {}: {name}", args.rounds));
            let place = directory.join(format!("{name}-{round}"));
            let (report, seconds) = measure(contender, args, &place)?;
            report.print(&mut io::stdout().lock())?;
            reports.push(report);
            intervals.push((name, seconds));
        }
    }
    if let Some(path) = &args.hlog {
        let runs: Vec<_> = intervals.iter().map(|(name, i)| (*name, i)).collect();
        write_log_file(path, &runs)?;
    }
    summarize(args, &contenders, &reports, &directory)?;
    Ok(if reports.iter().all(MediaReport::is_clean) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn summarize(
    args: &MediaArgs,
    contenders: &[Contender],
    reports: &[MediaReport],
    directory: &Path,
) -> io::Result<()> {
    let rows = report::rows(contenders, reports);
    if reports.len() > 1 {
        writeln!(io::stdout(), "{}", report::table(&rows))?;
    }
    let calls = args.calls;
    write_json(directory, "summary.json", &Summary { calls, rows })?;
    writeln!(io::stdout(), "raw run in {}", directory.display())
}

fn measure(
    contender: Contender,
    args: &MediaArgs,
    place: &Path,
) -> io::Result<(MediaReport, Intervals)> {
    let ends = Ends::open(args.target.ip(), args.lanes.into())?;
    let media = ends.addresses()?;
    let server = contender.start(args, &media, place)?;
    let (mut session, routes) = establish(contender, args, &media)?;
    let ports = servers::media_ports(args)?;
    if !session::goes_through(&routes, &ports) {
        let name = contender.name();
        return Err(io::Error::other(format!(
            "{name} has the parties send past it, not to its ports {ports:?}"
        )));
    }
    let before = drops(&ends, &ports);
    let probe = Probe::of_process(Some(server.pid()));
    let generator = Generator::new(&ends, &routes, args.rhythm());
    let beside = Beside::start(args)?;
    let outcome = generator.run(&probe, &mut session)?;
    beside.map_or(Ok(()), Beside::finish)?;
    let mut report = MediaReport::new(contender, args.calls, &outcome);
    report.drops = drops_since(&before, &drops(&ends, &ports));
    let up = match contender {
        Contender::Tipring => Some(metrics::read(args.metrics, PREFIX)?),
        Contender::Floor | Contender::Rtpengine => None,
    };
    report.not_ended = session.end()?;
    if let Some(up) = up {
        let after = await_no_streams(args)?;
        report.streams_left = after.get(STREAMS).copied();
        report.metrics = Some([up, after]);
    }
    drop(server);
    write_json(place, "media.json", &report)?;
    Ok((report, outcome.intervals))
}

fn establish(
    contender: Contender,
    args: &MediaArgs,
    media: &[Vec<std::net::SocketAddr>; 2],
) -> io::Result<(Session, Routes)> {
    match contender {
        Contender::Floor => Ok(session::over_floor(&servers::layout(args, media))),
        Contender::Tipring => {
            let options = LoadOptions {
                media: media.clone(),
                calls_max: usize::from(args.calls) + 1,
                tick: Duration::ZERO,
                ..args
                    .load
                    .options(args.target, Hold::UntilReleased, Duration::ZERO)
            };
            session::by_sip(&options, args.calls.into(), args.rate)
        }
        Contender::Rtpengine => session::by_ng(args.target, args.calls.into(), media),
    }
}

fn drops(ends: &Ends, ports: &RangeInclusive<u16>) -> Drops {
    Drops {
        generator: ends.drops(),
        server: port_drops(ports.clone(), None),
        receive_buffer_errors: receive_buffer_errors(),
    }
}

fn drops_since(before: &Drops, after: &Drops) -> Drops {
    Drops {
        generator: after.generator.saturating_sub(before.generator),
        server: after.server.saturating_sub(before.server),
        receive_buffer_errors: after
            .receive_buffer_errors
            .saturating_sub(before.receive_buffer_errors),
    }
}

/// The router's metrics once it has no streams any more, or when it had time enough.
fn await_no_streams(args: &MediaArgs) -> io::Result<metrics::Metrics> {
    let begun = Instant::now();
    loop {
        let metrics = metrics::read(args.metrics, PREFIX)?;
        let streams = metrics.get(STREAMS).copied().unwrap_or(0.0);
        if streams == 0.0 || begun.elapsed() > STREAMS_LIMIT {
            return Ok(metrics);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
