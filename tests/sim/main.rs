//! The server and its members on a simulated network, in virtual time.
//!
//! - [`network`]: the adapter between our seam and turmoil.
//! - [`world`]: one server, its members with what they do and when, and what everybody saw.
//! - One module for each scenario, each with its `server.log` as a snapshot.

mod abrupt_disconnect;
mod actor;
mod determinism;
mod history;
mod ledger;
mod misbehaviour;
mod network;
mod oracles;
mod partition;
mod plan;
mod report_log;
mod sweep;
mod world;
