//! A server as a service: it is started again whenever it has ended by itself, or was asked to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use commonroom::commit_log::LogError;
use commonroom::net::Bind;
use commonroom::server::{Config, Server, Store};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::store::{SimulatedLog, SimulatedStore};
use super::world::listen_address;

/// How long after its end a server is started again, as a service manager does.
pub const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What a host runs.
#[derive(Clone)]
pub struct Service<N> {
    pub network: N,
    pub config: Config,
    pub store: Option<SimulatedStore>,
    /// Asks the server to end.
    pub stop: Arc<Notify>,
}

impl<N: Bind> Service<N> {
    /// Runs one server after the other, for ever.
    pub async fn run(self) -> io::Result<()> {
        loop {
            if let Some(store) = &self.store {
                self.serve_with(store).await?;
            } else {
                let listener = self.network.bind(&listen_address()).await?;
                Server::new(self.config.clone()).run(listener, self.stop.notified()).await;
            }
            sleep(RESTART_AFTER).await;
        }
    }

    /// Runs a server with a store until it ends or crashes.
    async fn serve_with(&self, store: &SimulatedStore) -> io::Result<()> {
        let (log, crash) = store.open();
        tokio::select! {
            biased;
            () = crash => {}
            served = self.serve(log) => {
                if let Err(reason) = served? {
                    store.has_ended(&reason);
                }
            }
        }
        Ok(())
    }

    async fn serve(&self, log: SimulatedLog) -> io::Result<Result<(), LogError>> {
        let store = match Store::recover(log, &self.config).await {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        let listener = self.network.bind(&listen_address()).await?;
        let server = Server::new(self.config.clone());
        Ok(server.run_with_store(store, listener, self.stop.notified()).await)
    }
}
