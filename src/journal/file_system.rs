//! The seam between the log and the file system: a [`LogFile`](crate::journal::LogFile) works with any
//! [`FileSystem`].
//!
//! Production uses [`Disk`]; the simulated file system fills up, hangs and loses files on request.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write};
use std::path::Path;

/// Files that only one program at a time writes to.
pub trait FileSystem: Send + 'static {
    /// An open file, locked while it is open.
    type File: Write + Send;

    /// Opens the file at `path` to append to it, creates it if it does not exist, and locks it. A terminal, a
    /// pipe, `/dev/null` or anything else that is no regular file is not locked. On a file system without
    /// locks nobody is refused.
    ///
    /// # Errors
    ///
    /// [`in_use`] if another program writes to the file, or the error of the operating system.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Whether the file at `path` ends in the middle of a line, for example because its disk was full.
    fn is_torn(&self, path: &Path) -> bool;

    /// Whether the file is still the one at `path`.
    fn is_at(&self, file: &Self::File, path: &Path) -> bool;

    /// Whether the file has been removed from its directory, so that nobody will ever read it.
    fn is_removed(&self, file: &Self::File) -> bool;
}

/// The error for a file that another program writes to.
#[must_use]
pub fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another server writes to it")
}

/// The files of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

#[cfg(unix)]
impl FileSystem for Disk {
    type File = File;

    fn open(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_regular && let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(in_use());
        }
        Ok(file)
    }

    fn is_torn(&self, path: &Path) -> bool {
        does_not_end_a_line(path)
    }

    fn is_at(&self, file: &File, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        match (file.metadata(), std::fs::metadata(path)) {
            (Ok(file), Ok(found)) => (file.dev(), file.ino()) == (found.dev(), found.ino()),
            _ => false,
        }
    }

    fn is_removed(&self, file: &File) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

#[cfg(windows)]
impl FileSystem for Disk {
    type File = File;

    /// A lock would keep readers out as well, so the file is opened for a single writer instead.
    fn open(&self, path: &Path) -> io::Result<File> {
        use std::os::windows::fs::OpenOptionsExt as _;
        const SHARE_READ_AND_DELETE: u32 = 1 | 4;
        let mut options = OpenOptions::new();
        options.create(true).append(true).share_mode(SHARE_READ_AND_DELETE);
        options.open(path)
    }

    fn is_torn(&self, path: &Path) -> bool {
        does_not_end_a_line(path)
    }

    /// A file stays where it is while it is written to.
    fn is_at(&self, _: &File, _: &Path) -> bool {
        true
    }

    fn is_removed(&self, _: &File) -> bool {
        false
    }
}

/// If that cannot be seen, as for a pipe or a write-only file, it is assumed to be complete.
fn does_not_end_a_line(path: &Path) -> bool {
    let last_byte = || {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut file = File::open(path)?;
        file.seek(io::SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok::<_, io::Error>(byte[0])
    };
    last_byte().is_ok_and(|byte| byte != b'\n')
}
