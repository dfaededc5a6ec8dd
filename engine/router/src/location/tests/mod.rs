//! Location services of several shards, with mailboxes between them.

mod changes;
mod model;
mod net;
