//! The machine that the server runs on: its disk, and its stderr.
//!
//! `server.log` goes to that disk through the same code as on the real binary; only the thread that writes
//! is a task here, so that its time is virtual too.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::journal::{GATHER_TIME, Handle, LogFile, LogFormat};
use commonroom::net::{Bind as _, explain};
use commonroom::server::{Config, Server};
use tokio::time::sleep;

use super::disk::SimulatedDisk;
use super::network::Simulated;
use super::world::{Physics, SERVER, World, clock, listen_address};

/// The path of the log.
pub const LOG: &str = "server.log";

#[derive(Clone, Default)]
pub struct Machine {
    pub disk: SimulatedDisk,
    /// The lines of the journal that wait for the disk.
    pub log: Handle,
    stderr: Arc<Mutex<Vec<String>>>,
}

impl Machine {
    /// Puts a server on this machine into the world. It is asked to shut down after `lasts`.
    pub fn start_server_in(&self, world: &mut World, config: Config, lasts: Duration) {
        let machine = self.clone();
        world.within(|sim| {
            sim.host(SERVER, move || {
                let (machine, config) = (machine.clone(), config.clone());
                async move {
                    machine.run_server(&listen_address(), config, sleep(lasts)).await;
                    Ok(())
                }
            });
        });
    }

    /// Runs a server as `chat-server` does, until `shutdown` completes.
    pub async fn run_server(&self, address: &str, config: Config, shutdown: impl Future<Output = ()>) {
        if let Err(sentence) = self.serve(address, config, shutdown).await {
            self.say(&sentence);
        }
    }

    async fn serve(
        &self,
        address: &str,
        config: Config,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let listener = Simulated::default().bind(address).await;
        let listener =
            listener.map_err(|error| format!("cannot listen on {address}: {}", explain(&error)))?;
        let operator = self.clone();
        let mut file = LogFile::open(
            self.disk.clone(),
            Path::new(LOG),
            LogFormat::Report,
            clock(Physics::default().begin),
            move |sentence| operator.say(sentence),
        )
        .map_err(|error| error.to_string())?;
        tokio::select! {
            biased;
            () = Server::new(config).run(listener, shutdown) => {}
            () = self.write_log(&mut file) => {}
        }
        self.log.write_waiting(&mut file);
        Ok(())
    }

    /// The writing thread, which hangs while the disk does.
    async fn write_log(&self, file: &mut LogFile<SimulatedDisk>) {
        loop {
            sleep(GATHER_TIME).await;
            if !self.disk.hangs() {
                self.log.write_waiting(file);
            }
        }
    }

    fn say(&self, sentence: &str) {
        self.stderr.lock().unwrap().push(sentence.to_owned());
    }

    /// The lines on stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }
}
