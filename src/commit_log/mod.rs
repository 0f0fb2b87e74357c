//! The commit log: what makes the entries of a room last.
//!
//! The room does not wait for it. Entries are applied at once, and the log is a reader like any other: it
//! takes what comes after its cursor, batch after batch. But it is the first of the readers: no member is
//! shown anything that the log has not made durable. So a batch is whatever was said while the one before it
//! was written.
//!
//! A log keeps [`Record`]s and the latest [`Snapshot`] of the state that follows from them.
//! [`CommitLog::recover`] gives back both. What a log throws away to save space lies before its snapshot.

#[cfg(feature = "store")]
mod sqlite;

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::protocol::{Broadcast, LogEpoch, Timestamp, is_same_word, words};
#[cfg(feature = "store")]
pub use sqlite::{Keep, Sqlite};

/// One entry of the room, as a log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number: one more than that of the record before. The first is 1.
    pub id: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// What happened, in one word.
    pub kind: Cow<'static, str>,
    /// The nickname of the member who did it, if it was a member.
    pub nickname: Option<Arc<str>>,
    /// The line that everyone was told, without its end; otherwise what one member alone was told, if anything.
    pub text: Option<Box<str>>,
    /// How many public lines there were before, if everyone was told.
    pub line: Option<u64>,
    /// The rest of the entry, encoded.
    pub head: Vec<u8>,
}

impl Record {
    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = self.text.as_ref().map_or(0, |text| text.len());
        RECORD_BYTES + self.head.len() + text + self.nickname.as_ref().map_or(0, |nickname| nickname.len())
    }
}

/// What the other fields of a record take.
const RECORD_BYTES: usize = 32;

/// What the log as a whole has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the last record that is in it; 0 if there is none.
    pub id: u64,
    /// The room, encoded.
    pub state: Vec<u8>,
}

/// Records that become durable together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In order; each follows the one before, and the first follows the last of the batch before.
    pub records: Vec<Record>,
    /// The state after the last of them, every now and then. Records up to it need not be kept, except to be
    /// read by people.
    pub snapshot: Option<Snapshot>,
}

/// A public line from before the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was said.
    pub at: Timestamp,
    /// The line, without its end.
    pub text: Box<str>,
}

/// What a log holds when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Tells this log from any other. It is a new one if the log is new, or was put back to an earlier state.
    pub epoch: LogEpoch,
    /// The latest snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The last public lines up to the snapshot, in order.
    pub lines: Vec<Line>,
    /// All records after the snapshot, in order.
    pub records: Vec<Record>,
    /// How much of an unfinished write was found at the end and dropped, in pages. Nobody was ever told of it.
    pub torn_pages: u64,
}

/// Where entries are kept, in their order.
pub trait CommitLog: Send + 'static {
    /// Reads what is kept; called once, before anything else. Of the lines before the snapshot, the last that fit
    /// into `lines_bytes` are wanted, with one byte for the end of each. A log that is new, or was put back, takes the epoch `fresh`.
    ///
    /// # Errors
    ///
    /// A sentence with the place of the damage and what to do.
    fn recover(
        &mut self,
        fresh: LogEpoch,
        lines_bytes: usize,
    ) -> impl Future<Output = Result<Recovered, LogError>> + Send;

    /// Appends a batch, and completes when it is durable.
    ///
    /// # Errors
    ///
    /// [`AppendError::Full`] if nothing of it was kept; it may be tried again. After [`AppendError::Failed`] nobody
    /// knows what was kept, and the log must not be used any more.
    fn append(&mut self, batch: Arc<Batch>) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Looks into what is kept, while the log goes on.
    fn finder(&self) -> Arc<dyn Find>;
}

/// A question of a member about what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Only lines that members have said, in which all of these words occur; any public line if there are none.
    pub words: Vec<Box<str>>,
    /// How many of the last lines that match are wanted.
    pub at_most: usize,
}

impl Query {
    /// Whether a line that everyone was told is wanted. A log may find words in more spellings than this
    /// does, such as with and without accents.
    #[must_use]
    pub fn matches(&self, line: &str) -> bool {
        let has = |word: &str| words(line).any(|other| is_same_word(other, word));
        self.words.is_empty() || Broadcast::is_talk(line) && self.words.iter().all(|word| has(word))
    }
}

/// Finds lines in a log. Only what everyone was told is ever found.
pub trait Find: Send + Sync {
    /// The last lines that match, in order.
    fn find(&self, query: Query) -> Finding;
}

/// Lines that are being looked for.
pub type Finding = Pin<Box<dyn Future<Output = Result<Vec<Line>, LogError>> + Send>>;

/// Why a log cannot be used: a sentence for the operator, which names the log and says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogError(pub String);

/// Why a batch was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// There is no room at the moment: for this reason. Nothing of the batch was kept.
    Full(LogError),
    /// It is not known what was kept.
    Failed(LogError),
}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}
