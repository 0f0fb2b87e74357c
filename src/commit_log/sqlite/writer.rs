//! The thread that writes to a store.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{DEFAULT_NAME, Statement};
use tokio::sync::oneshot;

use super::chores::{Chores, Keep, Progress};
use super::store::Store;
use super::{check, error, schema};
use crate::commit_log::{AppendError, Batch, LogError, Record, Recovered, Snapshot};
use crate::protocol::{LogEpoch, Timestamp};

/// After how many pages the write-ahead log is copied into the store: 4 MiB. Whoever appends then waits for
/// that, some milliseconds.
const CHECKPOINT_PAGES: i32 = 1_000;

/// What is to be done.
pub(super) enum Job {
    Recover { fresh: LogEpoch, lines_bytes: usize, answer: oneshot::Sender<Result<Recovered, LogError>> },
    Append { batch: Arc<Batch>, answer: oneshot::Sender<Result<(), AppendError>> },
}

/// Does all jobs that come, until none can come any more.
pub(super) fn work(store: &Store, keep: Keep, now: &(dyn Fn() -> Timestamp + Sync), jobs: &Receiver<Job>) {
    match Writer::new(store, keep, now) {
        Ok(mut writer) => writer.work(jobs),
        Err(error) => refuse(&store.name.cannot("open", &error), jobs),
    }
}

/// There is nothing that can be done.
fn refuse(error: &LogError, jobs: &Receiver<Job>) {
    for job in jobs {
        // Whoever asked may be gone.
        match job {
            Job::Recover { answer, .. } => drop(answer.send(Err(error.clone()))),
            Job::Append { answer, .. } => drop(answer.send(Err(AppendError::Failed(error.clone())))),
        }
    }
}

/// Writes to a store.
pub(super) struct Writer<'c> {
    store: &'c Store,
    begin: Statement<'c>,
    commit: Statement<'c>,
    insert: Statement<'c>,
    snapshot: Statement<'c>,
    chores: Chores<'c>,
    /// The epoch and the last record, once they are known.
    position: Option<(LogEpoch, u64)>,
    /// Why nothing can be written any more.
    failed: Option<LogError>,
    buffer: Vec<u8>,
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        store: &'c Store,
        keep: Keep,
        now: &'c (dyn Fn() -> Timestamp + Sync),
    ) -> rusqlite::Result<Self> {
        let prepare = |sql| store.connection.prepare(sql);
        Ok(Self {
            store,
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            insert: prepare("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?,
            snapshot: prepare("INSERT OR REPLACE INTO snapshot VALUES (1, ?1, ?2, ?3)")?,
            chores: Chores::new(&store.connection, keep, now)?,
            position: None,
            failed: None,
            buffer: Vec::new(),
        })
    }

    fn work(&mut self, jobs: &Receiver<Job>) {
        loop {
            let pause =
                self.position.filter(|_| self.failed.is_none()).and_then(|(_, last)| self.chores.pause(last));
            let job = match pause {
                Some(pause) => jobs.recv_timeout(pause),
                None => jobs.recv().map_err(RecvTimeoutError::from),
            };
            // Whoever asked may be gone.
            match job {
                Ok(Job::Recover { fresh, lines_bytes, answer }) => {
                    let _ = answer.send(self.recover(fresh, lines_bytes));
                }
                Ok(Job::Append { batch, answer }) => {
                    let _ = answer.send(self.append(&batch));
                }
                Err(RecvTimeoutError::Timeout) => self.do_chores(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.checkpoint();
        }
    }

    pub(super) fn recover(&mut self, fresh: LogEpoch, lines_bytes: usize) -> Result<Recovered, LogError> {
        let recovered = self.store.recover(fresh, lines_bytes)?;
        let snapshot = recovered.snapshot.as_ref().map(|snapshot| snapshot.id);
        let last = recovered.records.last().map(|record| record.id).or(snapshot).unwrap_or(0);
        self.position = Some((recovered.epoch, last));
        self.chores.progress.forget = snapshot;
        Ok(recovered)
    }

    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        if let Some(error) = &self.failed {
            return Err(AppendError::Failed(error.clone()));
        }
        let (epoch, last) = self.end_of(batch).map_err(|why| self.fail(LogError(why)))?;
        self.transact(|writer| writer.write(batch, last))?;
        self.position = Some((epoch, last));
        // An older mark does no harm.
        let _ = self.store.mark.write(epoch, last);
        Ok(())
    }

    /// The epoch, and the last record after a batch, if it follows what is there.
    fn end_of(&self, batch: &Batch) -> Result<(LogEpoch, u64), String> {
        let name = &self.store.name;
        let (epoch, mut last) = self.position.ok_or_else(|| format!("the store {name} has not been read"))?;
        for Record { id, .. } in &batch.records {
            if *id != last + 1 {
                return Err(format!(
                    "cannot write to the store {name}: entry {id} does not follow entry {last}"
                ));
            }
            last = *id;
        }
        match &batch.snapshot {
            Some(Snapshot { id, .. }) if *id != last => Err(format!(
                "cannot write to the store {name}: a snapshot of entry {id} follows entry {last}"
            )),
            _ => Ok((epoch, last)),
        }
    }

    fn write(&mut self, batch: &Batch, last: u64) -> rusqlite::Result<Progress> {
        for record in &batch.records {
            self.insert.execute((
                record.id.cast_signed(),
                record.at.0.cast_signed(),
                record.kind.as_ref(),
                record.nickname.as_deref(),
                record.line.map(u64::cast_signed),
                record.text.as_deref(),
                record.head.as_slice(),
                check::of_record(record, &mut self.buffer),
            ))?;
        }
        let mut progress = self.chores.progress;
        if let Some(snapshot) = &batch.snapshot {
            let check = check::of_snapshot(snapshot);
            self.snapshot.execute((snapshot.id.cast_signed(), &snapshot.state, check))?;
            progress.forget = Some(snapshot.id);
        }
        self.chores.step_with(progress, last, batch.records.len())
    }

    /// Carries out a transaction, as a whole or not at all.
    fn transact(
        &mut self,
        write: impl FnOnce(&mut Self) -> rusqlite::Result<Progress>,
    ) -> Result<(), AppendError> {
        let written = self.begin.execute(()).and_then(|_| write(self)).and_then(|progress| {
            self.commit.execute(())?;
            Ok(progress)
        });
        self.chores.is_put_off = written.is_err();
        let written = written.map(|progress| self.chores.progress = progress);
        written.map_err(|error| self.give_up(&error))
    }

    /// Ends a transaction that has failed.
    fn give_up(&mut self, error: &rusqlite::Error) -> AppendError {
        let Store { name, connection, .. } = self.store;
        // SQLite may have rolled it back by itself.
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            return self.fail(name.cannot("write to", &error));
        }
        if error::is_of_the_index(error) {
            return match connection.execute_batch(schema::EMPTY_INDICES) {
                Ok(()) => {
                    self.chores.progress.indexed = 0;
                    AppendError::Full(name.is_indexed_anew())
                }
                Err(error) => self.fail(name.cannot("write to", &error)),
            };
        }
        let sentence = name.cannot("write to", error);
        if error::is_passing(error) { AppendError::Full(sentence) } else { self.fail(sentence) }
    }

    /// Nothing is written any more, not even when the store is closed.
    fn fail(&mut self, error: LogError) -> AppendError {
        let without_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        // It only fails if SQLite does not know the setting.
        let _ = self.store.connection.set_db_config(without_checkpoint, true);
        self.failed = Some(error.clone());
        AppendError::Failed(error)
    }

    pub(super) fn do_chores(&mut self) {
        let Some((_, last)) = self.position else { return };
        // If there is no space, there may be some after the next pause; any other error is kept.
        let _ = self.transact(|writer| writer.chores.step(last));
    }

    /// Copies the write-ahead log into the store if it has become long, or cannot become longer: then it begins
    /// anew. While somebody reads an old state it may be only a part, and the log goes on growing.
    pub(super) fn checkpoint(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let at_most = if self.chores.is_put_off { 0 } else { CHECKPOINT_PAGES };
        let checkpoint = |mode| self.store.connection.wal_checkpoint_v2(DEFAULT_NAME, mode);
        let done = checkpoint(CheckpointMode::NOOP).and_then(|(pages, copied)| {
            if pages - copied <= at_most { Ok(()) } else { checkpoint(CheckpointMode::PASSIVE).map(|_| ()) }
        });
        // If there is no space, the log goes on growing as long as it can.
        if let Err(error) = done
            && !error::is_passing(&error)
        {
            self.fail(self.store.name.cannot("write to", &error));
        }
    }
}
