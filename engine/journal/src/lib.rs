//! What the location journal says, as bytes: the bindings of users and the directory as checked frames
//! in segments, and how they become values again after a crash. Files, clocks and threads belong to the
//! server's housekeeping; here is what can be tested without them.
//!
//! A segment is a file of frames. The first one is its [`Header`]. A *log* holds changes in the order
//! they were made; a *snapshot* with number n holds everything the logs before number n amount to. What
//! is in force is the newest snapshot, then the logs from its number on, in their order: [`Replay`].
//! Every record states how something *is* and not what was done to it, so that replaying one twice, or
//! on top of something newer that is followed by the newer one again, does no harm.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![deny(clippy::disallowed_methods)]

mod desk;
mod directory;
mod fields;
mod frame;
mod kind;
mod registration;
mod replay;
mod segment;
mod times;

pub use self::desk::{DirectoryJournal, DirectoryOrders, Done, NotKept};
pub use self::directory::{DirectoryChange, DirectoryFrames, domain, users};
pub use self::frame::{Frame, Frames, PAYLOAD_MAX, whole_frame_after};
pub use self::kind::Kind;
pub use self::registration::{Revived, append_registration, recorded};
pub use self::replay::{Counts, Damage, Latest, Replay, Segment};
pub use self::segment::{Header, HeaderError, Sort, append_end, append_mark};
pub use self::times::Clocks;
