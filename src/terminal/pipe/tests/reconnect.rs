//! A client in a pipe, whose server gives sessions, loses connections.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{BufReader, Lines, ReadBuf, ReadHalf, WriteHalf};

use super::*;
use crate::client::{Reconnect, connect};
use crate::net::Connect;

const SOCKET_BYTES: usize = 64 * 1_024;

const TOKEN: &str = concat!(
    "0000000000000000000000000000006f.",
    "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
);

/// When a client is interrupted, unless it is done or fails before.
const INTERRUPTED_AFTER: Duration = Duration::from_secs(1_000);

/// How long the server keeps a session.
const GRACE: Duration = Duration::from_secs(120);

/// A network on which one attempt after the other to connect finds a server, and the rest find nobody who
/// answers.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<VecDeque<DuplexStream>>>);

impl Network {
    fn add_server(&self) -> Server {
        let (client, server) = duplex(SOCKET_BYTES);
        self.0.lock().unwrap().push_back(client);
        let (reader, writer) = tokio::io::split(server);
        Server { lines: BufReader::new(reader).lines(), writer }
    }
}

impl Connect for Network {
    type Stream = DuplexStream;

    async fn connect(&self, _: &str) -> io::Result<DuplexStream> {
        let server = self.0.lock().unwrap().pop_front();
        match server {
            Some(server) => Ok(server),
            None => std::future::pending().await,
        }
    }
}

/// The server's end of a connection; to drop it is to lose the connection.
struct Server {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
}

impl Server {
    async fn say(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self, wanted: &[&str]) {
        for wanted in wanted {
            assert_eq!(self.lines.next_line().await.unwrap().as_deref(), Some(*wanted));
        }
    }

    /// Lets the client in, and gives it a session.
    async fn let_in(&mut self) {
        self.say("NICKConnected to server!\n-- pong chat-client-1\n").await;
        self.hear(&["bot", "bot: /ping chat-client-1", "bot: /session"]).await;
        self.say(&format!("-- Session {TOKEN}, log 5c1e at 0.\n")).await;
    }

    /// The client leaves.
    async fn hear_leaving(&mut self) {
        while self.lines.next_line().await.unwrap().is_some() {}
        self.writer.shutdown().await.unwrap();
    }
}

/// The end of a client, and what it has written.
struct Outcome {
    ended: Result<(), Failure>,
    output: String,
    errors: String,
    took: Duration,
}

async fn run_client(network: &Network, input: impl AsyncRead + Unpin, reconnect: Reconnect) -> Outcome {
    let config = Config::new(Nickname::parse("bot").unwrap()).with_reconnect(reconnect);
    let connection = connect(network, "chat:5555", config).await.unwrap();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams { input, output: &mut output, errors: &mut errors, leave_when_unheard: false };
    let begin = Instant::now();
    let client = run((connection, TokenFile::none()), streams, sleep(INTERRUPTED_AFTER));
    let ended = timeout(FOR_EVER, client).await.expect("it ends");
    let (output, errors) = (String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap());
    Outcome { ended, output, errors, took: begin.elapsed() }
}

/// Runs a client against servers that do this; it is interrupted after [`INTERRUPTED_AFTER`].
fn simulate_client(
    input: impl AsyncRead + Unpin,
    reconnect: Reconnect,
    servers: impl AsyncFnOnce(Network, Server),
) -> Outcome {
    simulate(async {
        let network = Network::default();
        let server = network.add_server();
        let client = run_client(&network, input, reconnect);
        let (outcome, ()) = tokio::join!(client, servers(network.clone(), server));
        outcome
    })
}

/// A client that looks for another connection for as long as the server keeps its session.
fn patient() -> Reconnect {
    Reconnect::new(42)
}

#[test]
fn every_line_is_taken_once_across_a_lost_connection_and_the_output_is_chat_alone() {
    let outcome = simulate_client(&b"one\ntwo\n"[..], patient(), async |network, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 one", "/n 2 two"]).await;
        server.say("bot: one\n").await;
        let mut next = network.add_server();
        drop(server);
        next.say("NICK").await;
        next.hear(&[&format!("/resume {TOKEN} 5c1e 1 0")]).await;
        next.say("-- Resumed as bot at 2, 1 taken.\nAlex: hi\n").await;
        next.hear(&["/ping chat-client-2", "/n 2 two"]).await;
        next.say("-- pong chat-client-2 at 2, 1 taken.\nbot: two\n").await;
        next.hear_leaving().await;
    });
    assert!(outcome.ended.is_ok(), "{:?}", outcome.ended);
    assert_eq!(outcome.output, "bot: one\nAlex: hi\nbot: two\n");
    assert_eq!(
        outcome.errors,
        "Connection lost; trying again…\nConnected again at once; 1 line was missed.\n"
    );
}

#[test]
fn a_server_that_cannot_be_reached_owes_no_answer_until_its_grace_is_over() {
    let outcome = simulate_client(&b"one\n"[..], patient(), async |_, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 one"]).await;
    });
    assert_fails(outcome.ended, "Connection lost! 1 line was not confirmed.");
    assert!(outcome.took >= GRACE && GRACE > ANSWER_TIMEOUT, "{:?}", outcome.took);
    assert_eq!(outcome.errors, "Connection lost; trying again…\n");
}

#[test]
fn a_server_that_resumes_and_never_confirms_is_given_up() {
    let outcome = simulate_client(&b"one\n"[..], patient(), async |network, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 one"]).await;
        let mut next = network.add_server();
        drop(server);
        next.say("NICK").await;
        next.say("-- Resumed as bot at 0, 0 taken.\n").await;
        while let Some(line) = next.lines.next_line().await.unwrap() {
            if let Some(token) = line.strip_prefix("/ping ") {
                // The client may have gone.
                let _ = next.writer.write_all(format!("-- pong {token} at 0, 0 taken.\n").as_bytes()).await;
            }
        }
    });
    assert_fails(outcome.ended, "The server does not answer; 1 line was not confirmed.");
    assert_eq!(outcome.took, ANSWER_TIMEOUT);
}

#[test]
fn the_input_waits_for_a_connection_unread_but_for_a_bounded_part() {
    let mut read_bytes = 0;
    let reconnect = Reconnect { for_at_most: Some(Duration::from_secs(600)), ..patient() };
    let outcome = simulate_client(Endless(&mut read_bytes), reconnect, async |_, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 yes"]).await;
    });
    let failure = outcome.ended.unwrap_err().to_string();
    assert!(failure.starts_with("Connection lost! 256 lines were not confirmed, and "), "{failure}");
    assert!(failure.ends_with(" or more were not sent."), "{failure}");
    assert!(read_bytes < 2 * 64 * 1_024, "{read_bytes} bytes were read");
}

#[test]
fn lines_whose_fate_is_unknown_are_counted_and_the_rest_is_said_as_a_newcomer() {
    let lines: Vec<String> = (1..=WINDOW_LINES + 44).map(|number| number.to_string()).collect();
    let outcome = simulate_client(lines.join("\n").as_bytes(), patient(), async |network, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 1", "/n 2 2"]).await;
        let mut next = network.add_server();
        drop(server);
        next.say("NICK").await;
        next.hear(&[&format!("/resume {TOKEN} 5c1e 0 0")]).await;
        next.say("-- Not resumed: there is no such session.\nNICK\n").await;
        next.hear(&["bot"]).await;
        next.say("bot joined the chat!\nConnected to server!\n-- pong chat-client-2\n").await;
        next.hear(&["bot: /ping chat-client-2", "bot: /session"]).await;
        next.say("-- Not sent: why.\n").await;
        for number in WINDOW_LINES + 1..=WINDOW_LINES + 44 {
            next.hear(&[&format!("bot: {number}")]).await;
            next.say(&format!("bot: {number}\n")).await;
        }
        next.hear_leaving().await;
    });
    assert_fails(outcome.ended, "256 lines were not confirmed.");
    assert_eq!(
        outcome.errors,
        "Connection lost; trying again…\n\
         Your session is over, and you join as a newcomer: there is no such session.\n"
    );
    assert!(outcome.output.starts_with("bot joined the chat!\nbot: 257\n"), "{}", outcome.output);
}

#[test]
fn a_client_that_is_not_let_in_again_counts_its_lines() {
    let outcome = simulate_client(&b"one\n"[..], patient(), async |network, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 one"]).await;
        let mut next = network.add_server();
        drop(server);
        next.say("NICK-- Not resumed: it has ended, 0 taken.\nNICK\n-- Not joined: the room is full.\n")
            .await;
        while next.lines.next_line().await.unwrap().is_some() {}
    });
    assert_fails(outcome.ended, "Connection lost! 1 line was not sent.");
    assert!(outcome.errors.ends_with("it has ended.\nNot joined: the room is full.\n"), "{}", outcome.errors);
}

#[test]
fn a_client_whose_session_goes_on_elsewhere_does_not_come_back() {
    let outcome = simulate_client(&b"one\n"[..], patient(), async |network, mut server| {
        let _unwanted = network.add_server();
        server.let_in().await;
        server.hear(&["/n 1 one"]).await;
        server.say("-- Your session goes on in another connection. Goodbye.\n").await;
        server.hear_leaving().await;
        assert_eq!(network.0.lock().unwrap().len(), 1);
    });
    assert_fails(outcome.ended, "Your session goes on in another client; 1 line was not confirmed.");
}

#[test]
fn leaving_does_not_wait_for_a_connection() {
    let (_keyboard, input) = open_input("one\n");
    let reconnect = Reconnect { for_at_most: Some(10 * INTERRUPTED_AFTER), ..patient() };
    let outcome = simulate_client(input, reconnect, async |_, mut server| {
        server.let_in().await;
        server.hear(&["/n 1 one"]).await;
    });
    assert_fails(outcome.ended, "Interrupted; 1 line was not confirmed.");
    assert_eq!(outcome.took, INTERRUPTED_AFTER + COUNT_TIMEOUT);
}

/// An input that never ends, and how much has been read of it.
struct Endless<'a>(&'a mut usize);

impl AsyncRead for Endless<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let text = "yes\n".repeat(buffer.remaining() / 4);
        buffer.put_slice(text.as_bytes());
        *self.0 += text.len();
        Poll::Ready(Ok(()))
    }
}
