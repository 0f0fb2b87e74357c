//! A connection until it belongs to a member: nickname, password, or the reason why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::admission::Attempt;
use super::connection::Connection;
use super::hub::Hub;
use super::limits::NICKNAME_ATTEMPTS;
use crate::net::{Peer, Stream};
use crate::protocol::{Framing, NICKNAME_REQUEST, Nickname, Notice, PASSWORD_REQUEST, Password, Refusal};
use crate::room::MemberId;

/// A connection that has become a member.
pub(super) struct Admitted {
    pub(super) id: MemberId,
    /// The nickname it chose when it came, as it was typed: what the report's client will put in front
    /// of its messages for ever, whatever normalisation and `/nick` have made of it.
    pub(super) chosen: Arc<str>,
}

/// Makes the connection a member; otherwise tells it why not, and closes it.
pub(super) async fn admit<S: Stream>(connection: &mut Connection<'_, S>, hub: &Hub) -> Option<Admitted> {
    let mut handshake = Handshake { connection, hub, awaited: Awaited::Nickname };
    let registered = tokio::select! {
        biased;
        registered = timeout(hub.limits().registration_timeout, handshake.register()) => registered,
        () = Box::pin(hub.closed()) => Ok(Err(Unregistered::ServerStopped)),
    };
    match registered.unwrap_or(Err(Unregistered::TooLate)) {
        Ok(member) => Some(member),
        Err(unregistered) => {
            Box::pin(handshake.part(unregistered)).await;
            None
        }
    }
}

/// Tells somebody why there is no place for it, and closes the connection.
pub(super) async fn turn_away<S: Stream>(connection: &mut Connection<'_, S>, hub: &Hub, refusal: Refusal) {
    log_refusal(hub, connection.peer, "", refusal);
    tell_finally(connection, hub, &Notice::NotConnected(refusal)).await;
}

struct Handshake<'a, 'stream, S> {
    connection: &'a mut Connection<'stream, S>,
    hub: &'a Hub,
    /// What it waits for now.
    awaited: Awaited,
}

impl<S: Stream> Handshake<'_, '_, S> {
    /// Asks for a nickname until one is accepted, which also decides the framing; and after the first
    /// valid one for the password of the room.
    async fn register(&mut self) -> Result<Admitted, Unregistered> {
        self.connection.outgoing.write_now(NICKNAME_REQUEST).await?;
        let mut password = self.hub.password();
        for attempts_left in (0..NICKNAME_ATTEMPTS).rev() {
            let answer = self.connection.incoming.message().await?;
            let considered = Box::pin(self.consider(answer, &mut password, attempts_left > 0)).await;
            if let Some(member) = considered? {
                return Ok(member);
            }
        }
        Err(Unregistered::Refused)
    }

    /// Lets somebody in under the nickname it has asked for, or says why not, and whether it may try
    /// `again`.
    async fn consider(
        &mut self,
        answer: Result<String, Refusal>,
        password: &mut Option<&Password>,
        again: bool,
    ) -> Result<Option<Admitted>, Unregistered> {
        let wanted: Box<str> = answer.as_ref().map_or("", |name| name.as_str()).into();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from));
        let framing = self.connection.incoming.decoder.framing().unwrap_or(Framing::Report);
        self.connection.outgoing.framing = framing;
        if let Some(password) = password.take_if(|_| chosen.is_ok()) {
            self.awaited = Awaited::Password;
            self.ask_password(&wanted, password).await?;
            self.awaited = Awaited::Nickname;
        }
        let peer = self.connection.peer;
        match chosen.and_then(|nickname| Ok((self.hub.join(&nickname, peer)?, nickname))) {
            Ok((id, nickname)) => {
                debug!(%peer, ?framing, "registered");
                if framing == Framing::Report {
                    self.connection.incoming.decoder.set_report_prefix(&format!("{wanted}: "));
                }
                // Usually they are the same, and then the text is shared.
                let chosen = Arc::from(nickname);
                Ok(Some(Admitted { id, chosen: if *wanted == *chosen { chosen } else { wanted.into() } }))
            }
            Err(refusal) => {
                // The report's client takes any line for chat, so asking it again is in vain.
                let again = again && framing == Framing::Lines;
                self.refuse(&format!(" the nickname \"{}\"", wanted.escape_debug()), refusal, again).await?;
                if again { Ok(None) } else { Err(Unregistered::Refused) }
            }
        }
    }

    /// Asks for the password of the room, once. Until it has come nothing is said about who is here,
    /// and no nickname is taken.
    async fn ask_password(&mut self, chosen: &str, password: &Password) -> Result<(), Unregistered> {
        let framing = self.connection.outgoing.framing;
        let end = if framing == Framing::Lines { "\n" } else { "" };
        self.connection.outgoing.write_now(&format!("{PASSWORD_REQUEST}{end}")).await?;
        // What is no text is no password either.
        let answer = self.connection.incoming.message().await?.unwrap_or_default();
        // The report's client knows no passwords: it sends what is typed as a message.
        let typed = answer.strip_prefix(&format!("{chosen}: ")).filter(|_| framing == Framing::Report);
        let given = typed.unwrap_or(&answer);
        let address = self.connection.peer.ip();
        loop {
            match self.hub.guesses.attempt(address, Instant::now(), || password.is(given)) {
                Attempt::Right => return Ok(()),
                Attempt::Wrong => break,
                // At the most until the registration has taken too long.
                Attempt::TooEarly(pause) => sleep(pause).await,
            }
        }
        self.refuse("", Refusal::WrongPassword, false).await?;
        Err(Unregistered::Refused)
    }

    /// Refuses what was asked for; the client may try `again`.
    async fn refuse(&mut self, what: &str, refusal: Refusal, again: bool) -> io::Result<()> {
        log_refusal(self.hub, self.connection.peer, what, refusal);
        let notice = Notice::NotJoined(refusal);
        let text = match self.connection.outgoing.framing {
            Framing::Report => notice.to_string(),
            Framing::Lines if again => format!("{notice}\n{NICKNAME_REQUEST}\n"),
            Framing::Lines => format!("{notice}\n"),
        };
        self.connection.outgoing.write_now(&text).await
    }

    /// Says why somebody was not let in, and closes the connection.
    async fn part(&mut self, unregistered: Unregistered) {
        let (peer, awaited) = (self.connection.peer, self.awaited.as_str());
        let (reason, notice) = match unregistered {
            Unregistered::Refused => return self.connection.close().await,
            Unregistered::ServerStopped => ("the server stopped".to_owned(), Notice::ShuttingDown),
            Unregistered::TooLate => {
                self.hub.count_refusal("not_registered_in_time");
                (format!("no {awaited} in time"), Notice::TooLate(awaited))
            }
            Unregistered::Gone => {
                warn!(event = "refusal", %peer, "{} left without a {awaited}", Peer(peer));
                return;
            }
        };
        warn!(event = "refusal", %peer, "Closed {}: {reason}", Peer(peer));
        // Who has not even taken the request for its nickname, or has not come through the handshake
        // of an encrypted connection, would not take this either.
        if self.connection.outgoing.flushed {
            tell_finally(self.connection, self.hub, &notice).await;
        }
    }
}

/// Writes the last line for somebody who is no member, and closes the connection once it is taken.
async fn tell_finally<S: Stream>(connection: &mut Connection<'_, S>, hub: &Hub, notice: &Notice<'_>) {
    let end = if connection.outgoing.framing == Framing::Lines { "\n" } else { "" };
    let line = format!("{notice}{end}");
    let told = timeout(hub.limits().write_timeout, connection.outgoing.write_now(&line)).await;
    if matches!(told, Ok(Ok(()))) {
        connection.close().await;
    }
}

fn log_refusal(hub: &Hub, peer: SocketAddr, what: &str, refusal: Refusal) {
    hub.count_refusal(refusal.cause());
    warn!(event = "refusal", %peer, "Refused {}{what}: {refusal}", Peer(peer));
}

/// What somebody who is to become a member has been asked for.
#[derive(Clone, Copy)]
enum Awaited {
    Nickname,
    Password,
}

impl Awaited {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nickname => "nickname",
            Self::Password => "password",
        }
    }
}

/// Why a connection did not become a member.
enum Unregistered {
    /// It closed, or broke.
    Gone,
    /// No nickname of it was accepted, or not its password. It has been told.
    Refused,
    /// It took too long.
    TooLate,
    /// The server ended.
    ServerStopped,
}

impl From<io::Error> for Unregistered {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}
