//! The test and measurement tools for chat servers: `chat-check` and `chat-load`. The binaries parse
//! arguments and print; everything else is here.

pub mod check;
pub mod load;
pub mod usage;
