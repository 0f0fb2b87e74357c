//! Framing: a stream of bytes becomes messages.

use super::Refusal;
use super::keystrokes::Keystrokes;

/// The longest line that is kept, in bytes without its newline: a text of 1,024 bytes and, before it, a
/// number, the nickname prefix, and the command with its nickname, with room to spare.
pub const LINE_BYTES: usize = 1_024 + 512;

/// How messages are delimited on one connection, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Framing {
    /// One line, ended by `\n` or `\r\n`, is one message. Spoken by `nc`, `telnet` and `chat-client`.
    Lines,
    /// One read is one message, without a terminator. Spoken by the report's programs.
    Report,
}

/// How long the owner of a [`Decoder`] waits for more bytes before it tells the decoder that none came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// For ever: only more bytes can complete a message.
    Endless,
    /// A moment, as between two keystrokes; then it calls [`Decoder::pause`].
    Moment,
    /// The silence that ends a message of a program; then it calls [`Decoder::quiet`].
    Silence,
    /// A longer silence, since this may be a person looking for the next key; then it calls
    /// [`Decoder::quiet`].
    LongSilence,
}

/// Turns the bytes of one connection into messages, however the network cuts them.
///
/// A server's decoder starts undecided: a newline after the nickname makes the connection
/// line-framed; silence ([`Decoder::quiet`]) or the report client's first message makes it
/// report-framed. Silence decides nothing while a person types the nickname key by key. Input that cannot
/// be a message comes out as a [`Refusal`] in its place, and decoding goes on after it.
///
/// Use it in turns: [`push`](Self::push) the bytes of one read, then call
/// [`next_message`](Self::next_message) until it returns `None`.
///
/// It holds at most one line of the maximum length ([`LINE_BYTES`] unless told otherwise) and the bytes
/// of one push.
#[derive(Debug)]
pub struct Decoder {
    framing: Option<Framing>,
    /// Whether a person types the nickname; used while the framing is undecided.
    keystrokes: Keystrokes,
    line_bytes: usize,
    /// The prefix of each message of the report's client, `<nickname>: `.
    report_prefix: Box<[u8]>,
    buffer: Vec<u8>,
    /// Where in `buffer` the next message begins.
    start: usize,
    /// An over-long message has been refused, and its end has not come yet.
    discarding: bool,
    /// No byte has come since the owner noticed the silence.
    silent: bool,
    /// The last read filled its buffer, so its end is not the end of a message.
    cut: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that detects the framing, as a server's does.
    #[must_use]
    pub fn new() -> Self {
        Self {
            framing: None,
            keystrokes: Keystrokes::default(),
            line_bytes: LINE_BYTES,
            report_prefix: Box::default(),
            buffer: Vec::new(),
            start: 0,
            discarding: false,
            silent: false,
            cut: false,
        }
    }

    /// A decoder for a connection whose framing is known.
    #[must_use]
    pub fn with_framing(framing: Framing) -> Self {
        Self { framing: Some(framing), ..Self::new() }
    }

    /// The same decoder with another maximum length of a message.
    #[must_use]
    pub fn with_line_bytes(self, line_bytes: usize) -> Self {
        Self { line_bytes, ..self }
    }

    /// The framing, once it is known.
    #[must_use]
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// How long to wait for more bytes. Line framing waits for ever.
    #[must_use]
    pub fn patience(&self) -> Patience {
        let is_complete = !self.discarding && self.start == self.buffer.len();
        match (self.framing, self.keystrokes) {
            (Some(Framing::Lines), _) | (None, Keystrokes::Typed) => Patience::Endless,
            _ if is_complete => Patience::Endless,
            (None, Keystrokes::Perhaps { paused: false }) => Patience::Moment,
            (None, Keystrokes::Perhaps { paused: true }) => Patience::LongSilence,
            _ => Patience::Silence,
        }
    }

    /// How many bytes are held that are part of no message yet.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.pending().len()
    }

    /// Adds the bytes of a read that filled its buffer, so that more of the last message may follow.
    pub fn push_cut(&mut self, bytes: &[u8]) {
        self.push(bytes);
        self.cut = true;
    }

    /// Adds the bytes of one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
        self.silent = false;
        self.cut = false;
        if self.framing.is_none() {
            self.keystrokes.read(bytes);
        }
    }

    /// Nothing has come for a moment.
    pub fn pause(&mut self) {
        self.keystrokes.pause();
    }

    /// Nothing has come for a while: the pending bytes are a whole message.
    pub fn quiet(&mut self) {
        if self.patience() == Patience::Endless {
            return;
        }
        self.framing = Some(Framing::Report);
        self.silent = true;
        if std::mem::take(&mut self.discarding) {
            self.start = self.buffer.len();
        }
    }

    /// The next message, or the reason why the input is not one; `None` when more bytes are needed.
    pub fn next_message(&mut self) -> Option<Result<&str, Refusal>> {
        match self.framing {
            Some(Framing::Lines) => self.next_line(),
            Some(Framing::Report) => self.next_report_message(),
            None => self.next_undecided(),
        }
    }

    /// The framing is undecided until the nickname is complete.
    fn next_undecided(&mut self) -> Option<Result<&str, Refusal>> {
        let pending = self.pending();
        if pending.contains(&b'\n') {
            self.framing = Some(Framing::Lines);
            return self.next_line();
        }
        if let Some(length) = doubled_nickname(pending) {
            self.framing = Some(Framing::Report);
            return Some(self.take_message(length, length));
        }
        // The framing of an over-long nickname is decided by its end. One byte over the bound is
        // enough to remember that it is too long.
        self.buffer.truncate(self.start + self.line_bytes + 1);
        None
    }

    fn next_line(&mut self) -> Option<Result<&str, Refusal>> {
        loop {
            let pending = self.pending();
            let Some(length) = pending.iter().position(|&byte| byte == b'\n') else {
                if self.discarding {
                    self.start = self.buffer.len();
                } else if pending.len() > self.line_bytes {
                    self.start = self.buffer.len();
                    self.discarding = true;
                    return Some(Err(Refusal::TooLong));
                }
                self.release();
                return None;
            };
            let line = &pending[..length];
            let text_length = line.strip_suffix(b"\r").unwrap_or(line).len();
            if self.discarding {
                self.discarding = false;
                self.start += length + 1;
                continue;
            }
            if length > self.line_bytes {
                self.start += length + 1;
                return Some(Err(Refusal::TooLong));
            }
            return Some(self.take_message(text_length, length + 1));
        }
    }

    /// One read is one message, unless a newline or another `<nickname>: ` of the client shows that it is
    /// several. The report's client sends each message with that prefix and without a terminator, so
    /// messages sent in quick succession arrive in one read. The report's server merges them; this one
    /// does not.
    fn next_report_message(&mut self) -> Option<Result<&str, Refusal>> {
        loop {
            let pending = self.pending();
            if pending.is_empty() {
                self.release();
                return None;
            }
            let newline = pending.iter().position(|&byte| byte == b'\n');
            let limit = newline.unwrap_or(pending.len());
            let again = find_after_start(&pending[..limit], &self.report_prefix);
            let length = again.unwrap_or(limit);
            let consumed = if again.is_none() && newline.is_some() { length + 1 } else { length };
            let is_last = consumed == pending.len() && newline.is_none();

            if self.discarding {
                // A refused message ends at a delimiter or a silence, not at the end of a read.
                self.start += consumed;
                self.discarding = is_last;
                continue;
            }
            if length > self.line_bytes {
                self.start += consumed;
                self.discarding = is_last && !self.silent;
                return Some(Err(Refusal::TooLong));
            }
            let message = &pending[..length];
            if is_last && !self.silent && (self.cut || ends_inside_a_character(message)) {
                return None;
            }
            let text_length = message.strip_suffix(b"\r").unwrap_or(message).len();
            return Some(self.take_message(text_length, consumed));
        }
    }

    /// Sets the prefix of the report client's messages, once its nickname is known.
    pub fn set_report_prefix(&mut self, prefix: &str) {
        self.report_prefix = prefix.as_bytes().into();
    }

    fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Takes `consumed` bytes off the buffer, of which the first `length` are the message.
    fn take_message(&mut self, length: usize, consumed: usize) -> Result<&str, Refusal> {
        let message = self.start..self.start + length;
        self.start += consumed;
        std::str::from_utf8(&self.buffer[message]).map_err(|_| Refusal::NotUtf8)
    }

    /// Frees the buffer while it is empty: an idle member costs none.
    fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }
}

/// The length of the nickname if the report's client has sent `<nickname>` and then, without
/// waiting, `<nickname>: <text>`. A `:` cannot be part of a nickname, so this cannot be one name.
fn doubled_nickname(bytes: &[u8]) -> Option<usize> {
    let colon = bytes.windows(2).position(|pair| pair == b": ")?;
    let (first, second) = bytes[..colon].split_at(colon / 2);
    (!first.is_empty() && first == second).then_some(first.len())
}

/// Where `needle` begins in `bytes`, other than at the very start.
fn find_after_start(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    let found = bytes.get(1..)?.windows(needle.len()).position(|window| window == needle)?;
    Some(found + 1)
}

/// Whether `bytes` ends in the first bytes of a character whose rest may still come.
fn ends_inside_a_character(bytes: &[u8]) -> bool {
    // The last character cannot begin earlier than this; the bytes before it are checked elsewhere.
    let tail = bytes.len().saturating_sub(4);
    bytes[tail..].utf8_chunks().last().is_some_and(|chunk| {
        let invalid = chunk.invalid();
        !invalid.is_empty()
            && bytes.ends_with(invalid)
            && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
    })
}

#[cfg(test)]
mod tests;
