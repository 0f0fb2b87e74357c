//! Framing: a stream of bytes becomes messages.

use super::Refusal;
use super::keystrokes::Keystrokes;

/// The longest line that is kept, in bytes without its newline: a text of 1,024 bytes and, before
/// it, the nickname prefix or the command with its nickname, with room to spare.
pub const LINE_BYTES: usize = 1_024 + 256;

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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The messages that a decoder makes of the given reads.
    fn decode(mut decoder: Decoder, reads: &[&[u8]]) -> Vec<Result<String, Refusal>> {
        let mut messages = Vec::new();
        for read in reads {
            decoder.push(read);
            take_all(&mut decoder, &mut messages);
        }
        messages
    }

    fn take_all(decoder: &mut Decoder, messages: &mut Vec<Result<String, Refusal>>) {
        while let Some(message) = decoder.next_message() {
            messages.push(message.map(str::to_owned));
        }
    }

    fn said(texts: &[&str]) -> Vec<Result<String, Refusal>> {
        texts.iter().map(|&text| Ok(text.to_owned())).collect()
    }

    fn report_client(nickname: &str) -> Decoder {
        let mut decoder = Decoder::with_framing(Framing::Report);
        decoder.set_report_prefix(&format!("{nickname}: "));
        decoder
    }

    #[test]
    fn a_full_read_does_not_end_a_message_of_the_reports_client() {
        let mut decoder = Decoder::with_framing(Framing::Report);
        decoder.push_cut(b"Alex: the first ha");
        assert_eq!(decoder.next_message(), None);
        decoder.push(b"lf and the second");
        assert_eq!(decoder.next_message(), Some(Ok("Alex: the first half and the second")));
        decoder.push_cut(b"Alex: as long as a read");
        assert_eq!(decoder.next_message(), None);
        assert_eq!(decoder.patience(), Patience::Silence);
        decoder.quiet();
        assert_eq!(decoder.next_message(), Some(Ok("Alex: as long as a read")));
    }

    #[test]
    fn a_newline_after_the_nickname_makes_the_connection_line_framed() {
        let mut decoder = Decoder::new();
        decoder.push(b"Alex\r\nhello\nwor");
        assert_eq!(decoder.next_message(), Some(Ok("Alex")));
        assert_eq!(decoder.framing(), Some(Framing::Lines));
        assert_eq!(decoder.next_message(), Some(Ok("hello")));
        assert_eq!(decoder.next_message(), None);
        assert_eq!(
            decoder.patience(),
            Patience::Endless,
            "a line waits for its newline, however long it takes"
        );
        decoder.push(b"ld\n");
        assert_eq!(decoder.next_message(), Some(Ok("world")));
    }

    #[test]
    fn silence_after_the_nickname_makes_the_connection_report_framed() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.patience(), Patience::Endless, "silence before the first byte decides nothing");
        decoder.push(b"Al");
        assert_eq!(decoder.next_message(), None);
        decoder.push(b"ex");
        assert_eq!(decoder.next_message(), None);
        assert_eq!(decoder.patience(), Patience::Silence);
        decoder.quiet();
        assert_eq!(decoder.next_message(), Some(Ok("Alex")));
        assert_eq!(decoder.framing(), Some(Framing::Report));
    }

    #[test]
    fn a_nickname_that_is_typed_waits_for_its_newline() {
        let mut decoder = Decoder::new();
        for (key, patience) in [(b"A", Patience::Moment), (b"l", Patience::Endless)] {
            decoder.push(key);
            assert_eq!(decoder.next_message(), None);
            assert_eq!(decoder.patience(), patience);
            decoder.pause();
        }
        decoder.quiet();
        decoder.push(b"ex\n");
        assert_eq!(decoder.next_message(), Some(Ok("Alex")));
        assert_eq!(decoder.framing(), Some(Framing::Lines));
    }

    #[test]
    fn a_nickname_of_one_letter_ends_with_a_long_silence() {
        let mut decoder = Decoder::new();
        decoder.push(b"A");
        decoder.pause();
        assert_eq!(decoder.patience(), Patience::LongSilence);
        decoder.quiet();
        assert_eq!(decoder.next_message(), Some(Ok("A")));
        assert_eq!(decoder.framing(), Some(Framing::Report));
    }

    #[test]
    fn a_report_client_that_does_not_wait_is_understood_without_silence() {
        assert_eq!(decode(Decoder::new(), &[b"AlexAlex: hello"]), said(&["Alex", "Alex: hello"]));
    }

    #[test]
    fn in_the_reports_framing_one_read_is_one_message() {
        assert_eq!(
            decode(report_client("Alex"), &[b"Alex: one", b"two", b"Alex: three"]),
            said(&["Alex: one", "two", "Alex: three"])
        );
    }

    #[test]
    fn messages_of_a_report_client_that_share_a_read_are_told_apart_by_its_prefix() {
        assert_eq!(
            decode(report_client("Alex"), &[b"Alex: oneAlex: twoAlex: ", b"Alex: a\nAlex: b\n"]),
            said(&["Alex: one", "Alex: two", "Alex: ", "Alex: a", "Alex: b"])
        );
    }

    #[test]
    fn a_character_cut_by_the_end_of_a_read_is_completed_by_the_next() {
        let bytes = "Alex: na\u{ef}ve".as_bytes();
        for cut in 9..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let joined: String = decode(report_client("Alex"), &[head, tail])
                .into_iter()
                .map(|message| message.expect("no half character"))
                .collect();
            assert_eq!(joined, "Alex: na\u{ef}ve");
        }
    }

    #[test]
    fn a_character_that_is_never_completed_is_refused_after_silence() {
        let mut decoder = report_client("Alex");
        decoder.push(b"Alex: \xe2\x82");
        assert_eq!(decoder.next_message(), None);
        decoder.quiet();
        assert_eq!(decoder.next_message(), Some(Err(Refusal::NotUtf8)));
        assert_eq!(decoder.next_message(), None);
    }

    #[test]
    fn an_over_long_line_is_refused_once_and_discarded_up_to_its_newline() {
        let long = vec![b'x'; LINE_BYTES + 1];
        let mut decoder = Decoder::with_framing(Framing::Lines);
        for _ in 0..100 {
            decoder.push(&long);
            while decoder.next_message().is_some() {}
            assert!(decoder.buffer.len() <= LINE_BYTES, "the flood is not kept");
        }
        assert_eq!(
            decode(decoder, &[b"xxx\nshort\n"]),
            said(&["short"]),
            "the rest of the long line is not a message"
        );
        let mut reads: Vec<&[u8]> = vec![&long; 10];
        reads.push(b"\nshort\n");
        let mut expected = vec![Err(Refusal::TooLong)];
        expected.extend(said(&["short"]));
        assert_eq!(decode(Decoder::with_framing(Framing::Lines), &reads), expected);
    }

    #[test]
    fn an_over_long_nickname_is_refused_when_its_end_decides_the_framing() {
        let long = vec![b'x'; 3 * LINE_BYTES];
        let mut expected = vec![Err(Refusal::TooLong)];
        expected.extend(said(&["Alex"]));
        assert_eq!(decode(Decoder::new(), &[&long, &long, b"\nAlex\n"]), expected);

        let mut decoder = Decoder::new();
        decoder.push(&long);
        assert_eq!(decoder.next_message(), None);
        decoder.quiet();
        assert_eq!(decoder.next_message(), Some(Err(Refusal::TooLong)));
        assert_eq!(decoder.framing(), Some(Framing::Report));
    }

    #[test]
    fn an_over_long_report_message_is_refused_once_and_discarded_up_to_silence() {
        let mut decoder = report_client("Alex");
        let mut messages = Vec::new();
        for _ in 0..10 {
            decoder.push(&vec![b'x'; LINE_BYTES + 1]);
            take_all(&mut decoder, &mut messages);
        }
        decoder.push(b"its end");
        take_all(&mut decoder, &mut messages);
        decoder.quiet();
        decoder.push(b"Alex: the next");
        take_all(&mut decoder, &mut messages);
        let mut expected = vec![Err(Refusal::TooLong)];
        expected.extend(said(&["Alex: the next"]));
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        let mut line = vec![b'x'; LINE_BYTES];
        line.push(b'\n');
        assert!(decode(Decoder::with_framing(Framing::Lines), &[&line])[0].is_ok());
        line.insert(0, b'x');
        assert_eq!(decode(Decoder::with_framing(Framing::Lines), &[&line]), [Err(Refusal::TooLong)]);
    }

    #[test]
    fn invalid_utf8_is_refused_in_its_place_and_decoding_goes_on() {
        let expected = [said(&["a"]), vec![Err(Refusal::NotUtf8)], said(&["b"])].concat();
        assert_eq!(decode(Decoder::with_framing(Framing::Lines), &[b"a\n\xff\nb\n"]), expected);
    }

    /// Bytes that bring out the interesting cases: newlines, prefixes, broken characters, length.
    fn interesting_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"Alex: ".to_vec()),
            Just("\u{1f600}".as_bytes().to_vec()),
            Just(vec![b'x'; LINE_BYTES - 3]),
            proptest::collection::vec(any::<u8>(), 0..8),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
        let mut positions: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        positions.extend([0, bytes.len()]);
        positions.sort_unstable();
        positions.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_network_cuts_them(
            bytes in interesting_bytes(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let pieces = cut(&bytes, &cuts);
            let reads: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(
                decode(Decoder::with_framing(Framing::Lines), &reads),
                decode(Decoder::with_framing(Framing::Lines), &[&bytes])
            );
        }

        #[test]
        fn no_input_panics_or_is_held_beyond_the_bound(
            bytes in interesting_bytes(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
            framing in prop_oneof![Just(None), Just(Some(Framing::Lines)), Just(Some(Framing::Report))],
            quiet in any::<u16>(),
        ) {
            let mut decoder = framing.map_or_else(Decoder::new, Decoder::with_framing);
            decoder.set_report_prefix("Alex: ");
            for (index, piece) in cut(&bytes, &cuts).iter().enumerate() {
                decoder.push(piece);
                while let Some(message) = decoder.next_message() {
                    if let Ok(text) = message {
                        prop_assert!(text.len() <= LINE_BYTES);
                        prop_assert!(!text.contains('\n'));
                    }
                }
                prop_assert!(decoder.pending().len() <= LINE_BYTES + 1);
                if quiet >> (index % 16) & 1 == 1 {
                    decoder.quiet();
                    while decoder.next_message().is_some() {}
                    prop_assert_eq!(decoder.patience(), Patience::Endless, "silence leaves nothing half-way");
                }
            }
        }
    }
}
