//! A commit log that is slow, fills up, fails and forgets: the simulated counterpart of the store on disk.
//!
//! [`SimulatedStore`] is what survives a server, and [`SimulatedLog`] is one server's way to it. A batch whose append
//! has not returned when its server ends is in doubt: the next server finds all of it, or nothing.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use commonroom::commit_log::{
    AppendError, Batch, CommitLog, Find, Finding, Line, LogError, Query, Record, Recovered, Snapshot,
};
use commonroom::protocol::LogEpoch;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::support::random::SplitMix64;

/// How long an append takes at most while the store is slow.
const SLOW: Duration = Duration::from_millis(1_500);

/// The most pages that a torn batch leaves.
const TORN_PAGES: u64 = 7;

/// Something that is wrong with a store for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// There is no room for anything.
    Full,
    Slow,
    /// The next sync fails.
    FailedSync,
    /// The server crashes in the middle of the next append.
    Crash,
}

/// What is kept, whichever server keeps it.
#[derive(Clone)]
pub struct SimulatedStore(Arc<Mutex<Account>>);

/// All that has happened to a store.
pub struct Account {
    random: SplitMix64,
    longest_append: Duration,
    troubles: BTreeSet<Trouble>,
    /// One for each epoch; the last is the present one.
    pub logs: Vec<Log>,
    backup: Option<Log>,
    /// What is being written, or was when its server ended.
    in_doubt: Option<Arc<Batch>>,
    /// Everything that was applied before this is kept.
    kept_until: Duration,
    /// When the batch was taken that is being written.
    taken: Option<Duration>,
    is_full: bool,
    /// One for each server that has read the store.
    pub runs: Vec<Run>,
    /// When the store became full, as a server has found it.
    pub filled: Vec<Duration>,
    /// How often a sync has failed.
    pub failures: usize,
    /// Why servers have ended by themselves.
    pub reasons: Vec<String>,
    pub fates: Fates,
    /// What a server has done that it must not.
    pub misuse: Option<String>,
    crash: Arc<Notify>,
}

/// The log of one epoch: all that it has ever held, whether a server is still given it or not.
#[derive(Clone, Default)]
pub struct Log {
    epoch: Option<LogEpoch>,
    pub kept: Vec<Kept>,
    snapshot: Option<Snapshot>,
}

/// A record, and when it was known to be durable.
#[derive(Clone)]
pub struct Kept {
    pub record: Record,
    pub known: Duration,
}

/// The life of one server with the store.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The index of its log.
    pub log: usize,
    /// How many records there were at its beginning.
    pub found: usize,
    /// How many there were when an append has last returned to it.
    pub acknowledged: usize,
    /// It has not ended by itself, and its process was not killed in the middle of an append.
    pub goes_on: bool,
}

/// What became of the batches that were in doubt, and of the logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    pub kept: usize,
    pub lost: usize,
    pub torn: usize,
    pub put_back: usize,
    pub snapshots_read: usize,
    pub crashes: usize,
}

impl SimulatedStore {
    /// An empty store, whose appends take so long at most.
    pub fn new(seed: u64, longest_append: Duration) -> Self {
        Self(Arc::new(Mutex::new(Account {
            random: SplitMix64::seeded(seed),
            longest_append,
            troubles: BTreeSet::new(),
            logs: vec![Log::default()],
            backup: None,
            in_doubt: None,
            kept_until: Duration::ZERO,
            taken: None,
            is_full: false,
            runs: Vec::new(),
            filled: Vec::new(),
            failures: 0,
            reasons: Vec::new(),
            fates: Fates::default(),
            misuse: None,
            crash: Arc::default(),
        })))
    }

    /// Something goes wrong from now on.
    pub fn begin(&self, trouble: Trouble) {
        self.account().troubles.insert(trouble);
    }

    pub fn end(&self, trouble: Trouble) {
        self.account().troubles.remove(&trouble);
    }

    /// Nothing is wrong any more.
    pub fn heal(&self) {
        self.account().troubles.clear();
    }

    /// Makes a copy of it.
    pub fn back_up(&self) {
        let mut account = self.account();
        account.backup = account.logs.last().cloned();
    }

    /// Puts the copy in its place, or nothing if there is none. No server may use it meanwhile.
    pub fn put_back(&self) {
        let mut account = self.account();
        let backup = account.backup.take().unwrap_or_default();
        account.logs.push(Log { epoch: None, ..backup });
        account.in_doubt = None;
        account.run_ends();
        account.fates.put_back += 1;
    }

    /// The way to it for the next server, and a future that completes when that crashes.
    pub fn open(&self) -> (SimulatedLog, impl Future<Output = ()> + use<>) {
        let crash = Arc::<Notify>::default();
        self.account().crash = Arc::clone(&crash);
        let log = SimulatedLog { store: self.clone(), failed: false };
        (log, async move { crash.notified().await })
    }

    /// A server has ended by itself, for this reason.
    pub fn has_ended(&self, reason: &LogError) {
        self.account().reasons.push(reason.to_string());
    }

    /// What has happened to it so far. It must not be used meanwhile.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap()
    }
}

/// One server's way to a store.
pub struct SimulatedLog {
    store: SimulatedStore,
    /// A sync has failed, so it must not be used any more.
    failed: bool,
}

impl CommitLog for SimulatedLog {
    async fn recover(&mut self, fresh: LogEpoch, lines_bytes: usize) -> Result<Recovered, LogError> {
        let pause = self.store.account().draw_pause();
        sleep(pause).await;
        Ok(self.store.account().recover(fresh, lines_bytes))
    }

    async fn append(&mut self, batch: Arc<Batch>) -> Result<(), AppendError> {
        let pause = self.store.account().begin_append(&batch, self.failed);
        sleep(pause).await;
        let crash = {
            let mut account = self.store.account();
            if !account.troubles.remove(&Trouble::Crash) {
                let written = account.end_append();
                self.failed = matches!(written, Err(AppendError::Failed(_)));
                return written;
            }
            account.crash_now()
        };
        crash.notify_one();
        pending().await
    }

    fn finder(&self) -> Arc<dyn Find> {
        Arc::new(Finder(self.store.clone()))
    }
}

impl Account {
    /// Everything that was applied before this is kept, unless a server has ended before.
    pub fn kept_until(&self) -> Duration {
        if self.taken.is_some() { self.kept_until } else { Duration::MAX }
    }

    fn recover(&mut self, fresh: LogEpoch, lines_bytes: usize) -> Recovered {
        let now = now();
        let torn_pages = self.settle_the_doubt(now);
        // Of the lines before the snapshot, retention may have dropped half of what is wanted.
        let lines_bytes = lines_bytes - self.draw_below(lines_bytes / 2 + 1);
        let log = self.logs.last_mut().expect("a store has a log");
        let epoch = *log.epoch.get_or_insert(fresh);
        let (lines, records) = log.after_the_snapshot(lines_bytes);
        let (snapshot, found) = (log.snapshot.clone(), log.kept.len());
        self.fates.snapshots_read += usize::from(snapshot.is_some());
        (self.taken, self.is_full, self.kept_until) = (None, false, now);
        let log = self.logs.len() - 1;
        self.runs.push(Run { log, found, acknowledged: found, goes_on: true });
        Recovered { epoch, snapshot, lines, records, torn_pages }
    }

    /// Finds all of the batch that was in doubt, or nothing. Returns how many torn pages are left of it.
    fn settle_the_doubt(&mut self, now: Duration) -> u64 {
        let Some(batch) = self.in_doubt.take() else { return 0 };
        match self.draw_below(3) {
            0 => {
                self.fates.kept += 1;
                self.keep(&batch, now);
                0
            }
            1 => {
                self.fates.lost += 1;
                0
            }
            _ => {
                self.fates.torn += 1;
                1 + self.random.draw() % TORN_PAGES
            }
        }
    }

    fn begin_append(&mut self, batch: &Arc<Batch>, failed: bool) -> Duration {
        let log = self.logs.last().expect("a store has a log");
        let last = log.kept.last().map_or(0, |kept| kept.record.id);
        let follow = (last + 1..).zip(&batch.records).all(|(id, record)| record.id == id);
        let ends = batch.records.last().map(|record| record.id);
        let misuse = if failed {
            Some("the log was used after a sync had failed")
        } else if self.in_doubt.is_some() {
            Some("two batches were appended at once")
        } else if !follow || ends.is_none() {
            Some("a batch did not follow the one before")
        } else if batch.snapshot.as_ref().is_some_and(|snapshot| Some(snapshot.id) != ends) {
            Some("a snapshot was not that of the last record")
        } else {
            None
        };
        if let Some(misuse) = misuse {
            self.misuse.get_or_insert(misuse.to_owned());
        }
        self.in_doubt = Some(Arc::clone(batch));
        self.taken.get_or_insert_with(now);
        self.draw_pause()
    }

    fn end_append(&mut self) -> Result<(), AppendError> {
        let Some(batch) = self.in_doubt.take() else { return Ok(()) };
        let now = now();
        if self.troubles.contains(&Trouble::Full) {
            if !std::mem::replace(&mut self.is_full, true) {
                self.filled.push(now);
            }
            return Err(AppendError::Full(LogError("no space left on device".to_owned())));
        }
        if self.troubles.remove(&Trouble::FailedSync) {
            self.failures += 1;
            self.in_doubt = Some(batch);
            self.run_ends();
            return Err(AppendError::Failed(LogError("the store cannot be synchronised".to_owned())));
        }
        self.keep(&batch, now);
        let kept = self.logs.last().map_or(0, |log| log.kept.len());
        if let Some(run) = self.runs.last_mut() {
            run.acknowledged = kept;
        }
        self.is_full = false;
        self.kept_until = self.taken.take().unwrap_or(now);
        Ok(())
    }

    fn keep(&mut self, batch: &Batch, now: Duration) {
        let log = self.logs.last_mut().expect("a store has a log");
        log.kept.extend(batch.records.iter().map(|record| Kept { record: record.clone(), known: now }));
        if let Some(snapshot) = &batch.snapshot {
            log.snapshot = Some(snapshot.clone());
        }
    }

    fn crash_now(&mut self) -> Arc<Notify> {
        self.fates.crashes += 1;
        self.run_ends();
        Arc::clone(&self.crash)
    }

    fn run_ends(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.goes_on = false;
        }
    }

    fn draw_pause(&mut self) -> Duration {
        let slow = self.troubles.contains(&Trouble::Slow);
        let longest = if slow { SLOW } else { self.longest_append };
        let microseconds = self.draw_below(usize::try_from(longest.as_micros()).unwrap_or(usize::MAX) + 1);
        Duration::from_micros(microseconds as u64)
    }

    fn draw_below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.draw() % bound as u64).unwrap_or(0)
    }
}

impl Log {
    /// The last lines up to the snapshot, and the records after it.
    fn after_the_snapshot(&self, lines_bytes: usize) -> (Vec<Line>, Vec<Record>) {
        let last = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.id);
        let (before, after) = self.kept.split_at(self.kept.partition_point(|kept| kept.record.id <= last));
        let mut room_bytes = lines_bytes;
        let fits = |line: &Line| {
            let rest = room_bytes.checked_sub(line.text.len());
            room_bytes = rest.unwrap_or_default();
            rest.is_some()
        };
        let mut lines: Vec<Line> =
            before.iter().rev().filter_map(|kept| line(&kept.record)).take_while(fits).collect();
        lines.reverse();
        (lines, after.iter().map(|kept| kept.record.clone()).collect())
    }
}

/// The line that everyone was told, if there was one.
fn line(record: &Record) -> Option<Line> {
    record.line?;
    Some(Line { at: record.at, text: record.text.clone()? })
}

struct Finder(SimulatedStore);

impl Find for Finder {
    fn find(&self, query: Query) -> Finding {
        let store = self.0.clone();
        Box::pin(async move {
            let pause = store.account().draw_pause();
            sleep(pause).await;
            let account = store.account();
            let records = account.logs.last().into_iter().flat_map(|log| log.kept.iter().rev());
            let matches = |kept: &&Kept| {
                let Record { kind, text, .. } = &kept.record;
                let text = text.as_deref().unwrap_or_default();
                let is_said = matches!(&**kind, "say" | "act");
                query.words.is_empty() || is_said && query.words.iter().all(|word| text.contains(&**word))
            };
            let found = records.filter(matches).filter_map(|kept| line(&kept.record));
            let mut found: Vec<Line> = found.take(query.at_most).collect();
            found.reverse();
            Ok(found)
        })
    }
}

/// The time of the world.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
