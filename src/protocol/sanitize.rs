//! Text that appears on a terminal instead of acting on it.

use std::fmt::{self, Write as _};

/// Displays a text on one line and without effect on the terminal: characters that would act on it are
/// escaped.
#[derive(Clone, Copy, Debug)]
pub struct Sanitized<'a>(pub &'a str);

impl fmt::Display for Sanitized<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(acts_on_a_terminal) {
            return formatter.write_str(self.0);
        }
        for character in self.0.chars() {
            if acts_on_a_terminal(character) {
                write!(formatter, "{}", character.escape_default())?;
            } else {
                formatter.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the bidi embeddings,
/// overrides and isolates, which reorder the text around them. The joiners and marks that emoji, Arabic
/// and Hebrew need are not among them.
pub(super) fn acts_on_a_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_would_act_on_a_terminal_are_escaped() {
        assert_eq!(Sanitized("naïve 👩\u{200d}👧").to_string(), "naïve 👩\u{200d}👧");
        assert_eq!(Sanitized("a\n\u{1b}[2Jb\u{202e}").to_string(), "a\\n\\u{1b}[2Jb\\u{202e}");
    }
}
