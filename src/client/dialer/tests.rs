use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::client::{Config, Connection, Disconnected, Event, Reconnect, connect};
use crate::protocol::{Nickname, Text};

const SOCKET_BYTES: usize = 64 * 1_024;

/// The key to the session.
const TOKEN: &str = concat!(
    "0000000000000000000000000000006f.",
    "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
);

/// A network on which each attempt to connect has the outcome that the test has written down for it, or is refused.
#[derive(Clone, Default)]
struct ScriptedNetwork(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    outcomes: VecDeque<Outcome>,
    /// The address of each attempt, and when it began.
    attempts: Vec<(String, Instant)>,
    /// How many attempts are going on.
    open: usize,
}

enum Outcome {
    Connected(DuplexStream),
    NoAnswer,
}

/// An attempt that goes on until this is dropped.
struct Open(ScriptedNetwork);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().open -= 1;
    }
}

impl ScriptedNetwork {
    /// The next attempt leads to the returned server.
    fn add_server(&self) -> DuplexStream {
        let (client, server) = duplex(SOCKET_BYTES);
        self.add(Outcome::Connected(client));
        server
    }

    fn add(&self, outcome: Outcome) {
        self.0.lock().unwrap().outcomes.push_back(outcome);
    }

    fn attempts(&self) -> Vec<(String, Instant)> {
        self.0.lock().unwrap().attempts.clone()
    }

    fn open(&self) -> usize {
        self.0.lock().unwrap().open
    }
}

impl Connect for ScriptedNetwork {
    type Stream = DuplexStream;

    async fn connect(&self, address: &str) -> io::Result<DuplexStream> {
        let outcome = {
            let mut script = self.0.lock().unwrap();
            script.attempts.push((address.to_owned(), Instant::now()));
            script.open += 1;
            script.outcomes.pop_front()
        };
        let _open = Open(self.clone());
        match outcome {
            Some(Outcome::Connected(stream)) => Ok(stream),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Outcome::NoAnswer) => std::future::pending().await,
        }
    }
}

fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// Dinesh, who has a session, and his server.
async fn dinesh_with_a_session(network: &ScriptedNetwork) -> (Connection<DuplexStream>, DuplexStream) {
    let mut server = network.add_server();
    let nickname = Nickname::parse("Dinesh").unwrap();
    let config = Config::new(nickname).with_reconnect(Reconnect::new(42));
    let mut connection = connect(network, "chat:5555", config).await.unwrap();
    let says =
        format!("NICKConnected to server!\n-- pong chat-client-1\n-- Session {TOKEN}, log 5c1e at 0.\n");
    server.write_all(says.as_bytes()).await.unwrap();
    while hear(&mut connection).await != Event::SessionKept {}
    let said = "Dinesh\nDinesh: /ping chat-client-1\nDinesh: /session\n";
    connection.flush().await.unwrap();
    heard(&mut server, said).await;
    (connection, server)
}

async fn hear(connection: &mut Connection<DuplexStream>) -> Event {
    connection.next().await.expect("it goes on")
}

/// Checks what has come to a server next.
async fn heard(server: &mut DuplexStream, wanted: &str) {
    let mut heard = vec![0; wanted.len()];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), wanted);
}

#[test]
fn a_session_goes_on_over_the_next_connection() {
    simulate(async {
        let network = ScriptedNetwork::default();
        let (mut connection, server) = dinesh_with_a_session(&network).await;
        connection.say(Text::parse("hello").unwrap()).unwrap();
        drop(server);
        let mut server = network.add_server();
        assert_eq!(hear(&mut connection).await, Event::ConnectionLost(Disconnected::Broken));
        assert_eq!(hear(&mut connection).await, Event::TryingAgain(Duration::ZERO));
        assert!(connection.session().is_joined());
        let says = "NICK-- Resumed as Dinesh at 1, 0 taken.\nAlex: hi\n";
        server.write_all(says.as_bytes()).await.unwrap();
        let resumed = Event::Resumed { away: Some(Duration::ZERO), missed_lines: 1 };
        assert_eq!(hear(&mut connection).await, resumed);
        assert_eq!(hear(&mut connection).await, Event::SessionKept);
        assert_eq!(hear(&mut connection).await, Event::Line("Alex: hi".to_owned()));
        connection.flush().await.unwrap();
        heard(&mut server, &format!("/resume {TOKEN} 5c1e 0 0\n/ping chat-client-2\n/n 1 hello\n")).await;
        assert_eq!(network.attempts().len(), 2);
    });
}

#[test]
fn attempts_fail_with_pauses_between_them_until_the_session_is_over() {
    simulate(async {
        let network = ScriptedNetwork::default();
        let (mut connection, server) = dinesh_with_a_session(&network).await;
        drop(server);
        let lost = Instant::now();
        network.add(Outcome::NoAnswer);
        assert_eq!(hear(&mut connection).await, Event::ConnectionLost(Disconnected::Closed));
        let mut planned = vec![lost];
        loop {
            match hear(&mut connection).await {
                Event::TryingAgain(pause) => {
                    let at = Instant::now() + pause;
                    assert!(pause.is_zero() || connection.tries_again_at() == Some(at));
                    planned.push(at);
                }
                Event::Disconnected(how) => break assert_eq!(how, Disconnected::Closed),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(connection.next().await, None);
        let begun: Vec<Instant> = network.attempts().into_iter().map(|(_, begun)| begun).collect();
        let is_near = |(begun, planned): (&Instant, &Instant)| begun.duration_since(*planned) < 2 * TICK;
        assert!(begun[1..].iter().zip(&planned[1..]).all(is_near), "{begun:?} {planned:?}");
        assert_eq!(begun.len(), planned.len());
        assert!(begun[2] >= lost + CONNECT_TIMEOUT, "one without an answer is given up");
        assert!(lost.elapsed() >= Duration::from_secs(120));
        assert_eq!(network.open(), 0);
    });
}

/// The precision of the runtime's timers.
const TICK: Duration = Duration::from_millis(1);

#[test]
fn leaving_gives_up_an_attempt_that_is_going_on() {
    simulate(async {
        let network = ScriptedNetwork::default();
        let (mut connection, server) = dinesh_with_a_session(&network).await;
        drop(server);
        network.add(Outcome::NoAnswer);
        hear(&mut connection).await;
        hear(&mut connection).await;
        // Cancelling the wait does not begin another attempt.
        for _ in 0..3 {
            assert!(timeout(Duration::from_secs(1), connection.next()).await.is_err());
        }
        assert_eq!((network.attempts().len(), network.open()), (2, 1));
        let begin = Instant::now();
        connection.begin_leaving(Duration::from_secs(2));
        assert_eq!(hear(&mut connection).await, Event::Disconnected(Disconnected::Left));
        assert_eq!(connection.next().await, None);
        assert_eq!((begin.elapsed(), network.open()), (Duration::ZERO, 0));
    });
}

#[test]
fn each_of_several_addresses_is_tried_in_turn() {
    simulate(async {
        let network = ScriptedNetwork::default();
        let addresses = ["one:5555".to_owned(), "two:5555".to_owned()];
        let mut dialer = Dialer::new(&network, addresses.to_vec());
        let mut dial = async || std::future::poll_fn(|context| dialer.poll(context)).await.is_ok();
        assert!(!dial().await && !dial().await && !dial().await);
        let _server = network.add_server();
        assert!(dial().await);
        let _server = network.add_server();
        assert!(dial().await, "the one that has answered is tried again first");
        let tried: Vec<String> = network.attempts().into_iter().map(|(address, _)| address).collect();
        assert_eq!(tried, ["one:5555", "two:5555", "one:5555", "two:5555", "two:5555"]);
    });
}

#[test]
fn without_the_wish_to_outlive_it_a_connection_is_the_only_one() {
    simulate(async {
        let network = ScriptedNetwork::default();
        drop(network.add_server());
        let config = Config::new(Nickname::parse("Dinesh").unwrap());
        let mut connection = connect(&network, "chat:5555", config).await.unwrap();
        assert_eq!(hear(&mut connection).await, Event::Disconnected(Disconnected::Closed));
        assert_eq!(connection.next().await, None);
        assert_eq!(network.attempts().len(), 1);
    });
}
