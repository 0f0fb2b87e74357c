//! What a store holds when it is opened.

use std::borrow::Cow;
use std::time::Duration;

use rusqlite::{ErrorCode, OptionalExtension as _, Row};

use super::store::Store;
use super::{check, error, lines, schema};
use crate::commit_log::{Line, LogError, Record, Recovered, Snapshot};
use crate::protocol::{LogEpoch, Timestamp};

/// What a line takes besides its text: its end.
const LINE_END_BYTES: usize = 1;

impl Store {
    /// See [`CommitLog::recover`](crate::commit_log::CommitLog::recover).
    pub(super) fn recover(&self, fresh: LogEpoch, lines_bytes: usize) -> Result<Recovered, LogError> {
        let snapshot = self.snapshot()?;
        let from = snapshot.as_ref().map_or(0, |snapshot| snapshot.id);
        let records = self.records_after(from)?;
        let lines = self.lines_to(from, lines_bytes)?;
        let last = records.last().map_or(from, |record| record.id);
        let epoch = self.epoch(fresh, last)?;
        self.begin_log_anew()?;
        Ok(Recovered { epoch, snapshot, lines, records, torn_pages: self.torn_pages })
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, LogError> {
        let read = |row: &Row<'_>| {
            let snapshot = Snapshot { id: row.get::<_, i64>(0)?.cast_unsigned(), state: row.get(1)? };
            Ok((snapshot, row.get::<_, i64>(2)?))
        };
        let sql = r#"SELECT id, state, "check" FROM snapshot"#;
        match self.connection.query_row(sql, (), read).optional() {
            Ok(None) => Ok(None),
            Ok(Some((snapshot, check))) if check == check::of_snapshot(&snapshot) => Ok(Some(snapshot)),
            Ok(Some(_)) => Err(self.name.is_damaged("the snapshot has changed since it was written")),
            Err(error) => Err(self.cannot_read("the snapshot", &error)),
        }
    }

    fn records_after(&self, id: u64) -> Result<Vec<Record>, LogError> {
        let sql = r#"SELECT id, at, kind, nickname, text, line, head, "check" FROM entry WHERE id > ?1 ORDER BY id"#;
        let cannot_read = |id, error| self.cannot_read(&format!("entry {id}"), &error);
        let mut expected = id + 1;
        let mut query = self.connection.prepare(sql).map_err(|error| cannot_read(expected, error))?;
        let mut rows = query.query([id.cast_signed()]).map_err(|error| cannot_read(expected, error))?;
        let (mut records, mut buffer) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().map_err(|error| cannot_read(expected, error))? {
            let (record, check) = record_of(row).map_err(|error| cannot_read(expected, error))?;
            if record.id != expected {
                return Err(self.name.is_damaged(format_args!("entry {expected} is missing")));
            }
            if check != check::of_record(&record, &mut buffer) {
                let place = format_args!("entry {expected} has changed since it was written");
                return Err(self.name.is_damaged(place));
            }
            records.push(record);
            expected += 1;
        }
        Ok(records)
    }

    fn lines_to(&self, id: u64, bytes: usize) -> Result<Vec<Line>, LogError> {
        let mut left = bytes;
        let fits = |line: &Line| {
            let rest = left.checked_sub(line.text.len() + LINE_END_BYTES);
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let lines = schema::indexed(&self.connection)
            .and_then(|indexed| lines::last_lines(&self.connection, indexed, id, fits));
        lines.map_err(|error| self.cannot_read("what was said last", &error))
    }

    /// The epoch, which is a new one if the store has less than it had when a server last used it.
    fn epoch(&self, fresh: LogEpoch, last: u64) -> Result<LogEpoch, LogError> {
        let cannot_write = |error| self.name.cannot("write to", &error);
        let found = schema::epoch(&self.connection).map_err(cannot_write)?;
        let kept = found.filter(|epoch| self.mark.fits(*epoch, last));
        if kept.is_none() {
            schema::set_epoch(&self.connection, fresh).map_err(cannot_write)?;
        }
        let epoch = kept.unwrap_or(fresh);
        let marked = self.mark.write(epoch, last).and_then(|()| self.mark.sync(&self.path));
        marked.map_err(|error| self.name.cannot_open_for(&error))?;
        Ok(epoch)
    }

    /// Begins the write-ahead log anew, so that what was torn is not found again. Not if somebody reads the
    /// store.
    fn begin_log_anew(&self) -> Result<(), LogError> {
        let truncate = || {
            self.connection.busy_timeout(Duration::ZERO)?;
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
        };
        let done = truncate().or_else(|error| if error::is_passing(&error) { Ok(()) } else { Err(error) });
        let restored = done.and_then(|()| self.connection.busy_timeout(schema::BUSY_TIMEOUT));
        restored.map_err(|error| self.name.cannot("write to", &error))
    }

    /// `place` could not be read.
    fn cannot_read(&self, place: &str, error: &rusqlite::Error) -> LogError {
        let is_damage = match error.sqlite_error_code() {
            Some(code) => code == ErrorCode::DatabaseCorrupt,
            // A value of another type.
            None => true,
        };
        if is_damage {
            self.name.is_damaged(format_args!("{place} cannot be read"))
        } else {
            self.name.cannot("read", error)
        }
    }
}

/// A record with its check.
fn record_of(row: &Row<'_>) -> rusqlite::Result<(Record, i64)> {
    let record = Record {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Timestamp(row.get::<_, i64>(1)?.cast_unsigned()),
        kind: Cow::Owned(row.get(2)?),
        nickname: row.get(3)?,
        text: row.get(4)?,
        line: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        head: row.get(6)?,
    };
    Ok((record, row.get(7)?))
}
