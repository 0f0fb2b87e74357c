//! Errors of single connections keep nobody waiting; only a broken listener makes accepting pause.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use commonroom::net::{Bind, Listener};
use commonroom::server::Config;

use super::member::Member;
use super::network::{Simulated, SimulatedListener, SimulatedStream};
use super::world::{Physics, World, seconds};

#[test]
fn connections_that_are_gone_before_they_are_accepted_keep_nobody_waiting() {
    let mut world = World::with(Physics::default());
    world.start_server_on(Vanishing { errors: 200 }, Config::default());
    world.add(Member::new("Dinesh"));
    world.run_until(Duration::from_millis(500));
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Connected to server!"));
    let log = world.server_log();
    assert!(!log.contains("Cannot accept"), "{log}");
}

#[test]
fn a_listener_that_is_broken_is_tried_again_with_pauses() {
    let mut world = World::with(Physics::default());
    world.start_server_on(Vanishing { errors: usize::MAX }, Config::default());
    world.run_until(seconds(10));
    let warnings = world.server_log().matches("Cannot accept connections at the moment: ").count();
    assert!((10..20).contains(&warnings), "{warnings} warnings");
}

/// A network on which the first connections are gone before they can be accepted.
#[derive(Clone, Copy)]
struct Vanishing {
    errors: usize,
}

/// How often a server may ask for the next connection, so that one that never pauses fails instead of going
/// on for ever.
const ASKED_AT_MOST: usize = 1_000_000;

struct VanishingListener {
    listener: SimulatedListener,
    errors: usize,
    asked: usize,
}

impl Bind for Vanishing {
    type Listener = VanishingListener;

    async fn bind(&self, address: &str) -> io::Result<VanishingListener> {
        let listener = Simulated::default().bind(address).await?;
        Ok(VanishingListener { listener, errors: self.errors, asked: 0 })
    }
}

impl Listener for VanishingListener {
    type Stream = SimulatedStream;

    async fn accept(&mut self) -> io::Result<(SimulatedStream, SocketAddr)> {
        use io::ErrorKind::{ConnectionReset, InvalidInput, NotConnected};
        if self.asked < self.errors {
            self.asked += 1;
            assert!(self.asked < ASKED_AT_MOST, "the server never pauses");
            return Err([NotConnected, ConnectionReset, InvalidInput][self.asked % 3].into());
        }
        self.listener.accept().await
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    fn is_encrypted(&self) -> bool {
        self.listener.is_encrypted()
    }
}
