//! The configuration: what stands in `tipring.toml`, read with every mistake named by file, line,
//! column and key, the environment variables that override it, and the routing DB it points to. Values only; what is done with them stands in
//! `run`.

mod abuse;
mod auth;
mod calls;
mod directory;
mod document;
mod effective;
mod environment;
mod events;
mod fault;
mod http;
mod journal;
mod load;
mod media;
mod overload;
mod registrar;
mod rules;
mod schema;
mod security;
mod value;

pub(crate) use abuse::Abuse;
pub(crate) use auth::{Algorithm, Auth, AuthDomain, Demand, Qop};
pub(crate) use calls::{Hep, RecordFormat};
pub(crate) use effective::{Setting, settings};
pub(crate) use environment::Environment;
pub(crate) use events::{Events, Watchers};
pub(crate) use journal::Journal;
pub(crate) use load::{BUILT_IN, LoadError, Loaded, Origin, load, load_rdb};
pub(crate) use media::{LatchingMode, Media, MediaAddress};
pub(crate) use overload::Overload;
pub(crate) use registrar::{Asked, Nat, Registrar, UnsupportedPath};
pub(crate) use schema::*;
pub(crate) use value::{Network, PortRange};
