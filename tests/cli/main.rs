//! The real binaries, as people run them: over real TCP, with real signals and a real log file.
//!
//! Nothing here sleeps to synchronise: every test waits for what it awaits, with a deadline.

mod bad_input;
mod chat;
#[cfg(unix)]
mod check;
mod commit_log;
mod documents;
mod guards;
mod limits;
mod load;
#[cfg(unix)]
mod log_file;
mod metrics;
mod password;
mod peers;
mod pipe;
mod proxy;
mod rapid;
#[cfg(unix)]
mod resume;
mod search;
mod start_and_stop;
#[cfg(unix)]
mod store;
mod support;
#[cfg(unix)]
mod terminal;
mod tls;
#[cfg(unix)]
mod unread_outputs;
