//! The lines on their way to the server: pure. Sees to it that none of them is lost without a word.
//!
//! The server answers in order. So whatever answers a line also confirms what was sent before it: the
//! line's own echo, a refusal, or the pong to a ping that was sent after it. In the report's framing,
//! where messages are merged and cut, nothing is kept track of.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::protocol::{Command, Framing, Heard, Nickname};

/// How many lines may be on their way at once to a server that is known to confirm them; the others
/// wait here, where the person can still change their mind.
pub(super) const WINDOW_LINES: usize = 32;

/// How many lines are kept of what was sent to a server that has never confirmed any.
const KEPT_LINES: usize = 256;

/// How much may wait to be sent.
pub(super) const WAITING_BYTES: usize = 1_024 * 1_024;

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    framing: Framing,
    nickname: Nickname,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    sent: VecDeque<Sent>,
    /// The server has confirmed a line before, and so owes an answer to what is said.
    confirms: bool,
    /// It has answered a ping before, and so owes an answer to commands and pings as well.
    answers_pings: bool,
    last_heard: Instant,
}

#[derive(Debug)]
struct Sent {
    /// `None` for a ping.
    line: Option<String>,
    at: Instant,
}

impl Outbox {
    pub(super) fn new(nickname: Nickname, framing: Framing, now: Instant) -> Self {
        Self {
            framing,
            nickname,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            sent: VecDeque::new(),
            confirms: false,
            answers_pings: false,
            last_heard: now,
        }
    }

    /// By whom the lines are said.
    pub(super) fn nickname(&self) -> &Nickname {
        &self.nickname
    }

    /// They are said by somebody else from now on.
    pub(super) fn rename(&mut self, nickname: Nickname) {
        self.nickname = nickname;
    }

    /// A line is to be sent. Returns whether there is room for it.
    #[must_use]
    pub(super) fn put(&mut self, line: String) -> bool {
        let fits = self.waiting_bytes + line.len() <= WAITING_BYTES;
        if fits {
            self.waiting_bytes += line.len();
            self.waiting.push_back(line);
        }
        fits
    }

    /// The next line that may be sent now; it counts as sent.
    pub(super) fn next(&mut self, now: Instant) -> Option<String> {
        if self.confirms && self.unconfirmed().count() >= WINDOW_LINES {
            return None;
        }
        let line = self.waiting.pop_front()?;
        self.waiting_bytes -= line.len();
        self.keep(Some(line.clone()), now);
        Some(line)
    }

    /// A ping was sent.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.keep(None, now);
    }

    /// The oldest ping was answered.
    pub(super) fn ponged(&mut self, now: Instant) {
        self.last_heard = now;
        (self.confirms, self.answers_pings) = (true, true);
        if let Some(ping) = self.sent.iter().position(|sent| sent.line.is_none()) {
            self.sent.drain(..=ping);
        }
    }

    /// A line has come from the server.
    pub(super) fn hear(&mut self, line: &str, now: Instant) {
        self.last_heard = now;
        match Heard::parse(line) {
            Heard::NotSent(_) => self.answer(|_| true),
            Heard::Everyone(said) => self.confirm(said),
            // A private message from somebody else answers nothing.
            Heard::Whisper(told) if !told.starts_with("-- You to ") => {}
            // Whatever else one is told answers a command, if that is what was sent first.
            _ => self.answer(Sent::is_command),
        }
    }

    /// Since when the server owes an answer and nothing at all has come from it.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let is_owed = |sent: &&Sent| self.answers_pings || self.confirms && !sent.is_command();
        let owed = self.sent.iter().find(is_owed)?;
        Some(owed.at.max(self.last_heard))
    }

    /// The lines that were sent and have not been confirmed.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = &str> {
        self.sent.iter().filter_map(|sent| sent.line.as_deref())
    }

    /// The lines that have not been sent.
    pub(super) fn waiting(&self) -> impl ExactSizeIterator<Item = &str> {
        self.waiting.iter().map(String::as_str)
    }

    fn keep(&mut self, line: Option<String>, at: Instant) {
        if self.framing == Framing::Report {
            return;
        }
        if self.sent.len() == KEPT_LINES {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { line, at });
    }

    /// Something has come that answers the oldest line, if `is_answer` says so.
    fn answer(&mut self, is_answer: impl Fn(&Sent) -> bool) {
        let oldest = self.sent.iter().position(|sent| sent.line.is_some());
        if let Some(oldest) = oldest.filter(|&oldest| is_answer(&self.sent[oldest])) {
            self.sent.drain(..=oldest);
        }
    }

    /// Everyone was told this, perhaps because of a line of ours.
    fn confirm(&mut self, said: &str) {
        let literally = said.strip_prefix(self.nickname.as_str()).and_then(|rest| rest.strip_prefix(": "));
        let is_echo = |line: &str| {
            literally == Some(line) || echo(line, &self.nickname).is_some_and(|echo| echo == said)
        };
        if let Some(echo) = self.sent.iter().position(|sent| sent.line.as_deref().is_some_and(is_echo)) {
            self.confirms = true;
            self.sent.drain(..=echo);
        }
    }
}

impl Sent {
    /// A ping or another line that nobody is told of.
    fn is_command(&self) -> bool {
        self.line.as_deref().is_none_or(|line| line.starts_with('/') && !line.starts_with("//"))
    }
}

/// What everyone is told of a line; `None` where that is not known, or nobody is told.
fn echo(line: &str, nickname: &Nickname) -> Option<String> {
    match Command::parse(line, &[nickname.as_str()]) {
        Ok(Command::Say(text)) => Some(format!("{nickname}: {}", text.as_str())),
        Ok(Command::Act(text)) => Some(format!("* {nickname} {}", text.as_str())),
        Ok(Command::Rename(new)) => {
            Some(format!("{nickname} is now known as {}.", Nickname::parse(new).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(framing: Framing, lines: &[&str]) -> Outbox {
        let now = Instant::now();
        let mut outbox = Outbox::new(Nickname::parse("bot").unwrap(), framing, now);
        for line in lines {
            assert!(outbox.put((*line).to_owned()));
            assert_eq!(outbox.next(now).as_deref(), Some(*line));
        }
        outbox
    }

    fn left(outbox: &Outbox) -> Vec<&str> {
        outbox.unconfirmed().collect()
    }

    #[test]
    fn an_echo_confirms_its_line_and_those_before_it() {
        let mut outbox = outbox(Framing::Lines, &["one", "/me waves", "//two", "one"]);
        let now = Instant::now();
        for line in ["Alex: one", "bot: one, more", "* bot", "bot joined the chat!"] {
            outbox.hear(line, now);
            assert_eq!(left(&outbox), ["one", "/me waves", "//two", "one"], "{line}");
        }
        outbox.hear("bot: one", now);
        assert_eq!(left(&outbox), ["/me waves", "//two", "one"]);
        outbox.hear("bot: /two", now);
        assert_eq!(left(&outbox), ["one"]);
    }

    #[test]
    fn a_refusal_and_what_one_is_told_answer_the_oldest_line() {
        let mut outbox =
            outbox(Framing::Lines, &["/who", "/msg Alex psst", "/frobnicate", "hello", "/nick bo"]);
        let now = Instant::now();
        outbox.hear("-- Here now (1): bot", now);
        outbox.hear("-- Alex to you: psst", now);
        assert_eq!(left(&outbox).len(), 4);
        outbox.hear("-- You to Alex: psst", now);
        outbox.hear("-- Not sent: no such command.", now);
        assert_eq!(left(&outbox), ["hello", "/nick bo"]);
        outbox.hear("-- The server is shutting down.", now);
        assert_eq!(left(&outbox), ["hello", "/nick bo"], "which says nothing about a text");
        outbox.hear("bot is now known as bo.", now);
        assert!(left(&outbox).is_empty());
    }

    #[test]
    fn a_pong_confirms_what_was_sent_before_its_ping() {
        let mut outbox = outbox(Framing::Lines, &["one"]);
        let now = Instant::now();
        outbox.pinged(now);
        assert!(outbox.put("two".to_owned()));
        outbox.next(now);
        outbox.ponged(now);
        assert_eq!(left(&outbox), ["two"]);
    }

    #[test]
    fn a_server_that_confirms_is_sent_a_window_of_lines_and_owes_answers() {
        let now = Instant::now();
        let mut outbox = outbox(Framing::Lines, &["first"]);
        assert_eq!(outbox.silent_since(), None, "it may be one that confirms nothing");
        outbox.hear("bot: first", now);
        for number in 0..=WINDOW_LINES {
            assert!(outbox.put(number.to_string()));
        }
        assert_eq!(std::iter::from_fn(|| outbox.next(now)).count(), WINDOW_LINES);
        assert_eq!(outbox.waiting().collect::<Vec<_>>(), [WINDOW_LINES.to_string()]);
        assert_eq!(outbox.silent_since(), Some(now));
        outbox.hear("bot: 0", now);
        assert!(outbox.next(now).is_some());
    }

    #[test]
    fn of_what_is_never_confirmed_the_latest_is_kept_and_what_waits_is_bounded() {
        let lines: Vec<String> = (0..=KEPT_LINES).map(|number| number.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut outbox = outbox(Framing::Lines, &lines);
        assert_eq!(left(&outbox), &lines[1..]);
        assert!(outbox.put("x".repeat(WAITING_BYTES)));
        assert!(!outbox.put("x".to_owned()));
        outbox.next(Instant::now());
        assert!(outbox.put("x".to_owned()));
    }

    #[test]
    fn a_server_that_does_not_answer_pings_owes_nothing_but_echoes() {
        let mut outbox = outbox(Framing::Lines, &["hello", "/who"]);
        let now = Instant::now();
        outbox.pinged(now);
        outbox.hear("bot: hello", now);
        assert_eq!(outbox.silent_since(), None);
        assert!(outbox.put("still there?".to_owned()));
        outbox.next(now);
        assert_eq!(outbox.silent_since(), Some(now));
    }
}
