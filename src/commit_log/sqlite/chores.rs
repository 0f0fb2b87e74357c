//! What can wait: the indices, and forgetting what need not be kept.
//!
//! Both are done a few entries at a time, while there is nothing to append. If there always is, the least
//! that must be done is done with the batches, in their transactions, so that it takes no sync of its own.

use std::time::Duration;

use rusqlite::{Connection, Statement};

use super::schema;
use crate::protocol::Timestamp;

/// How many entries are seen to at once when there is nothing to append: a batch that comes then waits for
/// that, a millisecond or two and one sync.
const ENTRIES_AT_ONCE: usize = 1_024;

/// How many, with a batch, in any case; and for a larger batch, how many for each of its entries, so that
/// there is an end to it.
const ENTRIES_WITH_A_BATCH: usize = 256;
const ENTRIES_FOR_AN_ENTRY: usize = 2;

/// How many entries may wait for the indices. Searching these takes longer, half a microsecond for each.
const UNINDEXED_AT_MOST: u64 = 1_048_576;

/// For how long there is nothing to append before many entries are seen to, and before a few are.
const PAUSE_FOR_MANY: Duration = Duration::from_millis(20);
const PAUSE_FOR_FEW: Duration = Duration::from_secs(1);

/// How much of the entries before the snapshot is kept, to be read by people. Older ones are deleted, a few
/// at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How large the store may become. The file does not shrink; the space of what was deleted is used again.
    pub bytes: u64,
    /// How old an entry may become.
    pub age: Option<Duration>,
}

/// How far they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last entry that is in the indices.
    pub(super) indexed: u64,
    /// Entries up to this may be forgotten, and some of them may be due.
    pub(super) forget: Option<u64>,
}

/// See the module.
pub(super) struct Chores<'c> {
    keep: Keep,
    now: &'c (dyn Fn() -> Timestamp + Sync),
    index_words: Statement<'c>,
    index_public: Statement<'c>,
    set_indexed: Statement<'c>,
    used_bytes: Statement<'c>,
    last_to_forget: Statement<'c>,
    forget_entries: Statement<'c>,
    pub(super) progress: Progress,
    /// There was no space for a step: the next one is not taken with a batch, and not at once.
    pub(super) is_put_off: bool,
}

impl<'c> Chores<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        keep: Keep,
        now: &'c (dyn Fn() -> Timestamp + Sync),
    ) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare(sql);
        Ok(Self {
            keep,
            now,
            index_words: prepare(
                "INSERT INTO said (rowid, text) SELECT id, text FROM spoken WHERE id > ?1 AND id <= ?2",
            )?,
            index_public: prepare(
                "INSERT INTO public SELECT id FROM entry WHERE id > ?1 AND id <= ?2 AND line IS NOT NULL",
            )?,
            set_indexed: prepare("UPDATE meta SET value = ?1 WHERE name = 'indexed'")?,
            used_bytes: prepare(
                "SELECT (page_count - freelist_count) * page_size
                 FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
            )?,
            last_to_forget: prepare(
                "SELECT max(id) FROM (SELECT id, at FROM entry WHERE id <= ?1 ORDER BY id LIMIT ?2) WHERE at < ?3",
            )?,
            forget_entries: prepare("DELETE FROM entry WHERE id <= ?1")?,
            progress: Progress { indexed: schema::indexed(connection)?, forget: None },
            is_put_off: false,
        })
    }

    /// For how long there must be nothing to append until the next step; `None` if there is none. `last` is
    /// the last entry.
    pub(super) fn pause(&self, last: u64) -> Option<Duration> {
        let Progress { indexed, forget } = self.progress;
        match last.saturating_sub(indexed) {
            0 if forget.is_none() => None,
            _ if self.is_put_off => Some(PAUSE_FOR_FEW),
            waiting if forget.is_some() || waiting >= ENTRIES_AT_ONCE as u64 => Some(PAUSE_FOR_MANY),
            _ => Some(PAUSE_FOR_FEW),
        }
    }

    /// Takes a step, in a transaction of its own. Returns what the progress is after it.
    pub(super) fn step(&mut self, last: u64) -> rusqlite::Result<Progress> {
        self.take_step(self.progress, last, ENTRIES_AT_ONCE)
    }

    /// Takes the step that must not wait, if there is one, in the transaction of a batch with so many entries.
    pub(super) fn step_with(
        &mut self,
        progress: Progress,
        last: u64,
        entries: usize,
    ) -> rusqlite::Result<Progress> {
        let waiting = last.saturating_sub(progress.indexed);
        let can_wait = progress.forget.is_none() && waiting <= UNINDEXED_AT_MOST;
        if can_wait || self.is_put_off {
            return Ok(progress);
        }
        let at_once = entries.saturating_mul(ENTRIES_FOR_AN_ENTRY).max(ENTRIES_WITH_A_BATCH);
        self.take_step(progress, last, at_once)
    }

    fn take_step(&mut self, progress: Progress, last: u64, at_once: usize) -> rusqlite::Result<Progress> {
        match progress.forget {
            Some(to) => self.forget(progress, to, at_once),
            None => self.index(progress, last, at_once),
        }
    }

    fn index(&mut self, progress: Progress, last: u64, at_once: usize) -> rusqlite::Result<Progress> {
        let to = last.min(progress.indexed.saturating_add(at_once as u64));
        let entries = (progress.indexed.cast_signed(), to.cast_signed());
        self.index_words.execute(entries)?;
        self.index_public.execute(entries)?;
        self.set_indexed.execute([to.cast_signed()])?;
        Ok(Progress { indexed: to, ..progress })
    }

    /// Forgets the oldest of the entries up to `to` that are too many or too old.
    fn forget(&mut self, progress: Progress, to: u64, at_once: usize) -> rusqlite::Result<Progress> {
        let used: i64 = self.used_bytes.query_row((), |row| row.get(0))?;
        let before = if used.cast_unsigned() > self.keep.bytes {
            i64::MAX
        } else {
            self.keep.age.map_or(i64::MIN, |age| millis_before((self.now)(), age))
        };
        let at_once = i64::try_from(at_once).unwrap_or(i64::MAX);
        let last: Option<i64> =
            self.last_to_forget.query_row((to.cast_signed(), at_once, before), |row| row.get(0))?;
        let Some(last) = last else { return Ok(Progress { forget: None, ..progress }) };
        // With what the indices have of them.
        self.forget_entries.execute([last])?;
        Ok(progress)
    }
}

fn millis_before(now: Timestamp, age: Duration) -> i64 {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    now.0.cast_signed().saturating_sub(age)
}
