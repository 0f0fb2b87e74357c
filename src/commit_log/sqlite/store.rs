//! The file of a store, and those beside it.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::Name;
use super::mark::{self, Mark};
use super::{schema, wal};
use crate::commit_log::LogError;

/// An open file, which no other server has.
pub(super) struct Store {
    pub(super) name: Name,
    pub(super) path: PathBuf,
    /// What was dropped when it was opened.
    pub(super) torn_pages: u64,
    // Closed before the lock is released.
    pub(super) connection: Connection,
    pub(super) mark: Mark,
}

impl Store {
    /// Opens it, and creates it if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let name = Name::new(path.display().to_string());
        let path = resolved(path).map_err(|error| name.cannot_open_for(&error))?;
        let mark = Mark::claim(&path, &beside(&path, ".mark"), &name)?;
        let torn_pages = torn_pages(&path, &name)?;
        let connection = schema::open(&path, &name)?;
        Ok(Self { name, path, torn_pages, connection, mark })
    }
}

/// The one path of a file, whichever name it was given by: the files beside it must be the same for all
/// servers.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let resolved = match fs::canonicalize(path) {
        // Only when the file is there is it known where the link leads.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            mark::open_private(path)?;
            fs::canonicalize(path)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
            let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
            return Ok(fs::canonicalize(directory.unwrap_or(Path::new(".")))?.join(name));
        }
        resolved => resolved?,
    };
    let found = fs::metadata(&resolved)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::other("it is no file on a disk"));
    }
    Ok(resolved)
}

/// `room.db` has beside it `room.db-wal`, for example.
fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// How much SQLite will drop when it opens the store.
fn torn_pages(store: &Path, name: &Name) -> Result<u64, LogError> {
    // Beside an empty store it drops everything.
    if fs::metadata(store).is_ok_and(|found| found.len() == 0) {
        return Ok(0);
    }
    let tail = match File::open(beside(store, "-wal")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        log => log
            .and_then(|log| wal::tail(BufReader::new(log)))
            .map_err(|error| name.cannot_open_for(&error))?,
    };
    match tail.damaged {
        None => Ok(tail.torn),
        Some(frame) => Err(LogError(format!(
            "the store {name} is damaged: frame {frame} of {name}-wal cannot be read, and what was stored after it neither; \
             restore a backup, or go without that after `sqlite3 {name} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
        ))),
    }
}
