//! The section `[journal]`: where bindings and the directory are kept over the end of the process.

use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::within;

/// Bindings and the users that were pushed over HTTP, kept on disk.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// false: they are forgotten when the process ends.
    #[garde(skip)]
    pub(crate) enabled: bool,
    /// Where, relative to this file; made when it is missing. Left out: `journal` in the state directory
    /// that systemd gives the service (StateDirectory=), and none without one.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<PathBuf>,
    /// How long a change of bindings waits at most before it is written: what a crash may lose.
    #[garde(custom(within(1, 10_000)))]
    pub(crate) commit_ms: u64,
    /// A log longer than this is followed by a new one; logs as long as this and as the last snapshot by
    /// a new snapshot.
    #[garde(custom(within(65_536, 1 << 40)))]
    pub(crate) rotate_bytes: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Journal {
            enabled: true,
            directory: None,
            commit_ms: 200,
            rotate_bytes: 64 << 20,
        }
    }
}
