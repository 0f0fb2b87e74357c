//! The way to another connection, for a client that outlives one.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::timeout;

use crate::net::Connect;

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects within [`CONNECT_TIMEOUT`].
///
/// # Errors
///
/// The error of the network, or [`io::ErrorKind::TimedOut`].
pub(super) async fn dial<N: Connect>(network: &N, address: &str) -> io::Result<N::Stream> {
    timeout(CONNECT_TIMEOUT, network.connect(address)).await?
}

type Dial<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

/// Connects again and again, to each of several addresses in turn.
pub(super) struct Dialer<S> {
    dial: Box<dyn Fn(String) -> Dial<S> + Send + Sync>,
    addresses: Vec<String>,
    /// How many attempts have failed.
    failed: usize,
    /// The present attempt.
    attempt: Option<Dial<S>>,
}

impl<S> Dialer<S> {
    /// A dialer over a clone of `network`.
    pub(super) fn new<N: Connect<Stream = S>>(network: &N, addresses: Vec<String>) -> Self {
        let network = network.clone();
        let dial = move |address: String| -> Dial<S> {
            let network = network.clone();
            Box::pin(async move { dial(&network, &address).await })
        };
        Self { dial: Box::new(dial), addresses, failed: 0, attempt: None }
    }

    /// Goes on with the present attempt, or begins the next one.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<S>> {
        let turn = self.failed % self.addresses.len().max(1);
        let Some(address) = self.addresses.get(turn) else {
            return Poll::Ready(Err(io::ErrorKind::AddrNotAvailable.into()));
        };
        let attempt = self.attempt.get_or_insert_with(|| (self.dial)(address.clone()));
        let connected = ready!(attempt.as_mut().poll(context));
        self.attempt = None;
        if connected.is_err() {
            self.failed += 1;
        }
        Poll::Ready(connected)
    }

    /// Gives the present attempt up.
    pub(super) fn cancel(&mut self) {
        self.attempt = None;
    }
}

impl<S> fmt::Debug for Dialer<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialer").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
