//! `server.log`: what happened in the room, one event a line.
//!
//! The library reports what happens as `tracing` events. [`layer`] formats them as the report does,
//! a [`BackgroundWriter`] keeps the room from ever waiting for a disk, and a [`LogFile`] in a
//! [`FileSystem`] rotates, survives a full disk and counts the lines that this has cost.
//! Every event and its meaning: `docs/protocol.md`, "server.log".

mod file;
mod file_system;
mod format;
mod writer;

pub use file::{LogFile, OpenLogError};
pub use file_system::{Disk, FileSystem, in_use};
pub use format::{Clock, LogFormat, layer, lines_of};
pub use writer::{BackgroundWriter, GATHER_TIME, Handle, Target, WAITING_BYTES};
