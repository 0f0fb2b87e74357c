//! Who waits for more to read, and how each is woken.

use std::task::Waker;

use crate::room::MemberId;

/// Those who have read everything, in the order in which they had. All are woken when the log grows,
/// one when something is for it alone.
///
/// A member is added and woken for each delivery: this takes no memory that was not taken before, and
/// no search.
#[derive(Default)]
pub(super) struct WakeList {
    wakers: Vec<(MemberId, Waker)>,
    /// How often all have been woken.
    rounds: u64,
}

/// In which round somebody was last added, so that it is there only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added(u64);

impl WakeList {
    /// Adds somebody who has read everything, unless it is there. It is one task, whose waker is always
    /// the same.
    pub(super) fn add(&mut self, id: MemberId, waker: &Waker, added: &mut Added) {
        let now = Added(self.rounds + 1);
        if *added != now {
            *added = now;
            self.wakers.push((id, waker.clone()));
        }
    }

    /// Wakes all, who then are there no more.
    pub(super) fn wake_all(&mut self) {
        self.rounds += 1;
        self.wakers.drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// Wakes one, who stays there.
    pub(super) fn wake(&self, id: MemberId) {
        for (_, waker) in self.wakers.iter().filter(|(waiting, _)| *waiting == id) {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::protocol::Nickname;
    use crate::room::Room;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Session {
        id: MemberId,
        added: Added,
        woken: Arc<Woken>,
    }

    impl Session {
        fn wait(&mut self, waiting: &mut WakeList) {
            waiting.add(self.id, &Waker::from(Arc::clone(&self.woken)), &mut self.added);
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    fn sessions() -> [Session; 2] {
        let mut room = Room::new(1_000, 1_000);
        ["Alex", "Dinesh"].map(|name| Session {
            id: room.join(Nickname::parse(name).unwrap(), 0).unwrap(),
            added: Added::default(),
            woken: Arc::default(),
        })
    }

    #[test]
    fn all_are_woken_once_a_round_however_often_they_have_looked() {
        let mut waiting = WakeList::default();
        let [mut alex, mut dinesh] = sessions();
        for _ in 0..3 {
            alex.wait(&mut waiting);
            dinesh.wait(&mut waiting);
        }
        waiting.wake_all();
        assert_eq!((alex.woken(), dinesh.woken()), (1, 1));
        waiting.wake_all();
        assert_eq!((alex.woken(), dinesh.woken()), (1, 1), "who does not wait is not woken");
        alex.wait(&mut waiting);
        waiting.wake_all();
        assert_eq!((alex.woken(), dinesh.woken()), (2, 1));
    }

    #[test]
    fn one_is_woken_alone_and_waits_on_for_what_wakes_all() {
        let mut waiting = WakeList::default();
        let [mut alex, mut dinesh] = sessions();
        alex.wait(&mut waiting);
        dinesh.wait(&mut waiting);
        waiting.wake(alex.id);
        alex.wait(&mut waiting);
        assert_eq!((alex.woken(), dinesh.woken()), (1, 0));
        waiting.wake_all();
        assert_eq!((alex.woken(), dinesh.woken()), (2, 1));
    }
}
