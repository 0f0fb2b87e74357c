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
//! | [`client`] | the client without a terminal: a session without input or output, and its connection |
//! | [`journal`] | `server.log`, in the report's format, from `tracing` events; the file it is in |
//! | [`terminal`] | what a person or a script sees |
//! | [`tools`] | `chat-check`, the report's test table for any server; `chat-load`, a load generator |
//!
//! Dependencies point one way: binaries → `terminal`, `tools`, `server`, `client` → `room`, `journal`,
//! `net` → `protocol`. What must never be is written down in `docs/architecture.md` and held by
//! `tests/tidy.rs`.
//!
//! A whole chat in a few lines, on any [`Network`](net::Network):
//!
//! ```
//! use commonroom::client::{self, Event};
//! use commonroom::net::{Listener, Network, Tcp};
//! use commonroom::protocol::{Nickname, Text};
//! use commonroom::server::{self, serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Tcp.bind("127.0.0.1:0").await?;
//! let address = listener.local_address()?.to_string();
//! let conversation = async {
//!     let nickname = Nickname::parse("Dinesh")?;
//!     let mut dinesh = client::join(&Tcp, &address, client::Config::new(nickname)).await?;
//!     dinesh.say(Text::parse("Hello everyone").expect("a text"))?;
//!     while let Some(event) = dinesh.next().await {
//!         match event {
//!             Event::Line(line) if line == "Dinesh: Hello everyone" => break,
//!             event => println!("{event:?}"),
//!         }
//!     }
//!     dinesh.leave().await;
//!     Ok(())
//! };
//! tokio::select! {
//!     biased;
//!     ended = conversation => ended,
//!     () = serve(listener, server::Config::default(), std::future::pending()) => Ok(()),
//! }
//! # }
//! ```

pub mod client;
pub mod journal;
pub mod net;
pub mod protocol;
pub mod room;
pub mod server;
pub mod terminal;
pub mod tools;
