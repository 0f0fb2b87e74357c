//! The tables, and how a store of an earlier version gets those of this one.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::Name;
use crate::commit_log::LogError;
use crate::protocol::LogEpoch;

/// How long another program may write to the store before a transaction of ours is given up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The size that the write-ahead log is cut back to, in bytes, after it was longer.
const WAL_BYTES: u32 = 8 * 1_024 * 1_024;

/// "room", in the header of the file: it is a store of ours.
const APPLICATION: i32 = 0x726f_6f6d;

/// Each brings a store to the next version; a new store has version 0. Never change one that was released.
///
/// The words (`said`) and the list of what everyone was told (`public`) are indices. They are written later
/// than the entries, since a transaction with them takes two to five times as long. `meta.indexed` is the
/// last entry that is in them.
const MIGRATIONS: [&str; 1] = [r#"
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('indexed', 0);

CREATE TABLE snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id INTEGER NOT NULL,     -- the last entry that is in it
    state BLOB NOT NULL,
    "check" INTEGER NOT NULL
);

CREATE TABLE entry (
    id INTEGER PRIMARY KEY,  -- one more than that of the entry before
    at INTEGER NOT NULL,     -- milliseconds since 1970 in UTC
    kind TEXT NOT NULL,
    nickname TEXT,
    line INTEGER,            -- how many lines everyone was told before; null if this is not for everyone
    text TEXT,
    head BLOB NOT NULL,
    "check" INTEGER NOT NULL -- a hash of the other columns
);

CREATE TABLE public (id INTEGER PRIMARY KEY);

CREATE VIEW spoken AS SELECT id, text FROM entry WHERE kind IN ('say', 'act') AND line IS NOT NULL;

CREATE VIRTUAL TABLE said USING fts5 (
    text, content = 'spoken', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

-- The room follows from the snapshot and all entries after it.
CREATE TRIGGER entry_needed_delete BEFORE DELETE ON entry WHEN old.id > (SELECT coalesce(max(id), 0) FROM snapshot)
BEGIN SELECT raise(ABORT, 'entries after the snapshot must stay'); END;
CREATE TRIGGER entry_needed_update BEFORE UPDATE ON entry WHEN old.id > (SELECT coalesce(max(id), 0) FROM snapshot)
BEGIN SELECT raise(ABORT, 'entries after the snapshot must stay as they are'); END;

CREATE TRIGGER entry_delete AFTER DELETE ON entry WHEN old.id <= (SELECT value FROM meta WHERE name = 'indexed')
BEGIN
    INSERT INTO said (said, rowid, text)
    SELECT 'delete', old.id, old.text WHERE old.kind IN ('say', 'act') AND old.line IS NOT NULL;
    DELETE FROM public WHERE id = old.id;
END;
CREATE TRIGGER entry_update AFTER UPDATE ON entry WHEN old.id <= (SELECT value FROM meta WHERE name = 'indexed')
BEGIN
    INSERT INTO said (said, rowid, text)
    SELECT 'delete', old.id, old.text WHERE old.kind IN ('say', 'act') AND old.line IS NOT NULL;
    DELETE FROM public WHERE id = old.id;
    INSERT INTO said (rowid, text)
    SELECT new.id, new.text WHERE new.kind IN ('say', 'act') AND new.line IS NOT NULL;
    INSERT INTO public SELECT new.id WHERE new.line IS NOT NULL;
END;

CREATE VIEW chat AS
SELECT id, datetime(at / 1000, 'unixepoch', 'localtime') AS time, text FROM entry WHERE line IS NOT NULL;
"#];

/// Empties the indices, so that they are built anew: all that they know is in the entries.
pub(super) const EMPTY_INDICES: &str = "
BEGIN IMMEDIATE;
DROP TABLE said;
CREATE VIRTUAL TABLE said USING fts5 (
    text, content = 'spoken', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);
DELETE FROM public;
UPDATE meta SET value = 0 WHERE name = 'indexed';
COMMIT;";

/// Opens a store to write to it; the file exists, and may be empty.
///
/// # Errors
///
/// If it cannot be opened, is damaged, or is none of ours.
pub(super) fn open(path: &Path, name: &Name) -> Result<Connection, LogError> {
    let cannot_open = |error| name.cannot("open", &error);
    // Without SQLITE_OPEN_CREATE: the file was created for its owner alone.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(cannot_open)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(cannot_open)?;
    // The writer runs the checkpoints, since SQLite would let a transaction wait for one. The last two are
    // for macOS.
    let settings = format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {WAL_BYTES};
         PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;"
    );
    connection.execute_batch(&settings).map_err(cannot_open)?;
    migrate(&connection, name, &MIGRATIONS)?;
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(cannot_open)?;
    if journal != "wal" {
        return Err(name.cannot_open("its file system has no shared memory; put it on a local disk"));
    }
    Ok(connection)
}

/// Brings a store to the version after the last of these. A store is never half of two versions.
fn migrate(connection: &Connection, name: &Name, migrations: &[&str]) -> Result<(), LogError> {
    let number = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i32>(0));
    let cannot_open = |error| name.cannot("open", &error);
    let version = number("PRAGMA user_version").map_err(cannot_open)?;
    let application = number("PRAGMA application_id").map_err(cannot_open)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(cannot_open)?;
    let is_new = (version, application, tables) == (0, 0, 0);
    if !is_new && application != APPLICATION {
        return Err(name.cannot_open("it is a database of another program"));
    }
    let Some(due) = usize::try_from(version).ok().and_then(|version| migrations.get(version..)) else {
        return Err(name.cannot_open(
            "it was written by a newer chat-server; use that one, or give another file to begin with an empty room",
        ));
    };
    if due.is_empty() {
        return Ok(());
    }
    let steps = due.concat();
    let version = migrations.len();
    let migration = format!(
        "BEGIN IMMEDIATE; {steps} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version}; COMMIT;"
    );
    connection.execute_batch(&migration).map_err(cannot_open)
}

/// The epoch of a store, if it has been used before.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<Option<LogEpoch>> {
    let sql = "SELECT max(value) FROM meta WHERE name = 'epoch'";
    let epoch: Option<String> = connection.query_row(sql, (), |row| row.get(0))?;
    Ok(epoch.and_then(|epoch| LogEpoch::parse(&epoch)))
}

/// Gives a store another epoch.
pub(super) fn set_epoch(connection: &Connection, epoch: LogEpoch) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO meta VALUES ('epoch', ?1)";
    connection.execute(sql, [epoch.to_string()]).map(|_| ())
}

/// The last entry that is in the indices.
pub(super) fn indexed(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT value FROM meta WHERE name = 'indexed'";
    connection.query_row(sql, (), |row| row.get(0)).map(i64::cast_unsigned)
}

#[cfg(test)]
mod tests;
