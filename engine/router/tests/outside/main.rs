//! Requests outside any dialog: what crosses to the other leg, what comes back, and what is left when all is
//! said.

mod exchanges;
mod limits;
mod names;
mod subscriptions;
mod world;
