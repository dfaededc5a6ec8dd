//! The sections `[cdr]` and `[hep]`: what is told of calls to those who count and watch them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Broken;
use super::schema::within;

/// The records of calls: a line for each that has ended, and for each that was refused.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cdr {
    /// Where they are written, relative to this file; made when it is missing. Left out: none are.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<PathBuf>,
    /// "json": an object a line. "csv": RFC 4180, each file with a line of column names.
    #[garde(skip)]
    pub(crate) format: RecordFormat,
    /// A file longer than this is followed by a new one.
    #[garde(custom(within(4_096, 1 << 40)))]
    pub(crate) rotate_bytes: u64,
    /// So is one older than this, seconds. 0: age does not matter.
    #[garde(custom(within(0, 10_000_000)))]
    pub(crate) rotate_s: u64,
    /// Files kept in the directory, the one being written included; the oldest go.
    #[garde(custom(within(1, 1_000_000)))]
    pub(crate) keep: usize,
}

impl Default for Cdr {
    fn default() -> Self {
        Cdr {
            directory: None,
            format: RecordFormat::Json,
            rotate_bytes: 256 << 20,
            rotate_s: 3_600,
            keep: 720,
        }
    }
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordFormat {
    /// A JSON object a line.
    Json,
    /// RFC 4180.
    Csv,
}

impl RecordFormat {
    /// How the names of its files end.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            RecordFormat::Json => ".jsonl",
            RecordFormat::Csv => ".csv",
        }
    }
}

/// A collector of SIP messages, which gets a copy of each (HEP3 over UDP).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hep {
    /// "ip:port" of the collector. Left out: there is none.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    /// The number of this router at the collector.
    #[garde(skip)]
    pub(crate) capture_id: u32,
    /// What the collector wants to be told; it travels in the clear.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<Password>,
    /// Of so many calls one is copied, whole.
    #[garde(custom(within(1, 1_000_000)))]
    pub(crate) sample: u32,
}

/// A password: read, and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Password(pub(crate) String);

impl TryFrom<String> for Password {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.len() {
            1..=128 => Ok(Password(text)),
            _ => Err("expected 1 to 128 bytes".to_owned()),
        }
    }
}

impl From<Password> for String {
    fn from(_: Password) -> String {
        HIDDEN.to_owned()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl JsonSchema for Password {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Password".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

const HIDDEN: &str = "(hidden)";

impl Default for Hep {
    fn default() -> Self {
        Hep {
            address: None,
            capture_id: 1,
            password: None,
            sample: 1,
        }
    }
}

/// Nothing can be sent to port 0 or to no address.
pub(super) fn check(hep: &Hep, broken: &mut Vec<Broken>) {
    let Some(address) = hep.address else { return };
    if address.port() == 0 || address.ip().is_unspecified() {
        let message = format!("{address} is no address of a collector");
        broken.push(("hep.address".into(), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_and_never_shown() {
        let hep: Hep = toml::from_str("password = \"swordfish\"").expect("good");
        assert_eq!(hep.password, Some(Password("swordfish".to_owned())));
        let shown = format!("{hep:?} {}", serde_json::to_string(&hep).expect("JSON"));
        assert!(
            !shown.contains("swordfish") && shown.contains(HIDDEN),
            "{shown}"
        );
        assert!(toml::from_str::<Hep>("password = \"\"").is_err());
    }
}
