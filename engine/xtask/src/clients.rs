//! `cargo xtask clients`: clients we did not write use the router. sipsak asks it with OPTIONS; a baresip
//! calls another baresip through it, is answered, and hangs up. Both are Debian packages.

use crate::failure::{Failure, check};
use crate::house;
use crate::router::{Router, Setup};
use crate::spawned::{Spawned, is_installed};
use clap::Args;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The caller's and the callee's addresses.
const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 31));
const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 32));
/// The number the caller dials.
const NUMBER: &str = "12345";
/// Seconds after which the calling baresip hangs up and ends.
const TALK_S: u32 = 4;
/// Where baresip's modules may be: Debian's place first.
const MODULES: &[&str] = &[
    "/usr/lib/baresip/modules",
    "/usr/lib64/baresip/modules",
    "/usr/local/lib/baresip/modules",
];
/// What baresip says on both sides when a call is up.
const ESTABLISHED: &str = "Call established";

/// How to run the clients.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The router's binary.
    #[arg(long)]
    router: PathBuf,
}

/// Runs each client; true when all passed.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let missing = missing_programs(is_installed);
    check(missing.is_empty(), || missing.join("; "))?;
    let directory = house::logs().join("clients");
    let _ = std::fs::remove_dir_all(&directory);
    make(&directory)?;
    let program = std::path::absolute(&options.router).map_err(Failure::machine(format!(
        "no path {}",
        options.router.display()
    )))?;
    let bob = house::free_address(BOB)?;
    let router = start_router(&program, &directory, bob)?;
    let outcomes = [
        ("sipsak_options", sipsak(router.address, &directory)),
        (
            "baresip_calls_baresip",
            baresip_call(router.address, bob, &directory),
        ),
        ("router_ends", router.stop()),
    ];
    Ok(tell(&outcomes))
}

/// What to install, with the package's name.
fn missing_programs(has: impl Fn(&str) -> bool) -> Vec<String> {
    let wanted = [("sipsak", "sipsak"), ("baresip", "baresip-core")];
    let missing = wanted.iter().filter(|(program, _)| !has(program));
    missing
        .map(|(p, package)| format!("{p} is not installed (apt install {package})"))
        .collect()
}

fn tell(outcomes: &[(&str, Result<(), Failure>)]) -> bool {
    for (name, outcome) in outcomes {
        match outcome {
            Ok(()) => println!("{name:<34} ok"),
            Err(failure) => println!("{name:<34} FAILED  {failure}"),
        }
    }
    let passed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .count();
    println!("{passed} passed, {} failed", outcomes.len() - passed);
    passed == outcomes.len()
}

fn start_router(program: &Path, directory: &Path, bob: SocketAddr) -> Result<Router, Failure> {
    let record = json!({ "outRuriHostport": bob.to_string(), "outCallFlow": "Transparent" });
    let rdb = json!([{ "userpartPattern": format!("^{NUMBER}$"), "routingRecord": record }]);
    let settings = toml::Table::new();
    Router::start(&Setup {
        program,
        directory,
        shards: 2,
        rdb: &rdb,
        settings: &settings,
        environment: &[],
    })
}

/// sipsak ends with 0 when its OPTIONS gets a 200.
fn sipsak(router: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let line = format!("-v -H {ALICE} -s sip:{router}");
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let mut sipsak = Spawned::start("sipsak", "sipsak".as_ref(), &arguments, directory)?;
    let ended = sipsak.wait(Duration::from_secs(10))?;
    check(ended.success(), || {
        format!("sipsak ended with {ended}: see sipsak.log")
    })
}

/// Alice dials Bob through the router: both say that the call is up, and Bob that it ended.
fn baresip_call(router: SocketAddr, bob: SocketAddr, directory: &Path) -> Result<(), Failure> {
    let alice = house::free_address(ALICE)?;
    let answering = format!("<sip:{NUMBER}@{bob}>;regint=0;answermode=auto\n");
    let _bob = baresip("bob", bob, &answering, directory, &[])?;
    wait_for("bob", "baresip is ready", directory)?;
    let dial = [
        "-t",
        &TALK_S.to_string(),
        "-e",
        &format!("/dial sip:{NUMBER}@{router}"),
    ]
    .map(str::to_owned);
    let calling = format!("<sip:alice@{alice}>;regint=0\n");
    let mut alice = baresip("alice", alice, &calling, directory, &dial)?;
    wait_for("alice", ESTABLISHED, directory)?;
    wait_for("bob", ESTABLISHED, directory)?;
    alice.wait(Duration::from_secs(u64::from(TALK_S) + 10))?;
    wait_for("bob", "terminated (duration", directory)
}

fn baresip(
    name: &str,
    address: SocketAddr,
    account: &str,
    directory: &Path,
    options: &[String],
) -> Result<Spawned, Failure> {
    let home = directory.join(format!("{name}-home"));
    make(&home)?;
    for (file, text) in [
        ("config", configuration(address)),
        ("accounts", account.into()),
        ("contacts", "".into()),
    ] {
        let what = format!("cannot write {file} of {name}");
        std::fs::write(home.join(file), text).map_err(Failure::machine(what))?;
    }
    let mut arguments = vec!["-4".to_owned(), "-f".into(), home.display().to_string()];
    arguments.extend(options.iter().cloned());
    Spawned::start(name, "baresip".as_ref(), &arguments, directory)
}

/// Codecs and the menu; no sound device, since the proof is in the signalling.
fn configuration(address: SocketAddr) -> String {
    let modules = MODULES
        .iter()
        .find(|path| Path::new(path).is_dir())
        .unwrap_or(&MODULES[0]);
    format!(
        "sip_listen {address}\nmodule_path {modules}\nmodule g711.so\n\
         module_tmp account.so\nmodule_app menu.so\n"
    )
}

/// Waits until the log of `name` has `words`.
fn wait_for(name: &str, words: &str, directory: &Path) -> Result<(), Failure> {
    let log = directory.join(format!("{name}.log"));
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let text = std::fs::read(&log).unwrap_or_default();
        if String::from_utf8_lossy(&text).contains(words) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Failure::Timeout(format!("{words:?} in {}", log.display())))
}

fn make(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(Failure::machine(format!(
        "cannot make {}",
        directory.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_client_is_named_with_its_package() {
        let missing = missing_programs(|program| program == "sipsak");
        assert_eq!(
            missing,
            ["baresip is not installed (apt install baresip-core)"]
        );
        assert!(missing_programs(|_| true).is_empty());
    }

    #[test]
    fn one_failure_fails_all() {
        assert!(tell(&[("a", Ok(()))]));
        assert!(!tell(&[
            ("a", Ok(())),
            ("b", Err(Failure::Timeout("x".into())))
        ]));
    }

    #[test]
    fn baresip_listens_where_it_is_told() {
        let text = configuration("127.0.0.31:5071".parse().unwrap());
        assert!(text.starts_with("sip_listen 127.0.0.31:5071\n"));
    }
}
