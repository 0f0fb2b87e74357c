//! The lines that the stayers have heard, and the promises about them.

use std::collections::BTreeMap;

/// The lines that everyone has heard between the beginning and the end, in their one order.
#[derive(Default)]
pub struct Chronicle {
    pub lines: Vec<String>,
    /// How many lines each stayer has said.
    pub said: BTreeMap<String, u64>,
}

impl Chronicle {
    /// Somebody hears a line at a place. The first to hear that place decides which line all must hear there.
    pub fn hear(&mut self, place: usize, line: &str) {
        match self.lines.get(place) {
            Some(heard) => assert_eq!(heard, line, "line {place} is not the same for everybody"),
            None => self.lines.push(line.to_owned()),
        }
    }

    /// Checks that everybody comes and goes once, and that the messages of each are numbered without a gap.
    pub fn check(&self) {
        let mut here: BTreeMap<&str, bool> = BTreeMap::new();
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &self.lines {
            if let Some(name) = line.strip_suffix(" joined the chat!") {
                assert_eq!(here.insert(name, true), None, "{name} joins once");
            } else if let Some(name) = line.strip_suffix(" left the chat.") {
                assert_eq!(here.insert(name, false), Some(true), "{name} leaves once");
            } else if let Some((name, text)) = line.split_once(": ") {
                let number = numbers.entry(name).or_default();
                *number += 1;
                assert_eq!(text.split(' ').next(), Some(number.to_string().as_str()), "a gap: {line}");
            }
        }
        let ghosts: Vec<_> = here.iter().filter(|(_, here)| **here).collect();
        assert!(ghosts.is_empty(), "they never left: {ghosts:?}");
        for (name, said) in &self.said {
            assert_eq!(numbers.get(name.as_str()).unwrap_or(&0), said, "a message of {name} was lost");
        }
    }
}
