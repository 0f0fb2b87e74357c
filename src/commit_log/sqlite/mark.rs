//! The mark: a small file beside the store, which says how far the store has come.
//!
//! A store that was restored from a backup, or deleted, does not look any different from one that is as it
//! was left. But its mark does: it names the file that it belongs to, and the last record in it. The mark is
//! also what a server locks, since SQLite's own locks would keep readers out.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::error::Name;
use crate::commit_log::LogError;
use crate::protocol::LogEpoch;

/// The most that is read of a mark, in bytes: more than it has.
const MARK_BYTES: u64 = 256;

/// An open mark, locked while it is open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    /// What the server before this one left.
    found: Option<Stamp>,
    store: Identity,
}

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    epoch: LogEpoch,
    id: u64,
    store: Identity,
}

/// Tells the file of a store from any other: its device and its number there. 0 where files have no numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Identity {
    device: u64,
    file: u64,
}

impl Mark {
    /// Opens and locks the mark of a store, and creates both files if they do not exist. `path` is that of the mark.
    ///
    /// # Errors
    ///
    /// If another server has the store, or a file cannot be opened.
    pub(super) fn claim(store: &Path, path: &Path, name: &Name) -> Result<Self, LogError> {
        let cannot = |error| name.cannot_open_for(&error);
        let file = open_private(path).map_err(cannot)?;
        // On a file system without locks nobody is refused.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(name.cannot_open("another server uses it"));
        }
        // Not before: closing any file of a store drops the locks that this process has on it.
        if !store.exists() {
            open_private(store).map_err(cannot)?;
        }
        let found = read(&file);
        Ok(Self { file, found, store: identity_of(store).map_err(cannot)? })
    }

    /// Whether the store, of this epoch and with this last record, has everything that it had when the mark
    /// was written last. It may have more: the mark is written after it, and not synced.
    pub(super) fn fits(&self, epoch: LogEpoch, last: u64) -> bool {
        self.found.is_some_and(|found| found.epoch == epoch && found.store == self.store && found.id <= last)
    }

    /// Notes that the store has come to this record. If that fails, the mark says too little, which does no
    /// harm as long as the store is not replaced.
    pub(super) fn write(&self, epoch: LogEpoch, id: u64) -> io::Result<()> {
        let mut file = &self.file;
        file.rewind()?;
        let stamp = Stamp { epoch, id, store: self.store };
        // In one write, and always as long.
        file.write_all(format!("{stamp}\n").as_bytes())
    }

    /// Makes sure that there is a mark after a power cut.
    pub(super) fn sync(&self, store: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match store.parent() {
            // Elsewhere a directory is no file.
            Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch: LogEpoch(epoch), id, store: Identity { device, file } } = self;
        write!(formatter, "epoch {epoch:016x} id {id:020} store {device:016x} {file:016x}")
    }
}

impl Stamp {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let &["epoch", epoch, "id", id, "store", device, file] = words.as_slice() else { return None };
        let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
        let store = Identity { device: hexadecimal(device)?, file: hexadecimal(file)? };
        Some(Self { epoch: LogEpoch(hexadecimal(epoch)?), id: id.parse().ok()?, store })
    }
}

fn read(file: &File) -> Option<Stamp> {
    let mut line = String::new();
    BufReader::new(file).take(MARK_BYTES).read_line(&mut line).ok()?;
    Stamp::parse(line.strip_suffix('\n')?)
}

/// What was said in private is in a store, so it is for its owner alone.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(unix)]
fn identity_of(store: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    // Without opening it: see `Mark::claim`.
    let found = std::fs::metadata(store)?;
    Ok(Identity { device: found.dev(), file: found.ino() })
}

#[cfg(windows)]
fn identity_of(store: &Path) -> io::Result<Identity> {
    std::fs::metadata(store).map(|_| Identity::default())
}
