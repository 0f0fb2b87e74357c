//! A thread for work that blocks, and the queue that leads to it.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A thread of its own. It ends when this is dropped, which waits for it.
pub(super) struct Worker<T> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<()>>,
}

/// The way to a worker. It may outlive the worker.
pub(super) struct Queue<T>(Mutex<Option<SyncSender<T>>>);

/// Why a worker does not take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait.
    Full,
    /// It has ended.
    Ended,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a thread that does `work`: all jobs that come, until none can come any more. At most `jobs_at_most` wait.
    /// The work is told of its own queue as well.
    ///
    /// # Errors
    ///
    /// If the system has no more threads.
    pub(super) fn start(
        name: &str,
        jobs_at_most: usize,
        work: impl FnOnce(&Receiver<T>, Arc<Queue<T>>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(jobs_at_most);
        let queue = Arc::new(Queue(Mutex::new(Some(sender))));
        let of_thread = Arc::clone(&queue);
        let thread =
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&receiver, of_thread))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(super) fn queue(&self) -> &Arc<Queue<T>> {
        &self.queue
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = ended
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl<T> Queue<T> {
    /// Gives the worker a job, without waiting.
    pub(super) fn offer(&self, job: T) -> Result<(), Refused> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().ok_or(Refused::Ended)?.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Ended,
        })
    }

    /// Whether nobody waits for the answers any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
