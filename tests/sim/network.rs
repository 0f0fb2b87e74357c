//! Our seam over turmoil: the simulated counterpart of `Tcp`.

use std::io;
use std::net::SocketAddr;

use commonroom::net::{Listener, Network};
use turmoil::net::{TcpListener, TcpStream};

/// The network of the simulation that runs on this thread.
#[derive(Clone, Copy, Debug)]
pub struct Simulated;

impl Network for Simulated {
    type Listener = SimulatedListener;
    type Stream = TcpStream;

    async fn bind(&self, address: &str) -> io::Result<SimulatedListener> {
        Ok(SimulatedListener(TcpListener::bind(split(address)?).await?))
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        TcpStream::connect(split(address)?).await
    }
}

pub struct SimulatedListener(TcpListener);

impl Listener for SimulatedListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn split(address: &str) -> io::Result<(&str, u16)> {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is no address")))
}
