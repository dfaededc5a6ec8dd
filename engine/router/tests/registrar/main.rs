//! REGISTER and its answers (RFC 3261 10, 3327, 3608, 5626, 5627): one registrar, phones made of text, virtual time.

mod bindings;
mod extensions;
mod places;
mod refusals;
mod shards;
mod world;
