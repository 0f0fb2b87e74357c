//! wip
pub mod background;
pub mod client;
pub mod journal;
pub mod net;
pub mod protocol;
pub mod room;
pub mod server;
pub mod terminal;
