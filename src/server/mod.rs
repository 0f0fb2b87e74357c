//! The shell around the room: a listener, a task for each connection, timeouts, limits.
//!
//! [`Server::run`] is the whole server. It is generic over the network, takes its clock from tokio
//! (virtual in a simulation) and reports what happens as `tracing` events, of which
//! [`journal`](crate::journal) makes `server.log`.

mod admission;
mod connection;
mod decide;
mod deliver;
mod grace;
mod handshake;
mod hub;
pub mod limits;
mod member;
mod report;
mod resume;
mod session;
mod stats;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use tokio::task::coop::unconstrained;
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

pub use admission::Rate;
pub use grace::{Randomness, Sessions};
pub use limits::Limits;
pub use stats::{Counters, Observer, SessionCounters, Statistics};

use crate::net::{Listener, Stream, explain, is_of_one_connection};
use crate::protocol::Password;
use hub::Hub;
use limits::{ACCEPT_ERRORS_WITHOUT_PAUSE, ACCEPT_PAUSE, ACCEPT_PAUSE_LONGEST};
use session::Session;
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
        let grace = config.limits.shutdown_grace;
        let hub = Arc::new(Hub::<L::Stream>::new(config, listener.is_encrypted()));
        observer.observe(Arc::downgrade(&hub) as Weak<dyn Observed>);
        let mut connections = Connections { hub, handshakes: JoinSet::new(), sessions: JoinSet::new() };
        let mut services = JoinSet::new();
        // Deliveries bound their own turns. With tokio's budget used up, a ready socket would look full.
        services.spawn(unconstrained(Arc::clone(&connections.hub).deliver()));
        services.spawn(Arc::clone(&connections.hub).expire_sessions());
        info!(event = "start", "Server started");

        tokio::select! {
            biased;
            () = shutdown => {}
            () = accept_connections(listener, &mut connections) => {}
            ended = services.join_next() => pass_on_panic(ended),
        }

        connections.hub.close();
        let drained = async { while connections.next_change().await {} };
        let ended_in_time = tokio::select! {
            biased;
            drained = timeout(grace, drained) => drained.is_ok(),
            ended = services.join_next() => { pass_on_panic(ended); false },
        };
        if !ended_in_time {
            debug!("{} connections were still open at the end of the grace", connections.len());
            connections.shutdown().await;
        }
        info!(event = "stop", "Server stopped");
    }
}

/// The tasks of all connections. The memory of a handshake is free again when its session begins.
struct Connections<S: Stream> {
    hub: Arc<Hub<S>>,
    handshakes: JoinSet<Option<Session<S>>>,
    sessions: JoinSet<()>,
}

impl<S: Stream> Connections<S> {
    /// Begins to shake hands with a client.
    fn begin(&mut self, stream: S, peer: SocketAddr) {
        self.handshakes.spawn(handshake::admit(stream, peer, Arc::clone(&self.hub)));
    }

    /// Waits until a connection ends or becomes a session. Returns false if there are none.
    async fn next_change(&mut self) -> bool {
        tokio::select! {
            biased;
            Some(admitted) = self.handshakes.join_next() => match admitted {
                Ok(Some(session)) => drop(self.sessions.spawn(session.run())),
                Ok(None) => {}
                Err(error) => report_panic(&error),
            },
            Some(ended) = self.sessions.join_next() => ended.unwrap_or_else(|error| report_panic(&error)),
            else => return false,
        }
        true
    }

    fn len(&self) -> usize {
        self.handshakes.len() + self.sessions.len()
    }

    async fn shutdown(&mut self) {
        self.handshakes.shutdown().await;
        self.sessions.shutdown().await;
    }
}

/// Accepts connections for ever, and only starts their handshakes.
async fn accept_connections<L: Listener>(mut listener: L, connections: &mut Connections<L::Stream>) {
    let mut pause = ACCEPT_PAUSE;
    let mut errors_without_pause = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            true = connections.next_change() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                (pause, errors_without_pause) = (ACCEPT_PAUSE, 0);
                // The handshake checks whether there is a place for it.
                connections.begin(stream, peer);
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
fn report_panic(error: &JoinError) {
    if error.is_panic() {
        error!(event = "panic", "A session ended by an internal error; the others go on");
    }
}
