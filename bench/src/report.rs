//! What a run found, as JSON for machines and as lines for people.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::latency::Percentiles;
use crate::probe::Usage;
use crate::tally::Tally;

/// Datagrams the kernel dropped because a socket's queue was full.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Drops {
    pub(crate) caller: u64,
    pub(crate) callee: u64,
    /// At the sockets bound to the target's port.
    pub(crate) server: u64,
    /// RcvbufErrors of the network namespace: whoever was hit.
    pub(crate) receive_buffer_errors: u64,
}

impl Drops {
    /// Drops at the sockets of this run.
    pub(crate) fn total(&self) -> u64 {
        self.caller + self.callee + self.server
    }
}

/// What the load cost the generator itself.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Own {
    /// CPU time of the generator's thread per call; while polling it is the whole core's.
    pub(crate) cpu_us_per_call: f64,
    /// Time in turns that did something, per call.
    pub(crate) busy_us_per_call: f64,
    /// The same as a share of the run: near 1 the generator is the limit.
    pub(crate) busy_share: f64,
    pub(crate) datagrams_sent: u64,
    pub(crate) datagrams_received: u64,
    /// Sends the kernel refused.
    pub(crate) sends_refused: u64,
}

/// One run of calls.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) callers: usize,
    pub(crate) callees: usize,
    pub(crate) hold_s: f64,
    pub(crate) tick_us: u128,
    pub(crate) segment: bool,
    /// Calls per second asked for.
    pub(crate) rate: f64,
    /// Calls answered per second in the measured time.
    pub(crate) rate_answered: f64,
    /// Calls ended as they should per second in the measured time.
    pub(crate) rate_completed: f64,
    /// Measured time, warm-up excluded.
    pub(crate) measured_s: f64,
    pub(crate) interrupted: bool,
    /// Counts over the whole run, warm-up included.
    pub(crate) tally: Tally,
    pub(crate) drops: Drops,
    pub(crate) setup: Percentiles,
    pub(crate) pdd: Percentiles,
    pub(crate) server: Usage,
    pub(crate) generator: Own,
}

impl Report {
    /// Whether the server carried the rate: under 0.1 % of the calls failed, no datagram was dropped, and the calls asked for
    /// were made.
    pub(crate) fn carried(&self) -> bool {
        let ratio = self.tally.failure_ratio();
        ratio < 0.001 && self.drops.total() == 0 && self.rate_answered >= 0.98 * self.rate
    }

    /// Prints the report for people.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (tally, own) = (&self.tally, &self.generator);
        writeln!(
            out,
            "calls      {} attempts, {} answered, {} completed, {} failed{}",
            tally.attempts,
            tally.answered,
            tally.completed,
            tally.failed,
            if self.interrupted {
                " (interrupted)"
            } else {
                ""
            }
        )?;
        for (cause, calls) in &tally.failures {
            writeln!(out, "           {calls} x {cause}")?;
        }
        writeln!(
            out,
            "rate       {:.0}/s asked, {:.0}/s answered over {:.1} s",
            self.rate, self.rate_answered, self.measured_s
        )?;
        self.print_trouble(out)?;
        print_percentiles(out, "INVITE-200", &self.setup)?;
        print_percentiles(out, "INVITE-180", &self.pdd)?;
        self.print_server(out)?;
        writeln!(
            out,
            "generator  {:.1} us of work per call ({:.0} % of its time), {:.1} us CPU per call, {} sends refused",
            own.busy_us_per_call,
            own.busy_share * 100.0,
            own.cpu_us_per_call,
            own.sends_refused
        )
    }

    fn print_trouble(&self, out: &mut impl Write) -> io::Result<()> {
        let (again, drops, tally) = (&self.tally.retransmissions, &self.drops, &self.tally);
        writeln!(
            out,
            "again      sent: {} INVITE, {} BYE, {} 200; received: {} INVITE, {} BYE, {} 200",
            again.invite_sent,
            again.bye_sent,
            again.ok_sent,
            again.invite_received,
            again.bye_received,
            again.ok_received
        )?;
        writeln!(
            out,
            "drops      caller {}, callee {}, server {}; RcvbufErrors {}",
            drops.caller, drops.callee, drops.server, drops.receive_buffer_errors
        )?;
        if tally.overtaken + tally.unexpected + tally.malformed > 0 {
            writeln!(
                out,
                "odd        {} provisionals after the final, {} unexpected, {} unreadable",
                tally.overtaken, tally.unexpected, tally.malformed
            )?;
        }
        Ok(())
    }

    fn print_server(&self, out: &mut impl Write) -> io::Result<()> {
        let server = &self.server;
        let (Some(cpu), Some(share)) = (server.cpu_us_per_call, server.cpu_share) else {
            return Ok(());
        };
        writeln!(
            out,
            "server     {cpu:.2} CPU us per call ({:.0} % of a core), RSS {:.1} -> {:.1} MiB",
            share * 100.0,
            mebibytes(server.resident_bytes_before),
            mebibytes(server.resident_bytes_after)
        )?;
        for thread in &server.threads {
            let (name, id) = (&thread.name, thread.thread);
            writeln!(
                out,
                "           {:8.2} us  {name} ({id})",
                thread.cpu_us_per_call
            )?;
        }
        Ok(())
    }
}

/// One line of percentiles.
pub(crate) fn print_percentiles(
    out: &mut impl Write,
    name: &str,
    p: &Percentiles,
) -> io::Result<()> {
    writeln!(
        out,
        "{name} p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, p99.99 {:.0}, max {:.0} ({} calls)",
        p.p50_us, p.p90_us, p.p99_us, p.p99_9_us, p.p99_99_us, p.max_us, p.count
    )
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// Writes a value as pretty JSON, making the directory first.
pub(crate) fn write_json(directory: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    fs::write(directory.join(name), text + "\n")
}
