//! Receipts: the server sends everyone everything, its sender too, so a sender knows that a text
//! has been taken when it comes back.

use std::collections::VecDeque;

use crate::protocol::{Framing, Heard, Nickname};

/// What has been said and has not come back yet.
#[derive(Debug)]
pub struct Receipts {
    framing: Framing,
    nickname: String,
    unconfirmed: VecDeque<String>,
    /// The end of what came in the report's framing, where messages are merged and cut.
    tail: String,
}

/// What one line from the server means for what has been said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing.
    None,
    /// The oldest unconfirmed text, or in merged messages several, have been taken.
    Confirmed,
    /// The oldest unconfirmed text was refused.
    Refused(String),
}

impl Receipts {
    /// No text has been said yet by `nickname`.
    #[must_use]
    pub fn new(nickname: &Nickname, framing: Framing) -> Self {
        Self { framing, nickname: nickname.to_string(), unconfirmed: VecDeque::new(), tail: String::new() }
    }

    /// A text is on its way.
    pub fn expect(&mut self, text: &str) {
        self.unconfirmed.push_back(text.to_owned());
    }

    /// How many texts have not come back.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Compares a line from the server with what is expected. Answers come in the order of what
    /// was said, so each is about the oldest unconfirmed text.
    pub fn hear(&mut self, line: &str) -> Receipt {
        if self.framing == Framing::Report {
            return self.hear_merged(line);
        }
        match Heard::parse(line) {
            Heard::NotSent(_) => self.unconfirmed.pop_front().map_or(Receipt::None, Receipt::Refused),
            Heard::Everyone(line) if self.is_oldest(line) => {
                self.unconfirmed.pop_front();
                Receipt::Confirmed
            }
            _ => Receipt::None,
        }
    }

    fn is_oldest(&self, line: &str) -> bool {
        let text = line.strip_prefix(&self.nickname).and_then(|rest| rest.strip_prefix(": "));
        text.is_some() && text == self.unconfirmed.front().map(String::as_str)
    }

    fn hear_merged(&mut self, read: &str) -> Receipt {
        // Only our server refuses, and it does not merge.
        if let Heard::NotSent(_) = Heard::parse(read) {
            return self.unconfirmed.pop_front().map_or(Receipt::None, Receipt::Refused);
        }
        let mut receipt = Receipt::None;
        self.tail.push_str(read);
        while let Some(oldest) = self.unconfirmed.front() {
            let echo = format!("{}: {oldest}", self.nickname);
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
            self.unconfirmed.pop_front();
            receipt = Receipt::Confirmed;
        }
        self.tail.clear();
        receipt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts(framing: Framing, texts: &[&str]) -> Receipts {
        let mut receipts = Receipts::new(&Nickname::parse("bot").unwrap(), framing);
        for text in texts {
            receipts.expect(text);
        }
        receipts
    }

    #[test]
    fn a_text_is_confirmed_by_its_own_echo_only() {
        let mut receipts = receipts(Framing::Lines, &["hello", "world"]);
        assert_eq!(receipts.hear("bot joined the chat!"), Receipt::None);
        assert_eq!(receipts.hear("Alex: hello"), Receipt::None);
        assert_eq!(receipts.hear("bot: hello, you"), Receipt::None);
        assert_eq!(receipts.unconfirmed(), 2);
        assert_eq!(receipts.hear("bot: hello"), Receipt::Confirmed);
        assert_eq!(receipts.hear("bot: world"), Receipt::Confirmed);
        assert_eq!(receipts.hear("bot: world"), Receipt::None);
        assert_eq!(receipts.unconfirmed(), 0);
    }

    #[test]
    fn a_refusal_is_about_the_oldest_text() {
        let mut receipts = receipts(Framing::Lines, &["one", "two", "three"]);
        assert_eq!(receipts.hear("bot: one"), Receipt::Confirmed);
        assert_eq!(receipts.hear("-- Not sent: because."), Receipt::Refused("two".to_owned()));
        assert_eq!(receipts.hear("bot: three"), Receipt::Confirmed);
    }

    #[test]
    fn echoes_that_the_reports_server_merges_or_cuts_are_found() {
        let mut receipts = receipts(Framing::Report, &["one", "zwölf", "three"]);
        assert_eq!(receipts.hear("bot joined the chat!Connected to server!"), Receipt::None);
        assert_eq!(receipts.hear("Alex: hibot: onebot: zw"), Receipt::Confirmed);
        assert_eq!(receipts.unconfirmed(), 2);
        assert_eq!(receipts.hear("ölfbot: thr"), Receipt::Confirmed);
        assert_eq!(receipts.hear("ee"), Receipt::Confirmed);
        assert_eq!(receipts.unconfirmed(), 0);
    }
}
