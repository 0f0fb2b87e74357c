//! Colours, for terminals that want them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Color, Style};

use crate::protocol::{Framing, Heard, Sanitized};

/// The colours of nicknames: those that can be read on dark and on light.
const NICKNAME_COLORS: [AnsiColor; 6] = [
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Magenta,
    AnsiColor::Cyan,
    AnsiColor::Red,
];

/// How lines are shown to a person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Painter {
    colored: bool,
    framing: Framing,
}

impl Painter {
    /// Honours `NO_COLOR`, `CLICOLOR` and terminals that have no colours.
    pub(super) fn for_stdout(framing: Framing) -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        Self { colored: choice != anstream::ColorChoice::Never, framing }
    }

    /// A line from the server: its sender in a colour of its own, what is not talk dimmed.
    pub(super) fn line(self, line: &str) -> String {
        let harmless = Sanitized(line).to_string();
        if !self.colored {
            return harmless;
        }
        let dimmed = Style::new().dimmed();
        match Heard::parse(&harmless) {
            Heard::Everyone(talk) => match talk.split_once(": ") {
                Some((nickname, text)) if !nickname.contains(' ') => {
                    let color = Style::new().bold().fg_color(Some(color_of(nickname)));
                    format!("{color}{nickname}:{color:#} {text}")
                }
                _ if self.framing == Framing::Report || talk.starts_with("* ") => harmless,
                _ => format!("{dimmed}{harmless}{dimmed:#}"),
            },
            Heard::Whisper(_) => format!("{}{harmless}{:#}", Style::new().italic(), Style::new().italic()),
            Heard::NotSent(_) | Heard::NotJoined(_) => self.warning(&harmless),
            Heard::Connected | Heard::Told(_) => format!("{dimmed}{harmless}{dimmed:#}"),
        }
    }

    /// Something that did not go well.
    pub(super) fn warning(self, text: &str) -> String {
        let mut painted = String::new();
        let style = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let harmless = Sanitized(text);
        let _ = if self.colored {
            write!(painted, "{style}{harmless}{style:#}")
        } else {
            write!(painted, "{harmless}")
        };
        painted
    }
}

/// The same nickname has the same colour on every screen.
fn color_of(nickname: &str) -> Color {
    let sum = nickname.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    NICKNAME_COLORS[sum % NICKNAME_COLORS.len()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_a_line_is_itself_and_harmless() {
        let painter = Painter { colored: false, framing: Framing::Lines };
        assert_eq!(painter.line("Alex: hi"), "Alex: hi");
        assert_eq!(painter.line("Alex: \u{1b}[2J"), "Alex: \\u{1b}[2J");
    }

    #[test]
    fn with_colour_the_text_between_the_escapes_is_the_line() {
        let painter = Painter { colored: true, framing: Framing::Lines };
        for line in
            ["Alex: hi", "Alex joined the chat!", "-- Not sent: why.", "-- Bo to you: psst", "* Bo waves"]
        {
            let colored = painter.line(line);
            assert_eq!(anstream::adapter::strip_str(&colored).to_string(), line);
        }
        assert_ne!(painter.line("Alex: hi"), "Alex: hi");
    }
}
