//! A client in a pipe, in virtual time.

mod reconnect;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::client::{Config, HANDSHAKE_TIMEOUT};
use crate::protocol::Nickname;

/// How much an unread socket takes.
const SOCKET_BYTES: usize = 64;

const INTERRUPTED_AFTER: Duration = Duration::from_secs(5);

const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs a client in virtual time with this input, against a server that has said this and then neither
/// reads nor says anything. Returns the client's result, and how long it took.
fn run_against(
    server_says: &str,
    input: impl AsyncRead + Unpin,
    interrupt_after: Duration,
) -> (Result<(), Failure>, Duration) {
    simulate(async {
        let (stream, mut server) = duplex(SOCKET_BYTES);
        server.write_all(server_says.as_bytes()).await.unwrap();
        say(stream, input, interrupt_after).await
    })
}

fn simulate<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

async fn say(
    stream: DuplexStream,
    input: impl AsyncRead + Unpin,
    interrupt_after: Duration,
) -> (Result<(), Failure>, Duration) {
    let streams = Streams { input, output: Vec::new(), errors: Vec::new(), leave_when_unheard: false };
    let connection = Connection::new(stream, Config::new(Nickname::parse("bot").unwrap()));
    let begin = Instant::now();
    let ended =
        timeout(FOR_EVER, run((connection, TokenFile::none()), streams, sleep(interrupt_after))).await;
    (ended.expect("it ends"), begin.elapsed())
}

#[track_caller]
fn assert_fails(ended: Result<(), Failure>, with: &str) {
    assert_eq!(ended.unwrap_err().to_string(), with);
}

/// An input from which this comes, and then nothing for ever.
fn open_input(text: &str) -> (DuplexStream, impl AsyncRead + Unpin) {
    let (keyboard, input) = duplex(1);
    (keyboard, std::io::Cursor::new(text.as_bytes().to_vec()).chain(input))
}

#[test]
fn leaving_does_not_wait_for_a_socket_that_takes_nothing() {
    let input = "more than the socket takes\n".repeat(SOCKET_BYTES);
    let (ended, took) = run_against("NICKConnected to server!\n", input.as_bytes(), INTERRUPTED_AFTER);
    assert_fails(ended, "Interrupted; 64 lines were not confirmed.");
    assert_eq!(took, INTERRUPTED_AFTER + LEAVE_TIMEOUT);
}

#[test]
fn a_server_that_never_asks_for_a_nickname_is_given_up_and_no_line_is_passed_over() {
    let (ended, took) = run_against("", &b"hello\n"[..], FOR_EVER);
    assert_fails(ended, "The server does not answer; 1 line was not sent.");
    assert_eq!(took, HANDSHAKE_TIMEOUT);
}

#[test]
fn a_server_that_does_not_let_the_client_in_is_given_up() {
    let (_keyboard, input) = open_input("one\ntwo\nhalf");
    let (ended, took) = run_against("NICK", input, FOR_EVER);
    assert_fails(ended, "The server does not answer; 2 or more lines were not sent.");
    assert_eq!(took, HANDSHAKE_TIMEOUT + COUNT_TIMEOUT);
}

#[test]
fn a_server_that_never_confirms_is_given_up() {
    let (ended, took) = run_against("NICKConnected to server!\n", &b"one\ntwo\n"[..], FOR_EVER);
    assert_fails(ended, "The server does not answer; 2 lines were not confirmed.");
    assert_eq!(took, ANSWER_TIMEOUT);
}

#[test]
fn a_server_that_answers_pings_and_never_confirms_is_given_up() {
    simulate(async {
        let (stream, server) = duplex(SOCKET_BYTES);
        let (reader, mut writer) = tokio::io::split(server);
        writer.write_all(b"NICKConnected to server!\n").await.unwrap();
        let answer_pings = async {
            let mut lines = tokio::io::BufReader::new(reader).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(token) = line.strip_prefix("bot: /ping ") {
                    writer.write_all(format!("-- pong {token}\n").as_bytes()).await.unwrap();
                }
            }
        };
        let client = say(stream, &b"one\n"[..], FOR_EVER);
        let ((ended, took), ()) = tokio::join!(client, answer_pings);
        assert_fails(ended, "The server does not answer; 1 line was not confirmed.");
        assert_eq!(took, ANSWER_TIMEOUT);
    });
}

#[test]
fn an_input_that_says_nothing_is_waited_for() {
    let (_keyboard, input) = open_input("");
    let (ended, took) = run_against("NICKConnected to server!\n", input, FOR_EVER / 2);
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(took, FOR_EVER / 2 + LEAVE_TIMEOUT);
}
