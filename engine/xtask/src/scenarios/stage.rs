//! One scenario from start to end: a directory for its logs, a router of its own, the agents, and what is
//! checked after they have ended.

use super::manifest::Scenario;
use super::rules;
use super::scripts::{self, Stage};
use super::sipp::{Play, Sipp};
use super::trace::Trace;
use crate::failure::{Failure, check};
use crate::house;
use crate::router::{Router, Setup};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The caller's address: another one than the router's and the callee's, so that a leak shows.
const CALLER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// How long the callee may still need when the caller has ended.
const AFTERMATH: Duration = Duration::from_secs(12);

/// What scenarios are played with.
#[derive(Debug)]
pub(crate) struct House {
    /// The router's binary; None lets caller and callee talk directly.
    pub(crate) router: Option<PathBuf>,
    /// Shards of the router.
    pub(crate) shards: usize,
    /// The directory of all logs.
    pub(crate) logs: PathBuf,
    /// Whether logs of scenarios that passed stay, too.
    pub(crate) keep: bool,
}

/// Plays one scenario; the logs of a failed one stay.
pub(crate) fn play(house: &House, scenario: &Scenario) -> Result<(), Failure> {
    let directory = house.logs.join(&scenario.name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(Failure::machine(format!(
        "cannot make {}",
        directory.display()
    )))?;
    let callee = house::free_address(scenario.callee_ip)?;
    match &house.router {
        Some(program) => through_router(house, program, scenario, callee, &directory)?,
        None => with_sipp(scenario, None, callee, &directory)?,
    }
    if !house.keep {
        let _ = fs::remove_dir_all(&directory);
    }
    Ok(())
}

fn through_router(
    house: &House,
    program: &Path,
    scenario: &Scenario,
    callee: SocketAddr,
    directory: &Path,
) -> Result<(), Failure> {
    let rdb = scenario.rdb(callee);
    let settings = scenario.settings_for(callee)?;
    let setup = Setup {
        program,
        directory,
        shards: house.shards,
        rdb: &rdb,
        settings: &settings,
        environment: &scenario.environment_for(callee),
    };
    let router = Router::start(&setup)?;
    let played = match &scenario.script {
        None => with_sipp(scenario, Some(router.address), callee, directory),
        Some(script) => scripted(script, scenario, (&router, directory), callee),
    };
    check(router.is_well(), || {
        "the router died: see router.log".into()
    })?;
    played?;
    router.stop()
}

fn scripted(
    name: &str,
    scenario: &Scenario,
    (router, directory): (&Router, &Path),
    callee: SocketAddr,
) -> Result<(), Failure> {
    let script = scripts::find(name)
        .ok_or_else(|| Failure::Check(format!("there is no script {name:?}")))?;
    script(&Stage {
        router,
        caller_ip: CALLER.into(),
        callee,
        scenario,
        directory,
    })
}

fn with_sipp(
    scenario: &Scenario,
    router: Option<SocketAddr>,
    callee: SocketAddr,
    directory: &Path,
) -> Result<(), Failure> {
    let own = house::free_address(CALLER.into())?;
    let mut answering = start_callee(scenario, callee, directory)?;
    let target = Some(router.unwrap_or(callee));
    let file = scenario.caller.as_deref().unwrap_or("stock");
    let options = &scenario.caller_options;
    let play = Play {
        role: "caller",
        own,
        target,
        file,
        options,
        ..cast(scenario)
    };
    let called = Sipp::start(&play, directory)?.finish(limit(scenario));
    if let Some(callee) = &mut answering {
        // The callee's word is heard even when the caller failed: it often names the cause.
        let answered = callee.finish(if called.is_ok() {
            AFTERMATH
        } else {
            Duration::ZERO
        });
        check(called.is_ok() || answered.is_ok(), || {
            both(&called, &answered)
        })?;
        answered.or_else(|failure| if called.is_ok() { Err(failure) } else { Ok(()) })?;
    }
    called?;
    if scenario.traced {
        check_traces(scenario, own, callee, router, directory)
    } else {
        Ok(())
    }
}

fn start_callee(
    scenario: &Scenario,
    own: SocketAddr,
    directory: &Path,
) -> Result<Option<Sipp>, Failure> {
    let Some(file) = scenario.callee.as_deref() else {
        return Ok(None);
    };
    let options = &scenario.callee_options;
    let play = Play {
        role: "callee",
        own,
        file,
        options,
        ..cast(scenario)
    };
    let mut sipp = Sipp::start(&play, directory)?;
    sipp.wait_until_bound(own)?;
    Ok(Some(sipp))
}

/// What caller and callee have in common.
fn cast(scenario: &Scenario) -> Play<'_> {
    Play {
        role: "",
        file: "",
        own: SocketAddr::from(([0, 0, 0, 0], 0)),
        target: None,
        number: &scenario.number,
        calls: scenario.calls,
        rate: scenario.rate,
        traced: scenario.traced,
        limit_s: scenario.limit_s,
        options: &[],
    }
}

/// A little more than sipp's own limit, so that sipp tells first.
fn limit(scenario: &Scenario) -> Duration {
    Duration::from_secs(scenario.limit_s + 3)
}

fn both(one: &Result<(), Failure>, other: &Result<(), Failure>) -> String {
    let words = |outcome: &Result<(), Failure>| match outcome {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    };
    format!("{}; {}", words(one), words(other))
}

fn check_traces(
    scenario: &Scenario,
    caller: SocketAddr,
    callee: SocketAddr,
    router: Option<SocketAddr>,
    directory: &Path,
) -> Result<(), Failure> {
    let caller = Trace::read(&directory.join("caller.messages"), caller);
    let callee = Trace::read(&directory.join("callee.messages"), callee);
    check(!caller.sent.is_empty(), || {
        "the caller's trace is empty".into()
    })?;
    let mut broken = [rules::conversation(&caller), rules::conversation(&callee)].concat();
    if let Some(router) = router.map(|address: SocketAddr| -> IpAddr { address.ip() }) {
        if !scenario.proxied {
            broken.extend(rules::topology(&caller, &callee, router));
            broken.extend(rules::topology(&callee, &caller, router));
        }
        broken.extend(rules::hops(&callee));
    }
    check(broken.is_empty(), || told(&broken))
}

/// The first of what is broken, and how much more there is.
fn told(broken: &[String]) -> String {
    match broken {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_told_briefly() {
        let lines = |count: usize| (1..=count).map(|n| format!("rule {n}")).collect::<Vec<_>>();
        assert_eq!(told(&lines(1)), "rule 1");
        assert_eq!(told(&lines(3)), "rule 1 (and 2 more)");
    }

    #[test]
    fn both_failures_are_told() {
        let failed = |words: &str| Err(Failure::Check(words.into()));
        assert_eq!(both(&failed("one"), &failed("two")), "one; two");
    }
}
