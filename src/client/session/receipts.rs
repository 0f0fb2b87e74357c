//! Receipts: the server sends everyone everything, its sender too, so a sender knows that a line
//! has been taken when it comes back, or when the server answers it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::{Command, Framing, Heard};

/// The lines that have been said and not been answered yet.
#[derive(Debug)]
pub(super) struct Receipts {
    framing: Framing,
    unconfirmed: VecDeque<Sent>,
    /// How many bytes they take.
    bytes: usize,
    /// The server has confirmed something.
    confirms: bool,
    /// How many of them, the oldest, were said before the last ping.
    before_ping: usize,
    /// How many of them, the oldest, the server has passed over: it has answered a ping that came later.
    passed_over: usize,
    /// The last text that came in the report's framing, where messages are merged and cut.
    tail: String,
}

/// The cost of a line in addition to its text, in bytes.
const SENT_BYTES: usize = size_of::<Sent>();

/// A line that is on its way.
#[derive(Debug)]
struct Sent {
    /// As it was typed.
    line: String,
    answer: Answer,
    at: Duration,
}

/// The server's answer to a line, unless it refuses it.
#[derive(Debug)]
enum Answer {
    /// The text, from its sender to everyone.
    Said,
    /// `* <nickname> <text>`, to everyone.
    Acted(String),
    /// A private line that begins and ends so.
    Told(&'static str, String),
    /// `<nickname> is now known as …`, to everyone.
    Renamed,
    /// Nothing else.
    Refusal,
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
}

impl Receipts {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            unconfirmed: VecDeque::new(),
            bytes: 0,
            confirms: false,
            before_ping: 0,
            passed_over: 0,
            tail: String::new(),
        }
    }

    /// A text is on its way, to be said verbatim.
    pub(super) fn expect_text(&mut self, text: &str, now: Duration) {
        self.push(text, Answer::Said, now);
    }

    /// A line is on its way as it was typed: a text or a command.
    pub(super) fn expect_line(&mut self, line: &str, now: Duration) {
        // The report's own server takes a command for a text, ours does not: nothing can be expected.
        if self.framing == Framing::Report && line.starts_with('/') {
            return;
        }
        let answer = match Command::parse(line, &[]) {
            // Neither is answered.
            Ok(Command::Nothing | Command::Quit) => return,
            Ok(Command::Session) => Answer::Told("-- Session ", String::new()),
            Ok(Command::Say(_)) => Answer::Said,
            Ok(Command::Act(text)) => Answer::Acted(text.as_str().to_owned()),
            Ok(Command::Whisper { text, .. }) => Answer::Told("-- You to ", format!(": {}", text.as_str())),
            Ok(Command::Rename(_)) => Answer::Renamed,
            Ok(Command::Who) => Answer::Told("-- Here now ", String::new()),
            Ok(Command::Ping(token)) => Answer::Told("-- pong ", token.as_str().to_owned()),
            // The first line of several.
            Ok(Command::Help) => Answer::Told("-- /", String::new()),
            Err(_) => Answer::Refusal,
        };
        self.push(line, answer, now);
    }

    /// The lines that have not been answered, the oldest first.
    pub(super) fn unconfirmed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.unconfirmed.iter().map(|sent| sent.line.as_str())
    }

    /// When the oldest line was said to which the server owes an answer. It owes one to every line if it
    /// `answers_commands`, and to every text if it has confirmed anything.
    pub(super) fn owed_since(&self, answers_commands: bool) -> Option<Duration> {
        let is_owed = |sent: &&Sent| answers_commands || self.confirms && matches!(sent.answer, Answer::Said);
        self.unconfirmed.iter().skip(self.passed_over).find(is_owed).map(|sent| sent.at)
    }

    /// How many lines are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.unconfirmed.len() - self.passed_over
    }

    /// A ping is on its way.
    pub(super) fn pinged(&mut self) {
        self.before_ping = self.unconfirmed.len();
    }

    /// The last ping was answered.
    pub(super) fn ponged(&mut self) {
        self.passed_over = self.before_ping;
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
        if let Heard::NotSent(_) = heard {
            return self.pop().map_or(Receipt::None, |sent| Receipt::Refused(sent.line));
        }
        if self.framing == Framing::Report {
            return self.hear_merged(line, nickname);
        }
        let Some(position) = self.answered_by(heard, nickname) else { return Receipt::None };
        for _ in 0..=position {
            self.pop();
        }
        self.confirms = true;
        Receipt::Confirmed
    }

    /// The place of the line that this answers.
    fn answered_by(&self, heard: Heard<'_>, nickname: &str) -> Option<usize> {
        for (position, sent) in self.unconfirmed.iter().enumerate() {
            if sent.is_answered_by(heard, nickname) {
                return Some(position);
            }
            // A foreign server may pass over a command in silence, but never over a text.
            if matches!(sent.answer, Answer::Said) {
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

    fn push(&mut self, line: &str, answer: Answer, at: Duration) {
        self.bytes += line.len() + SENT_BYTES;
        self.unconfirmed.push_back(Sent { line: line.to_owned(), answer, at });
    }

    fn pop(&mut self) -> Option<Sent> {
        let sent = self.unconfirmed.pop_front()?;
        self.bytes -= sent.line.len() + SENT_BYTES;
        self.before_ping = self.before_ping.saturating_sub(1);
        self.passed_over = self.passed_over.saturating_sub(1);
        Some(sent)
    }
}

impl Sent {
    fn is_answered_by(&self, heard: Heard<'_>, nickname: &str) -> bool {
        match heard {
            Heard::Everyone(line) => self.is_echoed_by(line, nickname),
            Heard::Whisper(line) | Heard::Told(line) => match &self.answer {
                Answer::Told(begin, end) => line.starts_with(begin) && line.ends_with(end.as_str()),
                _ => false,
            },
            _ => false,
        }
    }

    fn is_echoed_by(&self, line: &str, nickname: &str) -> bool {
        // A server that knows no commands says them verbatim; ours takes off a slash.
        let own = line.strip_prefix(nickname);
        if let Some(said) = own.and_then(|rest| rest.strip_prefix(": ")) {
            return said == self.line
                || matches!(self.answer, Answer::Said) && self.line.strip_prefix('/') == Some(said);
        }
        match &self.answer {
            Answer::Acted(text) => {
                let action = line.strip_prefix("* ").and_then(|line| line.strip_prefix(nickname));
                action.and_then(|action| action.strip_prefix(' ')) == Some(text)
            }
            Answer::Renamed => own.is_some_and(|rest| rest.starts_with(" is now known as ")),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NICKNAME: &str = "bot";

    fn receipts(framing: Framing, texts: &[&str]) -> Receipts {
        let mut receipts = Receipts::new(framing);
        for text in texts {
            receipts.expect_text(text, Duration::ZERO);
        }
        receipts
    }

    fn typed(lines: &[&str]) -> Receipts {
        let mut receipts = Receipts::new(Framing::Lines);
        for line in lines {
            receipts.expect_line(line, Duration::ZERO);
        }
        receipts
    }

    fn unconfirmed(receipts: &Receipts) -> Vec<&str> {
        receipts.unconfirmed().collect()
    }

    #[test]
    fn a_text_is_confirmed_by_its_own_echo_only() {
        let mut receipts = receipts(Framing::Lines, &["hello", "world"]);
        assert_eq!(receipts.hear("bot joined the chat!", NICKNAME), Receipt::None);
        assert_eq!(receipts.hear("Alex: hello", NICKNAME), Receipt::None);
        assert_eq!(receipts.hear("bot: hello, you", NICKNAME), Receipt::None);
        assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::None, "not before its turn");
        assert_eq!(unconfirmed(&receipts), ["hello", "world"]);
        assert_eq!(receipts.hear("bot: hello", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::None);
        assert_eq!((unconfirmed(&receipts).len(), receipts.bytes()), (0, 0));
    }

    #[test]
    fn a_refusal_is_about_the_oldest_text() {
        let mut receipts = receipts(Framing::Lines, &["one", "two", "three"]);
        assert_eq!(receipts.hear("bot: one", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("-- Not sent: because.", NICKNAME), Receipt::Refused("two".to_owned()));
        assert_eq!(receipts.hear("bot: three", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("-- Not sent: because.", NICKNAME), Receipt::None);
    }

    #[test]
    fn echoes_that_the_reports_server_merges_or_cuts_are_found() {
        let mut receipts = receipts(Framing::Report, &["one", "zwölf", "three"]);
        assert_eq!(receipts.hear("bot joined the chat!Connected to server!", NICKNAME), Receipt::None);
        assert_eq!(receipts.hear("Alex: hibot: onebot: zw", NICKNAME), Receipt::Confirmed);
        assert_eq!(unconfirmed(&receipts), ["zwölf", "three"]);
        assert_eq!(receipts.hear("ölfbot: thr", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("ee", NICKNAME), Receipt::Confirmed);
        assert_eq!(unconfirmed(&receipts).len(), 0);
    }

    #[test]
    fn each_command_is_confirmed_by_its_own_answer() {
        for (line, answer) in [
            ("/me waves", "* bot waves"),
            ("/msg Alex psst", "-- You to Alex: psst"),
            ("/nick robot", "bot is now known as robot."),
            ("/who", "-- Here now (1): bot"),
            ("/ping 7", "-- pong 7"),
            ("/help", "-- /who  who is here"),
            ("//quoted", "bot: /quoted"),
            ("/unheard of", "-- Not sent: no such command; /help lists them."),
        ] {
            let mut receipts = typed(&[line]);
            for other in ["Alex: hello", "* Alex waves", "-- Alex to you: psst", "* bot yawns", "-- pong 8"] {
                assert_eq!(receipts.hear(other, NICKNAME), Receipt::None, "{line}: {other}");
            }
            assert_ne!(receipts.hear(answer, NICKNAME), Receipt::None, "{line}: {answer}");
            assert_eq!(unconfirmed(&receipts).len(), 0, "{line}");
        }
    }

    #[test]
    fn a_refused_command_is_not_taken_for_a_refused_text() {
        let mut receipts = typed(&["/msg Nobody psst", "hello"]);
        let refused = receipts.hear("-- Not sent: nobody of that name is here.", NICKNAME);
        assert_eq!(refused, Receipt::Refused("/msg Nobody psst".to_owned()));
        assert_eq!(unconfirmed(&receipts), ["hello"]);
    }

    #[test]
    fn a_server_that_says_commands_verbatim_or_passes_over_them_confirms_the_texts() {
        let mut receipts = typed(&["/me waves", "/who", "hello", "/help", "again"]);
        assert_eq!(receipts.hear("bot: /me waves", NICKNAME), Receipt::Confirmed);
        assert_eq!(receipts.hear("bot: hello", NICKNAME), Receipt::Confirmed);
        assert_eq!(unconfirmed(&receipts), ["/help", "again"]);
    }

    #[test]
    fn a_line_that_the_server_passes_over_is_neither_on_its_way_nor_confirmed() {
        let mut receipts = receipts(Framing::Lines, &["one", "two"]);
        receipts.pinged();
        receipts.expect_text("three", Duration::ZERO);
        assert_eq!(receipts.in_flight(), 3);
        assert_eq!(receipts.hear("bot: one", NICKNAME), Receipt::Confirmed);
        receipts.ponged();
        assert_eq!((receipts.in_flight(), unconfirmed(&receipts)), (1, vec!["two", "three"]));
        assert_eq!(receipts.hear("bot: two", NICKNAME), Receipt::Confirmed);
        assert_eq!((receipts.in_flight(), unconfirmed(&receipts)), (1, vec!["three"]));
    }

    #[test]
    fn nothing_is_expected_for_a_line_without_an_answer() {
        assert_eq!(unconfirmed(&typed(&["", "  ", "/quit"])).len(), 0);
        let mut report = Receipts::new(Framing::Report);
        report.expect_line("/who", Duration::ZERO);
        assert_eq!(unconfirmed(&report).len(), 0);
    }
}
