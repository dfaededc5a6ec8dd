//! The control plane: what an operator and his programs ask of the router over HTTP, and what they are told.
//! It runs on one thread of its own and knows the shards by [`Engine`] and [`News`] alone: questions and
//! commands go out through bounded doors, answers and news come in through a bounded channel. A client
//! that is slow, or floods, is held back here and reaches no shard.
#![forbid(unsafe_code)]
// A clock, sockets and files are what this room is for.
#![allow(clippy::disallowed_methods)]

mod access;
mod api;
mod asking;
mod directory;
mod engine;
mod events;
mod extract;
mod history;
mod listener;
mod location;
mod names;
mod news;
mod notifier;
mod page;
mod paging;
mod plane;
mod problem;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

pub use self::api::document;
pub use self::engine::{
    Engine, Epoch, Kept, Latency, Limit, Reload, Reloaded, Setting, SettingsView, ShardStats,
};
pub use self::news::{Listening, News, Teller, channel};
pub use self::plane::{Beginning, METRICS, Plane, StartError, start};
pub use self::settings::{
    Bounds, Role, Secret, Security, SecurityError, Settings, TlsFiles, Token,
};
