//! RFC 4028 with timers of the router's own on each leg, message by message on a virtual clock: what is
//! agreed on (`negotiation`), who refreshes and what becomes of it (`refreshes`).

mod negotiation;
mod refreshes;
#[path = "../flows/world.rs"]
#[expect(dead_code, reason = "the world of other tests too")]
mod world;

use tipring_router::{Refreshes, SessionTimer};

use world::{Sent, World, sdp, world_configured};

/// What a caller or callee says that knows session timers and UPDATE.
const KNOWS: &str = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";

fn timed_by(refreshes: Refreshes) -> World {
    timed_in(1800, 90, refreshes)
}

fn timed_in(session_expires_s: u32, min_se_s: u32, refreshes: Refreshes) -> World {
    let timer = SessionTimer {
        session_expires_s,
        min_se_s,
        refreshes,
    };
    world_configured(|config| config.session_timer = Some(timer))
}

fn timed() -> World {
    timed_by(Refreshes::Auto)
}

/// A call that is up; what each party said besides its session.
fn up(mut world: World, caller: &str, callee: &str) -> World {
    world.call("5", caller, &sdp(1, 4000, ""));
    world.ring("200 OK", "x", callee, &sdp(1, 6000, ""));
    world.ack(1, "");
    world
}

/// The same headers, and a Session-Expires.
fn with_expires(said: &str, expires: &str) -> String {
    format!("{said}Session-Expires: {expires}\r\n")
}

fn expires(sent: &Sent) -> Option<&str> {
    sent.header("Session-Expires")
}
