//! The transaction layer on a stage: virtual time, scripted peers, one file for each subject.

mod cancel;
mod forwarding;
mod invite_client;
mod invite_server;
mod leaks;
mod limits;
mod merged;
mod non_invite_client;
mod non_invite_server;
mod stage;
mod strays;
mod transport;
