//! Every bound of the server, named, with its unit and its default.

use std::net::Ipv6Addr;
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

/// How many wrong passwords from one address are checked without a wait.
pub const WRONG_PASSWORDS_AT_ONCE: u32 = 8;

/// How many wrong passwords a second from one address are checked after that, over all its connections.
/// It also bounds how long the right password waits among guesses.
pub const WRONG_PASSWORDS_PER_SECOND: u32 = 8;

/// How many passwords from one address may wait to be checked: one for each connection that an address
/// may have.
pub const PASSWORDS_WAITING: usize = CONNECTIONS_PER_ADDRESS;

/// How long a password waits to be checked, at most: when all before it are wrong.
pub const PASSWORD_WAIT_LONGEST: Duration = Duration::from_secs(8);

/// How long the wrong passwords of an address are remembered after its last one.
pub const PASSWORD_PAUSES_FORGOTTEN: Duration = Duration::from_secs(600);

/// How many addresses with wrong passwords are remembered.
pub const GUESSING_ADDRESSES: usize = 1_024;

/// The silence that ends a message without a newline, as the report's client sends it.
pub const SILENCE: Duration = Duration::from_millis(250);

/// A longer pause between two single bytes means that a person types. The pieces of one write follow
/// each other faster.
pub const TYPING_PAUSE: Duration = Duration::from_millis(100);

/// The further silence after a single character that makes it a whole nickname, and not the first key
/// of one.
pub const TYPING_SILENCE: Duration = Duration::from_millis(1_900);

/// How long a member that has once sent `/ping` may send nothing at all. Clients that ping go on
/// pinging, so silence means that the host is gone. TCP alone would find out much later, or never.
pub const PING_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a member's socket may take nothing of what waits for it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of entries may wait for the commit log before senders do.
pub const UNSTORED_BYTES: usize = 1_024 * 1_024;

/// How long the commit log may take for a batch before those who wait for it are told.
pub const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// What waits for the commit log may take this fraction of the retention: whoever reads is shown nothing of it yet,
/// and must find it still there afterwards, however slow the log is.
pub const UNSTORED_IN_RETENTION: usize = 4;

/// How long a commit log that takes nothing is left alone before the next attempt.
pub const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The log is given a snapshot of the room after so many records, which are what a start has to read.
pub const SNAPSHOT_RECORDS: u64 = 10_000;

/// The same in bytes of records.
pub const SNAPSHOT_BYTES: usize = 4 * 1_024 * 1_024;

/// The same in milliseconds since the first of them was made. What is kept for some days can be deleted only when it lies
/// before a snapshot, however little is said.
pub const SNAPSHOT_AGE_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// The address that members count for who have lost their connections to an earlier server: it is not known.
pub(super) const RESTORED_ADDRESS: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

/// How much of the transcript is kept for members that are behind, and as history.
pub const RETENTION_BYTES: usize = 8 * 1_024 * 1_024;

/// How many bytes of private lines may wait for one member, apart from one more answer.
pub const PRIVATE_BYTES: usize = 16 * 1_024;

/// How many bytes of private lines are kept for a session: as many as may wait, and one more answer.
pub const KEPT_PRIVATE_BYTES: usize = 2 * PRIVATE_BYTES;

/// How long a session waits for another connection.
pub const RESUME_GRACE: Duration = Duration::from_secs(120);

/// How long a session that has ended is remembered, besides the bound of
/// [`ENDED_SESSIONS`](crate::room::ENDED_SESSIONS): a client that comes late learns what was taken.
pub const ENDED_SESSIONS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a member that does not take its answers is checked again before its next messages are handled.
pub const ANSWERS_PAUSE: Duration = Duration::from_millis(5);

/// How much of the transcript is offered to a socket at once, before the next member has its turn. It
/// costs no memory.
pub const WRITE_BYTES: usize = 256 * 1_024;

/// How many members are written to before sockets are read again. What comes meanwhile goes into the
/// same writes for the members after them, so the walk works like an elevator: a line waits for one walk
/// at most, and more lines share a write.
pub const DELIVERIES_AT_ONCE: usize = 64;

/// How much of one member's input is read at once, before the next member has its turn.
pub const READ_BYTES: usize = 64 * 1_024;

/// The messages of one read may fill this fraction of the retention before the listeners have their turn:
/// two bytes that are read can become a line of 132.
pub const HANDLED_IN_RETENTION: usize = 16;

/// How many members there may be at once.
pub const CONNECTIONS: usize = 10_000;

/// How many connections one address may have at once: enough for a class behind one NAT.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;

/// How many newcomers may choose a nickname at the same time, besides one for each free place: most
/// that are refused never become members. Beyond that the oldest gives way.
pub const NEWCOMERS: usize = 64;

/// How many connections at a time are told why they are turned away. The oldest gives way to the next.
pub const TURNED_AWAY_CONNECTIONS: usize = 64;

/// How many names `/who` lists; the number is always told.
pub const NAMES_LISTED: usize = 100;

/// How many lines `/search` finds at most, and `/history` shows if it does not say how many.
pub const FOUND_LINES: usize = 10;

/// How many lines `/history` shows at most.
pub const HISTORY_LINES: usize = 50;

/// How many bytes the lines take that answer a question; the newest that fit are shown.
pub const ANSWER_BYTES: usize = PRIVATE_BYTES;

/// How many questions about what was said are looked up at once. The others wait for their turn.
pub const QUESTIONS_AT_ONCE: usize = 4;

/// How long an answer to such a question may take, the wait for its turn included.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many of the [messages](MESSAGES_PER_SECOND) that a member may send a question counts for: it takes longer to answer.
pub const QUESTION_MESSAGES: u32 = 20;

/// How much of the transcript is searched at once, before others have their turn.
pub const SEARCHED_AT_ONCE_BYTES: usize = 16 * 1_024;

/// How many messages a member may send at once before it is slowed down: a pasted page.
pub const BURST_MESSAGES: u32 = 200;

/// How many messages a second of one member are read after that: faster than anybody reads.
pub const MESSAGES_PER_SECOND: u32 = 100;

/// How long a sender pauses at a time while somebody is more than half of the retention behind.
pub const BACK_PRESSURE_PAUSE: Duration = Duration::from_millis(5);

/// How many such pauses there are before its next messages are handled in any case.
pub const BACK_PRESSURE_PAUSES: usize = 50;

/// After a socket has taken nothing for this long, senders are no longer slowed down for it.
pub const STALLED_PATIENCE: Duration = Duration::from_millis(100);

/// How long pending lines are still written when a connection or the server ends.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a connection is still read after it was closed, so that a reset does not overtake what was
/// written last.
pub const LINGER: Duration = Duration::from_secs(1);

/// How many connections in a row may be gone before they are accepted, without a pause: as many as can
/// wait to be accepted. A broken listener would report the same for ever.
pub const ACCEPT_ERRORS_WITHOUT_PAUSE: usize = 4_096;

/// How long accepting pauses at first when the operating system refuses, as when it has no more
/// descriptors; doubled each time up to [`ACCEPT_PAUSE_LONGEST`].
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause in accepting.
pub const ACCEPT_PAUSE_LONGEST: Duration = Duration::from_secs(1);

// All passwords that may wait are checked in time.
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
    /// See [`CONNECTIONS`]; 0 means no limit.
    pub connections: usize,
    /// See [`CONNECTIONS_PER_ADDRESS`]; 0 means no limit.
    pub connections_per_address: usize,
    /// See [`BURST_MESSAGES`] and [`MESSAGES_PER_SECOND`].
    pub rate: Rate,
    /// See [`SHUTDOWN_GRACE`].
    pub shutdown_grace: Duration,
    /// How much a commit log is given at a time.
    pub store: StoreLimits,
}

/// The bounds of a server with a commit log.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// See [`UNSTORED_BYTES`].
    pub unstored_bytes: usize,
    /// See [`SNAPSHOT_RECORDS`].
    pub snapshot_records: u64,
    /// See [`SNAPSHOT_BYTES`].
    pub snapshot_bytes: usize,
}

impl Limits {
    /// How much the commit log is given at a time, and no more than the transcript bears.
    pub(super) fn of_the_store(&self) -> StoreLimits {
        let bearable_bytes = self.retention_bytes / UNSTORED_IN_RETENTION;
        StoreLimits { unstored_bytes: self.store.unstored_bytes.min(bearable_bytes), ..self.store }
    }
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
            store: StoreLimits::default(),
        }
    }
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            unstored_bytes: UNSTORED_BYTES,
            snapshot_records: SNAPSHOT_RECORDS,
            snapshot_bytes: SNAPSHOT_BYTES,
        }
    }
}
