//! A writer that never keeps its users waiting for a disk or a pipe: a thread waits instead.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait to be written. Further lines are dropped and counted, so that nobody waits for a
/// disk that hangs.
pub const WAITING_BYTES: usize = 4 * 1_024 * 1_024;

/// How long a line waits for others that can be written together with it.
pub const GATHER_TIME: Duration = Duration::from_millis(5);

/// How many bytes are enough to be written without waiting for more.
pub const GATHER_BYTES: usize = 256 * 1_024;

/// How long [`BackgroundWriter::finish`] waits for a target that takes nothing.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The destination of a [`BackgroundWriter`]. It is called on the writer's thread only, so it may block.
pub trait Target: Send + 'static {
    /// Writes complete lines. The target itself handles those that it cannot write.
    fn write_lines(&mut self, lines: &[u8]);

    /// The next `count` lines were dropped, because too many were waiting.
    fn miss_lines(&mut self, _count: u64) {}

    /// Switches to a new file, if the target is a file.
    fn reopen(&mut self) {}
}

/// Every writer is a target, which discards lines that it cannot write.
impl<W: Write + Send + 'static> Target for W {
    fn write_lines(&mut self, lines: &[u8]) {
        // Later lines are tried again: a broken pipe stays broken, but a terminal may come back.
        let _ = self.write_all(lines).and_then(|()| self.flush());
    }
}

/// Writes lines to a slow target on a thread of its own, in order, many at once if they come fast.
///
/// Dropping it writes the waiting lines, for at most `DRAIN_TIMEOUT`, then ends the thread. So does
/// [`BackgroundWriter::finish`], which also returns how many lines are left.
#[derive(Debug)]
pub struct BackgroundWriter(Handle);

/// A handle to the queue of lines for a target; each `write` stays in one piece.
///
/// A [`BackgroundWriter`] writes them on its thread. Without one, as in a simulation, they wait for
/// [`Handle::write_waiting`].
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Wakes the thread when there are lines, and [`BackgroundWriter::finish`] when the thread has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Not yet taken by the thread.
    batch: Batch,
    /// How many lines, including dropped ones, the thread has taken and not yet passed on to the target.
    in_flight: u64,
    /// Nothing more will come.
    ended: bool,
    /// The thread has ended, and everything is written.
    drained: bool,
}

/// Lines that are written together.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    /// How many lines these are.
    count: u64,
    /// Where in `lines` the target is to be reopened.
    reopen_at: Option<usize>,
    /// How many lines were dropped after them.
    missed: u64,
}

impl BackgroundWriter {
    /// Starts the thread.
    pub fn spawn(target: impl Target) -> Self {
        let handle = Handle::default();
        let queue = Arc::clone(&handle.0);
        thread::spawn(move || queue.write_until_the_end(target));
        Self(handle)
    }

    /// A handle to write with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// Writes the waiting lines, and ends. Returns how many lines may not have been written, because the target
    /// took nothing for too long.
    #[must_use]
    pub fn finish(self) -> u64 {
        self.drain()
    }

    fn drain(&self) -> u64 {
        let queue = &self.0.0;
        let mut state = queue.lock();
        if std::mem::replace(&mut state.ended, true) {
            // `finish` was called before the drop.
            return 0;
        }
        queue.changed.notify_one();
        let drained = queue.changed.wait_timeout_while(state, DRAIN_TIMEOUT, |state| !state.drained);
        let state = drained.unwrap_or_else(PoisonError::into_inner).0;
        if state.drained { 0 } else { state.in_flight + state.batch.count + state.batch.missed }
    }
}

impl Handle {
    /// Has the target reopened between the lines written before this call and those written after it.
    pub fn reopen(&self) {
        let mut state = self.0.lock();
        state.batch.reopen_at = Some(state.batch.lines.len());
        self.0.changed.notify_one();
    }

    /// Writes everything that is waiting now to `target`.
    pub fn write_waiting(&self, target: &mut impl Target) {
        let batch = std::mem::take(&mut self.0.lock().batch);
        batch.write_to(target);
    }
}

impl Drop for BackgroundWriter {
    fn drop(&mut self) {
        self.drain();
    }
}

impl Write for Handle {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Handle {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.batch.is_full() {
            state.batch.missed += 1;
            return;
        }
        let (was_empty, was_enough) = (state.batch.is_empty(), state.batch.is_enough());
        state.batch.lines.extend_from_slice(line);
        state.batch.count += 1;
        let is_enough = state.batch.is_enough();
        drop(state);
        // Each notification is a system call, and batches exist to avoid one for every line.
        if was_empty || is_enough && !was_enough {
            self.changed.notify_one();
        }
    }

    /// The thread: takes everything that waits and writes it in one piece, until `finish`.
    fn write_until_the_end(&self, mut target: impl Target) {
        let mut batch = Batch::default();
        while self.take(&mut batch) {
            batch.write_to(&mut target);
        }
        drop(target);
        self.lock().drained = true;
        self.changed.notify_all();
    }

    /// Exchanges a batch that is written for the next one. Returns false at the end.
    fn take(&self, batch: &mut Batch) -> bool {
        batch.lines.clear();
        *batch = Batch { lines: std::mem::take(&mut batch.lines), ..Batch::default() };
        let mut state = self.lock();
        state.in_flight = 0;
        if state.batch.is_empty() {
            // An idle queue keeps no memory.
            batch.lines = Vec::new();
            state.batch.lines = Vec::new();
        }
        while state.batch.is_empty() && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // The first line of a burst wakes the thread, which then lets the burst continue for a moment.
        let more = |state: &mut State| !state.ended && !state.batch.is_enough();
        let gathered = self.changed.wait_timeout_while(state, GATHER_TIME, more);
        let mut state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(batch, &mut state.batch);
        state.in_flight = batch.count + batch.missed;
        !batch.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.reopen_at.is_none() && self.missed == 0
    }

    fn write_to(&self, target: &mut impl Target) {
        let (before, after) = self.lines.split_at(self.reopen_at.unwrap_or(0));
        if !before.is_empty() {
            target.write_lines(before);
        }
        if self.reopen_at.is_some() {
            target.reopen();
        }
        if !after.is_empty() {
            target.write_lines(after);
        }
        if self.missed > 0 {
            target.miss_lines(self.missed);
        }
    }

    /// Whether it is worth writing without waiting for more.
    fn is_enough(&self) -> bool {
        self.reopen_at.is_some() || self.lines.len() >= GATHER_BYTES
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= WAITING_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A target that keeps its lines in memory.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_written_in_order_before_the_end() {
        let kept = Kept::default();
        let writer = BackgroundWriter::spawn(kept.clone());
        let mut handle = writer.handle();
        for number in 0..1_000 {
            writeln!(handle, "{number}").unwrap();
        }
        drop(writer);
        let written = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(written.lines().map(|line| line.parse::<usize>().unwrap()).eq(0..1_000));
    }

    /// A target that reports each call, and hangs in it until the test releases it.
    struct Hanging {
        asked: mpsc::Sender<String>,
        freed: mpsc::Receiver<()>,
    }

    impl Hanging {
        fn ask(&self, what: String) {
            self.asked.send(what).expect("the test listens");
            // Once the test has dropped its end, nothing hangs any more.
            let _ = self.freed.recv();
        }
    }

    impl Target for Hanging {
        fn write_lines(&mut self, lines: &[u8]) {
            let first = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
            self.ask(String::from_utf8_lossy(&first[..first.len().min(10)]).into_owned());
        }

        fn miss_lines(&mut self, count: u64) {
            self.ask(format!("{count} missed"));
        }

        fn reopen(&mut self) {
            self.ask("reopen".to_owned());
        }
    }

    /// A writer whose target hangs in its first line.
    fn hanging() -> (BackgroundWriter, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let (asked, requests) = mpsc::channel();
        let (free, freed) = mpsc::channel();
        let writer = BackgroundWriter::spawn(Hanging { asked, freed });
        writer.handle().write_all(b"first\n").unwrap();
        assert_eq!(requests.recv().as_deref(), Ok("first"));
        (writer, free, requests)
    }

    #[test]
    fn a_target_that_takes_nothing_does_not_make_the_queue_grow() {
        let (writer, free, _requests) = hanging();
        let mut handle = writer.handle();
        let line = [b'x'; 1_000];
        for _ in 0..(3 * WAITING_BYTES / line.len()) {
            handle.write_all(&line).unwrap();
        }
        assert!(handle.0.lock().batch.lines.len() < WAITING_BYTES + line.len());
        drop(free);
    }

    #[test]
    fn a_target_that_hangs_keeps_nobody_waiting_and_the_lines_dropped_are_counted() {
        let (writer, free, requests) = hanging();
        let mut handle = writer.handle();
        handle.write_all(&vec![b'x'; WAITING_BYTES]).unwrap();
        for _ in 0..1_000 {
            handle.write_all(b"no room\n").unwrap();
        }
        drop(free);
        drop(writer);
        assert_eq!(requests.iter().collect::<Vec<_>>(), ["xxxxxxxxxx", "1000 missed"]);
    }

    #[test]
    fn the_end_tells_how_many_lines_a_target_that_hangs_has_not_taken() {
        let (writer, _free, requests) = hanging();
        let mut handle = writer.handle();
        handle.write_all(b"second\n").unwrap();
        handle.write_all(b"third\n").unwrap();
        assert_eq!(writer.finish(), 3, "the first of them is being written");
        drop(requests);
    }

    #[test]
    fn the_end_tells_of_the_lines_that_were_dropped_before_too() {
        let (writer, free, requests) = hanging();
        let mut handle = writer.handle();
        handle.write_all(&vec![b'x'; WAITING_BYTES]).unwrap();
        for _ in 0..1_000 {
            handle.write_all(b"no room\n").unwrap();
        }
        free.send(()).unwrap();
        assert_eq!(requests.recv().as_deref(), Ok("xxxxxxxxxx"));
        assert_eq!(writer.finish(), 1_001);
    }

    #[test]
    fn an_end_after_everything_is_written_has_lost_nothing() {
        let (writer, free, requests) = hanging();
        writer.handle().write_all(b"second\n").unwrap();
        drop(free);
        assert_eq!(writer.finish(), 0);
        assert_eq!(requests.iter().collect::<Vec<_>>(), ["second"]);
    }

    #[test]
    fn a_target_is_reopened_exactly_between_the_lines_before_and_the_lines_after() {
        let (writer, free, requests) = hanging();
        let mut handle = writer.handle();
        handle.write_all(b"before\n").unwrap();
        handle.reopen();
        handle.write_all(b"after\n").unwrap();
        drop(free);
        drop(writer);
        assert_eq!(requests.iter().collect::<Vec<_>>(), ["before", "reopen", "after"]);
    }
}
