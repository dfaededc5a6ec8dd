//! The call flows that are more than transparent, message by message: a caller and a callee of text
//! around one router on a virtual clock.

mod early;
mod early_ends;
mod early_reliable;
mod early_requests;
mod early_steered;
mod echo;
mod echo_offers;
mod storms;
mod world;
