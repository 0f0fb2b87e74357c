//! A server as a service: with a store that outlives it, it is started again whenever it has ended by itself.

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
    /// Runs a server until it is asked to end.
    pub async fn run(self) -> io::Result<()> {
        let Some(store) = &self.store else {
            let listener = self.network.bind(&listen_address()).await?;
            Server::new(self.config.clone()).run(listener, self.stop.notified()).await;
            return Ok(());
        };
        loop {
            let (log, crash) = store.open();
            tokio::select! {
                biased;
                () = crash => {}
                served = self.serve(log) => match served? {
                    Ok(()) => return Ok(()),
                    Err(reason) => store.has_ended(&reason),
                },
            }
            sleep(RESTART_AFTER).await;
        }
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
