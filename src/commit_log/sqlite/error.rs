//! What goes wrong with a store, in sentences.

use std::fmt;
use std::io;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::commit_log::LogError;
use crate::net::explain;

/// A store as its operator calls it.
#[derive(Clone, Debug)]
pub(super) struct Name(Arc<str>);

impl Name {
    pub(super) fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    pub(super) fn cannot_open(&self, reason: impl fmt::Display) -> LogError {
        LogError(format!("cannot open the store {self}: {reason}"))
    }

    pub(super) fn cannot_open_for(&self, error: &io::Error) -> LogError {
        self.cannot_open(explain(error))
    }

    /// `place` is where the damage is.
    pub(super) fn is_damaged(&self, place: impl fmt::Display) -> LogError {
        LogError(format!(
            "the store {self} is damaged: {place}; restore a backup, save what can be read with \
             `sqlite3 {self} .recover`, or move the file away to begin with an empty room"
        ))
    }

    /// `task` is what was to be done: "open" or "write to".
    pub(super) fn cannot(&self, task: &str, error: &rusqlite::Error) -> LogError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => self.is_damaged(reason(error)),
            Some(ErrorCode::NotADatabase) => self.cannot_open(
                "it is no database of SQLite, or its beginning is damaged; restore a backup, or move the file away to \
                 begin with an empty room",
            ),
            _ => LogError(format!("cannot {task} the store {self}: {}", reason(error))),
        }
    }

    /// The index of words had to be emptied.
    pub(super) fn is_indexed_anew(&self) -> LogError {
        LogError(format!("the index of words in the store {self} was damaged, and is built anew"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether SQLite has written nothing and may be asked again. What cannot be synced is not among these: the
/// kernel may have dropped it, and then the next sync would succeed without it.
pub(super) fn is_passing(error: &rusqlite::Error) -> bool {
    match error.sqlite_error() {
        Some(ffi::Error { code: ErrorCode::SystemIoFailure, extended_code }) => {
            matches!(*extended_code, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)
        }
        Some(error) => {
            matches!(error.code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        }
        None => false,
    }
}

/// Whether it is the index of words that is damaged, and nothing that cannot be built anew.
pub(super) fn is_of_the_index(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CORRUPT_VTAB)
}

/// The part of a sentence that says why.
fn reason(error: &rusqlite::Error) -> String {
    let Some(known) = error.sqlite_error() else { return error.to_string() };
    let reason = match known.code {
        ErrorCode::DiskFull => "no space left on device",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "another program is writing to it",
        ErrorCode::ReadOnly => "it is read-only",
        ErrorCode::CannotOpen => "it cannot be opened",
        ErrorCode::SystemIoFailure => match known.extended_code {
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => {
                "what was written may not have reached the disk (fsync failed)"
            }
            // SQLite does not say which of these it is.
            ffi::SQLITE_IOERR_WRITE => {
                "a quota or a limit of the size of files is reached, or the disk has failed"
            }
            ffi::SQLITE_IOERR_SHMSIZE => "no space left on device for its file -shm",
            _ => return format!("an error of the disk ({error})"),
        },
        _ => return error.to_string(),
    };
    reason.to_owned()
}
