//! Modes of the router beside the plain routing DB: an application server in front of it, an outbound
//! proxy behind it, probing inside calls. Each rule from outside, message by message.

mod application_server;
mod outbound_proxy;
mod probes;
mod world;
