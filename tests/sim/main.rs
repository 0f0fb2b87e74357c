//! The server and its members on a simulated network, in virtual time.
//!
//! - [`network`]: the adapter between our seam and turmoil.
//! - [`world`]: one server, its members with what they do and when, and what everybody saw.
//! - [`timeline`]: the picture of a run, drawn from plain data.
//! - One module for each scenario, each with its `server.log` as a snapshot.

mod abrupt_disconnect;
mod misbehaviour;
mod network;
mod partition;
mod report_log;
mod timeline;
mod world;
