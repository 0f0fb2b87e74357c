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
//! | [`client`] | the client without a terminal: connect, hear, speak |
//! | [`journal`] | `server.log`, in the report's format, from `tracing` events; the file it is in |
//! | [`terminal`] | what a person or a script sees |
//! | [`tools`] | `chat-check`, the report's test table for any server; `chat-load`, a load generator |
//!
//! Dependencies point one way: binaries → `terminal`, `tools`, `server`, `client` → `room`, `journal`,
//! `net` → `protocol`. What must never be is written down in `docs/architecture.md` and held by
//! `tests/tidy.rs`.
//!
//! A whole chat in a few lines, on any network (see [`net`]):
//!
//! ```
//! use commonroom::client::{Event, connect};
//! use commonroom::net::{Bind, Listener, Tcp};
//! use commonroom::protocol::{Framing, Nickname};
//! use commonroom::server::{Config, Server};
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
//!     () = Server::new(Config::default()).run(listener, std::future::pending()) => Ok(()),
//! }
//! # }
//! ```

pub mod client;
#[cfg(feature = "journal")]
pub mod journal;
pub mod net;
pub mod protocol;
pub mod room;
pub mod server;
// For the binaries of this package: no part of the library's interface.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod terminal;
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod tools;
