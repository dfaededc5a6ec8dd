//! SUBSCRIBE and PUBLISH for users of a local domain (RFC 6665, 3680, 3842, 3856, 3903, 4235): one router or several shards
//! of it, phones made of text, virtual time.

mod publications;
mod refusals;
mod registrations;
mod shards;
mod subscriptions;
mod waiting;
mod world;
