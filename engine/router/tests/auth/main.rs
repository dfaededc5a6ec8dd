//! Digest authentication as phones meet it: registrations, calls, what is refused and what comes of trying.

mod calls;
mod failures;
mod nonces;
mod offered;
mod registering;
mod world;
