//! wip
pub mod background;
pub mod journal;
pub mod net;
pub mod protocol;
pub mod room;
pub mod server;
