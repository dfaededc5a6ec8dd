//! The effective configuration, key by key: each with its value and where that came from. The keys are
//! those of the JSON schema, so that none is forgotten.

use std::fmt;

use serde_json::Value;

use super::document::Document;
use super::fault;
use super::load::Loaded;
use super::schema::Config;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name, like `listen[0].address`.
    pub(crate) key: String,
    /// Its value as it is written in JSON; empty when it has none.
    pub(crate) value: String,
    /// Where that came from.
    pub(crate) source: Source,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It stands nowhere.
    Default,
    /// A line of a file.
    Line(String, usize),
    /// Variables of the environment.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Line(file, line) => write!(f, "{file}:{line}"),
            Source::Environment(variables) => write!(f, "environment {variables}"),
        }
    }
}

/// Every key of the configuration.
pub(crate) fn settings(loaded: &Loaded) -> Vec<Setting> {
    let schema = schemars::schema_for!(Config).to_value();
    // A configuration is made of texts, numbers and lists, which always have a JSON form.
    let value = serde_json::to_value(&loaded.config).unwrap_or_default();
    let mut leaves = Vec::new();
    let walk = Walk { schema: &schema };
    walk.object(&schema, &value, "", &mut leaves);
    let document = Document::parse(&loaded.text).ok();
    let setting = |(key, value): (String, String)| Setting {
        source: source(loaded, document.as_ref(), &key),
        key,
        value,
    };
    leaves.into_iter().map(setting).collect()
}

fn source(loaded: &Loaded, document: Option<&Document<'_>>, key: &str) -> Source {
    if let Some(variables) = loaded.overrides.of(key) {
        return Source::Environment(variables.to_owned());
    }
    match document.and_then(|document| document.span_of_value(key)) {
        Some(span) => {
            let line = fault::line_of(&loaded.text, &span);
            Source::Line(loaded.origin.to_string(), line)
        }
        None => Source::Default,
    }
}

/// Walks a schema and a value together.
struct Walk<'s> {
    schema: &'s Value,
}

impl<'s> Walk<'s> {
    fn object(
        &self,
        schema: &Value,
        value: &Value,
        path: &str,
        leaves: &mut Vec<(String, String)>,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            let value = value.get(name).unwrap_or(&Value::Null);
            self.property(schema, value, path, leaves);
        }
    }

    fn property(
        &self,
        schema: &Value,
        value: &Value,
        path: String,
        leaves: &mut Vec<(String, String)>,
    ) {
        let schema = self.resolved(schema);
        let items = schema.get("items").map(|items| self.resolved(items));
        match (items, value) {
            (Some(items), Value::Array(values)) if has_keys(items) && !values.is_empty() => {
                for (index, value) in values.iter().enumerate() {
                    self.object(items, value, &format!("{path}[{index}]"), leaves);
                }
            }
            _ if has_keys(schema) => self.object(schema, value, &path, leaves),
            (_, Value::Null) => leaves.push((path, String::new())),
            _ => leaves.push((path, value.to_string())),
        }
    }

    /// What a `$ref` into the schema's own definitions leads to.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value
    where
        's: 'a,
    {
        let pointer = schema.get("$ref").and_then(Value::as_str);
        let pointer = pointer.and_then(|text| text.strip_prefix('#'));
        let found = pointer.and_then(|pointer| self.schema.pointer(pointer));
        found.unwrap_or(schema)
    }
}

fn has_keys(schema: &Value) -> bool {
    schema.get("properties").is_some()
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::load::of_text;
    use super::*;

    const TEXT: &str = "[engine]\nshards = 2\ncpus = [\n  4, 5,\n]\n[[listen]]\naddress = '127.0.0.1:5060'\n\
                        [timers]\nt1_ms = 100\nin_dialog_probe_s = 30\n\
                        [[peer]]\nname = 'a'\naddresses = ['10.0.0.1', '10.0.0.2']\nclass = 'trunk'\n";

    fn found(variables: &[(&str, &str)]) -> Vec<Setting> {
        let loaded = of_text("x.toml", TEXT, &Environment::of(variables));
        settings(&loaded.expect("a good configuration"))
    }

    fn shown(settings: &[Setting], key: &str) -> String {
        let setting = settings.iter().find(|setting| setting.key == key);
        let setting = setting.unwrap_or_else(|| panic!("{key} is not shown"));
        format!("{} <- {}", setting.value, setting.source)
    }

    #[test]
    fn each_key_has_its_value_and_where_it_came_from() {
        let settings = found(&[
            ("indialogue_interval", "60"),
            ("as_sip_udp", "10.0.0.5:5060"),
        ]);
        for (key, expected) in [
            ("engine.shards", "2 <- x.toml:2"),
            ("engine.cpus", "[4,5] <- x.toml:3"),
            ("engine.drain_s", "30 <- default"),
            ("engine.server_name", " <- default"),
            ("listen[0].address", "\"127.0.0.1:5060\" <- x.toml:7"),
            ("listen[0].transport", "\"udp\" <- default"),
            ("listen[0].advertise", " <- default"),
            ("peer[0].class", "\"trunk\" <- x.toml:14"),
            (
                "peer[0].addresses",
                "[\"10.0.0.1/32\",\"10.0.0.2/32\"] <- x.toml:13",
            ),
            ("timers.t1_ms", "100 <- x.toml:9"),
            ("timers.t2_ms", "4000 <- default"),
            (
                "timers.in_dialog_probe_s",
                "60 <- environment indialogue_interval",
            ),
            (
                "application_server.address",
                "\"10.0.0.5:5060\" <- environment as_sip_udp",
            ),
            ("metrics.address", " <- default"),
        ] {
            assert_eq!(shown(&settings, key), expected, "{key}");
        }
    }

    #[test]
    fn every_key_of_every_section_is_there_once() {
        let settings = found(&[]);
        let mut keys: Vec<&str> = settings
            .iter()
            .map(|setting| setting.key.as_str())
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all, "a key is shown twice");
        let value = serde_json::to_value(Config::default()).expect("JSON");
        for (section, keys_of) in value.as_object().expect("sections") {
            for key in keys_of.as_object().into_iter().flat_map(|keys| keys.keys()) {
                let key = format!("{section}.{key}");
                assert!(keys.contains(&key.as_str()), "{key} is not shown");
            }
        }
        assert!(keys.contains(&"udp.steering") && keys.contains(&"routing.rdb"));
    }

    #[test]
    fn a_list_without_entries_is_one_key() {
        let text = "[[listen]]\naddress = '127.0.0.1:5060'\n";
        let loaded = of_text("x.toml", text, &Environment::of(&[])).expect("good");
        assert_eq!(shown(&settings(&loaded), "peer"), "[] <- default");
    }

    #[test]
    fn a_listener_of_the_environment_is_none_of_the_file() {
        let settings = found(&[("server_ipv4", "10.0.0.1"), ("sip_udp_port", "5080")]);
        assert_eq!(
            shown(&settings, "listen[0].address"),
            "\"10.0.0.1:5080\" <- environment server_ipv4, sip_udp_port"
        );
        assert_eq!(
            shown(&settings, "listen[0].transport"),
            "\"udp\" <- environment server_ipv4"
        );
    }
}
