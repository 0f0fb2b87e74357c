//! Strangers: connections that do not behave as clients do, and look at the raw answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use commonroom::net::Connect as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use turmoil::Sim;

use super::network::{Simulated, SimulatedStream};
use super::world::address;

/// A connection to the server.
pub struct Stranger(SimulatedStream);

impl Stranger {
    pub async fn connect() -> io::Result<Self> {
        Simulated::default().connect(&address()).await.map(Self)
    }

    /// Connects, sends `bytes`, ends its side, and returns everything that comes back.
    pub async fn answer_to(bytes: impl AsRef<[u8]>) -> io::Result<String> {
        let mut stranger = Self::connect().await?;
        stranger.send(bytes).await?;
        stranger.0.shutdown().await?;
        stranger.hear_all().await
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// The next bytes must be these.
    pub async fn expect(&mut self, wanted: &str) -> io::Result<()> {
        let mut heard = vec![0; wanted.len()];
        self.0.read_exact(&mut heard).await?;
        assert_eq!(String::from_utf8_lossy(&heard), wanted);
        Ok(())
    }

    /// Everything up to the end of the connection, which the server must close.
    pub async fn hear_all(mut self) -> io::Result<String> {
        let mut heard = String::new();
        self.0.read_to_string(&mut heard).await?;
        Ok(heard)
    }

    /// Waits until the connection has ended, however it ends.
    pub async fn outlast(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }

    pub fn split(self) -> (ReadHalf<SimulatedStream>, WriteHalf<SimulatedStream>) {
        tokio::io::split(self.0)
    }
}

/// The script of strangers on a host. It must run to its end before the world ends, or some of its
/// assertions would not have been checked.
pub struct Script {
    host: String,
    done: Arc<AtomicBool>,
}

impl Script {
    /// Puts a host into the simulation, which carries out `script` from the beginning of the world.
    pub fn begin<F>(sim: &mut Sim<'static>, host: &str, script: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let done = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&done);
        sim.host(host, move || {
            let (script, noted) = (script(), Arc::clone(&noted));
            async move {
                script.await?;
                noted.store(true, Ordering::Relaxed);
                Ok(())
            }
        });
        Self { host: host.to_owned(), done }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let done = self.done.load(Ordering::Relaxed) || std::thread::panicking();
        assert!(done, "the world has ended before the script of the host {}", self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Physics, World, seconds};

    #[test]
    #[should_panic(expected = "before the script of the host Sleeper")]
    fn a_script_that_does_not_end_fails_its_test() {
        let mut world = World::with(Physics::default());
        world.add_strangers("Sleeper", std::future::pending);
        world.run_until(seconds(1));
    }
}
