//! tipring, the binary: command line, configuration, the worker loop around each shard, reload, drain
//! and the threads that are not shards. What a SIP message means is decided in the rooms below; how
//! bytes reach a socket, in `reactor`. See docs/ARCHITECTURE.md.

#![forbid(unsafe_code)]
// The purity lint keeps clocks, threads and sockets out of the pure rooms; they are this room's work.
#![allow(clippy::disallowed_methods)]

mod abuse;
mod auth;
mod board;
mod call_records;
mod cli;
mod commands;
mod config;
mod control;
mod dns;
mod doctor;
mod drops;
mod effective;
mod events;
mod exposition;
mod hep;
mod housekeeping;
mod http;
mod journal_metrics;
mod keys;
mod latency_metrics;
mod launch;
mod lent_ports;
mod letter;
mod logging;
mod metrics;
mod modes;
mod peers;
mod plan;
mod ports;
mod registrar;
mod report;
mod service;
mod sip_trace;
mod stopwatch;
mod supervisor;
mod top;
mod worker;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::execute(cli::Cli::parse().command)
}
