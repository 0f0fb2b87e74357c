//! Receipts: the server sends everyone everything, its sender too, so a sender knows that a line
//! has been taken when it comes back, or when the server answers it, or says how many it has taken.

use std::collections::VecDeque;
use std::time::Duration;

use super::answer::Answer;
use crate::protocol::{Framing, Heard};

/// The lines that have been said and not been answered yet. The first of them have been sent, the others
/// wait.
#[derive(Debug)]
pub(super) struct Receipts {
    framing: Framing,
    unconfirmed: VecDeque<Said>,
    /// How many bytes they take.
    bytes: usize,
    /// The server has confirmed something.
    confirms: bool,
    /// How many of them, the oldest, have been sent.
    sent: usize,
    /// How many of them, the oldest, were sent before the last ping.
    before_ping: usize,
    /// How many of them, the oldest, the server has passed over: it has answered a ping that came later.
    passed_over: usize,
    /// How many of them, the oldest, were sent before the client asked for a session, while that is not
    /// answered.
    before_session: Option<usize>,
    /// How many of them, the oldest, were taken in an earlier connection, while their answers come again.
    in_replay: Option<usize>,
    /// The last text that came in the report's framing, where messages are merged and cut.
    tail: String,
}

/// The cost of a line in addition to its text, in bytes.
const SAID_BYTES: usize = size_of::<Said>();

/// A line that has been said.
#[derive(Debug)]
struct Said {
    /// As it was typed.
    line: String,
    /// It is a text, even if it begins like a command.
    verbatim: bool,
    /// Its number in the session, once it was sent in one.
    number: Option<u64>,
    answer: Answer,
    at: Duration,
}

/// A line that is to be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgo {
    pub(super) number: Option<u64>,
    pub(super) line: String,
}

/// The meaning of one line from the server for the lines that have been said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// Nothing.
    None,
    /// The oldest unconfirmed line, or in merged messages several, have been taken.
    Confirmed,
    /// The oldest unconfirmed line was refused.
    Refused(String),
    /// The server gives no session.
    SessionRefused,
}

impl Receipts {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            unconfirmed: VecDeque::new(),
            bytes: 0,
            confirms: false,
            sent: 0,
            before_ping: 0,
            passed_over: 0,
            before_session: None,
            in_replay: None,
            tail: String::new(),
        }
    }

    /// A text is said, verbatim.
    pub(super) fn say_text(&mut self, text: &str, now: Duration) {
        self.push(text, true, Answer::Said, now);
    }

    /// A line is said as it was typed: a text or a command.
    pub(super) fn say_line(&mut self, line: &str, now: Duration) {
        self.push(line, false, Answer::to_line(line, self.framing), now);
    }

    /// The next line that is to be sent. With a session, it gets the next number unless it has one.
    pub(super) fn send_next(&mut self, next_number: Option<&mut u64>, now: Duration) -> Option<Outgo> {
        let said = self.unconfirmed.get_mut(self.sent)?;
        if let Some(next_number) = next_number
            && said.number.is_none()
        {
            said.number = Some(*next_number);
            // It follows what a server says that it has taken.
            *next_number = next_number.saturating_add(1);
        }
        said.at = now;
        // The report's own server knows no commands, and so nothing that is to be taken literally.
        let escape = said.verbatim && self.framing == Framing::Lines && said.line.starts_with('/');
        let line = [if escape { "/" } else { "" }, &said.line].concat();
        let outgo = Outgo { number: said.number, line };
        if matches!(said.answer, Answer::None) && said.number.is_none() {
            self.bytes -= said.line.len() + SAID_BYTES;
            self.unconfirmed.remove(self.sent);
        } else {
            self.sent += 1;
        }
        Some(outgo)
    }

    /// The lines that have not been answered, the oldest first.
    pub(super) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.unconfirmed.iter().map(|said| said.line.as_str())
    }

    /// How many of them, the newest, have not been sent.
    pub(super) fn waiting(&self) -> usize {
        self.unconfirmed.len() - self.sent
    }

    /// When the oldest line was sent to which the server owes an answer. It owes one to every line if it
    /// `answers_commands`, and to every text if it has confirmed anything.
    pub(super) fn owed_since(&self, answers_commands: bool) -> Option<Duration> {
        let is_owed = |said: &&Said| answers_commands || self.confirms && matches!(said.answer, Answer::Said);
        let sent = self.unconfirmed.iter().take(self.sent);
        sent.skip(self.passed_over).find(is_owed).map(|said| said.at)
    }

    /// How many lines are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.sent - self.passed_over
    }

    /// A ping is on its way.
    pub(super) fn pinged(&mut self) {
        self.before_ping = self.sent;
    }

    /// The last ping was answered.
    pub(super) fn ponged(&mut self) {
        self.passed_over = self.before_ping;
    }

    /// The client asks for a session.
    pub(super) fn session_asked(&mut self) {
        self.before_session = Some(self.sent);
    }

    /// The server gives one.
    pub(super) fn session_begun(&mut self) {
        self.before_session = None;
    }

    /// The server has handled all lines up to this number, and all answers to them have come.
    pub(super) fn settle(&mut self, taken: u64) {
        let is_taken = |said: &Said| said.number.is_some_and(|number| number <= taken);
        let settled = self.unconfirmed.iter().rposition(is_taken).map_or(0, |last| last + 1);
        for _ in 0..settled {
            self.pop();
            self.confirms = true;
        }
    }

    /// The connection is lost; its session may go on in another one.
    pub(super) fn connection_lost(&mut self) {
        self.before_ping = 0;
        self.passed_over = 0;
        self.before_session = None;
        self.in_replay = None;
    }

    /// The session goes on: the lines up to this number were taken, and the answers to them come now if they
    /// have not come before. The others are to be sent again.
    pub(super) fn resumed(&mut self, taken: u64) {
        let is_lost = |said: &Said| said.number.is_some_and(|number| number > taken);
        let sent = self.unconfirmed.iter().take(self.sent);
        self.sent = sent.take_while(|said| !is_lost(said)).count();
        self.in_replay = Some(self.sent);
    }

    /// Some of the answers to the lines that were taken before are no longer kept, so none of those that come
    /// can be told to belong to one of the lines. Returns the lines whose fate is unknown.
    pub(super) fn answers_are_missing(&mut self) -> Vec<String> {
        let unknown = self.replayed();
        self.in_replay = Some(0);
        unknown
    }

    /// All answers to lines of the earlier connection have come. Returns the lines whose fate is unknown.
    pub(super) fn replayed(&mut self) -> Vec<String> {
        let rest = self.in_replay.take().unwrap_or(0);
        let rest: Vec<Said> = (0..rest).filter_map(|_| self.pop()).collect();
        rest.into_iter().filter(|said| said.number.is_none()).map(|said| said.line).collect()
    }

    /// The session is over, and the server may have said up to which number it has taken its lines. Those that were
    /// certainly not taken are to be sent in another session. Returns the lines whose fate is unknown.
    pub(super) fn session_over(&mut self, taken: Option<u64>) -> Vec<String> {
        self.connection_lost();
        let mut unknown = Vec::new();
        let mut rest = VecDeque::new();
        let sent = std::mem::take(&mut self.sent);
        for (position, said) in std::mem::take(&mut self.unconfirmed).into_iter().enumerate() {
            match (said.number, taken) {
                (Some(number), Some(taken)) if number <= taken => {}
                (Some(_), Some(_)) => rest.push_back(Said { number: None, ..said }),
                _ if position < sent => unknown.push(said.line),
                _ => rest.push_back(said),
            }
        }
        self.bytes = rest.iter().map(|said| said.line.len() + SAID_BYTES).sum();
        self.unconfirmed = rest;
        unknown
    }

    /// Whether the server has confirmed anything.
    pub(super) fn confirms(&self) -> bool {
        self.confirms
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The connection on which they were said is gone: nothing will be answered any more.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.framing);
    }

    /// Compares a line from the server with the answers that a client whose nickname is now `nickname`
    /// expects. They come in the order of its lines.
    pub(super) fn hear(&mut self, line: &str, nickname: &str) -> Receipt {
        let heard = Heard::parse(line);
        if self.before_session == Some(0) && is_refusal_of_session(heard, nickname) {
            self.before_session = None;
            return Receipt::SessionRefused;
        }
        if let Heard::NotSent(_) = heard {
            return self.pop_answered().map_or(Receipt::None, |said| Receipt::Refused(said.line));
        }
        if self.framing == Framing::Report {
            return self.hear_merged(line, nickname);
        }
        let Some(position) = self.answered_by(heard, nickname) else { return Receipt::None };
        // Answers come in order: the server has passed over the question.
        self.before_session.take_if(|before| position >= *before);
        for _ in 0..=position {
            self.pop();
        }
        self.confirms = true;
        Receipt::Confirmed
    }

    /// The place of the line that this answers.
    fn answered_by(&self, heard: Heard<'_>, nickname: &str) -> Option<usize> {
        for (position, said) in self.unconfirmed.iter().take(self.answerable()).enumerate() {
            if said.answer.is(heard, &said.line, nickname) {
                return Some(position);
            }
            // A foreign server may pass over a command in silence, but never over a text.
            if matches!(said.answer, Answer::Said) {
                return None;
            }
        }
        None
    }

    fn hear_merged(&mut self, read: &str, nickname: &str) -> Receipt {
        let mut receipt = Receipt::None;
        self.tail.push_str(read);
        while let Some(oldest) = self.unconfirmed.front() {
            let echo = format!("{nickname}: {}", oldest.line);
            let Some(position) = self.tail.find(&echo) else {
                // Only an end as long as the echo can still become part of it.
                let mut keep = self.tail.len().saturating_sub(echo.len());
                while !self.tail.is_char_boundary(keep) {
                    keep -= 1;
                }
                self.tail.drain(..keep);
                return receipt;
            };
            self.tail.drain(..position + echo.len());
            self.pop();
            self.confirms = true;
            receipt = Receipt::Confirmed;
        }
        self.tail.clear();
        receipt
    }

    fn push(&mut self, line: &str, verbatim: bool, answer: Answer, at: Duration) {
        self.bytes += line.len() + SAID_BYTES;
        self.unconfirmed.push_back(Said { line: line.to_owned(), verbatim, number: None, answer, at });
    }

    /// How many lines, the oldest, can be answered now.
    fn answerable(&self) -> usize {
        self.in_replay.unwrap_or(self.sent)
    }

    fn pop_answered(&mut self) -> Option<Said> {
        if self.answerable() > 0 { self.pop() } else { None }
    }

    fn pop(&mut self) -> Option<Said> {
        let said = self.unconfirmed.pop_front()?;
        self.bytes -= said.line.len() + SAID_BYTES;
        let counts = [&mut self.sent, &mut self.before_ping, &mut self.passed_over];
        let counts = counts.into_iter().chain(&mut self.before_session).chain(&mut self.in_replay);
        counts.for_each(|count| *count = count.saturating_sub(1));
        Some(said)
    }
}

/// Whether this is what a server answers to `/session` if it gives none. One that knows no commands says it.
fn is_refusal_of_session(heard: Heard<'_>, nickname: &str) -> bool {
    match heard {
        Heard::NotSent(_) => true,
        Heard::Everyone(told) => told.strip_prefix(nickname) == Some(": /session"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
