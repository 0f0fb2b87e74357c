//! The client without a terminal.
//!
//! [`join`] is the simple way in: it connects, shakes hands, and returns a [`Connection`] that is a member of
//! the room. Below it is [`Session`], which speaks the protocol without input or output. Every client uses it:
//! the terminal, scripts, and the members of the simulation.

mod connection;
mod dialer;
mod join;
mod session;

pub use connection::{Connection, READ_BYTES};
pub use dialer::CONNECT_TIMEOUT;
pub use join::{JOIN_TIMEOUT, JoinError, KEPT_EVENTS, connect, join};
pub use session::{
    BACKOFF_MAX, BACKOFF_MIN, Config, Disconnected, Event, HANDSHAKE_TIMEOUT, LEAVE_TIMEOUT, PING_INTERVAL,
    RECEIVED_LINE_BYTES, Reconnect, SENT_LINE_BYTES, SESSION_SILENCE_TIMEOUT, SESSION_WAIT, SILENCE_TIMEOUT,
    SayError, Session, UNCONFIRMED_BYTES, UNSENT_BYTES,
};
