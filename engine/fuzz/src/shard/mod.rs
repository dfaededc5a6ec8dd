//! A whole shard under bytes and time: datagrams of a grammar that learns tokens, tags and branches from
//! what the shard itself sent, so that dialogs go deep; the same with damage; raw bytes; media; the
//! resolver's answers, unreachable peers, orders, and jumps of the clock. Nothing panics, what the shard
//! sends is a message with everything mandatory, no timer is left behind, and when every call is ended
//! and the timers have run nothing is left.

mod body;
mod letter;
mod message;
mod settings;
mod world;

use ::shard::Counters;

use crate::choices::Choices;
use world::World;

/// Steps of one world, so that no input takes long.
const STEPS_MAX: usize = 150;

/// Plays the world `bytes` describe.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The same; returns what the shard counted.
pub fn play(bytes: &[u8]) -> Counters {
    let mut choices = Choices::new(bytes);
    let mut world = World::new(&mut choices);
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        world.step(&mut choices);
    }
    world.finish()
}
