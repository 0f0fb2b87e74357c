//! The server and its members on a simulated network, in virtual time.
//!
//! - [`network`]: our seam over turmoil, with connections that are [`cut`] on request. [`member`] and [`actor`]:
//!   a member; [`keeper`]: one whose session outlives its connections; [`witness`]: the record of what it saw.
//!   [`world`]: a server and its members, with their [`captured`] events.
//! - [`store`]: a commit log that fails on request. [`service`]: a server that is started again, with its store.
//!   [`stored`]: what a store holds, for the oracles.
//! - [`machine`]: the machine of the server, with a [`disk`] that fails on request. [`log_faults`]: a sweep
//!   of its faults.
//! - [`scenarios`]: each is a file, with its `server.log` as a snapshot. [`scenario`]: their common code.
//!   [`stranger`] is a connection that does not behave as a client does. [`tokens`]: sessions of a seed.
//!   [`chat_client`]: a client with a session that pings no more often than it must.
//! - [`conformance`]: the report's table, which `chat-check` runs against processes.
//! - [`sweep`]: many [`plan`]s with their [`fault`]s, [drawn](drawing) from seeds. [`history`]: the record of
//!   a run. [`oracles`]: the promises about it. [`ledger`]: counts the things that must sometimes happen.
//!   [`regressions`]: the plans that have failed once.
//! - [`tls`]: the same over TLS, apart from the others because its randomness is not drawn from a seed.
//! - [`determinism`]: the same seed does the same in two processes.
//! - [`timeline`]: a picture of a run.

mod accepting;
mod actor;
mod bursts;
mod captured;
mod chat_client;
mod conformance;
mod cut;
mod determinism;
mod disk;
mod drawing;
mod fault;
mod foreign_server;
mod history;
mod keeper;
mod ledger;
mod log_faults;
mod log_file;
mod machine;
mod member;
mod network;
mod oracles;
mod picture;
mod plan;
mod recording;
mod regressions;
mod scenario;
mod scenarios;
mod service;
mod store;
mod stored;
mod stranger;
#[path = "../support"]
mod support {
    pub mod certificates;
    pub mod progress;
    pub mod random;
    pub mod snapshot;
}
mod sweep;
mod thundering_herd;
mod timeline;
mod tls;
mod tokens;
mod typing;
mod witness;
mod world;
