//! Chores of the house, run as `cargo xtask VERB`: the scenario runner, the clients' check, the
//! architecture check. Tools live here; nothing of the router does, and no room may depend on it.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a command line tool: it waits, opens sockets and prints its findings"
)]

mod agent;
mod api;
mod arrows;
mod baresip;
mod clients;
mod failure;
mod house;
mod linphone;
mod log;
mod metrics;
mod page;
mod random;
mod rfc;
mod router;
mod rtp;
mod scenarios;
mod sdp;
mod sip;
mod spawned;
mod tone;
mod torture;
mod unsafety;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Chores of the house.
#[derive(Parser)]
#[command(name = "xtask", about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// One chore.
#[derive(Subcommand)]
enum Verb {
    /// Run the scenarios of sipp-scenarios/ against a router.
    Scenarios(scenarios::Options),
    /// Place calls through a router with sipsak and baresip.
    Clients(clients::Options),
    /// Walk the HTTP API of a router with schemathesis.
    Api(api::Options),
    /// Use the operator's page in a headless browser.
    Page(page::Options),
    /// Check that the rooms' dependency arrows only point down.
    Arrows,
    /// Write docs/rfc.md from its registry.
    Rfc,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Scenarios(options) => scenarios::run(&options),
        Verb::Clients(options) => clients::run(&options),
        Verb::Api(options) => api::run(&options),
        Verb::Page(options) => page::run(&options),
        Verb::Arrows => arrows::run(),
        Verb::Rfc => rfc::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
