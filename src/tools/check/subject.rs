//! The server under test: its address, and the control that the cases have over it.

use std::time::Duration;

use crate::net::Connect;
use crate::protocol::Framing;

/// What was observed instead of the expected result: a sentence for people.
pub type Observation = String;

/// What a case needs besides an address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it can be run against any server.
    Nothing,
    /// To start, stop and kill the server.
    Control,
    /// To read its log.
    Log,
    /// To know how much processor time it has used.
    CpuTime,
    /// A server that gives sessions.
    Sessions,
}

impl Need {
    /// How to run a case that needs this.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Nothing | Self::Control => "it needs control over the server: --server COMMAND",
            Self::Log => "it needs the server's log: --log FILE",
            Self::CpuTime => "it needs a server that it has started, on Linux: --server COMMAND",
            Self::Sessions => "it needs a server that gives sessions",
        }
    }
}

/// One connection to a subject.
pub type Connection<S> = <<S as Subject>::Network as Connect>::Stream;

/// A server under test.
///
/// Cases only use the kind of control that [`Subject::offers`].
pub trait Subject {
    /// The network over which it is reached.
    type Network: Connect;

    /// The network over which it is reached.
    fn network(&self) -> &Self::Network;

    /// Its address, `host:port`.
    fn address(&self) -> &str;

    /// How its messages are delimited.
    fn framing(&self) -> Framing;

    /// Whether it offers what a case needs.
    fn offers(&self, need: Need) -> bool;

    /// Prepares it for the next case, whatever state the last one left it in.
    fn renew(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Starts it and waits until it accepts connections. The error says why it does not.
    fn start(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Tries to start a second server on the same address while the first runs. This is expected to fail;
    /// otherwise the error says what happened.
    fn start_second(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Stops it as a person would, with Ctrl-C. The error says that it has not ended in time.
    fn stop(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Kills it.
    fn kill(&mut self) -> impl Future<Output = ()>;

    /// The lines that it has logged since the beginning of the case.
    fn log(&mut self) -> impl Future<Output = Result<String, Observation>>;

    /// How much processor time it has used, or had to wait for, since it was started.
    fn wanted_cpu_time(&self) -> Option<Duration>;

    /// The connection that proved that it accepts, for the first client of a case. Merely opening and dropping
    /// it would disturb a server that names clients in its accept loop, as the report's does.
    fn take_first_connection(&mut self) -> Option<Connection<Self>> {
        None
    }
}
