//! A client of the server that is checked, byte by byte under the control of a case.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::subject::{Connection, Observation, Subject};
use crate::net::{Connect as _, Stream, explain};
use crate::protocol::{Framing, NICKNAME_REQUEST};

/// How long an immediate reaction may take.
pub const AT_ONCE: Duration = Duration::from_secs(2);

/// How long silence must last before nothing more is expected.
pub const QUIET: Duration = Duration::from_millis(300);

/// How much one client keeps. The largest case transfers some 6 MB.
const TRANSCRIPT_BYTES: usize = 64 * 1_024 * 1_024;

const READ_BYTES: usize = 16 * 1_024;

/// How much of a text an observation quotes, in characters.
const QUOTED_CHARACTERS: usize = 80;

/// A client of a subject.
pub type Client<S> = Peer<Connection<S>>;

/// A client that keeps everything it has received.
pub struct Peer<T> {
    pub nickname: String,
    stream: T,
    framing: Framing,
    transcript: Vec<u8>,
    /// The end of the last expected text in the transcript.
    matched: usize,
    /// How long it waits for what is expected.
    pub patience: Duration,
}

impl<T: Stream> Peer<T> {
    /// Connects and joins.
    pub async fn join<S>(subject: &mut S, nickname: &str) -> Result<Client<S>, Observation>
    where
        S: Subject,
        S::Network: crate::net::Connect<Stream = T>,
    {
        let mut peer = Self::open(subject, nickname).await?;
        peer.name().await?;
        peer.expect_welcome().await?;
        Ok(peer)
    }

    /// Connects, and neither reads nor writes.
    pub async fn open<S>(subject: &mut S, nickname: &str) -> Result<Client<S>, Observation>
    where
        S: Subject,
        S::Network: crate::net::Connect<Stream = T>,
    {
        let stream = match subject.take_first_connection() {
            Some(stream) => stream,
            None => timeout(AT_ONCE, subject.network().connect(subject.address()))
                .await
                .map_err(|_| format!("{nickname} could not connect within {AT_ONCE:?}"))?
                .map_err(|error| format!("{nickname} could not connect: {}", explain(&error)))?,
        };
        let framing = subject.framing();
        Ok(Peer {
            nickname: nickname.to_owned(),
            stream,
            framing,
            transcript: Vec::new(),
            matched: 0,
            patience: AT_ONCE,
        })
    }

    /// Waits to be asked for a nickname and gives it.
    pub async fn name(&mut self) -> Result<(), Observation> {
        self.expect(NICKNAME_REQUEST).await?;
        let nickname = self.nickname.clone();
        self.send_message(nickname.as_bytes()).await
    }

    /// Waits to be told that it has joined.
    pub async fn expect_welcome(&mut self) -> Result<(), Observation> {
        let joined = format!("{} joined the chat!", self.nickname);
        self.expect_all(&[&joined, "Connected to server!"]).await
    }

    /// Says a text as the report's client does, its nickname in front.
    pub async fn say(&mut self, text: &str) -> Result<(), Observation> {
        let message = format!("{}: {text}", self.nickname);
        self.send_message(message.as_bytes()).await
    }

    /// Sends a message as it is, followed by the delimiter of the framing.
    pub async fn send_message(&mut self, message: &[u8]) -> Result<(), Observation> {
        match self.framing {
            Framing::Report => self.send(message).await,
            Framing::Lines => self.send(&[message, b"\n"].concat()).await,
        }
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Observation> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(AT_ONCE, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{} could not send: {}", self.nickname, explain(&error))),
            Err(_) => Err(format!("the server took nothing from {} for {AT_ONCE:?}", self.nickname)),
        }
    }

    /// Closes the sending side in order.
    pub async fn end(&mut self) -> Result<(), Observation> {
        let ended = timeout(AT_ONCE, self.stream.shutdown()).await;
        // A connection that is already gone has ended as well.
        ended.map(|_| ()).map_err(|_| format!("{} could not close its connection", self.nickname))
    }

    /// Waits for a text after the last match.
    pub async fn expect(&mut self, wanted: &str) -> Result<(), Observation> {
        self.expect_all(&[wanted]).await
    }

    /// The same for several texts, in any order.
    pub async fn expect_all(&mut self, wanted: &[impl AsRef<str>]) -> Result<(), Observation> {
        let deadline = Instant::now() + self.patience;
        for text in wanted {
            while self.end_of(text.as_ref()).is_none() {
                self.read_before(deadline).await.map_err(|reason| self.missed(text.as_ref(), &reason))?;
            }
        }
        let ends = wanted.iter().filter_map(|text| self.end_of(text.as_ref()));
        self.matched = ends.max().unwrap_or(self.matched);
        Ok(())
    }

    /// The line after the last match, or the rest of one.
    pub async fn line(&mut self, wanted: &str) -> Result<String, Observation> {
        let deadline = Instant::now() + self.patience;
        loop {
            let unmatched = &self.transcript[self.matched..];
            if let Some(end) = unmatched.iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&unmatched[..end]).into_owned();
                self.matched += end + 1;
                return Ok(line);
            }
            self.read_before(deadline).await.map_err(|reason| self.missed(wanted, &reason))?;
        }
    }

    /// Reads until nothing has come for [`QUIET`], or nothing more can come.
    pub async fn listen(&mut self) {
        let deadline = Instant::now() + AT_ONCE;
        while self.read_before(deadline.min(Instant::now() + QUIET)).await.is_ok() {}
    }

    /// How often a text has come since the beginning.
    pub fn count(&self, text: &str) -> usize {
        positions(&self.transcript, text.as_bytes()).count()
    }

    /// Everything that has come, if it is text.
    pub fn text(&self) -> Result<&str, Observation> {
        match std::str::from_utf8(&self.transcript) {
            Ok(text) => Ok(text),
            // The end of a read may cut a character; the rest of it is still on its way.
            Err(error) if error.error_len().is_none() => {
                Ok(std::str::from_utf8(&self.transcript[..error.valid_up_to()]).unwrap_or_default())
            }
            Err(error) => Err(format!(
                "{} was sent bytes that are not UTF-8, after {}",
                self.nickname,
                quote_end(&self.transcript[..error.valid_up_to()])
            )),
        }
    }

    /// Reads once; says why if nothing came.
    async fn read_before(&mut self, deadline: Instant) -> Result<(), String> {
        if self.transcript.len() > TRANSCRIPT_BYTES {
            return Err(format!("in the first {TRANSCRIPT_BYTES} bytes"));
        }
        self.transcript.reserve(READ_BYTES);
        match timeout_at(deadline, self.stream.read_buf(&mut self.transcript)).await {
            Err(_) => Err(format!("within {:?}", self.patience)),
            Ok(Ok(0)) => Err("before the server closed the connection".to_owned()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("before its connection broke ({})", explain(&error))),
        }
    }

    fn end_of(&self, text: &str) -> Option<usize> {
        let unmatched = &self.transcript[self.matched..];
        positions(unmatched, text.as_bytes()).next().map(|begin| self.matched + begin + text.len())
    }

    fn missed(&self, text: &str, reason: &str) -> Observation {
        let unmatched = &self.transcript[self.matched..];
        let instead = if unmatched.is_empty() {
            "nothing came".to_owned()
        } else {
            format!("what came ends with {}", quote_end(unmatched))
        };
        format!("{} did not get {} {reason}; {instead}", self.nickname, quote_end(text.as_bytes()))
    }
}

/// All positions at which a text begins.
fn positions(bytes: &[u8], text: &[u8]) -> impl Iterator<Item = usize> {
    bytes.windows(text.len()).enumerate().filter(move |(_, window)| *window == text).map(|(begin, _)| begin)
}

/// The end of a text, on one line and harmless to a terminal.
pub fn quote_end(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let skipped = text.chars().count().saturating_sub(QUOTED_CHARACTERS);
    let end: String = text.chars().skip(skipped).collect();
    let ellipsis = if skipped > 0 { "…" } else { "" };
    format!("“{ellipsis}{}”", end.escape_debug())
}
