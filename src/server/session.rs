//! One connection, from its first byte to its last.
//!
//! A session registers (the nickname), then runs two loops side by side until one of them ends:
//! [`listen`] brings what the member sends to the room, [`deliver`] takes what
//! the room has for the member to the socket. Neither waits for the other, and none of them for
//! another session.
//!
//! A session takes as much memory as its largest state, and most of its life it is idle. Whatever
//! would be larger than that is therefore boxed while it lasts: answers to a nickname, timers, the
//! end. An `async fn` keeps its arguments twice, so it takes few: one reference to what several need.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::admission::Attempt;
use super::admission::NoPlace;
use super::admission::RateLimiter;
use super::connection::{self, Incoming, Outgoing, Wrote};
use super::disconnect_reason::DisconnectReason;
use super::hub::{Handled, Hub};
use super::limits::NICKNAME_ATTEMPTS;
use crate::net::{Peer, Stream};
use crate::protocol::{Framing, NICKNAME_REQUEST, Nickname, Notice, PASSWORD_REQUEST, Password, Refusal};
use crate::room::MemberId;

/// One connection, from its first byte to its last.
pub(super) struct Session<'a, S> {
    incoming: Incoming<'a, S>,
    outgoing: Outgoing<'a, S>,
    peer: &'a SocketAddr,
    room: &'a Hub,
}

/// A member, as what it sends is handled.
pub(super) struct Member<'a> {
    pub(super) id: MemberId,
    pub(super) peer: &'a SocketAddr,
    /// The nickname it chose when it came, as it was typed: what the report's client will put in front of
    /// its messages for ever, whatever normalisation and `/nick` have made of it.
    pub(super) chosen: Arc<str>,
    /// It has sent `/ping`, and so will go on sending something.
    pub(super) pings: bool,
    /// How fast it may send.
    pub(super) bucket: RateLimiter,
}

impl<'a, S: Stream> Session<'a, S> {
    pub(super) fn new(stream: &'a Mutex<S>, peer: &'a SocketAddr, room: &'a Hub) -> Self {
        let (incoming, outgoing) = connection::open(stream);
        Self { incoming, outgoing, peer, room }
    }

    /// Takes the connection on, until it ends for whatever reason.
    pub(super) async fn run(&mut self) {
        debug!(peer = %self.peer, "accepted");
        let room = self.room;
        // Counted here and not where it was accepted: by now every session that was started before has
        // noticed whether its peer is gone already.
        let (_entered, no_place) =
            room.addresses.enter(self.peer.ip(), room.limits().connections_per_address);
        match no_place {
            None => {}
            Some(NoPlace::Told(refusal)) => return Box::pin(self.turn_away(refusal)).await,
            Some(NoPlace::Closed) => return,
        }
        let Some((id, chosen)) = self.admit().await else { return };
        if self.converse(id, chosen).await {
            Box::pin(self.close()).await;
        }
    }

    /// Tells somebody why there is no place for it.
    pub(super) async fn turn_away(&mut self, refusal: Refusal) {
        self.room.count_refusal(refusal.cause());
        warn!(event = "refusal", peer = %self.peer, "Refused {}: {refusal}", Peer(*self.peer));
        if self.tell_finally(&Notice::NotConnected(refusal)).await {
            self.close().await;
        }
    }

    /// Makes the connection a member, or sees it off.
    async fn admit(&mut self) -> Option<(MemberId, Arc<str>)> {
        let room = self.room;
        let mut awaited = Awaited::Nickname;
        let patience = room.limits().registration_timeout;
        let registered = tokio::select! {
            biased;
            registered = timeout(patience, self.register(&mut awaited)) => registered,
            () = Box::pin(room.closed()) => Ok(Err(Unregistered::ServerStopped)),
        };
        match registered.unwrap_or(Err(Unregistered::TooLate)) {
            Ok(member) => Some(member),
            Err(unregistered) => {
                if Box::pin(self.part(unregistered, awaited)).await {
                    Box::pin(self.close()).await;
                }
                None
            }
        }
    }

    /// Asks for a nickname until one is accepted, which also decides the framing; and behind the first
    /// that is one, for the password of the room. `awaited` is which of the two.
    async fn register(&mut self, awaited: &mut Awaited) -> Result<(MemberId, Arc<str>), Unregistered> {
        self.outgoing.write_now(NICKNAME_REQUEST).await?;
        let mut password = self.room.password();
        let mut attempts_left = NICKNAME_ATTEMPTS;
        loop {
            let answer = self.incoming.message().await?;
            attempts_left -= 1;
            let considered = Box::pin(self.consider(answer, &mut password, awaited, attempts_left > 0)).await;
            if let Some(member) = considered? {
                return Ok(member);
            }
        }
    }

    /// Lets somebody in by the nickname that it has asked for, or says why not, and whether it may try
    /// `again`.
    async fn consider(
        &mut self,
        answer: Result<String, Refusal>,
        password: &mut Option<&Password>,
        awaited: &mut Awaited,
        again: bool,
    ) -> Result<Option<(MemberId, Arc<str>)>, Unregistered> {
        let wanted: Box<str> = answer.as_ref().map_or("", |name| name.as_str()).into();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from));
        let framing = self.incoming.decoder.framing().unwrap_or(Framing::Report);
        self.outgoing.framing = framing;
        if let Some(password) = password.take_if(|_| chosen.is_ok()) {
            *awaited = Awaited::Password;
            self.ask_password(&wanted, password).await?;
            *awaited = Awaited::Nickname;
        }
        match chosen.and_then(|nickname| Ok((self.room.join(&nickname, *self.peer)?, nickname))) {
            Ok((id, nickname)) => {
                debug!(peer = %self.peer, ?framing, "registered");
                if framing == Framing::Report {
                    self.incoming.decoder.set_report_prefix(&format!("{wanted}: "));
                }
                // As a rule it is the same, and then it is shared.
                let chosen = Arc::from(nickname);
                Ok(Some((id, if *wanted == *chosen { chosen } else { wanted.into() })))
            }
            Err(refusal) => {
                // The report's client takes any line for chat, so asking it again is in vain.
                let again = again && framing == Framing::Lines;
                self.refuse(&format!(" the nickname \"{}\"", wanted.escape_debug()), refusal, again).await?;
                if again { Ok(None) } else { Err(Unregistered::Refused) }
            }
        }
    }

    /// Asks for the password of the room, once. Until it has come nothing is said about who is here, and no
    /// nickname is taken.
    async fn ask_password(&mut self, chosen: &str, password: &Password) -> Result<(), Unregistered> {
        let framing = self.outgoing.framing;
        let end = if framing == Framing::Lines { "\n" } else { "" };
        self.outgoing.write_now(&format!("{PASSWORD_REQUEST}{end}")).await?;
        // What is no text is no password either.
        let answer = self.incoming.message().await?.unwrap_or_default();
        // The report's client knows no passwords: it sends what is typed as a message.
        let typed = answer.strip_prefix(&format!("{chosen}: ")).filter(|_| framing == Framing::Report);
        let given = typed.unwrap_or(&answer);
        loop {
            match self.room.guesses.attempt(self.peer.ip(), Instant::now(), || password.is(given)) {
                Attempt::Right => return Ok(()),
                Attempt::Wrong => break,
                // At the most until the registration has taken too long.
                Attempt::TooEarly(pause) => sleep(pause).await,
            }
        }
        self.refuse("", Refusal::WrongPassword, false).await?;
        Err(Unregistered::Refused)
    }

    /// Refuses somebody what it wished for; it may try `again`.
    async fn refuse(&mut self, what: &str, refusal: Refusal, again: bool) -> io::Result<()> {
        let peer = *self.peer;
        self.room.count_refusal(refusal.cause());
        warn!(event = "refusal", %peer, "Refused {}{what}: {refusal}", Peer(peer));
        let notice = Notice::NotJoined(refusal);
        let text = match self.outgoing.framing {
            Framing::Report => notice.to_string(),
            Framing::Lines if again => format!("{notice}\n{NICKNAME_REQUEST}\n"),
            Framing::Lines => format!("{notice}\n"),
        };
        self.outgoing.write_now(&text).await
    }

    /// Says why somebody was not let in. Returns whether the connection can be closed in order.
    async fn part(&mut self, unregistered: Unregistered, awaited: Awaited) -> bool {
        let (peer, awaited) = (*self.peer, awaited.as_str());
        let (reason, notice) = match unregistered {
            Unregistered::Refused => return true,
            Unregistered::ServerStopped => ("the server stopped".to_owned(), Notice::ShuttingDown),
            Unregistered::TooLate => {
                self.room.count_refusal("not_registered_in_time");
                (format!("no {awaited} in time"), Notice::TooLate(awaited))
            }
            Unregistered::Gone => {
                warn!(event = "refusal", %peer, "{} left without a {awaited}", Peer(peer));
                return false;
            }
        };
        warn!(event = "refusal", %peer, "Closed {}: {reason}", Peer(peer));
        // Who has not even taken the request for its nickname, or has not come through the handshake
        // of an encrypted connection, would not take this either.
        self.outgoing.flushed && self.tell_finally(&notice).await
    }

    /// Writes the last line that somebody who is no member is sent. Returns whether it was taken.
    async fn tell_finally(&mut self, notice: &Notice<'_>) -> bool {
        let end = if self.outgoing.framing == Framing::Lines { "\n" } else { "" };
        let line = format!("{notice}{end}");
        let told = timeout(self.room.limits().write_timeout, self.outgoing.write_now(&line)).await;
        matches!(told, Ok(Ok(())))
    }

    /// Lets a member talk and hear until it leaves, and sees it off. Returns whether the connection
    /// can be closed in order.
    async fn converse(&mut self, id: MemberId, chosen: Arc<str>) -> bool {
        let Self { incoming, outgoing, peer, room } = self;
        let bucket = RateLimiter::full(Instant::now());
        let mut member = Member { id, peer, chosen, pings: false, bucket };
        let place = Place { id, room };
        let departure = tokio::select! {
            biased;
            departure = listen(incoming, &mut member, &place) => departure,
            delivered = deliver(outgoing, &place) => match delivered {
                Ok(()) => DisconnectReason::ServerStopped,
                Err(departure) => departure,
            },
        };
        place.room.leave(id, departure);
        match departure {
            DisconnectReason::Wish | DisconnectReason::ServerStopped => {
                let rest = deliver(outgoing, &place);
                matches!(Box::pin(timeout(place.room.limits().shutdown_grace, rest)).await, Ok(Ok(())))
            }
            _ => false,
        }
    }

    /// Closes the connection so that what was written last arrives.
    async fn close(&mut self) {
        connection::close(&mut self.incoming, &mut self.outgoing).await;
    }
}

impl<S> Drop for Session<'_, S> {
    fn drop(&mut self) {
        debug!(peer = %self.peer, "closed");
    }
}

/// A member's place in the room, which is free again when this is dropped, however the session ends.
struct Place<'a> {
    id: MemberId,
    room: &'a Hub,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.room.leave(self.id, DisconnectReason::InternalError);
        }
        self.room.forget(self.id);
    }
}

/// Brings what a member sends to the room.
async fn listen<S: Stream>(
    incoming: &mut Incoming<'_, S>,
    member: &mut Member<'_>,
    place: &Place<'_>,
) -> DisconnectReason {
    loop {
        if place.room.somebody_is_far_behind() {
            Box::pin(place.room.back_pressure()).await;
        }
        match place.room.handle_messages(member, &mut incoming.decoder) {
            Handled::Quit => return DisconnectReason::Wish,
            // Who sends too fast is read later. Its deliveries go on meanwhile; that it leaves is
            // noticed behind what it has sent.
            Handled::Slowed(pause) => {
                Box::pin(sleep(pause)).await;
                continue;
            }
            Handled::Some => {
                yield_now().await;
                continue;
            }
            Handled::All => {}
        }
        // A member that sends without a pause must not keep its own deliveries waiting.
        yield_now().await;
        let read = if member.pings {
            Box::pin(timeout(place.room.limits().ping_timeout, incoming.read())).await
        } else {
            Ok(incoming.read().await)
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return DisconnectReason::Wish,
            Ok(Err(error)) => return error.into(),
            Err(_) => return DisconnectReason::TimedOut,
        }
    }
}

/// Takes what the room has for a member to its socket, until there will never be anything more.
///
/// Can be cancelled and called again: the cursor says what has been taken.
async fn deliver<S: Stream>(
    outgoing: &mut Outgoing<'_, S>,
    place: &Place<'_>,
) -> Result<(), DisconnectReason> {
    loop {
        let mut wrote = poll_fn(|context| outgoing.poll_deliver(context, place.id, place.room)).await?;
        if wrote == Wrote::Nothing {
            // Only a socket that does not take at once what there is needs a timer.
            let writable = poll_fn(|context| match outgoing.poll_deliver(context, place.id, place.room) {
                Poll::Ready(Ok(Wrote::Nothing)) => Poll::Pending,
                progress => progress,
            });
            let in_time = Box::pin(timeout(place.room.limits().write_timeout, writable)).await;
            wrote = in_time.unwrap_or(Err(DisconnectReason::Stalled))?;
        }
        if wrote == Wrote::Everything {
            return Ok(());
        }
        if wrote == Wrote::Part {
            // Who has much to catch up with must not keep others waiting.
            yield_now().await;
        }
    }
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
