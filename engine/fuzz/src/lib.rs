//! Worlds made of bytes. Each target takes any bytes, makes of them what may happen to a part of the
//! router, and checks what must hold whatever happens. libFuzzer drives them through `targets/`; a test
//! replays every file of `corpus/` and `regressions/` without it. What may not live here: sockets, a
//! clock, randomness. The same bytes are always the same world.
#![forbid(unsafe_code)]

mod choices;
pub mod parse;
pub mod rtp;
pub mod sdp;
pub mod shard;
pub mod stack;

/// A name and what is done with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its directory in `corpus/` and `regressions/`.
pub const TARGETS: [Target; 5] = [
    ("parse", parse::run),
    ("sdp", sdp::run),
    ("rtp", rtp::run),
    ("stack", stack::run),
    ("shard", shard::run),
];
