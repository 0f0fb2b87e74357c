//! The session of a client, kept in a file while the client runs: one that was killed goes on with it when it
//! is started anew.
//!
//! There is one file for each server and nickname, in a directory that nobody else can look into. It is locked
//! while the client runs, so that a second client of the same nickname does not take the session of the first.
//! Where there can be no such file, everything works without it.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::protocol::{Nickname, Resume};

/// How long a client may have read lines before the file says so. It reads those again if it is killed and
/// started anew.
pub const STORE_INTERVAL: Duration = Duration::from_secs(1);

/// The most that is read of a file, in bytes: more than a request to resume has.
const FILE_BYTES: u64 = 256;

/// How many bytes of the hash of the server and the nickname are the name of the file.
const NAME_BYTES: usize = 16;

/// How often a file is opened that another client removes at that moment.
const OPEN_ATTEMPTS: usize = 3;

/// See the module.
#[derive(Debug)]
pub struct TokenFile {
    /// Where the files are, if there can be any.
    directory: Option<PathBuf>,
    server: String,
    /// The nickname that the client was last called by.
    nickname: Option<Nickname>,
    claimed: Option<Claimed>,
}

/// A locked file.
#[derive(Debug)]
struct Claimed {
    path: PathBuf,
    file: File,
    stored: Option<Resume>,
    stored_at: Instant,
}

impl TokenFile {
    /// No file at all.
    #[must_use]
    pub fn none() -> Self {
        Self::below(None, String::new())
    }

    /// A file of this user. Over an encrypted connection it is another one than over a plain one to the same
    /// address: what it says is as good as a password.
    #[must_use]
    pub fn of_user(address: &str, encrypted: bool) -> Self {
        let network = if encrypted { "tls" } else { "tcp" };
        Self::below(platform::user_directory(), format!("{network} {address}"))
    }

    fn below(directory: Option<PathBuf>, server: String) -> Self {
        let directory = directory.filter(|directory| platform::make_private(directory).is_ok());
        Self { directory, server, nickname: None, claimed: None }
    }

    /// Takes the file of this nickname. Returns the session in it, if an earlier client has left one.
    pub(super) fn claim(&mut self, nickname: &Nickname) -> Option<Resume> {
        self.nickname = Some(nickname.clone());
        let path = self.directory.as_ref()?.join(self.name_of(nickname));
        let claimed = Claimed::open(path).ok()??;
        if let Some(earlier) = self.claimed.replace(claimed) {
            earlier.remove();
        }
        self.claimed.as_ref()?.stored.clone()
    }

    /// Keeps the session of a client that is called this, as it is now; `None` is the end of the session.
    /// Returns when to call this again, if the file has not been brought up to date.
    pub(super) fn keep(&mut self, nickname: &Nickname, session: Option<Resume>) -> Option<Instant> {
        let Some(session) = session else {
            self.forget();
            return None;
        };
        if self.nickname.as_ref() != Some(nickname) {
            // If the file of the new nickname cannot be taken, the old one is kept.
            self.claim(nickname);
        }
        let claimed = self.claimed.as_mut()?;
        if claimed.stored.as_ref() == Some(&session) {
            return None;
        }
        let is_same = claimed.stored.as_ref().is_some_and(|stored| stored.token == session.token);
        let due = claimed.stored_at + STORE_INTERVAL;
        if is_same && Instant::now() < due {
            return Some(due);
        }
        if claimed.store(session).is_err() {
            // Half a file is worth nothing.
            self.claimed.take().into_iter().for_each(Claimed::remove);
        }
        None
    }

    /// The session is over.
    pub(super) fn forget(&mut self) {
        if let Some(claimed) = &mut self.claimed
            && claimed.stored.take().is_some()
        {
            // The file itself is removed with its owner.
            let _ = claimed.file.set_len(0);
        }
    }

    /// A nickname may have any length and any letters, the name of a file may not.
    fn name_of(&self, nickname: &Nickname) -> String {
        let hash = Sha256::digest(format!("{} {nickname}", self.server));
        let mut name = String::new();
        for byte in hash.iter().take(NAME_BYTES) {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

impl Drop for TokenFile {
    /// The file of a session that is not known to be over stays.
    fn drop(&mut self) {
        self.claimed.take_if(|claimed| claimed.stored.is_none()).into_iter().for_each(Claimed::remove);
    }
}

impl Claimed {
    /// `None` if another client has it.
    fn open(path: PathBuf) -> io::Result<Option<Self>> {
        for _ in 0..OPEN_ATTEMPTS {
            let file = platform::open_private(&path)?;
            if file.try_lock().is_err() {
                return Ok(None);
            }
            if platform::is_private(&file)? {
                let stored = read(&file);
                return Ok(Some(Self { path, file, stored, stored_at: Instant::now() }));
            }
        }
        Ok(None)
    }

    fn store(&mut self, session: Resume) -> io::Result<()> {
        self.file.rewind()?;
        // In one write. What an earlier one may have left after the end of the line is not read.
        self.file.write_all(format!("{session}\n").as_bytes())?;
        self.stored = Some(session);
        self.stored_at = Instant::now();
        Ok(())
    }

    fn remove(self) {
        // Whoever has opened it already finds nothing.
        let _ = self.file.set_len(0);
        let _ = fs::remove_file(&self.path);
    }
}

fn read(file: &File) -> Option<Resume> {
    let mut line = String::new();
    BufReader::new(file).take(FILE_BYTES).read_line(&mut line).ok()?;
    Resume::parse(line.strip_suffix('\n')?)
}

#[cfg(unix)]
mod platform {
    use std::fs::{DirBuilder, Metadata};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    use rustix::process::geteuid;

    use super::{File, OpenOptions, Path, PathBuf, fs, io};

    /// What group and others may do.
    const OTHERS: u32 = 0o077;

    /// The user's runtime directory; without one, a directory for temporary files that only this user can
    /// have made.
    pub(super) fn user_directory() -> Option<PathBuf> {
        match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            Some(runtime) => {
                Some(PathBuf::from(runtime).join("commonroom")).filter(|path| path.is_absolute())
            }
            None => Some(std::env::temp_dir().join(format!("commonroom-{}", geteuid().as_raw()))),
        }
    }

    pub(super) fn make_private(directory: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(directory)?;
        if found.is_dir() && is_mine_alone(&found) {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    pub(super) fn open_private(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
    }

    /// Whether it is a file, for this user alone, and still has exactly one name.
    pub(super) fn is_private(file: &File) -> io::Result<bool> {
        let found = file.metadata()?;
        Ok(found.is_file() && is_mine_alone(&found) && found.nlink() == 1)
    }

    fn is_mine_alone(found: &Metadata) -> bool {
        found.uid() == geteuid().as_raw() && found.mode() & OTHERS == 0
    }
}

/// What is in the local application data of a user is for that user alone.
#[cfg(windows)]
mod platform {
    use super::{File, OpenOptions, Path, PathBuf, fs, io};

    pub(super) fn user_directory() -> Option<PathBuf> {
        let local = PathBuf::from(std::env::var_os("LOCALAPPDATA")?);
        local.is_absolute().then(|| local.join("commonroom"))
    }

    pub(super) fn make_private(directory: &Path) -> io::Result<()> {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn open_private(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    pub(super) fn is_private(file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.is_file())
    }
}

#[cfg(test)]
mod tests;
