//! A connection until it belongs to a member: nickname, password, or the reason why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

use super::admission::{Attempt, Place, RateLimiter};
use super::connection::{Connection, Ending};
use super::hub::Hub;
use super::limits::{NICKNAME_ATTEMPTS, PASSWORD_WAIT_LONGEST};
use super::member::Member;
use crate::net::{Peer, Stream};
use crate::protocol::{
    Framing, LINE_BYTES, NICKNAME_REQUEST, Nickname, Notice, PASSWORD_REQUEST, Password, Refusal,
};
use crate::room::MemberId;

/// Makes the connection a member, or tells it why not.
pub(super) async fn admit<S: Stream>(
    connection: &mut Connection<S>,
    hub: &Hub<S>,
    place: &mut Place<'_>,
) -> Result<Member, Ending> {
    let deadline = Instant::now() + hub.limits().registration_timeout;
    let gives_way = place.gives_way();
    let awaited = Awaited::Nickname;
    let mut handshake = Handshake { connection, hub, place, awaited, deadline, refused: false };
    let registered = tokio::select! {
        biased;
        () = gives_way => Err(handshake.refuse("", Refusal::TooManyNewcomers)),
        registered = handshake.register() => registered,
        () = hub.closed() => Err(Unregistered::ServerStopped),
    };
    let Handshake { connection, place, awaited, refused, .. } = handshake;
    match registered {
        Ok(member) => Ok(member),
        Err(unregistered) => {
            place.turn_away();
            Err(tokio::select! {
                biased;
                () = place.gives_way() => Ending::Broken,
                ending = Box::pin(part(connection, hub, unregistered, awaited, refused)) => ending,
            })
        }
    }
}

/// Tells somebody why there is no place for it.
pub(super) async fn turn_away<S: Stream>(
    connection: &mut Connection<S>,
    hub: &Hub<S>,
    place: &Place<'_>,
    refusal: Refusal,
) -> Ending {
    log_refusal(hub, connection.peer, "", refusal);
    let notice = Notice::NotConnected(refusal);
    tokio::select! {
        biased;
        () = place.gives_way() => Ending::Broken,
        ending = tell_finally(connection, hub, &notice) => ending,
    }
}

struct Handshake<'a, 'hub, S> {
    connection: &'a mut Connection<S>,
    hub: &'a Hub<S>,
    place: &'a mut Place<'hub>,
    /// The answer that it is waiting for.
    awaited: Awaited,
    /// The client must have answered by then. It is extended while the client waits for the server.
    deadline: Instant,
    /// Something was refused, and so this connection is in the log already.
    refused: bool,
}

impl<S: Stream> Handshake<'_, '_, S> {
    /// Asks for a nickname until one is accepted, which also decides the framing, and after the first valid
    /// one for the password of the room.
    async fn register(&mut self) -> Result<Member, Unregistered> {
        self.send(NICKNAME_REQUEST).await?;
        let mut password = self.hub.password();
        let mut attempts_left = NICKNAME_ATTEMPTS;
        loop {
            attempts_left -= 1;
            let answer = self.answer(Awaited::Nickname).await?;
            let considered = Box::pin(self.consider(answer, &mut password, attempts_left > 0)).await;
            if let Some(member) = considered? {
                return Ok(member);
            }
        }
    }

    /// Lets somebody in under the nickname it has asked for. Otherwise says why not; it is asked once
    /// more if it may try `again`.
    async fn consider(
        &mut self,
        answer: Result<String, Refusal>,
        password: &mut Option<&Password>,
        again: bool,
    ) -> Result<Option<Member>, Unregistered> {
        let wanted: Box<str> = answer.as_ref().map_or("", |name| name.as_str()).into();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from));
        let framing = self.connection.decoder.framing().unwrap_or(Framing::Report);
        self.connection.framing = framing;
        if let Some(password) = password.take_if(|_| chosen.is_ok()) {
            self.ask_password(&wanted, password).await?;
        }
        match chosen.and_then(|nickname| Ok((self.join(&nickname)?, nickname))) {
            Ok((id, nickname)) => {
                debug!(peer = %self.connection.peer, ?framing, "registered");
                if framing == Framing::Report {
                    self.connection.decoder.set_report_prefix(&format!("{wanted}: "));
                }
                // Usually they are the same, and then the text is shared.
                let chosen = Arc::from(nickname);
                let chosen = if *wanted == *chosen { chosen } else { wanted.into() };
                Ok(Some(Member { id, chosen, pings: false, rate_limiter: RateLimiter::full(Instant::now()) }))
            }
            Err(Refusal::Full) => Err(self.refuse("", Refusal::Full)),
            Err(refusal) => {
                let refused = self.refuse(&format!(" the nickname \"{}\"", wanted.escape_debug()), refusal);
                // The report's client takes any line for chat, so asking it again is in vain.
                if !again || framing == Framing::Report {
                    return Err(refused);
                }
                self.send(&format!("{}\n{NICKNAME_REQUEST}\n", Notice::NotJoined(refusal))).await?;
                Ok(None)
            }
        }
    }

    /// Joins the room, if there is a place in it.
    fn join(&mut self, nickname: &Nickname) -> Result<MemberId, Refusal> {
        let Self { connection, hub, place, .. } = self;
        place.become_member(hub.limits(), || hub.join(nickname, connection.peer, connection.outlet()))
    }

    /// Asks for the password of the room, once. Before it is right, nothing is said about who is
    /// here, and no nickname is taken.
    async fn ask_password(&mut self, chosen: &str, password: &Password) -> Result<(), Unregistered> {
        let framing = self.connection.framing;
        let end = if framing == Framing::Lines { "\n" } else { "" };
        self.send(&format!("{PASSWORD_REQUEST}{end}")).await?;
        // A line that is refused is not the password either.
        let answer = self.answer(Awaited::Password).await?.unwrap_or_default();
        // The report's client knows no passwords: it sends the typed text as a message.
        let typed = answer.strip_prefix(&format!("{chosen}: ")).filter(|_| framing == Framing::Report);
        let given = typed.unwrap_or(&answer);
        let came = Instant::now();
        self.look_at(given, password).await?;
        self.deadline += came.elapsed();
        Ok(())
    }

    /// Checks a password, at once unless many from that address were wrong.
    async fn look_at(&mut self, given: &str, password: &Password) -> Result<(), Unregistered> {
        let address = self.connection.peer.ip();
        let seconds = PASSWORD_WAIT_LONGEST.as_secs();
        let Some(turn) = self.hub.guesses.line_up(address, Instant::now()) else {
            return Err(self.refuse("", Refusal::TooManyWrongPasswords { seconds }));
        };
        loop {
            match turn.attempt(Instant::now(), || password.is(given)) {
                Attempt::Right => return Ok(()),
                Attempt::Wrong(pause) => {
                    let refusal = Refusal::WrongPassword;
                    self.refuse("", refusal);
                    return Err(Unregistered::Refused { refusal, told_after: pause });
                }
                Attempt::NotYet(wait) if self.stays(wait).await? => {}
                Attempt::NotYet(_) => {
                    return Err(self.refuse("", Refusal::TooManyWrongPasswords { seconds }));
                }
            }
        }
    }

    /// Waits. Returns false if the client closes its side meanwhile, or sends more than a line: it is not
    /// waiting for the answer, and must not hold up others.
    async fn stays(&mut self, wait: Duration) -> io::Result<bool> {
        let until = Instant::now() + wait;
        let connection = &mut *self.connection;
        while let Ok(read) = timeout_at(until, connection.read()).await {
            if !read? || connection.decoder.held_bytes() > LINE_BYTES {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The client's answer, if it comes in time.
    async fn answer(&mut self, awaited: Awaited) -> Result<Result<String, Refusal>, Unregistered> {
        self.awaited = awaited;
        let message = timeout_at(self.deadline, self.connection.message()).await;
        Ok(message.map_err(|_| Unregistered::TooLate)??)
    }

    /// Sends a text, if the client takes it in time.
    async fn send(&mut self, text: &str) -> Result<(), Unregistered> {
        let written = timeout_at(self.deadline, self.connection.write_now(text)).await;
        Ok(written.map_err(|_| Unregistered::TooLate)??)
    }

    /// Logs a refusal.
    fn refuse(&mut self, what: &str, refusal: Refusal) -> Unregistered {
        log_refusal(self.hub, self.connection.peer, what, refusal);
        self.refused = true;
        Unregistered::Refused { refusal, told_after: Duration::ZERO }
    }
}

/// Says why somebody was not let in.
async fn part<S: Stream>(
    connection: &mut Connection<S>,
    hub: &Hub<S>,
    unregistered: Unregistered,
    awaited: Awaited,
    refused: bool,
) -> Ending {
    let (peer, awaited) = (connection.peer, awaited.as_str());
    let notice = match unregistered {
        Unregistered::Refused { refusal, told_after } => {
            tokio::select! {
                biased;
                () = sleep(told_after) => {}
                () = hub.closed() => {}
            }
            Notice::NotJoined(refusal)
        }
        Unregistered::ServerStopped => {
            warn!(event = "refusal", %peer, "Closed {}: the server stopped", Peer(peer));
            Notice::ShuttingDown
        }
        Unregistered::TooLate => {
            hub.count_refusal("not_registered_in_time");
            warn!(event = "refusal", %peer, "Closed {}: no {awaited} in time", Peer(peer));
            Notice::TooLate(awaited)
        }
        Unregistered::Gone => {
            // A client that was refused and then left is one event.
            if !refused {
                warn!(event = "refusal", %peer, "{} left without a {awaited}", Peer(peer));
            }
            return Ending::Broken;
        }
    };
    // A client that has not even taken the request for its nickname, or has not completed its TLS
    // handshake, would not take this either.
    if connection.flushed { tell_finally(connection, hub, &notice).await } else { Ending::Broken }
}

/// Writes the last line to somebody who is not a member.
async fn tell_finally<S: Stream>(
    connection: &mut Connection<S>,
    hub: &Hub<S>,
    notice: &Notice<'_>,
) -> Ending {
    let end = if connection.framing == Framing::Lines { "\n" } else { "" };
    let line = format!("{notice}{end}");
    let told = timeout(hub.limits().write_timeout, connection.write_now(&line)).await;
    if let Ok(Ok(())) = told { Ending::InOrder } else { Ending::Broken }
}

fn log_refusal<S: Stream>(hub: &Hub<S>, peer: SocketAddr, what: &str, refusal: Refusal) {
    hub.count_refusal(refusal.cause());
    warn!(event = "refusal", %peer, "Refused {}{what}: {refusal}", Peer(peer));
}

/// The last thing that a newcomer was asked for.
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
    /// It was refused, and is told so after this time.
    Refused { refusal: Refusal, told_after: Duration },
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
