//! Every bound of the server, named, with its unit and its default.

use std::time::Duration;

use super::admission::Rate;
use crate::protocol::LINE_BYTES;

/// How long a client may take to choose its nickname, all attempts together.
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(20);

/// How many nicknames a line-framed client may try.
pub const NICKNAME_ATTEMPTS: usize = 3;

/// How long after the first wrong password of an address the answer comes, doubled each time up to
/// [`PASSWORD_PAUSE_LONGEST`].
pub const PASSWORD_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before a wrong password is answered.
pub const PASSWORD_PAUSE_LONGEST: Duration = Duration::from_secs(8);

/// How many wrong passwords of one address are looked at at once.
pub const WRONG_PASSWORDS_AT_ONCE: u32 = 8;

/// How many wrong passwords of one address are looked at in a second after that, on however many
/// connections. Seen from the other side: how long the right one waits among so many guesses.
pub const WRONG_PASSWORDS_PER_SECOND: u32 = 8;

/// How many passwords of one address may wait for being looked at: one for each connection that an
/// address may have.
pub const PASSWORDS_WAITING: usize = CONNECTIONS_PER_ADDRESS;

/// How long a password waits at most until it is looked at: if all before it are wrong.
pub const PASSWORD_WAIT_LONGEST: Duration = Duration::from_secs(8);

/// How long after its last password an address is known for the wrong ones.
pub const PASSWORD_PAUSES_FORGOTTEN: Duration = Duration::from_secs(600);

/// How many addresses are known for their wrong passwords.
pub const GUESSING_ADDRESSES: usize = 1_024;

/// How long no byte comes before what has come is taken to be all: the end of a nickname without
/// a newline, which is what the report's client sends.
pub const SILENCE: Duration = Duration::from_millis(250);

/// How long no byte comes between two keys of somebody who types, and never between the pieces of what
/// a program has written at once.
pub const TYPING_PAUSE: Duration = Duration::from_millis(100);

/// How much longer no byte comes after one character alone before that is taken to be a whole
/// nickname, and not the first key of one.
pub const TYPING_SILENCE: Duration = Duration::from_millis(1_900);

/// How long a member that has once sent `/ping` may send nothing at all. Who pings goes on pinging,
/// so its silence means that its host is gone, which TCP alone finds out much later, or never.
pub const PING_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a member's socket may take nothing of what waits for it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the room's log is kept for those who are behind.
pub const RETENTION_BYTES: usize = 8 * 1_024 * 1_024;

/// How many bytes of lines for one member alone may wait, beside one more answer.
pub const PRIVATE_BYTES: usize = 16 * 1_024;

/// How long a member's messages wait before it is looked again whether it has taken the answers to the
/// earlier ones.
pub const ANSWERS_PAUSE: Duration = Duration::from_millis(5);

/// How much of the log is offered to a socket at once. It costs no memory; it is how long one member is
/// served before the next one's turn.
pub const WRITE_BYTES: usize = 256 * 1_024;

/// How many members are written to before others have their turn: those who send, those who come.
pub const DELIVERIES_AT_ONCE: usize = 1_024;

/// How much is read at once, and so how much of one member's input is handled before another's.
pub const READ_BYTES: usize = 64 * 1_024;

/// What part of the retention the messages of one member may fill before those who listen have their turn:
/// two bytes that are read can become a line of 132.
pub const HANDLED_IN_RETENTION: usize = 16;

/// How many members there may be at once.
pub const CONNECTIONS: usize = 10_000;

/// How many connections one address may have at once: a class that shares one.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;

/// How many newcomers may choose a nickname at the same time, besides one for each free place of a
/// member: most of those who are refused never become members. Beyond that the oldest gives way.
pub const NEWCOMERS: usize = 64;

/// How many connections may be told at the same time why they are turned away; the oldest gives way to
/// the next.
pub const TURNED_AWAY_CONNECTIONS: usize = 64;

/// How many names `/who` lists; the number is always told.
pub const NAMES_LISTED: usize = 100;

/// How many messages a member may send at once before it is slowed down: a page that is pasted.
pub const BURST_MESSAGES: u32 = 200;

/// How many messages a second of a member are read behind that: faster than anybody reads.
pub const MESSAGES_PER_SECOND: u32 = 100;

/// How long a sender is slowed down at a time while somebody is behind by more than half of the
/// retention, before it looks again.
pub const BACK_PRESSURE_PAUSE: Duration = Duration::from_millis(5);

/// How often it looks before it may send once more in any case.
pub const BACK_PRESSURE_PAUSES: usize = 50;

/// How long a member's socket may take nothing before nobody is slowed down for its sake any more.
pub const STALLED_PATIENCE: Duration = Duration::from_millis(100);

/// How long what is pending is still written when a connection or the server ends.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a closed connection is read from, so that what was written last is not lost to a reset.
pub const LINGER: Duration = Duration::from_secs(1);

/// How many connections in a row may be gone before they are accepted until accepting pauses as if the
/// operating system refused: as many as can wait at once. A listener that is broken says the same for ever.
pub const ACCEPT_ERRORS_WITHOUT_PAUSE: usize = 4_096;

/// How long accepting pauses at first when the operating system refuses, as when it has no more
/// descriptors; doubled each time up to [`ACCEPT_PAUSE_LONGEST`].
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause in accepting.
pub const ACCEPT_PAUSE_LONGEST: Duration = Duration::from_secs(1);

// All that may wait are looked at in time.
const _: () =
    assert!(PASSWORDS_WAITING as u64 == WRONG_PASSWORDS_PER_SECOND as u64 * PASSWORD_WAIT_LONGEST.as_secs());

// A read must be able to bring at least one whole line.
const _: () = assert!(READ_BYTES > LINE_BYTES);

/// The bounds that one server runs with. Those that a simulation makes tiny are fields; the others
/// are the constants of this module.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`REGISTRATION_TIMEOUT`].
    pub registration_timeout: Duration,
    /// See [`PING_TIMEOUT`].
    pub ping_timeout: Duration,
    /// See [`WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// See [`RETENTION_BYTES`].
    pub retention_bytes: usize,
    /// See [`CONNECTIONS`]; 0 is as many as come.
    pub connections: usize,
    /// See [`CONNECTIONS_PER_ADDRESS`]; 0 is as many as come.
    pub connections_per_address: usize,
    /// See [`BURST_MESSAGES`] and [`MESSAGES_PER_SECOND`].
    pub rate: Rate,
    /// See [`SHUTDOWN_GRACE`].
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            registration_timeout: REGISTRATION_TIMEOUT,
            ping_timeout: PING_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            retention_bytes: RETENTION_BYTES,
            connections: CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            rate: Rate { burst_messages: BURST_MESSAGES, messages_per_second: MESSAGES_PER_SECOND },
            shutdown_grace: SHUTDOWN_GRACE,
        }
    }
}
