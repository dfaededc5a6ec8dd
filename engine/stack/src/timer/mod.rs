//! Timers as data: who waits until when. Nothing here sleeps or asks for the time.
//!
//! SIP cancels nearly every timer it arms. Those of one fixed duration queue in a [`Fifo`] and are
//! judged when they come up; the doubling ones go on a [`Wheel`], where cancelling is cheap.

mod fifo;
mod wheel;

pub use fifo::Fifo;
pub use wheel::{TimerKey, Wheel};
