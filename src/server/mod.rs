//! The shell around the room: a listener, a task for each connection, timeouts, limits.
//!
//! [`Server::run`] is the whole server. It is generic over the network, takes its clock from tokio
//! (virtual in a simulation) and reports what happens as `tracing` events, of which
//! [`journal`](crate::journal) makes `server.log`.

mod admission;
mod answer;
mod ask;
mod clock;
mod connection;
mod decide;
mod deliver;
mod durable;
mod grace;
mod handshake;
mod hub;
pub mod limits;
mod member;
mod recovery;
mod report;
mod resume;
mod search;
mod session;
mod stats;
mod unregistered;

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Weak};

use tokio::task::coop::unconstrained;
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

pub use admission::Rate;
pub use clock::Clock;
pub use grace::{Randomness, Sessions};
pub use limits::{Limits, StoreLimits};
pub use recovery::Store;
pub use stats::{Counters, Observer, SessionCounters, Statistics, StoreCounters};

use crate::commit_log::{CommitLog, LogError};
use crate::net::{Listener, explain, is_of_one_connection};
use crate::protocol::{LogEpoch, Password};
use crate::room::{Bounds, Room};
use grace::Grants;
use hub::Hub;
use limits::{ACCEPT_ERRORS_WITHOUT_PAUSE, ACCEPT_PAUSE, ACCEPT_PAUSE_LONGEST, KEPT_PRIVATE_BYTES};
use stats::Observed;

/// The configuration of a server, apart from the address it listens on.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How many earlier lines a newcomer is shown.
    pub history_lines: usize,
    /// The password that newcomers are asked for, if any.
    pub password: Option<Password>,
    /// The sessions that it gives, if any.
    pub sessions: Option<Sessions>,
    /// The bounds that it keeps.
    pub limits: Limits,
    /// The time, for people.
    pub clock: Clock,
}

impl Config {
    fn bounds(&self) -> Bounds {
        let retention_bytes = self.limits.retention_bytes;
        Bounds { retention_bytes, kept_private_bytes: KEPT_PRIVATE_BYTES }
    }

    fn fresh_epoch(&self) -> LogEpoch {
        self.sessions.as_ref().map_or(LogEpoch(0), Sessions::fresh_epoch)
    }
}

/// A chat server: one room.
#[derive(Debug)]
pub struct Server {
    config: Config,
    observer: Observer,
}

impl Server {
    /// A server that has not begun yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, observer: Observer::default() }
    }

    /// Looks into the server while it runs.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Runs the chat on `listener` until `shutdown` completes, then ends it in good order: nobody is
    /// accepted any more, the members are told, pending lines are written, all within
    /// [`Limits::shutdown_grace`].
    ///
    /// Nothing that a network or a client does ends it.
    pub async fn run<L: Listener>(self, listener: L, shutdown: impl Future<Output = ()>) {
        let Self { config, observer } = self;
        let grants = Grants::new(&config, listener.is_encrypted(), config.fresh_epoch());
        let room = Room::new(config.bounds());
        let hub = Arc::new(Hub::<L::Stream>::new(config, grants, room, None));
        hub.take_up(true);
        // Without a log nothing can fail.
        let _: Result<(), LogError> = serve(&hub, &observer, listener, shutdown, pending()).await;
    }

    /// The same with a room that outlives the server: what is said is shown when the log of `store` has made it
    /// durable, and the room goes on where the last server has left it.
    ///
    /// # Errors
    ///
    /// Why the log cannot be used any more. Then the server ends at once.
    pub async fn run_with_store<L: Listener>(
        self,
        store: Store<impl CommitLog>,
        listener: L,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), LogError> {
        let Self { config, observer } = self;
        let Store { log, room, unstored, epoch, is_put_back } = store;
        let grants = Grants::new(&config, listener.is_encrypted(), epoch);
        let hub = Arc::new(Hub::<L::Stream>::new(config, grants, room, Some((unstored, log.finder()))));
        hub.take_up(!is_put_back);
        let keep = Arc::clone(&hub).keep(log);
        serve(&hub, &observer, listener, shutdown, keep).await
    }
}

/// Serves a room until `shutdown` completes, or its log cannot be used any more.
async fn serve<L: Listener>(
    hub: &Arc<Hub<L::Stream>>,
    observer: &Observer,
    listener: L,
    shutdown: impl Future<Output = ()>,
    keep: impl Future<Output = LogError>,
) -> Result<(), LogError> {
    let grace = hub.limits().shutdown_grace;
    let mut keep = pin!(keep);
    observer.observe(Arc::downgrade(hub) as Weak<dyn Observed>);
    let (mut services, mut sessions) = (JoinSet::new(), JoinSet::new());
    // Deliveries bound their own turns. With tokio's budget used up, a ready socket would look full.
    services.spawn(unconstrained(Arc::clone(hub).deliver()));
    services.spawn(Arc::clone(hub).expire_sessions());
    info!(event = "start", "Server started");

    tokio::select! {
        biased;
        () = shutdown => {}
        error = &mut keep => return Err(ends(error)),
        () = accept_connections(listener, hub, &mut sessions) => {}
        ended = services.join_next() => pass_on_panic(ended),
    }

    hub.close();
    let drained = async {
        while let Some(ended) = sessions.join_next().await {
            report_panic(&ended);
        }
        hub.settled().await;
    };
    let ended_in_time = tokio::select! {
        biased;
        error = &mut keep => return Err(ends(error)),
        drained = timeout(grace, drained) => drained.is_ok(),
        ended = services.join_next() => { pass_on_panic(ended); false },
    };
    if !ended_in_time {
        debug!("{} connections were still open at the end of the grace", sessions.len());
        sessions.shutdown().await;
    }
    info!(event = "stop", "Server stopped");
    Ok(())
}

/// Nothing can be stored any more, and what cannot be stored is not shown.
fn ends(error: LogError) -> LogError {
    error!(event = "store", "The server ends: {error}");
    error
}

/// Accepts connections for ever, and only starts their sessions.
async fn accept_connections<L: Listener>(
    mut listener: L,
    hub: &Arc<Hub<L::Stream>>,
    sessions: &mut JoinSet<()>,
) {
    let mut pause = ACCEPT_PAUSE;
    let mut errors_without_pause = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            Some(ended) = sessions.join_next() => {
                report_panic(&ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                (pause, errors_without_pause) = (ACCEPT_PAUSE, 0);
                // The session checks whether there is a place for it.
                sessions.spawn(session::run(stream, peer, Arc::clone(hub)));
            }
            // A connection that is already gone must not keep the next one waiting.
            Err(error)
                if is_of_one_connection(&error) && errors_without_pause < ACCEPT_ERRORS_WITHOUT_PAUSE =>
            {
                debug!("A connection was gone before it was accepted: {error}");
                errors_without_pause += 1;
                yield_now().await;
            }
            // Other errors pass, for example when descriptors become free. The members notice nothing.
            Err(error) => {
                warn!(event = "accept", "Cannot accept connections at the moment: {}", explain(&error));
                errors_without_pause = 0;
                sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_LONGEST);
            }
        }
    }
}

/// Without deliveries there is no chat.
fn pass_on_panic(ended: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// A session that panicked has left the room by itself; here it is only logged.
fn report_panic(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(event = "panic", "A session ended by an internal error; the others go on");
    }
}
