//! The shell around the room: a listener, a task for each connection, timeouts, limits.
//!
//! [`serve`] is the whole server. It is generic over the network, takes its clock from tokio
//! (virtual in a simulation) and reports what happens as `tracing` events, of which
//! [`journal`](crate::journal) makes `server.log`.

mod admission;
mod connection;
mod disconnect_reason;
mod handshake;
mod hub;
pub mod limits;
mod session;
mod stats;
mod wake_list;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

pub use admission::Rate;
pub use limits::Limits;
pub use stats::{Observer, Statistics};

use crate::net::{Bind, Listener, explain, is_of_one_connection};
use crate::protocol::{Password, Refusal};
use hub::Hub;
use limits::{ACCEPT_ERRORS_WITHOUT_PAUSE, ACCEPT_PAUSE, ACCEPT_PAUSE_LONGEST, TURNED_AWAY_CONNECTIONS};

/// How a server is set up, beside the address it listens on.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How many earlier lines a newcomer is shown.
    pub history_lines: usize,
    /// What whoever joins must know, if anything.
    pub password: Option<Password>,
    /// Every bound.
    pub limits: Limits,
    /// Sees what goes on, for whoever keeps a clone of it.
    pub observer: Observer,
}

/// Runs the chat on `listener` until `shutdown` completes, then ends it in good order: nobody is
/// accepted any more, the members are told, what is pending is written, all within
/// [`Limits::shutdown_grace`].
///
/// Nothing that a network or a client does ends it.
pub async fn serve<L: Listener>(listener: L, config: Config, shutdown: impl Future<Output = ()>) {
    let observer = config.observer.clone();
    let room = Arc::new(Hub::new(config));
    observer.observe(&room);
    let mut sessions = JoinSet::new();
    info!(event = "start", "Server started");

    tokio::select! {
        biased;
        () = shutdown => {}
        () = accept_connections(listener, &room, &mut sessions) => {}
    }

    room.close();
    let grace = room.limits().shutdown_grace;
    let ended_in_time = timeout(grace, async {
        while let Some(ended) = sessions.join_next().await {
            report_panic(&ended);
        }
    });
    if ended_in_time.await.is_err() {
        debug!("{} connections were still open at the end of the grace", sessions.len());
        sessions.shutdown().await;
    }
    info!(event = "stop", "Server stopped");
}

/// Listens on `address`, and says where that is: another port if 0 was asked for.
///
/// # Errors
///
/// Says in one sentence why not, and what to do.
pub async fn listen<N: Bind>(network: &N, address: &str) -> Result<(N::Listener, SocketAddr), String> {
    let cannot = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop the program that has it, or choose another with --listen",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need privileges, choose another with --listen"
            }
            _ => "",
        };
        format!("cannot listen on {address}: {}{advice}", explain(&error))
    };
    let listener = network.bind(address).await.map_err(cannot)?;
    let address = listener.local_address().map_err(cannot)?;
    Ok((listener, address))
}

/// Accepts for ever. Does no work for the accepted but to start their sessions.
async fn accept_connections<L: Listener>(mut listener: L, room: &Arc<Hub>, sessions: &mut JoinSet<()>) {
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
                let connections = room.limits().connections;
                let (stream, room) = (Mutex::new(stream), Arc::clone(room));
                if sessions.len() < connections {
                    sessions.spawn(session::run(stream, peer, room));
                } else if sessions.len() < connections + TURNED_AWAY_CONNECTIONS {
                    sessions.spawn(session::turn_away(stream, peer, room, Refusal::Full));
                }
            }
            // A connection that is already gone must not keep the next one waiting.
            Err(error)
                if is_of_one_connection(&error) && errors_without_pause < ACCEPT_ERRORS_WITHOUT_PAUSE =>
            {
                debug!("A connection was gone before it was accepted: {error}");
                errors_without_pause += 1;
                yield_now().await;
            }
            // Other errors pass, as when descriptors become free again. The members notice nothing of them.
            Err(error) => {
                warn!(event = "accept", "Cannot accept connections at the moment: {}", explain(&error));
                errors_without_pause = 0;
                sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_LONGEST);
            }
        }
    }
}

/// A session that panicked has left the room by itself; here it is only said.
fn report_panic(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(event = "panic", "A session ended by an internal error; the others go on");
    }
}
