//! The line that is being typed: pure, without a terminal. Keys go in, [`Action`]s come out.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use super::history::History;
use super::key::Key;

/// How long a line may become, in bytes. Well above the limit of a server, so that the server itself
/// refuses a long line; and short enough for every key to be fast.
pub(super) const TYPED_BYTES: usize = 16 * 1_024;

/// The replacement for a tab in a pasted text; the chat takes no control characters.
const TAB: &str = "    ";

/// The purpose of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be said. Goes into the history.
    #[default]
    Talk,
    /// The answer to a question.
    Answer,
    /// A password: masked, and kept nowhere.
    Secret,
}

/// The consequence of a key, apart from its effect on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A line is complete.
    Submit(String),
    /// A line is complete, but more was typed than a line may have.
    TooLong,
    /// The person wants to leave.
    Leave,
    /// The person wants to go back to the shell for a while.
    Suspend,
    /// The person wants a clean screen.
    Clear,
}

/// An editable line of grapheme clusters, its cursor always between two of them.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    cursor: usize,
    purpose: Purpose,
    history: History,
    killed: String,
    /// The unfinished line that a question has interrupted.
    set_aside: String,
    /// Something did not fit in.
    overflowed: bool,
    /// The last key was Enter: a line feed that follows belongs to it.
    after_enter: bool,
}

impl Line {
    /// From now on the line is for something else. The unfinished line comes back after the question.
    pub(super) fn begin(&mut self, purpose: Purpose) {
        match (self.purpose, purpose) {
            (Purpose::Talk, Purpose::Talk) => return,
            (Purpose::Talk, _) => self.set_aside = self.take(),
            (_, Purpose::Talk) => {
                self.text = std::mem::take(&mut self.set_aside);
                self.cursor = self.text.len();
            }
            _ => drop(self.take()),
        }
        self.overflowed = false;
        self.purpose = purpose;
    }

    /// The visible text, and how many of its bytes are before the cursor.
    pub(super) fn shown(&self) -> (String, usize) {
        if self.purpose == Purpose::Secret {
            let stars = |text: &str| "*".repeat(text.graphemes(true).count());
            return (stars(&self.text), stars(&self.text[..self.cursor]).len());
        }
        (self.text.clone(), self.cursor)
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: Key) -> Option<Action> {
        let after_enter = std::mem::replace(&mut self.after_enter, key == Key::Enter);
        match key {
            Key::LineFeed if after_enter => {}
            Key::Enter | Key::LineFeed => return Some(self.submit()),
            Key::Interrupt => return Some(Action::Leave),
            Key::EndOfInput if self.text.is_empty() => return Some(Action::Leave),
            Key::Suspend => return Some(Action::Suspend),
            Key::Clear => return Some(Action::Clear),
            Key::Text(character) => self.insert(character.encode_utf8(&mut [0; 4])),
            Key::Yank => self.insert(&self.killed.clone()),
            Key::Left => self.cursor = self.before(self.cursor),
            Key::Right => self.cursor = self.after(self.cursor),
            Key::WordLeft => self.cursor = self.word_before(|text| !is_word(text)),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Backspace => drop(self.remove(self.before(self.cursor), self.cursor)),
            Key::Delete | Key::EndOfInput => drop(self.remove(self.cursor, self.after(self.cursor))),
            Key::KillWordLeft => self.kill(self.word_before(is_blank), self.cursor),
            Key::KillWordRight => self.kill(self.cursor, self.word_after()),
            Key::KillToStart => self.kill(0, self.cursor),
            Key::KillToEnd => self.kill(self.cursor, self.text.len()),
            Key::Up => self.recall(History::up),
            Key::Down => self.recall(|history, _| history.down()),
        }
        None
    }

    /// A text was pasted. Each line end in it ends a line; the text after the last one is left to be edited.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Action> {
        self.after_enter = false;
        let mut lines = Vec::new();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for piece in text.split_inclusive('\n') {
            let line = piece.strip_suffix('\n');
            let harmless: String = line.unwrap_or(piece).replace('\t', TAB).replace(char::is_control, "");
            self.insert(&harmless);
            if line.is_some() {
                lines.push(self.submit());
            }
        }
        lines
    }

    fn submit(&mut self) -> Action {
        let overflowed = std::mem::take(&mut self.overflowed);
        let line = self.take();
        if overflowed {
            return Action::TooLong;
        }
        if self.purpose == Purpose::Talk {
            self.history.add(&line);
        }
        Action::Submit(line)
    }

    fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() > TYPED_BYTES {
            self.overflowed = true;
            return;
        }
        self.text.insert_str(self.cursor, text);
        self.move_to(self.cursor + text.len());
    }

    fn remove(&mut self, from: usize, to: usize) -> String {
        let removed = self.text.drain(from..to).collect();
        self.move_to(from);
        self.overflowed &= !self.text.is_empty();
        removed
    }

    fn kill(&mut self, from: usize, to: usize) {
        let killed = self.remove(from, to);
        if self.purpose != Purpose::Secret && !killed.is_empty() {
            self.killed = killed;
        }
    }

    fn recall(&mut self, line: impl Fn(&mut History, &str) -> Option<String>) {
        if self.purpose == Purpose::Talk
            && let Some(line) = line(&mut self.history, &self.text)
        {
            self.text = line;
            self.cursor = self.text.len();
        }
    }

    /// An insertion or a removal may have joined its neighbours into one cluster; then the cursor goes after
    /// that.
    fn move_to(&mut self, at: usize) {
        self.cursor = match self.clusters(at).is_boundary(&self.text, 0) {
            Ok(false) => self.after(at),
            _ => at,
        };
    }

    fn before(&self, at: usize) -> usize {
        self.clusters(at).prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        self.clusters(at).next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn clusters(&self, at: usize) -> GraphemeCursor {
        GraphemeCursor::new(at, self.text.len(), true)
    }

    /// The start of the word on the left; `between` recognizes the clusters between words.
    fn word_before(&self, between: fn(&str) -> bool) -> usize {
        let left = self.text[..self.cursor].grapheme_indices(true).rev();
        let word = left.skip_while(|(_, cluster)| between(cluster));
        word.take_while(|(_, cluster)| !between(cluster)).last().map_or(0, |(at, _)| at)
    }

    /// The end of the word on the right.
    fn word_after(&self) -> usize {
        let right = self.text[self.cursor..].grapheme_indices(true);
        let word = right.skip_while(|(_, cluster)| !is_word(cluster));
        word.take_while(|(_, cluster)| is_word(cluster))
            .last()
            .map_or(self.text.len(), |(at, cluster)| self.cursor + at + cluster.len())
    }
}

fn is_word(cluster: &str) -> bool {
    cluster.chars().any(char::is_alphanumeric)
}

fn is_blank(cluster: &str) -> bool {
    cluster.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests;
