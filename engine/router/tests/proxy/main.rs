//! Routes with `mode = "proxy"`, message by message: a caller and several callees of text around one router
//! on a virtual clock.

mod best;
mod calls;
mod cancelling;
mod dialogs;
mod forks;
mod identity;
mod limits;
mod load;
mod methods;
mod redirections;
mod world;
