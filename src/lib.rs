//! Commonroom: a client-server chat system over TCP.
//!
//! **The room is an append-only log of lines, and every member is a cursor into it.** Everything
//! else follows from that: one order for everyone, fan-out by copying a stretch of the log, slow
//! readers that only fall behind, history as an earlier cursor.
//!
//! This is the map, in reading order:
//!
//! | module | what is there |
//! |---|---|
//! | [`protocol`] | sans-IO: bytes become messages, messages become commands, and every sentence that the server says |
//! | [`room`] | pure state: the log, and who is here |
//! | [`net`] | the seam between the chat and the network, and the operating system's TCP |
//! | [`server`] | the shell around the room: accept loop, sessions, limits, shutdown |
//! | [`journal`] | `server.log`, in the report's format, from `tracing` events |
//! | [`client`] | the client without a terminal: connect, hear, speak |
//! | [`terminal`] | what a person or a script sees |
//! | [`conformance`] | the report's test table as code, for any server on any network |
//! | [`logfile`] | the file of the journal: its rotation, and what happens when the disk is full |
//! | [`file_system`] | the seam between that file and the operating system's, and its lock |
//! | [`password_file`] | where the password of a room comes from |
//! | [`load`] | a load generator that checks every delivery, for chat servers and their peers |
//! | [`metrics`] | what an operator can know, for Prometheus |
//! | [`usage`] | what a process has used |
//! | [`descriptors`] | how many connections it may have open |
//! | [`background`] | writing to a disk or a pipe without waiting for it |
//!
//! Dependencies point one way: binaries → `terminal`, `server`, `client`, `conformance`, `load` → `room`,
//! `journal`, `net`, `usage`, `descriptors` → `protocol`. What must never be is written down in `docs/architecture.md` and held by
//! `tests/tidy.rs`.
//!
//! A whole chat in a few lines, on any [`Network`](net::Network):
//!
//! ```
//! use commonroom::client::{Event, connect};
//! use commonroom::net::{Listener, Network, Tcp};
//! use commonroom::protocol::{Framing, Nickname};
//! use commonroom::server::{Config, serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = Tcp.bind("127.0.0.1:0").await?;
//! let address = listener.local_address()?.to_string();
//! let conversation = async {
//!     let (mut receiver, mut sender) = connect(&Tcp, &address, Framing::Lines).await?;
//!     let mut lines = Vec::new();
//!     while let Some(event) = receiver.next().await? {
//!         match event {
//!             Event::NicknameRequest => sender.name(&Nickname::parse("Dinesh").expect("a valid nickname")),
//!             Event::Line(line) if line == "Connected to server!" => sender.line("Hello everyone"),
//!             Event::Line(line) if line == "Dinesh: Hello everyone" => sender.line("/quit"),
//!             other => lines.push(other),
//!         }
//!         sender.flush().await?;
//!     }
//!     assert_eq!(lines, [Event::Line("Dinesh joined the chat!".to_owned())]);
//!     std::io::Result::Ok(())
//! };
//! tokio::select! {
//!     biased;
//!     ended = conversation => ended,
//!     () = serve(listener, Config::default(), std::future::pending()) => Ok(()),
//! }
//! # }
//! ```

pub mod background;
pub mod client;
pub mod conformance;
pub mod descriptors;
pub mod file_system;
pub mod journal;
pub mod load;
pub mod logfile;
pub mod metrics;
pub mod net;
pub mod password_file;
pub mod protocol;
pub mod room;
pub mod server;
pub mod terminal;
pub mod usage;
