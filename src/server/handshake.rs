//! A connection until it belongs to a member: nickname, password, session, or the reason why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, warn};

use super::admission::{Attempt, Place};
use super::connection::{Connection, Ending};
use super::hub::Hub;
use super::limits::{NICKNAME_ATTEMPTS, PASSWORD_WAIT_LONGEST};
use super::member::Member;
use super::resume::NotResumed;
use super::unregistered::{Awaited, Unregistered};
use crate::net::{Peer, Stream};
use crate::protocol::{
    Framing, LINE_BYTES, NICKNAME_REQUEST, Nickname, Notice, PASSWORD_REQUEST, Refusal, Resume, SessionNotice,
};
use crate::room::Attachment;

/// A connection that does not belong to a member yet.
pub(super) struct Newcomer<S> {
    pub(super) connection: Connection<S>,
    pub(super) hub: Arc<Hub<S>>,
    pub(super) place: Place,
}

impl<S: Stream> Newcomer<S> {
    pub(super) fn new(stream: S, peer: SocketAddr, hub: Arc<Hub<S>>) -> Self {
        Self { connection: Connection::new(stream, peer), place: hub.places.come(peer.ip()), hub }
    }
}

/// Makes a connection a member, or tells it why not.
pub(super) fn shake_hands<S: Stream>(
    newcomer: &mut Newcomer<S>,
) -> impl Future<Output = Result<Member, Ending>> {
    let deadline = Instant::now() + newcomer.hub.limits().registration_timeout;
    let awaited = Awaited::Nickname;
    let mut handshake = Handshake { newcomer, awaited, deadline, asked_for_password: false, refused: false };
    async move { handshake.run().await }
}

struct Handshake<'a, S> {
    newcomer: &'a mut Newcomer<S>,
    /// The answer that it is waiting for.
    awaited: Awaited,
    /// The client must have answered by then. It is extended while the client waits for the server.
    deadline: Instant,
    /// The password was asked for, or there is none.
    asked_for_password: bool,
    /// Something was refused, and so this connection is in the log already.
    refused: bool,
}

impl<S: Stream> Handshake<'_, S> {
    async fn run(&mut self) -> Result<Member, Ending> {
        // Counted here and not where it was accepted: by now every session that was started before has
        // noticed whether its peer is gone already.
        if let Err(refusal) = self.newcomer.place.enter(self.newcomer.hub.limits()) {
            return Err(Box::pin(self.turn_away(refusal)).await);
        }
        let registered = tokio::select! {
            biased;
            () = self.newcomer.place.gives_way() => Err(self.give_way()),
            registered = self.register() => registered,
        };
        match registered {
            Ok(member) => Ok(member),
            Err(unregistered) => {
                self.newcomer.place.turn_away();
                Err(Box::pin(self.part_unless_another_needs_the_place(unregistered)).await)
            }
        }
    }

    /// Asks for a nickname until one is accepted, which also decides the framing, and after the first valid
    /// one for the password of the room. A client that has a session may ask to go on with that instead.
    async fn register(&mut self) -> Result<Member, Unregistered> {
        self.send(NICKNAME_REQUEST).await?;
        let mut attempts_left = NICKNAME_ATTEMPTS;
        let mut has_tried = false;
        loop {
            let answer = self.answer(Awaited::Nickname).await?;
            let resumes = self.asks_to_resume(&answer);
            if resumes && has_tried {
                // It is no better the second time, and does not belong into the log.
                return Err(self.refuse(" a session", Refusal::UnknownSession));
            }
            let member = if resumes {
                has_tried = true;
                Box::pin(self.resume(answer)).await?
            } else {
                attempts_left -= 1;
                Box::pin(self.consider(answer, attempts_left > 0)).await?
            };
            if let Some(member) = member {
                return Ok(member);
            }
        }
    }

    /// Lets somebody in under the nickname it has asked for. Otherwise says why not; it is asked once
    /// more if it may try `again`.
    async fn consider(
        &mut self,
        answer: Result<String, Refusal>,
        again: bool,
    ) -> Result<Option<Member>, Unregistered> {
        let wanted: Box<str> = answer.as_ref().map_or("", |name| name.as_str()).into();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from));
        let framing = self.newcomer.connection.decoder.framing().unwrap_or(Framing::Report);
        self.newcomer.connection.framing = framing;
        if chosen.is_ok() && !self.asked_for_password {
            self.ask_password(&wanted).await?;
        }
        self.wait_for(self.newcomer.hub.takes_more()).await?;
        match chosen.and_then(|nickname| Ok((self.join(&nickname)?, nickname))) {
            Ok((attachment, nickname)) => {
                debug!(peer = %self.newcomer.connection.peer, ?framing, "registered");
                if framing == Framing::Report {
                    self.newcomer.connection.decoder.set_report_prefix(&format!("{wanted}: "));
                }
                // Usually they are the same, and then the text is shared.
                let chosen = Arc::from(nickname);
                let chosen = if *wanted == *chosen { chosen } else { wanted.into() };
                Ok(Some(Member::new(attachment, chosen)))
            }
            Err(refusal @ (Refusal::Full | Refusal::TooMany)) => Err(self.refuse("", refusal)),
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
    fn join(&mut self, nickname: &Nickname) -> Result<Attachment, Refusal> {
        let Newcomer { connection, hub, place } = &mut *self.newcomer;
        let away = hub.away(place.address());
        place.become_member(hub.limits(), away, || hub.join(nickname, connection.peer, connection.outlet()))
    }

    /// Whether the client does not answer with a nickname, but asks to go on with its session.
    fn asks_to_resume(&self, answer: &Result<String, Refusal>) -> bool {
        self.newcomer.connection.decoder.framing() == Some(Framing::Lines)
            && answer.as_ref().is_ok_and(|line| line.starts_with(Resume::COMMAND))
    }

    /// Goes on with a session. Otherwise says why not, and asks for a nickname.
    async fn resume(&mut self, request: Result<String, Refusal>) -> Result<Option<Member>, Unregistered> {
        self.newcomer.connection.framing = Framing::Lines;
        self.wait_for(self.newcomer.hub.takes_more()).await?;
        let not_resumed = match self.claim(&request.unwrap_or_default()).await? {
            Ok(request) => {
                let Newcomer { connection, hub, place } = &mut *self.newcomer;
                match hub.resume(&request, connection.peer, connection.outlet()) {
                    Ok((attachment, nickname)) => {
                        place.come_back();
                        return Ok(Some(Member::resumed(attachment, nickname.into(), hub.limits().rate)));
                    }
                    Err(not_resumed) => not_resumed,
                }
            }
            Err(not_resumed) => not_resumed,
        };
        if let NotResumed::Refused(refusal) = not_resumed {
            self.refuse(" a session", refusal);
        }
        // What was taken is told when it lasts.
        self.wait_for(self.newcomer.hub.settled()).await?;
        self.send(&format!("{}\n{NICKNAME_REQUEST}\n", not_resumed.notice())).await?;
        Ok(None)
    }

    /// Waits for the log, if it does what is awaited in time.
    async fn wait_for(&self, log: impl Future<Output = ()>) -> Result<(), Unregistered> {
        Box::pin(timeout_at(self.deadline, log)).await.map_err(|_| Unregistered::TooLate)
    }

    /// Checks that a token is of a session. Guesses are slowed down like those of a password; a client that
    /// counts in another log does not guess.
    async fn claim(&mut self, request: &str) -> Result<Result<Resume, NotResumed>, Unregistered> {
        let hub = Arc::clone(&self.newcomer.hub);
        if let Err(refusal) = hub.grants.offered_to(self.newcomer.connection.peer, Framing::Lines) {
            return Ok(Err(NotResumed::Refused(refusal)));
        }
        let Some(request) = Resume::parse(request) else {
            return Ok(Err(NotResumed::Refused(Refusal::UnknownSession)));
        };
        if request.epoch != hub.grants.epoch() {
            return Ok(Err(NotResumed::OtherLog));
        }
        let request = Resume { token: hub.grants.bound(&request.token), ..request };
        Ok(match self.look_at(|| hub.knows(&request.token)).await? {
            None => Ok(request),
            Some(pause) => {
                sleep(pause).await;
                Err(NotResumed::Refused(Refusal::UnknownSession))
            }
        })
    }

    /// Asks for the password of the room, once. Before it is right, nothing is said about who is
    /// here, and no nickname is taken.
    async fn ask_password(&mut self, chosen: &str) -> Result<(), Unregistered> {
        let hub = Arc::clone(&self.newcomer.hub);
        self.asked_for_password = true;
        let Some(password) = hub.password() else { return Ok(()) };
        let framing = self.newcomer.connection.framing;
        let end = if framing == Framing::Lines { "\n" } else { "" };
        self.send(&format!("{PASSWORD_REQUEST}{end}")).await?;
        // A line that is refused is not the password either.
        let answer = self.answer(Awaited::Password).await?.unwrap_or_default();
        // The report's client knows no passwords: it sends the typed text as a message.
        let typed = answer.strip_prefix(&format!("{chosen}: ")).filter(|_| framing == Framing::Report);
        let given = typed.unwrap_or(&answer);
        match self.look_at(|| password.is(given)).await? {
            None => Ok(()),
            Some(pause) => {
                let refusal = Refusal::WrongPassword;
                self.refuse("", refusal);
                Err(Unregistered::Refused { refusal, told_after: pause })
            }
        }
    }

    /// Checks a password or a token, at once unless many from that address were wrong. Returns the pause
    /// before the answer if it is wrong. The wait for this is not the client's.
    async fn look_at(&mut self, is_right: impl Fn() -> bool) -> Result<Option<Duration>, Unregistered> {
        let came = Instant::now();
        let address = self.newcomer.connection.peer.ip();
        let seconds = PASSWORD_WAIT_LONGEST.as_secs();
        let hub = Arc::clone(&self.newcomer.hub);
        let Some(turn) = hub.guesses.line_up(address, Instant::now()) else {
            return Err(self.refuse("", Refusal::TooManyWrongPasswords { seconds }));
        };
        loop {
            match turn.attempt(Instant::now(), &is_right) {
                Attempt::Right => {
                    self.deadline += came.elapsed();
                    return Ok(None);
                }
                Attempt::Wrong(pause) => {
                    self.deadline += came.elapsed() + pause;
                    return Ok(Some(pause));
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
        let connection = &mut self.newcomer.connection;
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
        let message = Box::pin(timeout_at(self.deadline, self.newcomer.connection.message())).await;
        Ok(message.map_err(|_| Unregistered::TooLate)??)
    }

    /// Sends a text, if the client takes it in time.
    async fn send(&mut self, text: &str) -> Result<(), Unregistered> {
        let written = Box::pin(timeout_at(self.deadline, self.newcomer.connection.write_now(text))).await;
        Ok(written.map_err(|_| Unregistered::TooLate)??)
    }

    /// Logs a refusal.
    fn refuse(&mut self, what: &str, refusal: Refusal) -> Unregistered {
        let peer = self.newcomer.connection.peer;
        self.newcomer.hub.count_refusal(refusal.cause());
        warn!(event = "refusal", %peer, "Refused {}{what}: {refusal}", Peer(peer));
        self.refused = true;
        Unregistered::Refused { refusal, told_after: Duration::ZERO }
    }

    /// Why a newcomer must go: others need its place, or the server ends.
    fn give_way(&mut self) -> Unregistered {
        if self.newcomer.hub.is_closed() {
            return Unregistered::ServerStopped;
        }
        self.refuse("", Refusal::TooManyNewcomers)
    }

    /// Tells somebody why there is no place for it.
    async fn turn_away(&mut self, refusal: Refusal) -> Ending {
        self.refuse("", refusal);
        let notice = Notice::NotConnected(refusal);
        tokio::select! {
            biased;
            () = self.newcomer.place.gives_way() => Ending::Broken,
            ending = self.tell_finally(&notice) => ending,
        }
    }

    async fn part_unless_another_needs_the_place(&mut self, unregistered: Unregistered) -> Ending {
        tokio::select! {
            biased;
            () = self.newcomer.place.gives_way() => Ending::Broken,
            ending = self.part(unregistered) => ending,
        }
    }

    /// Says why somebody was not let in.
    async fn part(&mut self, unregistered: Unregistered) -> Ending {
        let (peer, awaited) = (self.newcomer.connection.peer, self.awaited.as_str());
        let notice = match unregistered {
            Unregistered::Refused { refusal, told_after } => {
                tokio::select! {
                    biased;
                    () = sleep(told_after) => {}
                    () = self.newcomer.hub.closed() => {}
                }
                Notice::NotJoined(refusal)
            }
            Unregistered::ServerStopped => {
                warn!(event = "refusal", %peer, "Closed {}: the server stopped", Peer(peer));
                Notice::Session(SessionNotice::ShuttingDown)
            }
            Unregistered::TooLate => {
                self.newcomer.hub.count_refusal("not_registered_in_time");
                warn!(event = "refusal", %peer, "Closed {}: no {awaited} in time", Peer(peer));
                Notice::TooLate(awaited)
            }
            Unregistered::Gone => {
                // A client that was refused and then left is one event.
                if !self.refused {
                    warn!(event = "refusal", %peer, "{} left without a {awaited}", Peer(peer));
                }
                return Ending::Broken;
            }
        };
        // A client that has not even taken the request for its nickname, or has not completed its TLS
        // handshake, would not take this either.
        if self.newcomer.connection.flushed { self.tell_finally(&notice).await } else { Ending::Broken }
    }

    /// Writes the last line to somebody who is not a member.
    async fn tell_finally(&mut self, notice: &Notice<'_>) -> Ending {
        let end = if self.newcomer.connection.framing == Framing::Lines { "\n" } else { "" };
        let line = format!("{notice}{end}");
        let told =
            timeout(self.newcomer.hub.limits().write_timeout, self.newcomer.connection.write_now(&line))
                .await;
        if let Ok(Ok(())) = told { Ending::InOrder } else { Ending::Broken }
    }
}
