//! The simple way in: connect, shake hands, and be a member.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::connection::Connection;
use super::dialer::{Dialer, dial};
use super::session::{Config, Disconnected, Event};
use crate::net::{Connect, Stream, explain};
use crate::protocol::{Refusal, Sanitized};

/// How long joining may take in all, once connected. A wrong password before ours costs seconds.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How many events from before joining are kept: the latest ones, if there are more.
pub const KEPT_EVENTS: usize = 10_000;

/// Connects to a server and begins to shake hands. A client that outlives its connection connects again over a
/// clone of the network.
///
/// # Errors
///
/// The error of the network, or [`io::ErrorKind::TimedOut`] after [`CONNECT_TIMEOUT`](super::CONNECT_TIMEOUT).
pub async fn connect<N: Connect>(
    network: &N,
    address: &str,
    config: Config,
) -> io::Result<Connection<N::Stream>> {
    let stream = dial(network, address).await?;
    Ok(Connection::with_dialer(stream, Dialer::new(network, vec![address.to_owned()]), config))
}

/// Connects to a server, and is a member of its room when this returns. Earlier events, such as history,
/// come from [`Connection::next`] as if they came then.
///
/// # Errors
///
/// See [`JoinError`].
pub async fn join<N: Connect>(
    network: &N,
    address: &str,
    config: Config,
) -> Result<Connection<N::Stream>, JoinError> {
    let connection = connect(network, address, config).await.map_err(JoinError::CannotConnect)?;
    shake_hands(connection).await
}

/// Shakes hands on a new connection, within [`JOIN_TIMEOUT`].
async fn shake_hands<S: Stream>(mut connection: Connection<S>) -> Result<Connection<S>, JoinError> {
    let mut earlier = VecDeque::new();
    let joined = timeout(JOIN_TIMEOUT, hear_until_joined(&mut connection, &mut earlier)).await;
    joined.unwrap_or(Err(JoinError::NotAnswered))?;
    connection.put_back(earlier);
    Ok(connection)
}

/// Waits until the client has joined, and keeps the other events that happen meanwhile.
async fn hear_until_joined<S: Stream>(
    connection: &mut Connection<S>,
    earlier: &mut VecDeque<Event>,
) -> Result<(), JoinError> {
    loop {
        match connection.next().await {
            Some(Event::Joined | Event::Resumed { .. }) => return Ok(()),
            Some(Event::NotJoined(reason)) => return Err(JoinError::refused(reason)),
            Some(Event::PasswordWanted) => return Err(JoinError::PasswordNeeded),
            Some(Event::Disconnected(Disconnected::NotAnswered)) => return Err(JoinError::NotAnswered),
            Some(Event::Disconnected(_)) | None => return Err(JoinError::Lost),
            Some(event) => {
                if earlier.len() == KEPT_EVENTS {
                    earlier.pop_front();
                }
                earlier.push_back(event);
            }
        }
    }
}

/// Why a client has not joined.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no connection to the server.
    CannotConnect(io::Error),
    /// The server does not take the nickname, for this reason.
    NicknameRefused(String),
    /// The room has a password, and none was given.
    PasswordNeeded,
    /// The room has another password.
    PasswordWrong,
    /// The server is there, but does not let the client in.
    NotAnswered,
    /// The connection was lost.
    Lost,
}

impl JoinError {
    /// The server did not let the client in, for this reason.
    fn refused(reason: String) -> Self {
        if reason.trim_end_matches('.') == Refusal::WrongPassword.to_string() {
            Self::PasswordWrong
        } else {
            Self::NicknameRefused(reason)
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotConnect(error) => write!(formatter, "cannot connect: {}", explain(error)),
            Self::NicknameRefused(reason) => {
                write!(formatter, "nickname refused: {}", Sanitized(reason.trim_end_matches('.')))
            }
            Self::PasswordNeeded => formatter.write_str("the room has a password"),
            Self::PasswordWrong => formatter.write_str("the password is wrong"),
            Self::NotAnswered => formatter.write_str("the server does not answer"),
            Self::Lost => formatter.write_str("the connection was lost"),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CannotConnect(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;
    use crate::client::HANDSHAKE_TIMEOUT;
    use crate::protocol::Nickname;

    const SOCKET_BYTES: usize = 64 * 1_024;

    /// Has Dinesh shake hands, in virtual time, with a server that says this.
    async fn join_a_server_that_says(
        text: &str,
    ) -> (Result<Connection<DuplexStream>, JoinError>, DuplexStream) {
        let (stream, mut server) = duplex(SOCKET_BYTES);
        server.write_all(text.as_bytes()).await.unwrap();
        let config = Config::new(Nickname::parse("Dinesh").unwrap());
        (shake_hands(Connection::new(stream, config)).await, server)
    }

    fn simulate<T>(test: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    #[test]
    fn events_from_before_joining_are_handed_out_first_and_in_order() {
        simulate(async {
            let (joined, mut server) =
                join_a_server_that_says("NICKAlex: one\nDinesh joined the chat!\nConnected to server!\n")
                    .await;
            let mut connection = joined.unwrap();
            assert!(connection.session().is_joined());
            server.write_all(b"Alex: two\n").await.unwrap();
            for wanted in ["Alex: one", "Dinesh joined the chat!", "Connected to server!", "Alex: two"] {
                assert_eq!(connection.next().await, Some(Event::Line(wanted.to_owned())));
            }
            let mut sent = vec![0; "Dinesh\nDinesh: /ping chat-client-1\n".len()];
            server.read_exact(&mut sent).await.unwrap();
            assert_eq!(String::from_utf8(sent).unwrap(), "Dinesh\nDinesh: /ping chat-client-1\n");
        });
    }

    #[test]
    fn of_a_long_history_the_latest_is_kept() {
        simulate(async {
            let history = "x\n".repeat(KEPT_EVENTS + 7);
            let (joined, _server) =
                join_a_server_that_says(&format!("NICK{history}last\nConnected to server!\n")).await;
            let mut connection = joined.unwrap();
            let held = std::iter::from_fn(|| connection.poll_event()).collect::<Vec<_>>();
            assert_eq!(held.len(), KEPT_EVENTS);
            assert_eq!(held[KEPT_EVENTS - 2], Event::Line("last".to_owned()));
        });
    }

    #[test]
    fn each_way_not_to_join_has_its_own_error() {
        simulate(async {
            for (says, message) in [
                ("NICK-- Not joined: somebody has it.\nNICK\n", "nickname refused: somebody has it"),
                ("NICK-- Not joined: the password is wrong.\n", "the password is wrong"),
                ("NICKPASS\n", "the room has a password"),
                ("NICK-- Not joined: \u{7}.\n", "nickname refused: \\u{7}"),
            ] {
                let error = join_a_server_that_says(says).await.0.unwrap_err();
                assert_eq!(error.to_string(), message);
            }
            let (stream, server) = duplex(SOCKET_BYTES);
            drop(server);
            let connection = Connection::new(stream, Config::new(Nickname::parse("Dinesh").unwrap()));
            assert!(matches!(shake_hands(connection).await, Err(JoinError::Lost)));
        });
    }

    #[test]
    fn a_server_that_lets_nobody_in_is_given_up_whatever_it_says() {
        simulate(async {
            let begin = Instant::now();
            let (joined, _server) = join_a_server_that_says("NICK").await;
            assert!(matches!(joined, Err(JoinError::NotAnswered)));
            assert_eq!(begin.elapsed(), HANDSHAKE_TIMEOUT);

            let (stream, mut server) = duplex(SOCKET_BYTES);
            let talk = async {
                loop {
                    server.write_all(b"-- patience\n").await.unwrap();
                    tokio::time::sleep(HANDSHAKE_TIMEOUT / 2).await;
                }
            };
            let connection = Connection::new(stream, Config::new(Nickname::parse("Dinesh").unwrap()));
            let begin = Instant::now();
            tokio::select! {
                biased;
                joined = shake_hands(connection) => assert!(matches!(joined, Err(JoinError::NotAnswered))),
                () = talk => {}
            }
            assert_eq!(begin.elapsed(), JOIN_TIMEOUT);
        });
    }
}
