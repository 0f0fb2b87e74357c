//! Commonroom: a client-server chat system over TCP.
//!
//! **The room is a deterministic state machine over one ordered log of entries; every member is a
//! cursor into the transcript that is derived from it.** Everything else follows: one order for
//! everyone, fan-out in large writes, slow readers that only fall behind, history as an earlier cursor.
//!
//! [`protocol`] and [`room`] are pure; [`net`] is the seam to the network; [`server`] and [`client`] run on
//! any network. These need no features. Feature `tls` adds encryption to [`net`], `journal` the module of
//! that name, which writes `server.log`; `cli` and `tools` are for the binaries. `docs/architecture.md` has
//! the map of the code and its invariants.
//!
//! A whole chat in a few lines, on any network (see [`net`]):
//!
//! ```
//! use commonroom::client::{self, Event};
//! use commonroom::net::{Bind, Listener, Tcp};
//! use commonroom::protocol::{Nickname, Text};
//! use commonroom::server::{Config, Server};
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
//!     () = Server::new(Config::default()).run(listener, std::future::pending()) => Ok(()),
//! }
//! # }
//! ```

pub mod client;
pub mod commit_log;
#[cfg(feature = "journal")]
pub mod journal;
pub mod net;
pub mod protocol;
pub mod room;
pub mod server;
// For the binaries of this package; not part of the library's interface.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod terminal;
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod tools;
