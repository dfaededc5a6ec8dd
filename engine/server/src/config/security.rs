//! The section `[security]`: what the router knows itself by.

use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the router knows itself by.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Security {
    /// Keys of what the router hands out to recognise later (in Record-Route, and in the place of a dialog that
    /// a third party is not to see), relative to this file; made with one random key when it is missing. A
    /// line of 32 hexadecimal digits each: the first is used, the others still hold. Left out: a key drawn at
    /// each start, so that requests inside proxied dialogs get 481 after it.
    #[garde(skip)]
    pub(crate) key_file: Option<PathBuf>,
}
