//! A writer that does not keep its users waiting for a disk or a pipe: a thread does.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait to be written.
pub const WAITING_BYTES: usize = 4 * 1_024 * 1_024;

/// How long the end waits for a target that takes nothing.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What happens to a line while [`WAITING_BYTES`] are waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Whoever writes it waits until there is room: no line is lost.
    Wait,
    /// It is dropped: nobody waits for somebody who does not read.
    Drop,
}

/// Writes lines to a slow target on a thread of its own, in order, many at once if they come fast.
///
/// Dropping it writes what is waiting, for at most [`DRAIN_TIMEOUT`], then ends the thread.
#[derive(Debug)]
pub struct BackgroundWriter {
    queue: Arc<Queue>,
}

/// A handle to a [`BackgroundWriter`]; each `write` is kept whole.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    when_full: WhenFull,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    /// And all that came is written.
    drained: bool,
}

impl BackgroundWriter {
    /// Starts the thread. `on_error` is told about the first failure of a series; what failed to
    /// be written is gone, and later lines are tried again.
    pub fn spawn<W, E>(target: W, when_full: WhenFull, on_error: E) -> Self
    where
        W: Write + Send + 'static,
        E: FnMut(io::Error) + Send + 'static,
    {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            when_full,
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.write_all_to(target, on_error)
        });
        Self { queue }
    }

    /// A handle to write with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.queue))
    }
}

impl Drop for BackgroundWriter {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.ended = true;
        self.queue.filled.notify_one();
        let drained = self.queue.emptied.wait_timeout_while(state, DRAIN_TIMEOUT, |state| !state.drained);
        drop(drained);
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
        while state.waiting.len() >= WAITING_BYTES {
            match self.when_full {
                WhenFull::Drop => return,
                WhenFull::Wait => {
                    state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// The thread: takes everything that waits and writes it in one piece, until the end.
    fn write_all_to(&self, mut target: impl Write, mut on_error: impl FnMut(io::Error)) {
        let mut batch = Vec::new();
        let mut failing = false;
        loop {
            batch.clear();
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.ended {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() {
                state.drained = true;
                self.emptied.notify_all();
                return;
            }
            std::mem::swap(&mut batch, &mut state.waiting);
            drop(state);
            self.emptied.notify_all();
            match target.write_all(&batch).and_then(|()| target.flush()) {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    on_error(error);
                }
                Err(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A target that takes each piece only when the test lets it.
    struct Gate {
        opened: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.opened.recv().map_err(|_| io::Error::other("the gate is closed"))?;
            self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(when_full: WhenFull) -> (BackgroundWriter, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let (open, opened) = mpsc::channel();
        let (written, seen) = mpsc::channel();
        let writer = BackgroundWriter::spawn(Gate { opened, written }, when_full, |_| {});
        (writer, open, seen)
    }

    #[test]
    fn everything_is_written_in_order_before_the_end() {
        let (writer, open, seen) = gated(WhenFull::Wait);
        let mut handle = writer.handle();
        for number in 0..1_000 {
            writeln!(handle, "{number}").unwrap();
        }
        for _ in 0..2_000 {
            open.send(()).unwrap();
        }
        drop(writer);
        let written: Vec<u8> = seen.try_iter().flatten().collect();
        let written = String::from_utf8(written).unwrap();
        assert!(written.lines().map(|line| line.parse::<usize>().unwrap()).eq(0..1_000));
    }

    #[test]
    fn a_target_that_takes_nothing_neither_grows_the_queue_nor_holds_up_who_may_drop() {
        let (writer, open, _seen) = gated(WhenFull::Drop);
        let mut handle = writer.handle();
        let line = [b'x'; 1_000];
        for _ in 0..(3 * WAITING_BYTES / line.len()) {
            handle.write_all(&line).unwrap();
        }
        assert!(writer.queue.lock().waiting.len() < WAITING_BYTES + line.len());
        drop(open);
    }

    #[test]
    fn who_may_not_drop_waits_and_loses_nothing() {
        let (writer, open, seen) = gated(WhenFull::Wait);
        let mut handle = writer.handle();
        let total = 3 * WAITING_BYTES;
        let producer = thread::spawn(move || {
            for _ in 0..(total / 1_024) {
                handle.write_all(&[b'x'; 1_024]).unwrap();
            }
        });
        let mut written = 0;
        while written < total {
            open.send(()).unwrap();
            written += seen.recv().expect("the thread goes on").len();
        }
        producer.join().unwrap();
        assert_eq!(written, total);
    }

    #[test]
    fn a_failing_target_is_told_once_and_tried_again() {
        struct Failing(mpsc::Sender<()>);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0.send(()).map_err(io::Error::other)?;
                Err(io::Error::other("no space"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (tried, attempts) = mpsc::channel();
        let (told, errors) = mpsc::channel();
        let writer = BackgroundWriter::spawn(Failing(tried), WhenFull::Wait, move |error| {
            told.send(error.to_string()).expect("the test listens");
        });
        for _ in 0..3 {
            writer.handle().write_all(b"line\n").unwrap();
            attempts.recv().expect("each line is tried");
        }
        drop(writer);
        assert_eq!(errors.iter().collect::<Vec<_>>(), ["no space"]);
    }
}
