//! The server and its members on a simulated network, in virtual time.
//!
//! - [`network`]: the adapter between our seam and turmoil.
//! - [`world`]: one server, its members with what they do and when, and what everybody saw.
//! - [`conformance`]: the report's table, which `chat-check` runs against processes.
//! - One module for each scenario, each with its `server.log` as a snapshot.

mod abrupt_disconnect;
mod conformance;
mod misbehaviour;
mod network;
mod partition;
mod report_log;
mod world;
