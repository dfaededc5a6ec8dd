//! The command line: what can be asked of `tipring`, in words for somebody who meets it for the first
//! time. What the commands do stands in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A SIP session router: takes calls over UDP, looks up where they go, and carries them there as a
/// back-to-back user agent, on one io_uring shard per core.
///
/// To try it out: `tipring run` listens on 127.0.0.1:5060 and sends calls to 127.0.0.1:5070.
#[derive(Debug, Parser)]
#[command(
    name = "tipring",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carry calls until SIGTERM or Ctrl-C.
    ///
    /// SIGHUP reads the routing DB and the peers again; SIGTERM refuses new calls and ends when the
    /// others have ended, a second one ends them at once; Ctrl-C ends them at once; SIGUSR1 logs a
    /// line of numbers for each shard.
    Run(Run),
    /// Say what is wrong with a configuration and its routing DB, or what they amount to: every key with
    /// its value and where that came from.
    ///
    /// The environment variables of SRGo override the file, here as in `run`: server_ipv4,
    /// auto_server_ipv4, sip_udp_port, http_port, as_sip_udp, proxy_udp_server, ka_interval,
    /// indialogue_interval.
    ///
    /// Exit code 0 when `run` would accept them, 1 when not.
    Check(Check),
    /// Say which routing record a call to this number takes, and why.
    ///
    /// Exit code 0 when a record matches, 1 when none does.
    Route(Route),
    /// Say what this machine allows, and what to do about what it does not.
    ///
    /// Exit code 0 when tipring can run here, 1 when not.
    Doctor(Check),
    /// Say what latency logs (.hlog) hold: percentiles by metric and shard, intervals that stand out,
    /// and two plots.
    ///
    /// Several files are one run: give all that a run wrote. Logs of tipring-bench and of other HDR
    /// tools can be read, too. Exit code 1 when a file cannot be read.
    Report(Report),
    /// Watch a running router: its numbers, shards, calls and events, over its HTTP API.
    ///
    /// Keys: q ends, p pauses, tab changes between calls and events. A router that goes away is asked until it
    /// is back. With --once, exit code 1 when it does not answer.
    Top(Top),
    /// Look into a journal of bindings and users.
    #[command(subcommand)]
    Journal(Journal),
    /// Print what a configuration may contain.
    #[command(subcommand)]
    Config(Config),
    /// Print the version.
    Version,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration; without one, a built-in default on 127.0.0.1:5060 (see `config default`).
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print every SIP message to stderr. For a lab: it slows the engine down.
    #[arg(long)]
    pub(crate) sip_trace: bool,
    /// Log more: -v each call, -vv everything. Adds to the configured level.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Arguments of `check` and `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration; without one, the built-in default.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Arguments of `route`.
#[derive(Debug, Args)]
pub(crate) struct Route {
    /// The user part of the request-URI: what stands before the @.
    pub(crate) number: String,
    /// The configuration whose routing DB is asked; without one, the built-in default.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A routing DB by itself, instead of a configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) rdb: Option<PathBuf>,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The logs of one run; of a directory, every .hlog in it.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Compare two runs, each one file or one directory: `--compare A B`.
    #[arg(long)]
    pub(crate) compare: bool,
    /// Only this metric, e.g. invite_in_to_out. May be given several times.
    #[arg(long)]
    pub(crate) metric: Vec<String>,
    /// Only this shard, by number. May be given several times.
    #[arg(long)]
    pub(crate) shard: Vec<String>,
    /// Only intervals that begin this many seconds after the first one, or later.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) from: Option<f64>,
    /// Only intervals that begin less than this many seconds after the first one.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) to: Option<f64>,
    /// Where to write the plots; beside the first file when not given.
    #[arg(long, value_name = "DIR", conflicts_with = "no_svg")]
    pub(crate) svg: Option<PathBuf>,
    /// Write no plots.
    #[arg(long)]
    pub(crate) no_svg: bool,
    /// Print JSON, values in nanoseconds.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The router's HTTP API: `[http] address`.
    #[arg(long, default_value = "http://127.0.0.1:8060")]
    pub(crate) url: String,
    /// A token with the role read. Others on this machine can see it in the list of processes: the variable
    /// TIPRING_TOKEN does the same and is not seen.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// PEM file with the certificates to trust; without it, those the system trusts.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Print one picture as text and end. COLUMNS says how wide.
    #[arg(long)]
    pub(crate) once: bool,
}

/// What to do with a journal.
#[derive(Debug, Subcommand)]
pub(crate) enum Journal {
    /// Say what a journal holds, and what of it is damaged. Nothing is changed, a router may be writing it,
    /// and no secret is printed.
    ///
    /// Exit code 0 when all of it is in order, 1 when not: right after a crash the last write may be cut
    /// short, which the next start mends.
    Inspect(Inspect),
}

/// Arguments of `journal inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A journal's directory, or one file of it.
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print every record as well.
    #[arg(long)]
    pub(crate) records: bool,
}

/// What to print.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// The JSON schema, for editors that complete and check TOML.
    Schema,
    /// The built-in default, as a file to start from.
    Default,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
