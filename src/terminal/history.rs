//! The lines that were typed before, for the Up key.

use std::collections::VecDeque;

/// How many lines are kept.
const HISTORY_LINES: usize = 1_000;

/// Lines from the oldest to the latest, and which of them is looked at.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    /// How far back the person has gone; 0 is the line that is being typed.
    back: usize,
    /// The unfinished line of a person who has gone back.
    draft: String,
}

impl History {
    /// A line was typed. The latest line again is not kept twice.
    pub(super) fn add(&mut self, line: &str) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.back().is_some_and(|latest| latest == line) {
            return;
        }
        if self.lines.len() == HISTORY_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// The line before; `None` at the oldest. `typed` is the text in the editor now.
    pub(super) fn up(&mut self, typed: &str) -> Option<String> {
        let line = self.lines.len().checked_sub(self.back + 1).map(|index| self.lines[index].clone())?;
        if self.back == 0 {
            typed.clone_into(&mut self.draft);
        }
        self.back += 1;
        Some(line)
    }

    /// The line after, and finally the unfinished one; `None` from there.
    pub(super) fn down(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len() - back).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_goes_back_and_down_returns_to_what_was_being_typed() {
        let mut history = History::default();
        assert_eq!(history.up("x"), None);
        for line in ["one", "two", "two", " "] {
            history.add(line);
        }
        assert_eq!(history.up("dra").as_deref(), Some("two"));
        assert_eq!(history.up("two").as_deref(), Some("one"));
        assert_eq!(history.up("one"), None);
        assert_eq!(history.down().as_deref(), Some("two"));
        assert_eq!(history.down().as_deref(), Some("dra"));
        assert_eq!(history.down(), None);
    }

    #[test]
    fn the_oldest_line_makes_room_for_the_latest() {
        let mut history = History::default();
        for number in 0..=HISTORY_LINES {
            history.add(&number.to_string());
        }
        let oldest = std::iter::from_fn(|| history.up("")).last();
        assert_eq!(oldest.as_deref(), Some("1"));
    }
}
