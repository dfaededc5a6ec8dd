//! Transfers between parties behind the router: REFER, Replaces, Join, Target-Dialog, on one shard and
//! across two.

mod attended;
mod handled;
mod naming;
mod referring;
mod world;
