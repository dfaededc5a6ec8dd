//! `tipring-bench`: plays caller and callee against a SIP server and measures it from outside. This file is the command line
//! and nothing else; each command has a module of its own.

#![deny(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a tool: it reads the clock, opens sockets, sleeps and starts servers"
)]

mod callee;
mod caller;
mod calls;
mod cli;
#[cfg(test)]
mod conversation_tests;
mod drive;
mod floor;
mod hold;
mod io;
mod latency;
mod load;
mod media;
mod message;
mod metrics;
mod outgoing;
mod overload;
mod probe;
mod procfs;
mod quota;
mod report;
mod schedule;
mod search;
mod servers;
mod slab;
mod soak;
mod suite;
mod tally;
mod template;
mod timers;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(&cli::Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tipring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
