//! The client without a terminal: connect, hear, speak.
//!
//! [`connect`] gives two halves that work side by side in one task: a [`Receiver`] of [`Event`]s
//! and a [`Sender`] of lines. What a person sees of it is the business of
//! [`terminal`](crate::terminal).

mod heartbeat;
mod receipts;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

pub use heartbeat::{Beat, Heartbeat, PING_INTERVAL, SILENCE_TIMEOUT};
pub use receipts::{Receipt, Receipts};

use crate::net::{Connect, Stream};
use crate::protocol::{Decoder, Framing, NICKNAME_REQUEST, Nickname, PASSWORD_REQUEST, Password, Refusal};

/// The longest line that is taken from a server, in bytes. The longest of ours is the answer to
/// `/who`, a hundred nicknames of 32 characters and so some 13,000 bytes; the report's merges messages.
pub const RECEIVED_LINE_BYTES: usize = 64 * 1_024;

/// How much is read at once.
pub const READ_BYTES: usize = 16 * 1_024;

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client that leaves waits for the server to take what is still to be written, and to
/// close the connection too.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Something that came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It asks for a nickname; [`Sender::name`] answers.
    NicknameRequest,
    /// It asks for the password of the room; [`Sender::password`] answers.
    PasswordRequest,
    /// A line; [`Heard::parse`](crate::protocol::Heard::parse) tells whom it is for.
    Line(String),
    /// Something that cannot be shown.
    Unreadable(Refusal),
}

/// Connects to a server.
///
/// # Errors
///
/// What the network says, or [`io::ErrorKind::TimedOut`] after [`CONNECT_TIMEOUT`].
pub async fn connect<N: Connect>(
    network: &N,
    address: &str,
    framing: Framing,
) -> io::Result<(Receiver<N::Stream>, Sender<N::Stream>)> {
    let stream = timeout(CONNECT_TIMEOUT, network.connect(address)).await??;
    Ok(halves(stream, framing))
}

/// The two halves of a connection.
pub(crate) fn halves<S: Stream>(stream: S, framing: Framing) -> (Receiver<S>, Sender<S>) {
    let (reader, writer) = tokio::io::split(stream);
    let receiver = Receiver {
        reader,
        decoder: Decoder::with_framing(framing).with_line_bytes(RECEIVED_LINE_BYTES),
        framing,
        greeting: Some(Vec::new()),
        buffer: vec![0; READ_BYTES].into(),
        heard_nothing: true,
        ended: false,
    };
    let sender = Sender { writer, framing, prefix: String::new(), bytes: Vec::new(), written: 0 };
    (receiver, sender)
}

/// Leaves in order: what is queued is written, and the server closes the connection too. At most
/// [`LEAVE_TIMEOUT`], since a server that has stopped reading may never take it.
pub async fn leave<S: Stream>(receiver: Receiver<S>, mut sender: Sender<S>) {
    let left = async {
        if sender.end().await.is_ok() {
            receiver.drain().await;
        }
    };
    // Who leaves does not care how the connection ends after that.
    let _ = timeout(LEAVE_TIMEOUT, left).await;
}

/// The half that hears.
#[derive(Debug)]
pub struct Receiver<S> {
    reader: ReadHalf<S>,
    decoder: Decoder,
    framing: Framing,
    /// The first bytes, until they can be told to be the request for a nickname, which no newline
    /// ends.
    greeting: Option<Vec<u8>>,
    buffer: Box<[u8]>,
    /// Nothing has come behind the first request for a nickname.
    heard_nothing: bool,
    ended: bool,
}

impl<S: Stream> Receiver<S> {
    /// Waits for the next event; `None` when the server has closed the connection.
    ///
    /// Can be cancelled without losing anything.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.next_received() {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            match self.reader.read(&mut self.buffer).await? {
                0 => self.end(),
                length => self.take(length),
            }
        }
    }

    /// The next event of what has been received already.
    pub fn next_received(&mut self) -> Option<Event> {
        if let Some(greeting) = &mut self.greeting {
            let request = NICKNAME_REQUEST.as_bytes();
            if greeting.len() < request.len() && request.starts_with(greeting) {
                return None;
            }
            let rest = greeting.strip_prefix(request).map(<[u8]>::to_vec);
            let greeting = self.greeting.take().unwrap_or_default();
            if let Some(rest) = rest {
                self.decoder.push(&rest);
                return Some(Event::NicknameRequest);
            }
            self.decoder.push(&greeting);
        }
        let message = self.decoder.next_message()?;
        let is_first = std::mem::replace(&mut self.heard_nothing, false);
        Some(match message {
            // In lines no text of a member can stand alone; in the report's framing it can, and
            // the report's own client falls for it.
            Ok(NICKNAME_REQUEST) if self.framing == Framing::Lines => Event::NicknameRequest,
            Ok(PASSWORD_REQUEST) if self.framing == Framing::Lines || is_first => Event::PasswordRequest,
            Ok(line) => Event::Line(line.to_owned()),
            Err(refusal) => Event::Unreadable(refusal),
        })
    }

    /// Reads on until the server has closed too, so that nothing that was sent last is lost to a
    /// reset; at most [`LEAVE_TIMEOUT`].
    pub async fn drain(mut self) {
        let closed = async { while let Ok(Some(_)) = self.next().await {} };
        // Who leaves does not care how the connection ends after that.
        let _ = timeout(LEAVE_TIMEOUT, closed).await;
    }

    fn take(&mut self, length: usize) {
        let bytes = &self.buffer[..length];
        match &mut self.greeting {
            Some(greeting) => greeting.extend_from_slice(bytes),
            None => self.decoder.push(bytes),
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(greeting) = self.greeting.take() {
            self.decoder.push(&greeting);
        }
    }
}

/// The half that speaks.
#[derive(Debug)]
pub struct Sender<S> {
    writer: WriteHalf<S>,
    framing: Framing,
    /// `<nickname>: `, which the report's client puts in front of everything it says.
    prefix: String,
    bytes: Vec<u8>,
    written: usize,
}

impl<S: Stream> Sender<S> {
    /// Queues the answer to [`Event::NicknameRequest`].
    pub fn name(&mut self, nickname: &Nickname) {
        self.prefix = format!("{nickname}: ");
        self.queue(&[nickname.as_str()]);
    }

    /// Queues the answer to [`Event::PasswordRequest`].
    pub fn password(&mut self, password: &Password) {
        self.queue(&[password.secret()]);
    }

    /// Queues a line as it was typed: a text or a command.
    pub fn line(&mut self, line: &str) {
        let prefix = std::mem::take(&mut self.prefix);
        self.queue(&[&prefix, line]);
        self.prefix = prefix;
    }

    /// Queues a text that is to be said as it stands, even if it begins like a command.
    pub fn text(&mut self, text: &str) {
        // The report's own server knows no commands, and so nothing that is to be taken literally.
        if self.framing == Framing::Lines && text.starts_with('/') {
            self.line(&format!("/{text}"));
        } else {
            self.line(text);
        }
    }

    /// Whether everything that was queued is written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes what is queued. Can be cancelled and called again.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.written < self.bytes.len() {
            match self.writer.write(&self.bytes[self.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.written += written,
            }
        }
        self.writer.flush().await?;
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }

    /// Writes what is queued and tells the server that nothing more will come.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub async fn end(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.writer.shutdown().await
    }

    fn queue(&mut self, parts: &[&str]) {
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        if self.framing == Framing::Lines {
            self.bytes.push(b'\n');
        }
    }
}
