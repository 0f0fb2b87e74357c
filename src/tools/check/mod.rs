//! The report's test table as code, run against any server on any network.
//!
//! [`cases`] is the table: the eight test cases and five edge cases of the report, robustness cases
//! that its own server fails, and cases for sessions, which it does not know. Each case is written once, as an
//! async function over a [`Subject`], and [`check`] runs one. `chat-check` runs them against a process; the
//! simulation and the tests of the real binaries run the same ones.
//!
//! # What is tolerated
//!
//! The report's protocol has no delimiters, so several messages may arrive in one read, and one message
//! in several reads. No server can avoid that, and none is blamed for it: an expected text may be anywhere in
//! what arrived after the previous match. Two messages with nothing between them pass; a message that is
//! missing, torn apart by another one, or under a wrong name fails. A server may send other things, word
//! its refusals as it likes, and either refuse a long message or deliver it whole.

mod case;
mod edge;
mod messages;
mod peer;
pub mod process;
mod report;
pub mod results;
mod resumable;
mod robustness;
mod sessions;
mod subject;
mod table;

pub use case::{Case, Kind, Verdict, check};
pub use subject::{Connection, Need, Observation, Subject};
pub use table::{cases, tolerance};
