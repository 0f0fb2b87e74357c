//! A search through what the transcript retains, from its end to its beginning, a part at a time.

use crate::commit_log::{Line, Query};
use crate::room::{Position, Transcript};

/// A search for the last lines that match.
pub(super) struct Search {
    query: Query,
    /// What lies before this is still to be looked at.
    before: Position,
    /// The last one first.
    found: Vec<Line>,
}

impl Search {
    /// A search through everything that was said so far.
    pub(super) fn new(query: Query, transcript: &Transcript) -> Self {
        Self { query, before: transcript.end(), found: Vec::new() }
    }

    /// Looks at the next `at_most_bytes`, and at the rest of the line that they end in. Returns whether that was all.
    pub(super) fn go_on(&mut self, transcript: &Transcript, at_most_bytes: usize) -> bool {
        let far_enough = self.before.saturating_sub(at_most_bytes as Position);
        for (begin, at, line) in transcript.latest_before(self.before) {
            if self.found.len() >= self.query.at_most {
                return true;
            }
            if self.query.matches(line) {
                self.found.push(Line { at, text: line.into() });
            }
            self.before = begin;
            if begin <= far_enough {
                return false;
            }
        }
        true
    }

    /// What was found, in order.
    pub(super) fn into_lines(mut self) -> Vec<Line> {
        self.found.reverse();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::Timestamp;

    const LINES: [&str; 8] = [
        "Alex joined the chat!",
        "Alex: Hello, world",
        "Alex: hello hello",
        "* Alex says hello to the world",
        "Alex: helloworld",
        "hello is now known as world.",
        "Été: où est le monde ?",
        "hello left the chat.",
    ];

    const WORDS: [&str; 6] = ["hello", "WORLD", "alex", "été", "chat", "hell"];

    fn search(query: &Query, transcript: &Transcript, at_once_bytes: usize) -> Vec<Line> {
        let mut search = Search::new(query.clone(), transcript);
        while !search.go_on(transcript, at_once_bytes) {}
        search.into_lines()
    }

    /// All lines, tried one by one, without anything clever.
    fn naive(query: &Query, lines: &[Line]) -> Vec<Line> {
        let is_said = |line: &&Line| line.text.starts_with("* ") || line.text.contains(": ");
        let has = |line: &Line, word: &str| {
            let text = line.text.to_lowercase();
            text.split(|letter: char| !letter.is_alphanumeric()).any(|other| other == word.to_lowercase())
        };
        let matches = |line: &&Line| {
            query.words.is_empty() || is_said(line) && query.words.iter().all(|word| has(line, word))
        };
        let found: Vec<_> = lines.iter().filter(matches).cloned().collect();
        found[found.len().saturating_sub(query.at_most)..].to_vec()
    }

    #[test]
    fn only_what_members_have_said_is_searched_but_any_line_is_history() {
        let mut transcript = Transcript::new(1 << 20);
        for line in LINES {
            transcript.append(Timestamp(0), line);
        }
        let found = |words: &[&str]| {
            let query = Query { words: words.iter().map(|&word| word.into()).collect(), at_most: 10 };
            search(&query, &transcript, 1).into_iter().map(|line| line.text.into_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&["hello"]), LINES[1..4]);
        assert_eq!(found(&["hello", "world"]), [LINES[1], LINES[3]]);
        assert_eq!(found(&["Alex", "hello"]), LINES[1..4], "the nickname is part of the line");
        assert_eq!(found(&["chat"]), [""; 0]);
        assert_eq!(found(&[]), LINES);
    }

    proptest! {
        #[test]
        fn a_search_in_parts_finds_what_looking_at_every_line_finds(
            said in prop::collection::vec((0..LINES.len(), 0..900_u64), 0..300),
            words in prop::collection::vec(0..WORDS.len(), 0..3),
            at_most in 0..20_usize,
            retention_bytes in 0..6_000_usize,
            at_once_bytes in 0..3_000_usize,
        ) {
            let mut transcript = Transcript::new(retention_bytes);
            let mut time = 0;
            for &(line, pause) in &said {
                time += pause;
                transcript.append(Timestamp(time), LINES[line]);
            }
            let mut lines: Vec<_> =
                transcript.latest().map(|(at, text)| Line { at, text: text.into() }).collect();
            lines.reverse();
            let query = Query { words: words.iter().map(|&word| WORDS[word].into()).collect(), at_most };
            prop_assert_eq!(search(&query, &transcript, at_once_bytes), naive(&query, &lines));
        }

        #[test]
        fn what_is_dropped_while_it_is_searched_for_is_not_found_and_nothing_is_found_twice(
            parts in prop::collection::vec((1..40_usize, 0..400_usize), 1..40),
        ) {
            let mut transcript = Transcript::new(2_000);
            let mut number = 0;
            let mut say = |transcript: &mut Transcript, lines| {
                for _ in 0..lines {
                    transcript.append(Timestamp(number), format!("Alex: line {number}"));
                    number += 1;
                }
            };
            say(&mut transcript, 150);
            let query = Query { words: vec!["line".into()], at_most: usize::MAX };
            let mut search = Search::new(query, &transcript);
            for (lines, at_once_bytes) in parts {
                say(&mut transcript, lines);
                if search.go_on(&transcript, at_once_bytes) {
                    break;
                }
            }
            let found: Vec<_> = search.into_lines().into_iter().map(|line| line.text.into_string()).collect();
            let wanted: Vec<_> = (0..150).map(|number| format!("Alex: line {number}")).collect();
            prop_assert!(!found.is_empty());
            prop_assert_eq!(&found[..], &wanted[150 - found.len()..]);
        }
    }
}
