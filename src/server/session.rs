//! One connection, from its first byte to its last.
//!
//! A session registers (the nickname), then runs two loops side by side until one of them ends:
//! [`listen`] brings what the member sends to the room, [`deliver`] takes what
//! the room has for the member to the socket. Neither waits for the other, and none of them for
//! another session.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::addresses::NoPlace;
use super::bucket::Bucket;
use super::connection::{self, Incoming, Outgoing, Wrote};
use super::departure::Departure;
use super::guesses::Attempt;
use super::limits::NICKNAME_ATTEMPTS;
use super::shared::{Handled, SharedRoom};
use crate::net::{Peer, Stream};
use crate::protocol::{Framing, NICKNAME_REQUEST, Nickname, Notice, PASSWORD_REQUEST, Password, Refusal};
use crate::room::MemberId;

/// A member, as its session knows it.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) peer: SocketAddr,
    /// The nickname it chose when it came: what the report's client will put in front of its
    /// messages for ever, whatever `/nick` has made of it since.
    pub(super) chosen: Nickname,
    /// It has sent `/ping`, and so will go on sending something.
    pub(super) pings: bool,
    /// How fast it may send.
    pub(super) bucket: Bucket,
}

/// Takes a connection on, until it ends for whatever reason.
///
/// A session takes as much memory as its largest state, and most of its life it is idle. Whatever
/// a member does not do while it is idle is therefore boxed, here and below: registering, timers,
/// the end.
pub(super) async fn run<S: Stream>(stream: S, peer: SocketAddr, room: Arc<SharedRoom>) {
    debug!(%peer, "accepted");
    // Counted here and not where it was accepted: by now every session that was started before has
    // noticed whether its peer is gone already.
    let (_entered, no_place) = room.addresses.enter(peer.ip(), room.limits().connections_per_address);
    match no_place {
        None => {}
        Some(NoPlace::Told(refusal)) => return turn_away(stream, peer, refusal, Arc::clone(&room)).await,
        Some(NoPlace::Closed) => return,
    }
    let (mut incoming, mut outgoing) = connection::open(stream);
    let mut awaited = "nickname";
    let patience = room.limits().registration_timeout;
    let registered = tokio::select! {
        biased;
        registered = Box::pin(timeout(patience, register(&mut incoming, &mut outgoing, peer, &room, &mut awaited))) => registered,
        () = room.closed() => Ok(Err(Unregistered::ServerStopped)),
    };
    let in_order = match registered.unwrap_or(Err(Unregistered::TooLate)) {
        Ok(mut member) => converse(&mut incoming, &mut outgoing, &mut member, &room).await,
        Err(unregistered) => Box::pin(part(&mut outgoing, peer, unregistered, awaited, &room)).await,
    };
    if in_order {
        Box::pin(connection::close(incoming, outgoing)).await;
    }
    debug!(%peer, "closed");
}

/// Tells somebody why there is no place for it.
pub(super) async fn turn_away<S: Stream>(
    stream: S,
    peer: SocketAddr,
    refusal: Refusal,
    room: Arc<SharedRoom>,
) {
    let (incoming, mut outgoing) = connection::open(stream);
    room.count_refusal(refusal.cause());
    warn!(event = "refusal", %peer, "Refused {}: {refusal}", Peer(peer));
    let line = format!("{}\n", Notice::NotConnected(refusal));
    let told = timeout(room.limits().write_timeout, outgoing.write_now(&line)).await;
    if matches!(told, Ok(Ok(()))) {
        connection::close(incoming, outgoing).await;
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

/// Asks for a nickname until one is accepted, which also decides the framing; and behind the first that is
/// one, for the password of the room. `awaited` is which of the two.
async fn register<S: Stream>(
    incoming: &mut Incoming<S>,
    outgoing: &mut Outgoing<S>,
    peer: SocketAddr,
    room: &SharedRoom,
    awaited: &mut &'static str,
) -> Result<Member, Unregistered> {
    outgoing.write_now(NICKNAME_REQUEST).await?;
    let mut password = room.password();
    for attempt in 1..=NICKNAME_ATTEMPTS {
        let answer = incoming.message().await?;
        let wanted = answer.as_ref().map_or("", |name| name.as_str()).escape_debug().to_string();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from));
        outgoing.framing = incoming.decoder.framing().unwrap_or(Framing::Report);
        if let (Ok(nickname), Some(password)) = (&chosen, password.take_if(|_| chosen.is_ok())) {
            *awaited = "password";
            ask_password(incoming, outgoing, peer, nickname, password, room).await?;
            *awaited = "nickname";
        }
        match chosen.and_then(|nickname| Ok((room.join(&nickname, peer)?, nickname))) {
            Ok((id, chosen)) => {
                debug!(%peer, framing = ?outgoing.framing, "registered");
                if outgoing.framing == Framing::Report {
                    incoming.decoder.set_report_prefix(&format!("{chosen}: "));
                }
                let bucket = Bucket::full(room.limits().rate, Instant::now());
                return Ok(Member { id, peer, chosen, pings: false, bucket });
            }
            Err(refusal) => {
                room.count_refusal(refusal.cause());
                warn!(event = "refusal", %peer, "Refused {} the nickname \"{wanted}\": {refusal}", Peer(peer));
                // The report's client takes any line for chat, so asking it again is in vain.
                let again = outgoing.framing == Framing::Lines && attempt < NICKNAME_ATTEMPTS;
                outgoing.write_now(&refused_nickname(refusal, outgoing.framing, again)).await?;
                if !again {
                    break;
                }
            }
        }
    }
    Err(Unregistered::Refused)
}

/// Asks for the password of the room, once. Until it has come nothing is said about who is here, and no
/// nickname is taken.
async fn ask_password<S: Stream>(
    incoming: &mut Incoming<S>,
    outgoing: &mut Outgoing<S>,
    peer: SocketAddr,
    nickname: &Nickname,
    password: &Password,
    room: &SharedRoom,
) -> Result<(), Unregistered> {
    let end = if outgoing.framing == Framing::Lines { "\n" } else { "" };
    outgoing.write_now(&format!("{PASSWORD_REQUEST}{end}")).await?;
    // What is no text is no password either.
    let answer = incoming.message().await?.unwrap_or_default();
    // The report's client knows no passwords: it sends what is typed as a message.
    let typed = answer.strip_prefix(&format!("{nickname}: ")).filter(|_| outgoing.framing == Framing::Report);
    let given = typed.unwrap_or(&answer);
    loop {
        match room.guesses.attempt(peer.ip(), Instant::now(), || password.is(given)) {
            Attempt::Right => return Ok(()),
            Attempt::Wrong => break,
            // At the most until the registration has taken too long.
            Attempt::TooEarly(pause) => sleep(pause).await,
        }
    }
    let refusal = Refusal::WrongPassword;
    room.count_refusal(refusal.cause());
    warn!(event = "refusal", %peer, "Refused {}: {refusal}", Peer(peer));
    outgoing.write_now(&refused_nickname(refusal, outgoing.framing, false)).await?;
    Err(Unregistered::Refused)
}

fn refused_nickname(refusal: Refusal, framing: Framing, again: bool) -> String {
    let notice = Notice::NotJoined(refusal);
    match framing {
        Framing::Report => notice.to_string(),
        Framing::Lines if again => format!("{notice}\n{NICKNAME_REQUEST}\n"),
        Framing::Lines => format!("{notice}\n"),
    }
}

/// Says why somebody was not let in. Returns whether the connection can be closed in order.
async fn part<S: Stream>(
    outgoing: &mut Outgoing<S>,
    peer: SocketAddr,
    unregistered: Unregistered,
    awaited: &'static str,
    room: &SharedRoom,
) -> bool {
    let (reason, notice) = match unregistered {
        Unregistered::Refused => return true,
        Unregistered::ServerStopped => ("the server stopped".to_owned(), Notice::ShuttingDown),
        Unregistered::TooLate => {
            room.count_refusal("not_registered_in_time");
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
    if !outgoing.flushed {
        return false;
    }
    let line = format!("{notice}\n");
    let told = timeout(room.limits().write_timeout, outgoing.write_now(&line)).await;
    matches!(told, Ok(Ok(())))
}

/// Lets a member talk and hear until it leaves, and sees it off. Returns whether the connection
/// can be closed in order.
async fn converse<S: Stream>(
    incoming: &mut Incoming<S>,
    outgoing: &mut Outgoing<S>,
    member: &mut Member,
    room: &SharedRoom,
) -> bool {
    let id = member.id;
    let _guard = LeaveOnPanic { id, room };
    let taken = Notify::new();
    let departure = tokio::select! {
        biased;
        departure = listen(incoming, member, room, &taken) => departure,
        delivered = deliver(outgoing, id, room, &taken) => match delivered {
            Ok(()) => Departure::ServerStopped,
            Err(departure) => departure,
        },
    };
    room.leave(id, departure);
    let in_order = match departure {
        Departure::Wish | Departure::ServerStopped => {
            let rest = deliver(outgoing, id, room, &taken);
            matches!(Box::pin(timeout(room.limits().shutdown_grace, rest)).await, Ok(Ok(())))
        }
        _ => false,
    };
    room.forget(id);
    in_order
}

/// Brings what a member sends to the room.
async fn listen<S: Stream>(
    incoming: &mut Incoming<S>,
    member: &mut Member,
    room: &SharedRoom,
    taken: &Notify,
) -> Departure {
    loop {
        match room.handle_messages(member, &mut incoming.decoder) {
            Handled::Quit => return Departure::Wish,
            Handled::AnswersFirst => {
                Box::pin(taken.notified()).await;
                continue;
            }
            // Who sends too fast is read later. Its deliveries go on meanwhile; that it leaves is
            // noticed behind what it has sent.
            Handled::Slowed(pause) => {
                Box::pin(sleep(pause)).await;
                continue;
            }
            Handled::All if room.somebody_is_far_behind() => Box::pin(room.back_pressure()).await,
            Handled::All => {}
        }
        // A member that sends without a pause must not keep its own deliveries waiting.
        yield_now().await;
        let read = if member.pings {
            Box::pin(timeout(room.limits().ping_timeout, incoming.read())).await
        } else {
            Ok(incoming.read().await)
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Departure::Wish,
            // What TCP says when its own probes are not answered.
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => return Departure::TimedOut,
            Ok(Err(_)) => return Departure::Reset,
            Err(_) => return Departure::TimedOut,
        }
    }
}

/// Takes what the room has for a member to its socket, until there will never be anything more.
///
/// Can be cancelled and called again: the cursor says what has been taken.
async fn deliver<S: Stream>(
    outgoing: &mut Outgoing<S>,
    id: MemberId,
    room: &SharedRoom,
    taken: &Notify,
) -> Result<(), Departure> {
    loop {
        let mut wrote = poll_fn(|context| outgoing.poll_deliver(context, id, room)).await?;
        if wrote == Wrote::Nothing {
            // Only a socket that does not take at once what there is needs a timer.
            let writable = poll_fn(|context| match outgoing.poll_deliver(context, id, room) {
                Poll::Ready(Ok(Wrote::Nothing)) => Poll::Pending,
                progress => progress,
            });
            let in_time = Box::pin(timeout(room.limits().write_timeout, writable)).await;
            wrote = in_time.unwrap_or(Err(Departure::Stalled))?;
        }
        if wrote == Wrote::Everything {
            return Ok(());
        }
        taken.notify_one();
    }
}

/// Sees to it that a member whose session panics does not stay in the room as a ghost.
struct LeaveOnPanic<'a> {
    id: MemberId,
    room: &'a SharedRoom,
}

impl Drop for LeaveOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.room.leave(self.id, Departure::InternalError);
            self.room.forget(self.id);
        }
    }
}
