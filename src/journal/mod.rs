//! `server.log`: what happened in the room, one event a line.
//!
//! The library reports what happens as `tracing` events. [`layer`] formats them as the report does,
//! a [`BackgroundWriter`] keeps the room from waiting for a disk, and a [`LogFile`] in a [`FileSystem`]
//! rotates, survives a full disk and counts the lines that are missing because of it.
//! `docs/protocol.md`, "server.log", has every event and its meaning.

mod file;
mod file_system;
mod format;
mod writer;

pub use file::{LogFile, OpenLogError};
pub use file_system::{Disk, FileSystem, in_use};
pub use format::{Clock, LogFormat, layer, lines_of};
pub use writer::{BackgroundWriter, GATHER_TIME, Handle, Target, WAITING_BYTES};
