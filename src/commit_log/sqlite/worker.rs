//! A thread for work that blocks, and the queue that leads to it.

use std::convert::Infallible;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a thread may take to end. A disk that does not answer must not keep a server from ending.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// A thread of its own. It ends when this is dropped, which waits for it, but not for ever.
pub(super) struct Worker<T> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<()>>,
    /// The other end is closed when the thread has done its work.
    working: Mutex<Receiver<Infallible>>,
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
        let (works, working) = sync_channel(0);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _works = works;
            work(&receiver, of_thread);
        })?;
        Ok(Self { queue, thread: Some(thread), working: Mutex::new(working) })
    }

    pub(super) fn queue(&self) -> &Arc<Queue<T>> {
        &self.queue
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let working = self.working.get_mut().unwrap_or_else(PoisonError::into_inner);
        if working.recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_hangs_is_not_waited_for_for_ever() {
        let (release, hangs) = sync_channel::<()>(0);
        let worker = Worker::<()>::start("hangs", 1, move |_, _| {
            let _ = hangs.recv();
        });
        drop(worker.unwrap());
        assert!(release.try_send(()).is_ok(), "it has hung until now");
    }

    #[test]
    fn what_a_worker_was_given_is_done_before_it_ends() {
        let (done, is_done) = sync_channel(9);
        let worker = Worker::start("works", 9, move |jobs, _| {
            for job in jobs {
                done.send(job).expect("there is room");
            }
        });
        let worker = worker.unwrap();
        for job in 0..9 {
            worker.queue().offer(job).unwrap();
        }
        drop(worker);
        assert_eq!(is_done.try_iter().collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
    }
}
