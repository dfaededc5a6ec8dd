//! Streams between agents that are plain addresses: each file one behaviour.

mod echo;
mod family;
mod hold;
mod latching;
mod ports;
mod relay;
mod reports;
mod silence;
mod stage;
