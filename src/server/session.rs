//! One connection, from its first byte to its last.
//!
//! A session registers (the nickname), then runs two loops side by side until one of them ends:
//! [`Session::listen`] brings what the member sends to the room, [`Session::deliver`] takes what
//! the room has for the member to the socket. Neither waits for the other, and none of them for
//! another session.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::{debug, trace, warn};

use super::limits::{LINGER, NICKNAME_ATTEMPTS, READ_BYTES, SILENCE};
use super::shared::{Departure, Handled, SharedRoom};
use crate::net::{Peer, Stream};
use crate::protocol::{Decoder, Framing, NICKNAME_REQUEST, Nickname, Notice, Refusal};
use crate::room::{MemberId, Read};

/// A member, as its session knows it.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) peer: SocketAddr,
    /// The nickname it chose when it came: what the report's client will put in front of its
    /// messages for ever, whatever `/nick` has made of it since.
    pub(super) chosen: Nickname,
}

/// Takes a connection on, until it ends for whatever reason.
pub(super) async fn run<S: Stream>(stream: S, peer: SocketAddr, room: Arc<SharedRoom>) {
    debug!(%peer, "accepted");
    let (reader, writer) = tokio::io::split(stream);
    let mut incoming = Incoming { reader, decoder: Decoder::new() };
    let mut outgoing = Outgoing::new(writer);

    let patience = room.limits().registration_timeout;
    let registered = tokio::select! {
        biased;
        registered = timeout(patience, register(&mut incoming, &mut outgoing, peer, &room)) => registered,
        () = room.closed() => Ok(Err(Unregistered::ServerStopped)),
    };
    let in_order = match registered.unwrap_or(Err(Unregistered::TooLate)) {
        Ok(member) => converse(&mut incoming, &mut outgoing, &member, &room).await,
        Err(unregistered) => part(&mut outgoing, peer, unregistered, &room).await,
    };
    if in_order {
        linger(incoming.reader, outgoing.writer).await;
    }
    debug!(%peer, "closed");
}

/// Tells somebody that there is no place for it.
pub(super) async fn turn_away<S: Stream>(stream: S, peer: SocketAddr, room: Arc<SharedRoom>) {
    let (reader, mut writer) = tokio::io::split(stream);
    warn!(event = "refusal", %peer, "Refused {}: {}", Peer(peer), Refusal::Full);
    let line = format!("{}\n", Notice::NotConnected(Refusal::Full));
    let told = timeout(room.limits().write_timeout, writer.write_all(line.as_bytes())).await;
    if matches!(told, Ok(Ok(()))) {
        linger(reader, writer).await;
    }
}

/// Why a connection did not become a member.
enum Unregistered {
    /// It closed, or broke.
    Gone,
    /// No nickname of it was accepted. It has been told.
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

/// Asks for a nickname until one is accepted, which also decides the framing.
async fn register<S: Stream>(
    incoming: &mut Incoming<S>,
    outgoing: &mut Outgoing<S>,
    peer: SocketAddr,
    room: &SharedRoom,
) -> Result<Member, Unregistered> {
    outgoing.write_now(NICKNAME_REQUEST).await?;
    for attempt in 1..=NICKNAME_ATTEMPTS {
        let answer = incoming.message().await?;
        let wanted = answer.as_ref().map_or("", |name| name.as_str()).escape_debug().to_string();
        let chosen = answer
            .map_err(|refusal| if refusal == Refusal::TooLong { Refusal::NicknameTooLong } else { refusal })
            .and_then(|name| Nickname::parse(&name).map_err(Refusal::from))
            .and_then(|nickname| Ok((room.join(&nickname, peer)?, nickname)));
        outgoing.framing = incoming.decoder.framing().unwrap_or(Framing::Report);
        match chosen {
            Ok((id, chosen)) => {
                debug!(%peer, framing = ?outgoing.framing, "registered");
                incoming.decoder.set_report_prefix(&format!("{chosen}: "));
                return Ok(Member { id, peer, chosen });
            }
            Err(refusal) => {
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
    room: &SharedRoom,
) -> bool {
    let (reason, notice) = match unregistered {
        Unregistered::Refused => return true,
        Unregistered::ServerStopped => ("the server stopped", Notice::ShuttingDown),
        Unregistered::TooLate => ("no nickname in time", Notice::TooLate),
        Unregistered::Gone => {
            warn!(event = "refusal", %peer, "{} left without a nickname", Peer(peer));
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
    member: &Member,
    room: &SharedRoom,
) -> bool {
    let _guard = LeaveOnPanic { id: member.id, room };
    let taken = Notify::new();
    let departure = tokio::select! {
        biased;
        departure = listen(incoming, member, room, &taken) => departure,
        delivered = deliver(outgoing, member.id, room, &taken) => match delivered {
            Ok(()) => Departure::ServerStopped,
            Err(departure) => departure,
        },
    };
    room.leave(member.id, departure);
    let in_order = match departure {
        Departure::Wish | Departure::ServerStopped => {
            let rest = deliver(outgoing, member.id, room, &taken);
            matches!(timeout(room.limits().shutdown_grace, rest).await, Ok(Ok(())))
        }
        _ => false,
    };
    room.forget(member.id);
    in_order
}

/// Brings what a member sends to the room.
async fn listen<S: Stream>(
    incoming: &mut Incoming<S>,
    member: &Member,
    room: &SharedRoom,
    taken: &Notify,
) -> Departure {
    loop {
        match room.handle_messages(member, &mut incoming.decoder) {
            Handled::Quit => return Departure::Wish,
            Handled::AnswersFirst => {
                taken.notified().await;
                continue;
            }
            Handled::Much => room.back_pressure().await,
            Handled::All => {}
        }
        // A member that sends without a pause must not keep its own deliveries waiting.
        yield_now().await;
        match incoming.read().await {
            Ok(true) => {}
            Ok(false) => return Departure::Wish,
            Err(_) => return Departure::Reset,
        }
    }
}

/// Takes what the room has for a member to its socket, until there will never be anything more.
///
/// Can be cancelled and called again: what was not written yet is kept.
async fn deliver<S: Stream>(
    outgoing: &mut Outgoing<S>,
    id: MemberId,
    room: &SharedRoom,
    taken: &Notify,
) -> Result<(), Departure> {
    loop {
        while !outgoing.flushed {
            match timeout(room.limits().write_timeout, outgoing.write_some()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Departure::Reset),
                Err(_) => return Err(Departure::Stalled),
            }
        }
        match room.read(id, outgoing.refill()).await {
            Ok(Read::Lines | Read::Nothing) => outgoing.frame(),
            Ok(Read::End) => return Ok(()),
            Err(_) => return Err(Departure::TooSlow),
        }
        taken.notify_one();
    }
}

/// Closes a connection so that what was written last arrives: a socket that is dropped with
/// unread input resets the connection, and the reset overtakes the data.
async fn linger<S: Stream>(mut reader: ReadHalf<S>, mut writer: WriteHalf<S>) {
    let in_order = async {
        writer.shutdown().await?;
        tokio::io::copy(&mut reader, &mut tokio::io::sink()).await
    };
    // However it ends, there is nothing more to be done for this peer.
    let _ = timeout(LINGER, in_order).await;
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

/// What comes from a peer.
struct Incoming<S> {
    reader: ReadHalf<S>,
    decoder: Decoder,
}

thread_local! {
    /// One buffer to read into for all sessions of a thread: an idle member costs none. It is
    /// borrowed only while a read is polled, never across an await.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl<S: Stream> Incoming<S> {
    /// The next whole message, as a nickname needs it.
    async fn message(&mut self) -> Result<Result<String, Refusal>, Unregistered> {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return Ok(message.map(str::to_owned));
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Err(Unregistered::Gone),
            }
        }
    }

    /// Waits for bytes, or for the silence that completes what has come, and gives them to the
    /// decoder. Returns false at the end of the stream.
    async fn read(&mut self) -> io::Result<bool> {
        let Self { reader, decoder } = self;
        if !decoder.awaits_silence() {
            return read_into(reader, decoder).await;
        }
        let read = timeout(SILENCE, read_into(reader, decoder)).await;
        read.unwrap_or_else(|_| {
            decoder.quiet();
            Ok(true)
        })
    }
}

async fn read_into<R: AsyncRead + Unpin>(reader: &mut R, decoder: &mut Decoder) -> io::Result<bool> {
    poll_fn(|context| {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer))?;
            decoder.push(buffer.filled());
            trace!(bytes = buffer.filled().len(), "read");
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        })
    })
    .await
}

/// What goes to a peer.
struct Outgoing<S> {
    writer: WriteHalf<S>,
    framing: Framing,
    bytes: Vec<u8>,
    written: usize,
    flushed: bool,
}

impl<S: Stream> Outgoing<S> {
    fn new(writer: WriteHalf<S>) -> Self {
        Self { writer, framing: Framing::Lines, bytes: Vec::new(), written: 0, flushed: true }
    }

    /// Writes a text of the handshake, as it stands.
    async fn write_now(&mut self, text: &str) -> io::Result<()> {
        self.bytes.extend_from_slice(text.as_bytes());
        self.flushed = false;
        while !self.flushed {
            self.write_some().await?;
        }
        Ok(())
    }

    /// Makes some progress with what is not written yet. Can be cancelled: nothing is written
    /// twice, and nothing is left out.
    async fn write_some(&mut self) -> io::Result<()> {
        let rest = &self.bytes[self.written..];
        if rest.is_empty() {
            self.writer.flush().await?;
            self.flushed = true;
            return Ok(());
        }
        match self.writer.write(rest).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => {
                trace!(bytes = written, "written");
                self.written += written;
                Ok(())
            }
        }
    }

    /// An empty buffer for the next lines; everything before must be written. The old one is
    /// given back, so that a member for whom nothing comes costs none.
    fn refill(&mut self) -> &mut Vec<u8> {
        self.bytes = Vec::new();
        self.written = 0;
        &mut self.bytes
    }

    /// Gives the lines that have been filled in the shape that the peer expects.
    fn frame(&mut self) {
        if self.framing == Framing::Report && self.bytes.last() == Some(&b'\n') {
            self.bytes.pop();
        }
        self.flushed = false;
    }
}
