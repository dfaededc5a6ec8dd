//! What sipp-scenarios/manifest.toml says: which agents play a scenario, what the router is given,
//! what it proves. Reading only; nothing is run here.

use crate::failure::Failure;
use crate::house;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The scenarios, in the order they run.
    pub(crate) scenario: Vec<Scenario>,
}

/// One scenario: either a caller and a callee played by sipp, or a script of this crate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scenario {
    /// Its name: the behaviour.
    pub(crate) name: String,
    /// What it proves, one sentence.
    pub(crate) proves: String,
    /// The section that asks for it.
    pub(crate) rfc: String,
    /// File in caller/ without `.xml`, or `stock` for `sipp -sn uac`.
    pub(crate) caller: Option<String>,
    /// File in callee/ without `.xml`, or `stock` for `sipp -sn uas`; none when no call may arrive.
    pub(crate) callee: Option<String>,
    /// Name of a script in this crate, instead of the two.
    pub(crate) script: Option<String>,
    /// The number dialled.
    pub(crate) number: String,
    /// userpartPattern of the record; by default exactly the number.
    pub(crate) pattern: Option<String>,
    /// Fields of the routing record that differ from the default one.
    pub(crate) record: toml::Table,
    /// Keys laid over the router's generated configuration.
    pub(crate) settings: toml::Table,
    /// Pairs of media ports the router is given; 0 for no media.
    pub(crate) media_pairs: u16,
    /// The router's environment; `{callee}` is the callee's address.
    pub(crate) environment: BTreeMap<String, String>,
    /// How many calls.
    pub(crate) calls: u32,
    /// Calls per second.
    pub(crate) rate: u32,
    /// Further sipp options of the caller.
    pub(crate) caller_options: Vec<String>,
    /// Further sipp options of the callee.
    pub(crate) callee_options: Vec<String>,
    /// The callee's address.
    pub(crate) callee_ip: IpAddr,
    /// Whether caller and callee also understand each other without a router between.
    pub(crate) direct: bool,
    /// Whether nothing else may run meanwhile.
    pub(crate) alone: bool,
    /// Whether messages are traced and the rules of `rules` are checked.
    pub(crate) traced: bool,
    /// Seconds after which the scenario has failed.
    pub(crate) limit_s: u64,
    /// Whether the router is a proxy in it, which hides nothing of one party from the other.
    pub(crate) proxied: bool,
}

/// The address of a second callee: the same port of the next host.
pub(crate) fn second(callee: SocketAddr) -> SocketAddr {
    let ip = match callee.ip() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().wrapping_add(1)).into(),
    };
    SocketAddr::new(ip, callee.port())
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            name: String::new(),
            proves: String::new(),
            rfc: String::new(),
            caller: None,
            callee: None,
            script: None,
            number: "12345".into(),
            pattern: None,
            record: toml::Table::new(),
            settings: toml::Table::new(),
            media_pairs: 0,
            environment: BTreeMap::new(),
            calls: 4,
            rate: 40,
            caller_options: Vec::new(),
            callee_options: Vec::new(),
            callee_ip: Ipv4Addr::new(127, 0, 0, 22).into(),
            direct: true,
            alone: false,
            traced: true,
            limit_s: 20,
            proxied: false,
        }
    }
}

impl Scenario {
    /// The routing DB that leads this scenario's number to `callee`.
    pub(crate) fn rdb(&self, callee: SocketAddr) -> Value {
        let mut record = json!({
            "noAnswerTimeout": 0,
            "no18xTimeout": 0,
            "maxCallDuration": 0,
            "outRuriUserpart": "",
            "outRuriHostport": callee.to_string(),
            "outCallFlow": "Transparent",
            "disallowSimilar18x": false,
            "disallowDifferent18x": false,
            "steerMedia": false,
        });
        if let (Some(fields), Ok(Value::Object(own))) =
            (record.as_object_mut(), self.record_for(callee))
        {
            fields.extend(own);
        }
        let pattern = self
            .pattern
            .clone()
            .unwrap_or_else(|| format!("^{}$", self.number));
        let mut entry = Map::new();
        entry.insert("userpartPattern".into(), pattern.into());
        entry.insert("routingRecord".into(), record);
        json!([entry])
    }

    /// The record's own fields; `{callee}` and `{callee_2}` stand for addresses.
    fn record_for(&self, callee: SocketAddr) -> serde_json::Result<Value> {
        let text = serde_json::to_string(&self.record)?;
        let text = text.replace("{callee}", &callee.to_string());
        serde_json::from_str(&text.replace("{callee_2}", &second(callee).to_string()))
    }

    /// The settings, with free ports for the media that it wants.
    pub(crate) fn settings_with_ports(&self) -> Result<toml::Table, Failure> {
        let mut settings = self.settings.clone();
        if self.media_pairs > 0 {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let first = house::free_ports(&loopback, 2 * self.media_pairs)?;
            let ports = format!("{first}-{}", first + 2 * self.media_pairs - 1);
            let media = settings
                .entry("media")
                .or_insert_with(|| toml::Table::new().into());
            if let Some(media) = media.as_table_mut() {
                media.insert("ports".into(), ports.into());
            }
        }
        Ok(settings)
    }

    /// The router's settings when the callee is at this address.
    pub(crate) fn settings_for(&self, callee: SocketAddr) -> Result<toml::Table, Failure> {
        let settings = self.settings_with_ports()?.to_string();
        let filled = settings.replace("{callee}", &callee.to_string());
        let filled: Result<toml::Table, _> = filled.parse();
        filled.map_err(|error| Failure::Check(format!("settings of {}: {error}", self.name)))
    }

    /// The router's environment when the callee is at this address.
    pub(crate) fn environment_for(&self, callee: SocketAddr) -> Vec<(String, String)> {
        let filled = |text: &String| text.replace("{callee}", &callee.to_string());
        let all = self.environment.iter();
        all.map(|(name, text)| (name.clone(), filled(text)))
            .collect()
    }

    /// Whether sipp plays it.
    pub(crate) fn is_played_by_sipp(&self) -> bool {
        self.script.is_none()
    }
}

/// Reads the manifest.
pub(crate) fn read(path: &Path) -> Result<Manifest, Failure> {
    let what = || format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(path).map_err(Failure::machine(what()))?;
    toml::from_str(&text).map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::scripts;
    use std::collections::HashSet;

    fn manifest() -> Manifest {
        read(&house::scenarios().join("manifest.toml")).unwrap()
    }

    /// The files in caller/ or callee/, without their ending.
    fn files(folder: &str) -> HashSet<String> {
        let entries = std::fs::read_dir(house::scenarios().join(folder)).unwrap();
        entries
            .map(|e| {
                e.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .into()
            })
            .collect()
    }

    #[test]
    fn names_are_unique_and_told() {
        let scenarios = manifest().scenario;
        let names: HashSet<_> = scenarios.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), scenarios.len());
        for s in &scenarios {
            assert!(
                !s.name.is_empty() && !s.proves.is_empty() && !s.rfc.is_empty(),
                "{s:?}"
            );
        }
    }

    #[test]
    fn every_file_is_played_and_every_played_file_exists() {
        let scenarios = manifest().scenario;
        let played = |pick: fn(&Scenario) -> Option<&String>| -> HashSet<String> {
            scenarios
                .iter()
                .filter_map(pick)
                .filter(|f| *f != "stock")
                .cloned()
                .collect()
        };
        assert_eq!(played(|s| s.caller.as_ref()), files("caller"));
        assert_eq!(played(|s| s.callee.as_ref()), files("callee"));
    }

    #[test]
    fn a_scenario_is_either_scripted_or_played() {
        for s in &manifest().scenario {
            assert_eq!(s.script.is_none(), s.caller.is_some(), "{}", s.name);
            assert!(s.script.is_none() || s.callee.is_none(), "{}", s.name);
            if let Some(script) = &s.script {
                assert!(
                    scripts::find(script).is_some(),
                    "{}: no script {script}",
                    s.name
                );
            }
        }
    }

    #[test]
    fn the_readme_tells_of_every_scenario() {
        let readme = std::fs::read_to_string(house::scenarios().join("README.md")).unwrap();
        for s in &manifest().scenario {
            assert!(
                readme.contains(&super::super::table_row(s)),
                "README row of {}",
                s.name
            );
        }
    }

    #[test]
    fn a_record_lies_over_the_default_one() {
        let scenario: Scenario =
            toml::from_str("number = '77'\nrecord = { noAnswerTimeout = 1, outRuriHostport = '' }")
                .unwrap();
        let rdb = scenario.rdb("127.0.0.22:5070".parse().unwrap());
        assert_eq!(rdb[0]["userpartPattern"], "^77$");
        assert_eq!(rdb[0]["routingRecord"]["noAnswerTimeout"], 1);
        assert_eq!(rdb[0]["routingRecord"]["outRuriHostport"], "");
        assert_eq!(rdb[0]["routingRecord"]["outCallFlow"], "Transparent");
    }

    #[test]
    fn a_record_may_name_both_callees() {
        let scenario: Scenario =
            toml::from_str("record = { targets = [{ outRuriHostport = '{callee_2}' }] }").unwrap();
        let rdb = scenario.rdb("127.0.0.22:5070".parse().unwrap());
        let targets = &rdb[0]["routingRecord"]["targets"];
        assert_eq!(targets[0]["outRuriHostport"], "127.0.0.23:5070");
    }

    #[test]
    fn media_ports_are_free_ones_beside_the_other_settings() {
        let scenario: Scenario =
            toml::from_str("media_pairs = 3\nsettings = { media = { timeout_s = 1 } }").unwrap();
        let settings = scenario.settings_with_ports().unwrap();
        let ports = settings["media"]["ports"].as_str().unwrap();
        let (first, last) = ports.split_once('-').unwrap();
        let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!((first % 2, last - first), (0, 5));
        assert_eq!(settings["media"]["timeout_s"].as_integer(), Some(1));
        assert!(
            Scenario::default()
                .settings_with_ports()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_environment_may_name_the_callee() {
        let scenario: Scenario =
            toml::from_str("environment = { a = '{callee}', b = '1' }").unwrap();
        let own = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            scenario.environment_for("127.0.0.22:5070".parse().unwrap()),
            [own("a", "127.0.0.22:5070"), own("b", "1")]
        );
    }

    #[test]
    fn the_settings_may_name_the_callee() {
        let scenario: Scenario =
            toml::from_str("settings = { http = { address = '{callee}' } }").unwrap();
        let callee = "127.0.0.22:5070";
        let settings = scenario.settings_for(callee.parse().unwrap()).unwrap();
        assert_eq!(settings["http"]["address"].as_str(), Some(callee));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Scenario>("nmae = 'x'").is_err());
    }
}
