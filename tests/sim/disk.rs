//! A disk that fills, hangs and loses files on request: the simulated counterpart of `Disk`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use commonroom::journal::{FileSystem, in_use};

use super::machine::LOG;

/// Files in one directory.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Every file that there ever was, in the order of creation.
    files: Vec<Content>,
    /// The directory: the files that still have a name.
    names: BTreeMap<PathBuf, usize>,
    directory_is_gone: bool,
    /// How many more bytes fit; `None` means no limit.
    free_bytes: Option<usize>,
    hangs: bool,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    locked: bool,
}

impl State {
    fn is_named(&self, file: usize) -> bool {
        self.names.values().any(|&named| named == file)
    }
}

impl SimulatedDisk {
    /// Leaves room for this many bytes; `None` means no limit.
    pub fn leave_free(&self, bytes: Option<usize>) {
        self.state().free_bytes = bytes;
    }

    /// Makes writes hang, or ends that.
    pub fn hang(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Renames the log, as logrotate does.
    pub fn rotate(&self) {
        let mut state = self.state();
        if let Some(file) = state.names.remove(Path::new(LOG)) {
            state.names.insert(format!("{LOG}.{file}").into(), file);
        }
    }

    pub fn remove_log(&self) {
        self.state().names.remove(Path::new(LOG));
    }

    pub fn remove_directory(&self) {
        let mut state = self.state();
        state.names.clear();
        state.directory_is_gone = true;
    }

    pub fn create_directory(&self) {
        self.state().directory_is_gone = false;
    }

    pub fn hangs(&self) -> bool {
        self.state().hangs
    }

    /// The content of each file that there ever was, in the order of creation. Removed files have the content
    /// that they had when they were removed.
    pub fn files(&self) -> Vec<String> {
        let content = |file: &Content| String::from_utf8(file.bytes.clone()).expect("a log is UTF-8");
        self.state().files.iter().map(content).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl FileSystem for SimulatedDisk {
    type File = SimulatedFile;

    fn open(&self, path: &Path) -> io::Result<SimulatedFile> {
        let mut state = self.state();
        if state.directory_is_gone {
            return Err(io::Error::new(io::ErrorKind::NotFound, "No such file or directory"));
        }
        let next = state.files.len();
        let index = *state.names.entry(path.to_owned()).or_insert(next);
        if index == next {
            state.files.push(Content::default());
        }
        let file = &mut state.files[index];
        if std::mem::replace(&mut file.locked, true) {
            return Err(in_use());
        }
        Ok(SimulatedFile { disk: self.clone(), index })
    }

    fn is_torn(&self, path: &Path) -> bool {
        let state = self.state();
        let file = state.names.get(path).and_then(|&file| state.files[file].bytes.last());
        file.is_some_and(|&last| last != b'\n')
    }

    fn is_at(&self, file: &SimulatedFile, path: &Path) -> bool {
        self.state().names.get(path) == Some(&file.index)
    }

    fn is_removed(&self, file: &SimulatedFile) -> bool {
        !self.state().is_named(file.index)
    }
}

/// A file that is open, and locked until it is dropped.
pub struct SimulatedFile {
    disk: SimulatedDisk,
    index: usize,
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let length = state.free_bytes.map_or(bytes.len(), |free| free.min(bytes.len()));
        if length == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.free_bytes = state.free_bytes.map(|free| free - length);
        // Nobody will ever read bytes that are written to a file without a name.
        if state.is_named(self.index) {
            state.files[self.index].bytes.extend_from_slice(&bytes[..length]);
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        self.disk.state().files[self.index].locked = false;
    }
}
