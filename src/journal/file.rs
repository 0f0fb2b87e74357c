//! The file of the journal, for one server alone, reopened on demand. Nobody waits for it when it fails, and
//! it counts the lines that are missing.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::file_system::FileSystem;
use super::format::{self, Clock, LogFormat};
use super::writer::Target;
use crate::net::explain;

/// An open log file, locked while it is open.
///
/// Lines that cannot be written, for example because the disk is full, are counted. The operator is told about
/// the first failure of a series and then the count, which is also written to the log where the lines are
/// missing. A file that has been removed is created again.
pub struct LogFile<F: FileSystem> {
    file_system: F,
    path: PathBuf,
    file: F::File,
    gaps: Gaps,
}

impl<F: FileSystem> LogFile<F> {
    /// Opens the file at `path` to append to it, and locks it: a second server is refused.
    ///
    /// `format` and `clock` are those of the journal; `say` shows the operator a sentence.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or another server writes to it.
    pub fn open(
        file_system: F,
        path: &Path,
        format: LogFormat,
        clock: impl Clock + Clone,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, OpenLogError> {
        let note = move |lines: u64, reason: &str| {
            format::lines_of(format, clock.clone(), || {
                warn!(event = "log", lines, "{} not written: {reason}", lines_were(lines));
            })
        };
        let name = path.display().to_string();
        let file = file_system.open(path).map_err(|error| OpenLogError { path: path.to_owned(), error })?;
        let torn = file_system.is_torn(path);
        let gaps = Gaps { name, note: Box::new(note), say: Box::new(say), torn, missing: None };
        Ok(Self { file_system, path: path.to_owned(), file, gaps })
    }

    /// Switches to the file that is at the path now, and creates it if there is none.
    fn open_again(&mut self) -> Result<(), String> {
        if !self.file_system.is_at(&self.file, &self.path) {
            self.file = self.file_system.open(&self.path).map_err(|error| explain(&error))?;
            self.gaps.torn = self.file_system.is_torn(&self.path);
        }
        Ok(())
    }
}

impl<F: FileSystem> Target for LogFile<F> {
    fn write_lines(&mut self, lines: &[u8]) {
        let opened = if self.file_system.is_removed(&self.file) { self.open_again() } else { Ok(()) };
        match opened {
            Ok(()) => self.gaps.write(&mut self.file, lines),
            Err(reason) => self.gaps.miss(count(lines), Reason::Failed(reason)),
        }
    }

    fn miss_lines(&mut self, count: u64) {
        self.gaps.miss(count, Reason::TooFast);
    }

    fn reopen(&mut self) {
        if let Err(reason) = self.open_again() {
            let name = &self.gaps.name;
            let consequence = if self.file_system.is_removed(&self.file) {
                "the old one is gone"
            } else {
                "the old one is still written to"
            };
            (self.gaps.say)(&format!("cannot reopen the log {name}: {reason}; {consequence}"));
        }
    }
}

/// A log that cannot be opened.
#[derive(Debug)]
pub struct OpenLogError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for OpenLogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot open the log {}: {}", self.path.display(), explain(&self.error))
    }
}

impl Error for OpenLogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// What is missing from a log, and who is told about it.
struct Gaps {
    name: String,
    note: Note,
    say: Box<dyn Fn(&str) + Send>,
    /// Whether the last line in the file is incomplete.
    torn: bool,
    missing: Option<Missing>,
}

/// Formats the line of the log that says how many lines are missing, and why.
type Note = Box<dyn Fn(u64, &str) -> Vec<u8> + Send>;

struct Missing {
    lines: u64,
    /// Why the first of them is.
    reason: Reason,
}

/// Why lines are missing.
enum Reason {
    /// They could not be written.
    Failed(String),
    /// They were dropped, because too many were waiting.
    TooFast,
}

impl Reason {
    /// For the sentence when lines begin to be missing.
    fn at_first(&self) -> &str {
        match self {
            Self::Failed(reason) => reason,
            Self::TooFast => "lines come faster than they can be written",
        }
    }

    /// For the sentences that count the missing lines afterwards.
    fn afterwards(&self) -> &str {
        match self {
            Self::Failed(reason) => reason,
            Self::TooFast => "they came faster than they could be written",
        }
    }
}

impl Gaps {
    /// Writes lines, preceded by a note if earlier ones are missing.
    fn write(&mut self, file: &mut impl Write, lines: &[u8]) {
        if let Some(missing) = &self.missing {
            let note = (self.note)(missing.lines, missing.reason.afterwards());
            if let Err((_, reason)) = self.append(file, &note) {
                return self.miss(count(lines), Reason::Failed(reason));
            }
            self.tell();
        }
        if let Err((lines, reason)) = self.append(file, lines) {
            self.miss(lines, Reason::Failed(reason));
        }
    }

    /// Writes lines, starting on a new line. The error says how many are missing, and why. A line counts as
    /// missing if its text in the file is incomplete.
    fn append(&mut self, file: &mut impl Write, lines: &[u8]) -> Result<(), (u64, String)> {
        if self.torn {
            write_as_much(file, b"\n").1.map_err(|error| (count(lines), explain(&error)))?;
            self.torn = false;
        }
        let (length, result) = write_as_much(file, lines);
        let (written, rest) = lines.split_at(length);
        self.torn = written.last().is_some_and(|&last| last != b'\n');
        // A line that lacks only its newline is not missing: the next write begins with the newline.
        let missing = count(rest.strip_prefix(b"\n").unwrap_or(rest));
        if missing == 0 {
            return Ok(());
        }
        result.map_err(|error| (missing, explain(&error)))
    }

    /// Counts lines that are not written, and tells the operator about the first of a series.
    fn miss(&mut self, lines: u64, reason: Reason) {
        if let Some(missing) = &mut self.missing {
            missing.lines += lines;
            return;
        }
        let (name, reason_now) = (&self.name, reason.at_first());
        (self.say)(&format!("cannot write the log {name}: {reason_now}; the chat goes on without it"));
        self.missing = Some(Missing { lines, reason });
    }

    /// Tells the operator how many lines are missing, if any, and resets the count.
    fn tell(&mut self) {
        if let Some(Missing { lines, reason }) = self.missing.take() {
            let (name, reason) = (&self.name, reason.afterwards());
            (self.say)(&format!("{} not written to the log {name}: {reason}", lines_were(lines)));
        }
    }
}

impl Drop for Gaps {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Writes until everything is written or a write fails. Returns the number of bytes written in either case.
fn write_as_much(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, file.flush())
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

fn lines_were(count: u64) -> String {
    if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::mpsc;

    use super::*;

    /// A disk that takes at most the given number of bytes of each write, or is full.
    #[derive(Default)]
    struct Disk {
        takes: VecDeque<Option<usize>>,
        content: String,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = match self.takes.pop_front() {
                None => bytes.len(),
                Some(Some(length)) => length.min(bytes.len()),
                Some(None) => return Err(io::ErrorKind::StorageFull.into()),
            };
            self.content.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes batches to a disk. Returns its content and what the operator was told.
    fn write(takes: &[Option<usize>], batches: &[&str]) -> (String, Vec<String>) {
        let (told, sentences) = mpsc::channel();
        let mut gaps = Gaps {
            name: "server.log".to_owned(),
            note: Box::new(|lines, reason| format!("{lines} missing: {reason}\n").into_bytes()),
            say: Box::new(move |sentence| told.send(sentence.to_owned()).unwrap()),
            torn: false,
            missing: None,
        };
        let mut disk = Disk { takes: takes.iter().copied().collect(), content: String::new() };
        for batch in batches {
            gaps.write(&mut disk, batch.as_bytes());
        }
        drop(gaps);
        (disk.content, sentences.iter().collect())
    }

    const FULL: Option<usize> = None;
    const WARNING: &str =
        "cannot write the log server.log: no space left on device; the chat goes on without it";

    #[test]
    fn a_full_disk_is_told_once_and_the_lines_it_cost_are_counted_when_it_takes_more() {
        let (log, told) = write(&[FULL, FULL, FULL], &["one\n", "two\nthree\n", "four\n", "five\n", "six\n"]);
        assert_eq!(log, "4 missing: no space left on device\nfive\nsix\n");
        assert_eq!(
            told,
            [WARNING, "4 lines were not written to the log server.log: no space left on device"]
        );
    }

    #[test]
    fn a_line_that_was_torn_is_counted_and_the_next_one_does_not_continue_it() {
        let (log, told) = write(&[Some(6), FULL], &["one\ntwo\nthree\n", "four\n"]);
        assert_eq!(log, "one\ntw\n2 missing: no space left on device\nfour\n");
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn a_note_that_was_torn_itself_is_written_again() {
        let (log, _) = write(&[FULL, Some(3), FULL, FULL], &["one\n", "two\n", "three\n", "four\n"]);
        assert_eq!(log, "1 m\n3 missing: no space left on device\nfour\n");
    }

    #[test]
    fn a_line_or_a_note_that_lacks_only_its_end_is_not_missing() {
        let (log, told) = write(&[Some(3), FULL], &["one\n", "two\n"]);
        assert_eq!((log.as_str(), told.len()), ("one\ntwo\n", 0));
        let note = "1 missing: no space left on device";
        let (log, told) = write(&[FULL, Some(note.len()), FULL, FULL], &["one\n", "two\n", "three\n"]);
        assert_eq!(log, format!("{note}\n1 missing: no space left on device\nthree\n"));
        assert_eq!(told.len(), 4, "{told:?}");
    }

    #[test]
    fn lines_still_missing_at_the_end_are_told() {
        let (log, told) = write(&[FULL], &["one\n"]);
        assert_eq!(log, "");
        assert_eq!(told, [WARNING, "1 line was not written to the log server.log: no space left on device"]);
    }
}
