//! `cargo xtask api`: the HTTP API walked by schemathesis from the API's own OpenAPI document. Requests are made
//! from it, good ones and bad ones, and every answer must be one that the document has: no 5xx but 503, no
//! other status, no other media type, no body that does not fit its schema.

use crate::failure::{Failure, check};
use crate::house;
use crate::router::{Router, Setup};
use crate::spawned::Spawned;
use clap::Args;
use serde_json::json;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The walker, from PyPI. Its version is fixed: another one may ask otherwise.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// What every answer is checked for.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,unsupported_method,ignored_auth";
/// How long fetching the walker, and the walk, may take.
const INSTALLED: Duration = Duration::from_secs(300);
const WALKED: Duration = Duration::from_secs(120);
const TOKEN: &str = "schemathesis-walks-as-admin";

/// How to walk the API.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The router's binary.
    #[arg(long)]
    router: PathBuf,
    /// Requests made up for each operation.
    #[arg(long, default_value_t = 10)]
    examples: u32,
}

/// Walks the API; true when every answer was as it should be.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let directory = house::logs().join("api");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).map_err(Failure::machine(format!(
        "cannot make {}",
        directory.display()
    )))?;
    let program = std::fs::canonicalize(&options.router).map_err(Failure::machine(format!(
        "no router at {}",
        options.router.display()
    )))?;
    let walker = install(&directory)?;
    let api = house::free_address(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
    let settings = settings(api);
    let rdb = json!([]);
    let router = Router::start(&Setup {
        program: &program,
        directory: &directory,
        shards: 2,
        rdb: &rdb,
        settings: &settings,
        environment: &[],
    })?;
    let mut walk = Spawned::start(
        "schemathesis",
        walker.as_os_str(),
        &arguments(api, options),
        &directory,
    )?;
    let good = walk.wait(WALKED)?.success();
    router.stop()?;
    let log = directory.join("schemathesis.log");
    match good {
        true => println!(
            "api: {} requests an operation, every answer as documented",
            options.examples
        ),
        false => println!(
            "api: answers that are not as documented: see {}",
            log.display()
        ),
    }
    Ok(good)
}

/// The API with a token, and with no bound that a walk could reach.
fn settings(address: SocketAddr) -> toml::Table {
    let address = address.to_string();
    toml::toml! {
        [http]
        address = address
        requests_per_s = 1_000_000
        tokens = [{ role = "admin", token = TOKEN }]
    }
}

fn arguments(api: SocketAddr, options: &Options) -> Vec<String> {
    [
        "run".to_owned(),
        format!("http://{api}/api/v1/openapi.json"),
        format!("--header=Authorization: Bearer {TOKEN}"),
        format!("--checks={CHECKS}"),
        format!("--max-examples={}", options.examples),
        "--phases=coverage,fuzzing".to_owned(),
        // A stream of events does not end.
        "--exclude-path=/api/v1/events".to_owned(),
        "--request-timeout=10".to_owned(),
        "--seed=1".to_owned(),
        "--no-color".to_owned(),
    ]
    .into()
}

/// The walker in an environment of its own, made when it is missing.
fn install(directory: &Path) -> Result<PathBuf, Failure> {
    let home = house::root().join("target/schemathesis");
    let walker = home.join("bin/schemathesis");
    if walker.is_file() {
        return Ok(walker);
    }
    let path = home.display().to_string();
    let python = ["-m", "venv", &path].map(str::to_owned);
    finish("venv", "python3".as_ref(), &python, directory)?;
    let pip = ["install", "--quiet", SCHEMATHESIS].map(str::to_owned);
    finish("pip", home.join("bin/pip").as_os_str(), &pip, directory)?;
    Ok(walker)
}

fn finish(
    name: &str,
    program: &OsStr,
    arguments: &[String],
    directory: &Path,
) -> Result<(), Failure> {
    let mut process = Spawned::start(name, program, arguments, directory)?;
    let ended = process.wait(INSTALLED)?;
    check(ended.success(), || {
        format!(
            "{name} failed: see {}",
            directory.join(format!("{name}.log")).display()
        )
    })
}
