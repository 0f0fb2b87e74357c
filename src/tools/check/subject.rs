//! What is checked: a server behind an address, and what may be done to it.

use std::time::Duration;

use crate::net::Connect;
use crate::protocol::Framing;

/// What was observed instead of what was expected: a sentence for people.
pub type Observation = String;

/// What a case needs beside an address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it can be run against any server that is there.
    Nothing,
    /// To start, stop and kill the server.
    Control,
    /// To read its log.
    Log,
    /// To know how much processor time it has used.
    CpuTime,
}

/// One connection to a subject.
pub type Connection<S> = <<S as Subject>::Network as Connect>::Stream;

/// A server that is checked.
///
/// Cases use the control only if [`Subject::offers`] says that it is there.
pub trait Subject {
    /// The network it is reached over.
    type Network: Connect;

    /// The network it is reached over.
    fn network(&self) -> &Self::Network;

    /// Where it is reached, `host:port`.
    fn address(&self) -> &str;

    /// How its messages are delimited.
    fn framing(&self) -> Framing;

    /// Whether it has what a case needs.
    fn offers(&self, need: Need) -> bool;

    /// Makes it ready for the next case, whatever the last one has done to it.
    fn renew(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Starts it and waits until it accepts; says why not if it does not.
    fn start(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Tries to start a second one on the same address while the first runs. To be unable to is
    /// what is expected; what happened otherwise is said.
    fn start_second(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Stops it as a person would, with Ctrl-C; says so if it has not ended in time.
    fn stop(&mut self) -> impl Future<Output = Result<(), Observation>>;

    /// Ends it without giving it a chance to do anything.
    fn kill(&mut self) -> impl Future<Output = ()>;

    /// What it has logged since it was last made ready.
    fn log(&mut self) -> impl Future<Output = Result<String, Observation>>;

    /// How much processor time it has used, or had to wait for, since it was started.
    fn wanted_cpu_time(&self) -> Option<Duration>;

    /// The connection that showed that it accepts, for the first client of a case: where the
    /// accept loop names clients, as in the report, a connection that is opened only to see and
    /// then dropped is not without consequences.
    fn take_first_connection(&mut self) -> Option<Connection<Self>> {
        None
    }
}
