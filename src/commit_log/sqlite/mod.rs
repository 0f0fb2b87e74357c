//! The commit log in a file of SQLite.
//!
//! Two threads work on it, each with a connection of its own: one writes ([`writer`]), the other answers
//! questions ([`find`]). SQLite's write-ahead log lets both go on at once, and people with `sqlite3` as well.

mod check;
mod chores;
mod error;
mod find;
mod lines;
mod mark;
mod recover;
mod schema;
mod store;
mod wal;
mod worker;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{AppendError, Batch, CommitLog, Find, LogError, Recovered};
use crate::protocol::{LogEpoch, Timestamp};
pub use chores::Keep;
use error::Name;
use find::{Finder, Question};
use store::Store;
use worker::{Refused, Worker};
use writer::Job;

/// How many batches may wait for the writer: one does, unless somebody has stopped waiting for the one before.
const JOBS_AT_MOST: usize = 4;

/// How many questions may wait.
const QUESTIONS_AT_MOST: usize = 16;

/// A commit log in a file.
///
/// Beside `FILE` are `FILE-wal` and `FILE-shm`, which are SQLite's own, and `FILE.mark`, which is locked
/// while the log is open. Dropping the log waits until what was appended is durable, and until the file is
/// closed; but only for some seconds if the disk does not answer.
pub struct Sqlite {
    name: Name,
    // Dropped first: the connection that is closed last tidies up.
    finder: Worker<Question>,
    writer: Worker<Job>,
}

impl Sqlite {
    /// Opens the log in the file at `path`, and creates it if it does not exist, for its owner alone. `now` tells how
    /// old entries are. Blocks for as long as the disk takes.
    ///
    /// # Errors
    ///
    /// If the file is used by another server, is no store of ours or one of a newer version, is damaged, or cannot be
    /// opened.
    pub fn open(
        path: &Path,
        keep: Keep,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, LogError> {
        let store = Store::open(path)?;
        let name = store.name.clone();
        let reader = find::open(&store.path, &name)?;
        let cannot = |error| name.cannot_open_for(&error);
        let of_finder = name.clone();
        let finder = Worker::start("store-find", QUESTIONS_AT_MOST, move |questions, queue| {
            find::answer(reader, &of_finder, questions, &queue);
        });
        let finder = finder.map_err(cannot)?;
        let writer = Worker::start("store", JOBS_AT_MOST, move |jobs, _| {
            writer::work(&store, keep, &now, jobs);
        });
        let writer = writer.map_err(cannot)?;
        Ok(Self { name, finder, writer })
    }

    /// Gives the writer a job, and waits for the answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.writer.queue().offer(job(answer)).map_err(|refused| match refused {
            Refused::Full => Unanswered::TooMany,
            Refused::Ended => Unanswered::Ended,
        })?;
        answered.await.map_err(|_| Unanswered::Ended)
    }
}

impl CommitLog for Sqlite {
    async fn recover(&mut self, fresh: LogEpoch, lines_bytes: usize) -> Result<Recovered, LogError> {
        let recovered = self.ask(|answer| Job::Recover { fresh, lines_bytes, answer }).await;
        recovered.unwrap_or_else(|unanswered| Err(unanswered.by(&self.name)))
    }

    /// A batch that nobody waits for any more is appended all the same.
    async fn append(&mut self, batch: Arc<Batch>) -> Result<(), AppendError> {
        let appended = self.ask(|answer| Job::Append { batch, answer }).await;
        appended.unwrap_or_else(|unanswered| {
            let error = unanswered.by(&self.name);
            Err(match unanswered {
                Unanswered::TooMany => AppendError::Full(error),
                Unanswered::Ended => AppendError::Failed(error),
            })
        })
    }

    fn finder(&self) -> Arc<dyn Find> {
        Arc::new(Finder::new(Arc::clone(self.finder.queue())))
    }
}

/// Why there is no answer of the writer.
#[derive(Clone, Copy)]
enum Unanswered {
    TooMany,
    Ended,
}

impl Unanswered {
    fn by(self, store: &Name) -> LogError {
        LogError(match self {
            Self::TooMany => format!("the store {store} is behind: {JOBS_AT_MOST} batches wait"),
            Self::Ended => format!("the store {store} is closed"),
        })
    }
}

#[cfg(test)]
mod tests;
