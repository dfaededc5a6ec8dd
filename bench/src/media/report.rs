//! What a run of media found, as JSON for machines and as lines for people; and the table that compares relays.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::latency::Percentiles;
use crate::media::generator::{Outcome, Reports};
use crate::media::reception::Direction;
use crate::media::servers::Contender;
use crate::metrics::Metrics;
use crate::probe::Usage;
use crate::suite::median;

/// Datagrams the kernel dropped because a socket's queue was full.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Drops {
    /// At our media sockets.
    pub(crate) generator: u64,
    /// At the relay's media ports.
    pub(crate) server: u64,
    /// RcvbufErrors of the network namespace: whoever was hit.
    pub(crate) receive_buffer_errors: u64,
}

/// A thread of the relay.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ThreadCost {
    pub(crate) name: String,
    pub(crate) cpu_us_per_packet: f64,
}

/// What the relay used in the measured time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// CPU microseconds of all its threads per packet relayed, that is one in and one out.
    pub(crate) cpu_us_per_packet: f64,
    /// CPU seconds per second.
    pub(crate) cpu_share: f64,
    /// The most expensive first.
    pub(crate) threads: Vec<ThreadCost>,
    pub(crate) resident_bytes: u64,
}

impl Cost {
    /// From what was used per packet.
    pub(crate) fn new(usage: Usage) -> Cost {
        let threads = usage.threads.into_iter().map(|thread| ThreadCost {
            name: thread.name,
            cpu_us_per_packet: thread.cpu_us_per_call,
        });
        Cost {
            cpu_us_per_packet: usage.cpu_us_per_call.unwrap_or(f64::NAN),
            cpu_share: usage.cpu_share.unwrap_or(f64::NAN),
            threads: threads.collect(),
            resident_bytes: usage.resident_bytes_after,
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MediaReport {
    pub(crate) contender: &'static str,
    pub(crate) calls: u16,
    pub(crate) packets_per_second: f64,
    pub(crate) bytes: usize,
    pub(crate) tick_us: u128,
    pub(crate) measured_s: f64,
    pub(crate) interrupted: bool,
    pub(crate) to_callee: Direction,
    pub(crate) to_caller: Direction,
    pub(crate) reports: Reports,
    /// RTP and RTCP packets that came through in the measured time.
    pub(crate) relayed: u64,
    /// Datagrams on our RTP sockets that were no packets of the streams.
    pub(crate) foreign: u64,
    pub(crate) server: Cost,
    pub(crate) drops: Drops,
    /// How long after its time a packet was sent.
    pub(crate) lateness: Percentiles,
    /// Share of the generator's time in turns; near 1 it is the limit, not the relay.
    pub(crate) generator_busy_share: f64,
    pub(crate) sends_refused: u64,
    /// Calls that did not end as they should.
    pub(crate) not_ended: u64,
    /// The router's own counters, before and after its calls ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<[Metrics; 2]>,
    /// Streams the router still had after its calls had ended; absent when it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) streams_left: Option<f64>,
}

impl MediaReport {
    /// Fills in what the generator found; the rest is for the caller to add.
    pub(crate) fn new(contender: Contender, calls: u16, outcome: &Outcome) -> MediaReport {
        let [begin, end] = &outcome.server;
        let usage = end.usage_since(begin, outcome.relayed as f64, outcome.measured_s);
        MediaReport {
            contender: contender.name(),
            calls,
            packets_per_second: outcome.rhythm.packets_per_second,
            bytes: outcome.rhythm.bytes,
            tick_us: outcome.rhythm.tick.as_micros(),
            measured_s: outcome.measured_s,
            interrupted: crate::io::interrupted(),
            to_callee: outcome.to_callee,
            to_caller: outcome.to_caller,
            reports: outcome.reports,
            relayed: outcome.relayed,
            foreign: outcome.foreign,
            server: Cost::new(usage),
            drops: Drops::default(),
            lateness: outcome.lateness,
            generator_busy_share: outcome.busy_share,
            sends_refused: outcome.sends_refused,
            not_ended: 0,
            metrics: None,
            streams_left: None,
        }
    }

    /// Packets lost, both directions.
    pub(crate) fn lost(&self) -> u64 {
        self.to_callee.lost + self.to_caller.lost
    }

    /// Everything came through once and in order, and every call ended.
    pub(crate) fn is_clean(&self) -> bool {
        let wrong = |d: &Direction| d.lost + d.reordered + d.duplicated;
        let stuck = self.not_ended > 0 || self.streams_left.is_some_and(|streams| streams > 0.0);
        wrong(&self.to_callee) + wrong(&self.to_caller) + self.foreign == 0 && !stuck
    }

    /// Prints the report for people.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:10} {} calls, {:.0} packets/s of {} bytes each way, {:.1} s measured{}",
            self.contender,
            self.calls,
            self.packets_per_second,
            self.bytes,
            self.measured_s,
            if self.interrupted {
                " (interrupted)"
            } else {
                ""
            }
        )?;
        print_direction(out, "to callee", &self.to_callee)?;
        print_direction(out, "to caller", &self.to_caller)?;
        writeln!(
            out,
            "RTCP       {} sent, {} received, {} of others; {} foreign datagrams on RTP sockets",
            self.reports.sent, self.reports.received, self.reports.others, self.foreign
        )?;
        let drops = &self.drops;
        writeln!(
            out,
            "drops      generator {}, server {}; RcvbufErrors {}",
            drops.generator, drops.server, drops.receive_buffer_errors
        )?;
        self.print_server(out)?;
        writeln!(
            out,
            "generator  {:.0} % busy, packets sent p50 {:.0} us, p99.9 {:.0}, max {:.0} after their time, {} sends refused",
            self.generator_busy_share * 100.0,
            self.lateness.p50_us,
            self.lateness.p99_9_us,
            self.lateness.max_us,
            self.sends_refused
        )
    }

    fn print_server(&self, out: &mut impl Write) -> io::Result<()> {
        let server = &self.server;
        writeln!(
            out,
            "server     {:.3} CPU us per relayed packet ({} relayed, {:.0} % of a core)",
            server.cpu_us_per_packet,
            self.relayed,
            server.cpu_share * 100.0
        )?;
        for thread in &server.threads {
            let (cost, name) = (thread.cpu_us_per_packet, &thread.name);
            writeln!(out, "           {cost:8.3} us  {name}")?;
        }
        if let Some([up, _]) = &self.metrics {
            for (name, value) in up.iter().filter(|(_, value)| **value != 0.0) {
                writeln!(out, "           {name} {value}")?;
            }
        }
        match (self.not_ended, self.streams_left) {
            (0, None) => Ok(()),
            (calls, None) => writeln!(out, "ended      {calls} calls not as they should"),
            (calls, Some(streams)) => writeln!(
                out,
                "ended      {calls} calls not as they should; streams left: {streams}"
            ),
        }
    }
}

fn print_direction(out: &mut impl Write, name: &str, direction: &Direction) -> io::Result<()> {
    let (delay, jitter) = (&direction.delay, &direction.jitter);
    writeln!(
        out,
        "{name}  {} sent, {} received, {} lost, {} reordered, {} twice, {} streams silent",
        direction.sent,
        direction.received,
        direction.lost,
        direction.reordered,
        direction.duplicated,
        direction.silent_streams
    )?;
    writeln!(
        out,
        "           delay p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}; jitter p50 {:.0} us, p99 {:.0}, max {:.0}",
        delay.p50_us,
        delay.p90_us,
        delay.p99_us,
        delay.p99_9_us,
        delay.max_us,
        jitter.p50_us,
        jitter.p99_us,
        jitter.max_us
    )
}

/// Median figures of one contender.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    contender: &'static str,
    rounds: usize,
    cpu_us_per_packet: f64,
    cpu_us_min: f64,
    cpu_us_max: f64,
    /// CPU per packet against the floor's median.
    to_floor: Option<f64>,
    /// Against rtpengine's.
    to_rtpengine: Option<f64>,
    cpu_share: f64,
    delay_p50_us: f64,
    delay_p99_us: f64,
    delay_p99_9_us: f64,
    jitter_p99_us: f64,
    /// Over all rounds, as the following.
    lost: u64,
    sent: u64,
    reordered: u64,
    drops: u64,
    generator_busy_share: f64,
}

/// One row for each contender that has reports, in order.
pub(crate) fn rows(contenders: &[Contender], reports: &[MediaReport]) -> Vec<Row> {
    let of = |contender: Contender| -> Vec<&MediaReport> {
        let name = contender.name();
        reports
            .iter()
            .filter(|report| report.contender == name)
            .collect()
    };
    let reference = |contender| {
        let own = of(contender);
        (!own.is_empty()).then(|| median(own.iter().map(|report| cost(report))))
    };
    let (floor, rtpengine) = (reference(Contender::Floor), reference(Contender::Rtpengine));
    let present = contenders.iter().map(|&contender| of(contender));
    present
        .filter_map(|own| row(&own, floor, rtpengine))
        .collect()
}

fn cost(report: &MediaReport) -> f64 {
    report.server.cpu_us_per_packet
}

/// The medians of one contender's reports; of its two directions the worse one.
fn row(own: &[&MediaReport], floor: Option<f64>, rtpengine: Option<f64>) -> Option<Row> {
    let reports = || own.iter().copied();
    let worse = |figure: fn(&Direction) -> f64| {
        median(reports().map(|r| figure(&r.to_callee).max(figure(&r.to_caller))))
    };
    let sum = |count: fn(&MediaReport) -> u64| reports().map(count).sum();
    let cpu_us_per_packet = median(reports().map(cost));
    Some(Row {
        contender: own.first()?.contender,
        rounds: own.len(),
        cpu_us_per_packet,
        cpu_us_min: reports().map(cost).fold(f64::INFINITY, f64::min),
        cpu_us_max: reports().map(cost).fold(0.0, f64::max),
        to_floor: floor.map(|floor| cpu_us_per_packet / floor),
        to_rtpengine: rtpengine.map(|other| cpu_us_per_packet / other),
        cpu_share: median(reports().map(|r| r.server.cpu_share)),
        delay_p50_us: worse(|d| d.delay.p50_us),
        delay_p99_us: worse(|d| d.delay.p99_us),
        delay_p99_9_us: worse(|d| d.delay.p99_9_us),
        jitter_p99_us: worse(|d| d.jitter.p99_us),
        lost: sum(MediaReport::lost),
        sent: sum(|r| r.to_callee.sent + r.to_caller.sent),
        reordered: sum(|r| r.to_callee.reordered + r.to_caller.reordered),
        drops: sum(|r| r.drops.generator + r.drops.server),
        generator_busy_share: median(reports().map(|r| r.generator_busy_share)),
    })
}

/// The rows for people.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "",
        "CPU us/packet",
        "min-max",
        "x floor",
        "x rtpengine",
        "core",
        "delay p50 us",
        "p99",
        "p99.9",
        "jitter p99",
        "lost",
        "reordered",
        "drops",
        "generator",
    ]);
    let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    for row in rows {
        table.add_row([
            row.contender.to_owned(),
            format!("{:.3}", row.cpu_us_per_packet),
            format!("{:.2}-{:.2}", row.cpu_us_min, row.cpu_us_max),
            ratio(row.to_floor),
            ratio(row.to_rtpengine),
            format!("{:.0} %", row.cpu_share * 100.0),
            format!("{:.0}", row.delay_p50_us),
            format!("{:.0}", row.delay_p99_us),
            format!("{:.0}", row.delay_p99_9_us),
            format!("{:.0}", row.jitter_p99_us),
            format!("{} of {}", row.lost, row.sent),
            row.reordered.to_string(),
            row.drops.to_string(),
            format!("{:.0} %", row.generator_busy_share * 100.0),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(contender: Contender, cpu_us_per_packet: f64, lost: u64) -> MediaReport {
        MediaReport {
            contender: contender.name(),
            calls: 1,
            packets_per_second: 50.0,
            bytes: 172,
            tick_us: 500,
            measured_s: 1.0,
            interrupted: false,
            to_callee: Direction {
                sent: 100,
                received: 100 - lost,
                lost,
                ..Direction::default()
            },
            to_caller: Direction::default(),
            reports: Reports::default(),
            relayed: 100,
            foreign: 0,
            server: Cost {
                cpu_us_per_packet,
                cpu_share: 0.5,
                threads: Vec::new(),
                resident_bytes: 0,
            },
            drops: Drops::default(),
            lateness: Percentiles::default(),
            generator_busy_share: 0.1,
            sends_refused: 0,
            not_ended: 0,
            metrics: None,
            streams_left: None,
        }
    }

    #[test]
    fn rows_are_medians_against_floor_and_rtpengine() {
        let reports = [
            report(Contender::Floor, 2.0, 0),
            report(Contender::Tipring, 2.4, 1),
            report(Contender::Rtpengine, 6.0, 0),
            report(Contender::Floor, 9.0, 0),
            report(Contender::Tipring, 2.6, 2),
            report(Contender::Floor, 2.0, 0),
        ];
        let rows = rows(&Contender::ALL, &reports);
        assert_eq!(rows[0].cpu_us_per_packet, 2.0);
        assert_eq!((rows[1].to_floor, rows[1].lost), (Some(1.25), 3));
        assert!((rows[1].to_rtpengine.unwrap() - 2.5 / 6.0).abs() < 1e-9);
        assert_eq!((rows[1].cpu_us_min, rows[1].cpu_us_max), (2.4, 2.6));
        let table = table(&rows).to_string();
        assert!(table.contains("3 of 200"), "{table}");
    }

    #[test]
    fn without_a_reference_there_is_no_ratio() {
        let rows = rows(&Contender::ALL, &[report(Contender::Tipring, 2.0, 0)]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].to_floor, rows[0].to_rtpengine), (None, None));
    }

    #[test]
    fn loss_and_streams_that_stay_are_not_clean() {
        let clean = report(Contender::Tipring, 2.0, 0);
        assert!(clean.is_clean());
        assert!(!report(Contender::Tipring, 2.0, 1).is_clean());
        let leaking = MediaReport {
            streams_left: Some(2.0),
            ..clean
        };
        assert!(!leaking.is_clean());
    }
}
