//! From a file's name to a checked configuration and its compiled routing DB, or to every reason why
//! not. Used by start-up, by `check` and by a reload alike.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use garde::Validate;
use router::Directory;
use router::rdb::{RdbErrors, Remark, Table};

use super::directory;
use super::document::Document;
use super::environment::{Environment, Overrides};
use super::fault::{self, Fault, Faults};
use super::http;
use super::rules;
use super::schema::Config;

/// What runs when no file is given.
pub(crate) const BUILT_IN: &str = include_str!("builtin/tipring.toml");
const BUILT_IN_RDB: &str = include_str!("builtin/rdb.json");

/// A checked configuration with its routing DB.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// Where they came from.
    pub(crate) origin: Origin,
    /// The text of that.
    pub(crate) text: String,
    /// What the environment overrides in it.
    pub(crate) overrides: Overrides,
    /// The compiled routing DB.
    pub(crate) table: Arc<Table>,
    /// Where that came from.
    pub(crate) rdb: Origin,
    /// What the service manager gives this process to keep its state in.
    pub(crate) state_directory: Option<PathBuf>,
    /// The domains and their users.
    pub(crate) directory: Arc<Directory>,
    /// The HTTP API, its tokens and certificate read; `None`: there is none.
    pub(crate) http: Option<(control::Settings, control::Security)>,
}

impl Loaded {
    /// Where interval logs go; `None`: nowhere. A relative directory is meant beside the file that
    /// names it, as the routing DB is.
    pub(crate) fn latency_directory(&self) -> Option<PathBuf> {
        let latency = &self.config.latency;
        let directory = latency.directory.as_ref().filter(|_| latency.enabled)?;
        Some(beside(&self.origin, directory))
    }

    /// Where the keys of proofs are kept, if they are.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        let file = self.config.security.key_file.as_ref();
        file.map(|file| beside(&self.origin, file))
    }
}

impl Loaded {
    /// Where records of calls go; `None`: nowhere.
    pub(crate) fn records_directory(&self) -> Option<PathBuf> {
        let directory = self.config.cdr.directory.as_ref()?;
        Some(beside(&self.origin, directory))
    }

    /// Where the journal is kept; `None`: nowhere.
    pub(crate) fn journal_directory(&self) -> Option<PathBuf> {
        let journal = &self.config.journal;
        let directory = match &journal.directory {
            Some(directory) => Some(beside(&self.origin, directory)),
            None => self
                .state_directory
                .as_ref()
                .map(|state| state.join("journal")),
        };
        directory.filter(|_| journal.enabled)
    }
}

/// A file, or what is built into the binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, as the operator wrote its name.
    File(PathBuf),
    /// Part of the binary.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => path.display().fmt(f),
            Origin::BuiltIn => f.write_str("(built-in)"),
        }
    }
}

/// Every reason why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) struct LoadError {
    pub(super) parts: Vec<Faults>,
}

impl LoadError {
    /// One line a mistake, for a log.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.parts.iter().flat_map(Faults::lines).collect()
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.parts.iter().enumerate() {
            write!(f, "{}{part}", if n > 0 { "\n\n" } else { "" })?;
        }
        Ok(())
    }
}

/// Loads the configuration at `path`, or the built-in one, as the environment overrides it, and its
/// routing DB.
pub(crate) fn load(path: Option<&Path>, environment: &Environment) -> Result<Loaded, LoadError> {
    let (origin, text) = match path {
        None => (Origin::BuiltIn, BUILT_IN.to_owned()),
        Some(path) => (Origin::File(path.to_owned()), read(path)?),
    };
    complete(origin, text, environment)
}

fn complete(origin: Origin, text: String, environment: &Environment) -> Result<Loaded, LoadError> {
    let parsed = parse(&text, environment);
    let Parsed {
        config, overrides, ..
    } = parsed;
    let file = Faults::of(origin.to_string(), text.clone(), parsed.faults);
    let around = Faults::of("environment".into(), String::new(), parsed.around);
    let mut parts: Vec<Faults> = file.into_iter().chain(around).collect();
    // Even with faults [routing] may be good, so that one check shows the mistakes of both files.
    let rdb = rdb_origin(&config, &origin);
    let directory = directory::of(&config.domain, &origin);
    let directory = directory.unwrap_or_else(|error| {
        parts.extend(error.parts);
        Arc::default()
    });
    // Files are read for what is right so far.
    let http = match parts.is_empty() {
        true => http::secured(&config, &origin),
        false => Ok(None),
    };
    let http = http.unwrap_or_else(|error| {
        parts.extend(error.parts);
        None
    });
    match load_rdb(&rdb) {
        Ok(table) if parts.is_empty() => {
            return Ok(Loaded {
                config,
                origin,
                text,
                overrides,
                table,
                rdb,
                state_directory: environment.state_directory().map(Path::to_owned),
                directory,
                http,
            });
        }
        Ok(_) => {}
        Err(error) => parts.extend(error.parts),
    }
    Err(LoadError { parts })
}

/// Loads a routing DB.
pub(crate) fn load_rdb(origin: &Origin) -> Result<Arc<Table>, LoadError> {
    let text = match origin {
        Origin::File(path) => read(path)?,
        Origin::BuiltIn => BUILT_IN_RDB.to_owned(),
    };
    Table::parse(&text).map(Arc::new).map_err(|errors| {
        let list = rdb_faults(&text, errors);
        LoadError {
            parts: vec![Faults {
                file: origin.to_string(),
                text: text.clone(),
                list,
            }],
        }
    })
}

/// A relative `rdb` is meant beside the file that names it, wherever the process was started.
fn rdb_origin(config: &Config, origin: &Origin) -> Origin {
    match &config.routing.rdb {
        None => Origin::BuiltIn,
        Some(rdb) => Origin::File(beside(origin, rdb)),
    }
}

/// A path as meant by the configuration that names it.
pub(super) fn beside(origin: &Origin, path: &Path) -> PathBuf {
    match origin {
        Origin::BuiltIn => path.to_owned(),
        Origin::File(file) => file.parent().unwrap_or(Path::new("")).join(path),
    }
}

pub(super) fn read(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        LoadError {
            parts: vec![Faults::whole_file(&path.display().to_string(), message)],
        }
    })
}

/// A configuration that was read and checked. With faults, what could be read comes along.
#[derive(Debug, Default)]
struct Parsed {
    config: Config,
    overrides: Overrides,
    /// Mistakes in the text.
    faults: Vec<Fault>,
    /// Mistakes in the environment.
    around: Vec<Fault>,
}

fn parse(text: &str, environment: &Environment) -> Parsed {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(faults) => {
            return Parsed {
                faults,
                ..Parsed::default()
            };
        }
    };
    let (mut config, faults) = document.read::<Config>();
    let (overrides, around) = environment.apply(&mut config);
    let mut parsed = Parsed {
        config,
        overrides,
        faults,
        around,
    };
    // With keys set aside the rules would complain of what the operator did write.
    if parsed.faults.is_empty() && parsed.around.is_empty() {
        parsed.check_rules(&document);
    }
    parsed
}

impl Parsed {
    /// A rule that a variable breaks is told of the variable, any other of the key's place in the text.
    fn check_rules(&mut self, document: &Document<'_>) {
        for (key, message) in broken_rules(&self.config) {
            match self.overrides.of(&key) {
                Some(variables) => self.around.push(Fault {
                    span: None,
                    key: variables.to_owned(),
                    message,
                }),
                None => self.faults.push(Fault {
                    span: document.span_of(&key),
                    key,
                    message,
                }),
            }
        }
    }
}

fn broken_rules(config: &Config) -> Vec<(String, String)> {
    let report = config
        .validate()
        .err()
        .map(garde::Report::into_inner)
        .unwrap_or_default();
    let single = report
        .into_iter()
        .map(|(key, error)| (key.to_string(), error.to_string()));
    single.chain(rules::check(config)).collect()
}

/// A configuration from a text, as if a file of this name had it.
#[cfg(test)]
pub(super) fn of_text(
    file: &str,
    text: &str,
    environment: &Environment,
) -> Result<Loaded, LoadError> {
    complete(Origin::File(file.into()), text.to_owned(), environment)
}

/// Mistakes in the routing DB, shown as those in the configuration are.
fn rdb_faults(text: &str, errors: RdbErrors) -> Vec<Fault> {
    let more = format!("and {} more mistakes", errors.more);
    let more = Fault {
        span: None,
        key: String::new(),
        message: more,
    };
    let shown = errors.errors.into_iter().map(|remark| Fault {
        span: fault::span_at(text, remark.line, remark.column),
        key: rdb_key(&remark),
        message: remark.message,
    });
    shown.chain((errors.more > 0).then_some(more)).collect()
}

fn rdb_key(remark: &Remark) -> String {
    match (remark.record, remark.field.as_str()) {
        (Some(record), "") => format!("record {record}"),
        (Some(record), field) => format!("record {record}: {field}"),
        (None, field) => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Environment {
        Environment::of(&[])
    }

    fn faults(text: &str) -> String {
        faults_with(text, &[])
    }

    fn faults_with(text: &str, variables: &[(&str, &str)]) -> String {
        match of_text("tipring.toml", text, &Environment::of(variables)) {
            Err(error) => error.to_string(),
            Ok(loaded) => format!("accepted: {:?}", loaded.config),
        }
    }

    const LISTEN: &str = "[[listen]]\naddress = '127.0.0.1:5060'\n";

    #[test]
    fn the_built_in_configuration_routes() {
        let loaded = load(None, &nothing()).expect("built-in");
        assert_eq!(
            (loaded.origin, loaded.rdb),
            (Origin::BuiltIn, Origin::BuiltIn)
        );
        assert_eq!(loaded.config.engine.shards, 1);
        assert!(loaded.table.len() >= 2);
    }

    #[test]
    fn every_file_under_config_is_good() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let mut seen = 0;
        for entry in std::fs::read_dir(root).expect("config/") {
            let path = entry.expect("entry").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                load(Some(&path), &nothing())
                    .unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
                seen += 1;
            }
        }
        assert!(seen >= 3, "only {seen} files under config/");
    }

    /// Every key of the schema is explained in the reference, with its default as the value.
    #[test]
    fn the_reference_names_every_key_with_its_default() {
        let text = include_str!("../../../../config/tipring.toml");
        let reference = parse(text, &nothing()).config.sections();
        let default = Config::default().sections();
        for (section, keys) in &default {
            for (key, value) in keys {
                assert_eq!(reference[section].get(key), Some(value), "{section}.{key}");
                assert!(
                    text.contains(&format!("{key} = ")),
                    "{section}.{key} is not shown"
                );
            }
        }
    }

    #[test]
    fn unknown_and_wrong_values_are_placed() {
        insta::assert_snapshot!(faults(
            "[engine]\nshrads = 2\ndrain_s = -1\n[udp]\ncoalesce = \"some\"\n[limits]\ncalls = \"many\"\n\
             [[listen]]\naddress = \"127.0.0.1\"\n[[peer]]\nname = \"p\"\naddresses = [\"10.0.0.0/8\", \"ten\"]\n"
        ), @r#"
        error: tipring.toml:2:1: engine.shrads: unknown key `shrads`, expected one of `shards`, `cpus`, `drain_s`, `server_name`
          |
        2 | shrads = 2
          | ^^^^^^

        error: tipring.toml:3:11: engine.drain_s: invalid value: integer `-1`, expected a whole number, 0 or more
          |
        3 | drain_s = -1
          |           ^^

        error: tipring.toml:5:12: udp.coalesce: unknown word `some`, expected one of `off`, `trunks`, `all`
          |
        5 | coalesce = "some"
          |            ^^^^^^

        error: tipring.toml:7:9: limits.calls: invalid type: string "many", expected a whole number, 0 or more
          |
        7 | calls = "many"
          |         ^^^^^^

        error: tipring.toml:9:11: listen[0].address: "127.0.0.1" is not an address with a port; write it like "127.0.0.1:5060"
          |
        9 | address = "127.0.0.1"
          |           ^^^^^^^^^^^

        error: tipring.toml:12:13: peer[0].addresses: "ten" is not a network; write it like "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"
           |
        12 | addresses = ["10.0.0.0/8", "ten"]
           |             ^^^^^^^^^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn ranges_and_rules_are_told_together() {
        insta::assert_snapshot!(faults(
            "[engine]\nshards = 300\ncpus = [1, 1]\n[udp]\nbuffers = 1000\ndscp = 64\n[timers]\nt1_ms = 5000\n\
             [[listen]]\naddress = \"0.0.0.0:5060\"\n[[listen]]\naddress = \"0.0.0.0:5060\"\nadvertise = \"sip.example.com\"\n\
             [[peer]]\nname = \"\"\naddresses = []\nclass = \"trunk\"\n\
             [[peer]]\nname = \"a\"\naddresses = [\"10.0.0.1/8\", \"10.0.0.0/8\"]\nclass = \"trunk\"\n"
        ), @r#"
        error: tipring.toml:2:10: engine.shards: must be from 0 to 255
          |
        2 | shards = 300
          |          ^^^

        error: tipring.toml:3:8: engine.cpus: lists 2 CPUs for 300 shards; list one per shard, or none
          |
        3 | cpus = [1, 1]
          |        ^^^^^^

        error: tipring.toml:3:12: engine.cpus[1]: CPU 1 already carries the shard of cpus[0]
          |
        3 | cpus = [1, 1]
          |            ^

        error: tipring.toml:5:11: udp.buffers: must be a power of two from 32 to 32768
          |
        5 | buffers = 1000
          |           ^^^^

        error: tipring.toml:6:8: udp.dscp: must be from 0 to 63
          |
        6 | dscp = 64
          |        ^^

        error: tipring.toml:7:1: timers.t2_ms: must not be below t1_ms, which is 5000
          |
        7 | [timers]
          | ^^^^^^^^

        error: tipring.toml:10:11: listen[0].address: 0.0.0.0:5060 receives on every address, but peers must be told one: add advertise = "host:port" to this [[listen]]
           |
        10 | address = "0.0.0.0:5060"
           |           ^^^^^^^^^^^^^^

        error: tipring.toml:12:11: listen[1].address: 0.0.0.0:5060 is also the address of listen[0]
           |
        12 | address = "0.0.0.0:5060"
           |           ^^^^^^^^^^^^^^

        error: tipring.toml:15:8: peer[0].name: length is lower than 1
           |
        15 | name = ""
           |        ^^

        error: tipring.toml:16:13: peer[0].addresses: length is lower than 1
           |
        16 | addresses = []
           |             ^^

        error: tipring.toml:20:28: peer[1].addresses[1]: 10.0.0.0/8 is also listed by peer[1]
           |
        20 | addresses = ["10.0.0.1/8", "10.0.0.0/8"]
           |                            ^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn broken_syntax_is_placed() {
        insta::assert_snapshot!(faults("[engine]\nshards =\n[udp\n"), @r#"
        error: tipring.toml:2:9: this is not TOML: string values must be quoted, expected literal string
          |
        2 | shards =
          |         ^

        error: tipring.toml:3:5: this is not TOML: unclosed table, expected `]`
          |
        3 | [udp
          |     ^
        "#);
    }

    #[test]
    fn a_listener_is_needed() {
        insta::assert_snapshot!(faults("[engine]\nshards = 1\n"), @r#"error: tipring.toml: listen: no address to receive SIP on; add a [[listen]] with address = "ip:port""#);
    }

    #[test]
    fn a_server_name_cannot_break_out_of_its_header() {
        let with = |name: &str| faults(&format!("{LISTEN}[engine]\nserver_name = {name}\n"));
        assert!(with("\"tipring 1\"").starts_with("accepted"));
        for wrong in ["\"\"", "\"a\\r\\nb: c\"", "\"\u{e9}\""] {
            assert!(with(wrong).contains("visible ASCII"), "{wrong}");
        }
    }

    #[test]
    fn servers_must_be_reachable_and_someone_else() {
        insta::assert_snapshot!(faults(&format!(
            "{LISTEN}[application_server]\naddress = '[::1]:5060'\nfailures = 0\nsources = ['a']\n"
        )), @r#"
        error: tipring.toml:6:11: application_server.sources: "a" is not an address; write it like "192.0.2.5" or "2001:db8::5", without a port
          |
        6 | sources = ['a']
          |           ^^^^^
        "#);
        insta::assert_snapshot!(faults(&format!(
            "{LISTEN}[application_server]\naddress = '[::1]:5060'\nfailures = 0\n\
             [routing]\noutbound_proxy = '127.0.0.1:5060'\n"
        )), @r#"
        error: tipring.toml:4:11: application_server.address: [::1]:5060 cannot be reached: no [[listen]] has an IPv6 address
          |
        4 | address = '[::1]:5060'
          |           ^^^^^^^^^^^^

        error: tipring.toml:5:12: application_server.failures: must be from 1 to 1000
          |
        5 | failures = 0
          |            ^

        error: tipring.toml:7:18: routing.outbound_proxy: 127.0.0.1:5060 is this router's own: calls would go round in circles
          |
        7 | outbound_proxy = '127.0.0.1:5060'
          |                  ^^^^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn mistakes_of_the_environment_are_told_beside_those_of_the_file() {
        let variables = [("as_sip_udp", "here"), ("ka_interval", "soon")];
        insta::assert_snapshot!(faults_with("[engine]\nshards = -1\n", &variables), @r#"
        error: tipring.toml:2:10: engine.shards: invalid value: integer `-1`, expected a whole number from 0 to 65535
          |
        2 | shards = -1
          |          ^^

        error: environment: as_sip_udp: "here" is not an address with a port; write it like "192.0.2.1:5060" or "[2001:db8::1]:5060"

        error: environment: ka_interval: "soon" is not a number of seconds; 0 is off
        "#);
    }

    #[test]
    fn a_rule_that_a_variable_breaks_names_the_variable() {
        let variables = [
            ("as_sip_udp", "127.0.0.1:5060"),
            ("ka_interval", "99999999"),
            ("proxy_udp_server", "[::1]:5060"),
        ];
        insta::assert_snapshot!(faults_with(LISTEN, &variables), @r#"
        error: environment: ka_interval: must be from 0 to 10000000

        error: environment: as_sip_udp: 127.0.0.1:5060 is this router's own: calls would go round in circles

        error: environment: proxy_udp_server: [::1]:5060 cannot be reached: no [[listen]] has an IPv6 address
        "#);
    }

    #[test]
    fn the_environment_gives_the_listener_that_the_file_has_not() {
        let text = "[engine]\nshards = 1\n";
        assert!(faults(text).contains("no address to receive SIP on"));
        let accepted = faults_with(text, &[("server_ipv4", "127.0.0.1")]);
        assert!(accepted.starts_with("accepted"), "{accepted}");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = load(Some(Path::new("/nonexistent/tipring.toml")), &nothing())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("error: /nonexistent/tipring.toml: cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn the_rdb_is_sought_beside_the_file_that_names_it() {
        let routing = |rdb: &str| Config {
            routing: super::super::Routing {
                rdb: Some(rdb.into()),
                ..Default::default()
            },
            ..Config::default()
        };
        let file = Origin::File("etc/tipring/tipring.toml".into());
        let found = |rdb: &str, origin: &Origin| rdb_origin(&routing(rdb), origin).to_string();
        assert_eq!(found("rdb.json", &file), "etc/tipring/rdb.json");
        assert_eq!(found("/srv/rdb.json", &file), "/srv/rdb.json");
        assert_eq!(
            found("rdb.json", &Origin::File("tipring.toml".into())),
            "rdb.json"
        );
    }

    impl Config {
        /// The sections with a fixed set of keys, as tables.
        fn sections(&self) -> std::collections::BTreeMap<String, toml::Table> {
            let all = toml::Table::try_from(self).expect("writes itself");
            let table = |(name, value)| match value {
                toml::Value::Table(table) => Some((name, table)),
                _ => None,
            };
            all.into_iter().filter_map(table).collect()
        }
    }
}
