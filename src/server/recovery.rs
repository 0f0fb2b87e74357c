//! The room as a commit log has kept it, and what has become of its members meanwhile.

use tokio::time::Instant;
use tracing::{info, warn};

use super::Config;
use super::durable::Unstored;
use super::hub::{Hub, State};
use super::limits::{ENDED_SESSIONS_KEPT, RESTORED_ADDRESS};
use crate::commit_log::{CommitLog, LogError, Recovered};
use crate::net::Stream;
use crate::protocol::LogEpoch;
use crate::room::{Bounds, Entry, Malformed, Room};

/// A commit log, and the room that it has kept.
#[derive(Debug)]
pub struct Store<L> {
    pub(super) log: L,
    pub(super) room: Room,
    pub(super) unstored: Unstored,
    pub(super) epoch: LogEpoch,
    /// Its sessions were begun in another epoch, so that nobody can go on with them.
    pub(super) is_put_back: bool,
}

impl<L: CommitLog> Store<L> {
    /// Reads a log, for a server with this configuration.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub async fn recover(mut log: L, config: &Config) -> Result<Self, LogError> {
        let bounds = config.bounds();
        let fresh = config.fresh_epoch();
        let recovered = log.recover(fresh, bounds.retention_bytes).await?;
        let (room, last) = rebuild(bounds, &recovered)?;
        if recovered.torn_pages > 0 {
            let pages = recovered.torn_pages;
            info!(event = "store", pages, "Dropped an unfinished write from the store ({pages} pages)");
        }
        let end = room.transcript().end();
        let unstored = Unstored::after(last, end, &recovered.records, config.limits.of_the_store());
        let is_put_back = recovered.epoch == fresh && last > 0;
        if is_put_back {
            warn!(event = "store", "This is not the store that the last server left, so no session goes on");
        }
        Ok(Self { log, room, unstored, epoch: recovered.epoch, is_put_back })
    }

    /// How many lines the room has had.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.room.transcript().lines()
    }
}

/// The room after the last record, and the number of that.
fn rebuild(bounds: Bounds, recovered: &Recovered) -> Result<(Room, u64), LogError> {
    let mut last = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.id);
    let mut room = restore(bounds, recovered)
        .map_err(|error| LogError(format!("the snapshot after entry {last} cannot be used: {error}")))?;
    for record in &recovered.records {
        let text = record.text.as_deref().unwrap_or_default();
        let entry = Entry::decode(&record.head, text)
            .map_err(|error| LogError(format!("entry {} cannot be used: {error}", record.id)))?;
        room.apply(record.at, &entry);
        last = record.id;
    }
    Ok((room, last))
}

fn restore(bounds: Bounds, recovered: &Recovered) -> Result<Room, Malformed> {
    let Some(snapshot) = &recovered.snapshot else { return Ok(Room::new(bounds)) };
    Room::restore(bounds, &snapshot.state, recovered.lines.iter().map(|line| (line.at, &*line.text)))
}

impl<S: Stream> Hub<S> {
    /// Goes on with a room that another server has left, in whatever order. Its members have lost their
    /// connections: if sessions go on, those with one may come back. Everyone else leaves.
    pub(super) fn take_up(&self, sessions_go_on: bool) {
        let now = Instant::now();
        let grace = self.grants.grace();
        self.change(|state| {
            state.apply(&Entry::Start);
            state.part_from_all(sessions_go_on);
            let State { room, timers, .. } = state;
            for attachment in room.sessions() {
                timers.lost(attachment, RESTORED_ADDRESS, now + grace);
            }
            for session in room.ended_sessions() {
                timers.ended(session, now + ENDED_SESSIONS_KEPT);
            }
        });
        self.timed.notify_one();
    }
}
