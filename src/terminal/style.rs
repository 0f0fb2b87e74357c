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

/// A line or a row of it: stretches of text, each in a style of its own. The texts are sanitized, so
/// that breaking the line into rows measures only visible text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Painted(pub(super) Vec<(Style, String)>);

impl Painted {
    /// A text in no style.
    pub(super) fn plain(text: &str) -> Self {
        Self(vec![(Style::new(), text.to_owned())])
    }

    /// Adds to the end of a row that is being built.
    pub(super) fn push(&mut self, style: Style, text: &str) {
        match self.0.last_mut() {
            Some((last, stretch)) if *last == style => stretch.push_str(text),
            _ => self.0.push((style, text.to_owned())),
        }
    }

    /// The bytes that show it on a terminal.
    pub(super) fn encode(&self) -> String {
        let mut encoded = String::new();
        for (style, text) in &self.0 {
            let _ = write!(encoded, "{style}{text}{style:#}");
        }
        encoded
    }
}

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

    /// A line from the server: its sender in a colour of its own, anything but talk dimmed.
    pub(super) fn line(self, line: &str) -> Painted {
        let harmless = Sanitized(line).to_string();
        match Heard::parse(&harmless) {
            Heard::Everyone(talk) => match talk.split_once(": ") {
                Some((nickname, text)) if !nickname.contains(' ') => {
                    let color = self.style(Style::new().bold().fg_color(Some(color_of(nickname))));
                    Painted(vec![(color, format!("{nickname}:")), (Style::new(), format!(" {text}"))])
                }
                _ if self.framing == Framing::Report || talk.starts_with("* ") => Painted::plain(&harmless),
                _ => self.dim(&harmless),
            },
            Heard::Whisper(_) => self.paint(Style::new().italic(), &harmless),
            Heard::NotSent(_) | Heard::NotJoined(_) => self.warning(&harmless),
            Heard::Connected | Heard::Told(_) => self.dim(&harmless),
        }
    }

    /// Something that did not go well.
    pub(super) fn warning(self, text: &str) -> Painted {
        self.paint(Style::new().fg_color(Some(AnsiColor::Red.into())), text)
    }

    /// Something that matters less than talk.
    pub(super) fn dim(self, text: &str) -> Painted {
        self.paint(Style::new().dimmed(), text)
    }

    fn paint(self, style: Style, text: &str) -> Painted {
        Painted(vec![(self.style(style), Sanitized(text).to_string())])
    }

    fn style(self, style: Style) -> Style {
        if self.colored { style } else { Style::new() }
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
        assert_eq!(painter.line("Alex: hi").encode(), "Alex: hi");
        assert_eq!(painter.line("Alex: \u{1b}[2J").encode(), "Alex: \\u{1b}[2J");
    }

    #[test]
    fn with_colour_the_text_between_the_escapes_is_the_line() {
        let painter = Painter { colored: true, framing: Framing::Lines };
        for line in
            ["Alex: hi", "Alex joined the chat!", "-- Not sent: why.", "-- Bo to you: psst", "* Bo waves"]
        {
            let colored = painter.line(line).encode();
            assert_eq!(anstream::adapter::strip_str(&colored).to_string(), line);
        }
        assert_ne!(painter.line("Alex: hi").encode(), "Alex: hi");
    }
}
