//! Commands: a member's message, parsed.

use super::sanitize::acts_on_a_terminal;
use super::search::SEARCH_USAGE;
use super::token::parse_digits;
use super::{Refusal, Words};

/// The longest text of a message, in bytes of UTF-8.
pub const TEXT_BYTES: usize = 1_024;

/// A text that may be shown to others: not blank, at most [`TEXT_BYTES`], and without characters
/// that would act on a terminal instead of appearing on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Checks a text.
    ///
    /// # Errors
    ///
    /// [`Refusal::Empty`], [`Refusal::TooLong`] or [`Refusal::Control`]; the text is refused as a whole.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::Empty);
        }
        if text.len() > TEXT_BYTES {
            return Err(Refusal::TooLong);
        }
        match text.chars().find(|&character| acts_on_a_terminal(character)) {
            Some(control) => Err(Refusal::Control(control)),
            None => Ok(Self(text)),
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A member's message, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// An empty line: nothing was said, and nothing is answered.
    Nothing,
    /// Say this to everyone.
    Say(Text<'a>),
    /// `/me TEXT`: tell everyone what the member does.
    Act(Text<'a>),
    /// `/msg NICKNAME TEXT`: say this to one member alone.
    Whisper {
        /// The nickname of the addressee, as it was typed.
        to: &'a str,
        /// The message.
        text: Text<'a>,
    },
    /// `/nick NICKNAME`: take this nickname.
    Rename(&'a str),
    /// `/who`: who is here?
    Who,
    /// `/search WORDS`: what was said last with all of these words?
    Search(Words<'a>),
    /// `/history NUMBER`: which were the last lines? This many, if it says so.
    History(Option<usize>),
    /// `/ping TOKEN`: answer with the token.
    Ping(Text<'a>),
    /// `/help`: which commands are there?
    Help,
    /// `/quit`: leave.
    Quit,
    /// `/session`: outlive this connection.
    Session,
}

/// A message of a client that has a session, which may be sent again: `/n NUMBER LINE`. The line is a text or a
/// command, without the nickname that the report's client puts in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// Its number, if it has one.
    pub number: Option<u64>,
    /// The line itself, for [`Command::parse`].
    pub line: &'a str,
}

impl<'a> Numbered<'a> {
    /// Takes the number off a message.
    ///
    /// # Errors
    ///
    /// [`Refusal::Usage`] if it begins like a numbered one and has no number.
    pub fn parse(message: &'a str) -> Result<Self, Refusal> {
        let Some(rest) = message.strip_prefix("/n ") else { return Ok(Self { number: None, line: message }) };
        let (number, line) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = parse_digits(number, 10).ok_or(Refusal::Usage(NUMBERED_USAGE))?;
        Ok(Self { number: Some(number), line })
    }
}

const NUMBERED_USAGE: &str = "/n NUMBER LINE";

impl<'a> Command<'a> {
    /// Parses one message of a member.
    ///
    /// `prefixes` are the nicknames that the member's own client may have put in front as
    /// `<nickname>: `, as the report's client does; the first that matches is stripped, once.
    ///
    /// # Errors
    ///
    /// Why the message is refused, as its sender is told.
    pub fn parse(message: &'a str, prefixes: &[&str]) -> Result<Self, Refusal> {
        let text = prefixes
            .iter()
            .find_map(|nickname| message.strip_prefix(nickname)?.strip_prefix(": "))
            .unwrap_or(message);
        if text.trim().is_empty() {
            return Ok(Self::Nothing);
        }
        match text.strip_prefix('/') {
            None => Ok(Self::Say(Text::parse(text)?)),
            Some(literal) if literal.starts_with('/') => Ok(Self::Say(Text::parse(literal)?)),
            Some(command) => Self::parse_command(command),
        }
    }

    fn parse_command(command: &'a str) -> Result<Self, Refusal> {
        let (name, rest) = split_word(command);
        let checked = |text, usage| match Text::parse(text) {
            Err(Refusal::Empty) => Err(Refusal::Usage(usage)),
            text => text,
        };
        let text = |usage| checked(rest, usage);
        match name {
            "me" => Ok(Self::Act(text("/me TEXT")?)),
            "msg" => {
                let (to, rest) = split_word(rest);
                Ok(Self::Whisper { to, text: checked(rest, "/msg NICKNAME TEXT")? })
            }
            "nick" => Ok(Self::Rename(text("/nick NICKNAME")?.as_str())),
            "ping" => Ok(Self::Ping(text("/ping TOKEN")?)),
            "who" => Ok(Self::Who),
            "search" => Ok(Self::Search(Words::parse(text(SEARCH_USAGE)?.as_str())?)),
            "history" if rest.trim().is_empty() => Ok(Self::History(None)),
            "history" => Ok(Self::History(Some(parse_count(rest.trim())?))),
            "help" => Ok(Self::Help),
            "quit" => Ok(Self::Quit),
            "session" => Ok(Self::Session),
            // Only at the very beginning of a message.
            "n" => Err(Refusal::Usage(NUMBERED_USAGE)),
            _ => Err(Refusal::UnknownCommand),
        }
    }
}

/// The first word, and the rest without the white space between them.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// A number of lines. One that is too large for this machine is as good as the largest.
fn parse_count(text: &str) -> Result<usize, Refusal> {
    let is_number = text.chars().all(|digit| digit.is_ascii_digit());
    let count = text.parse().unwrap_or(usize::MAX);
    if is_number && count > 0 { Ok(count) } else { Err(Refusal::Usage("/history NUMBER")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &str) -> Result<Command<'_>, Refusal> {
        Command::parse(message, &["Alex", "Alexandra"])
    }

    fn say(text: &str) -> Command<'_> {
        Command::Say(Text(text))
    }

    #[test]
    fn the_senders_own_prefix_is_taken_off_once() {
        assert_eq!(parse("hello"), Ok(say("hello")));
        assert_eq!(parse("Alex: hello"), Ok(say("hello")));
        assert_eq!(parse("Alexandra: hello"), Ok(say("hello")));
        assert_eq!(parse("Alex: Alex: hello"), Ok(say("Alex: hello")));
        assert_eq!(parse("Dinesh: hello"), Ok(say("Dinesh: hello")), "not another's");
        assert_eq!(parse("Alex:hello"), Ok(say("Alex:hello")));
        assert_eq!(parse("Alex: /who"), Ok(Command::Who), "the report's client has commands too");
    }

    #[test]
    fn a_slash_begins_a_command_and_two_are_a_literal_one() {
        let text = Text("waves at Bo");
        assert_eq!(parse("/me waves at Bo"), Ok(Command::Act(text)));
        assert_eq!(parse("/msg Bo  see you"), Ok(Command::Whisper { to: "Bo", text: Text("see you") }));
        assert_eq!(parse("/nick Sascha"), Ok(Command::Rename("Sascha")));
        assert_eq!(parse("/ping 42"), Ok(Command::Ping(Text("42"))));
        assert_eq!(parse("/who"), Ok(Command::Who));
        assert_eq!(parse("/help"), Ok(Command::Help));
        assert_eq!(parse("/search one, two"), Ok(Command::Search(Words::parse("one, two").unwrap())));
        assert_eq!(parse("/history"), Ok(Command::History(None)));
        assert_eq!(parse("/history 20 "), Ok(Command::History(Some(20))));
        let digits = "9".repeat(30);
        assert_eq!(parse(&format!("/history {digits}")), Ok(Command::History(Some(usize::MAX))));
        assert_eq!(parse("/quit"), Ok(Command::Quit));
        assert_eq!(parse("/session"), Ok(Command::Session));
        assert_eq!(parse("//etc/hosts"), Ok(say("/etc/hosts")));
        assert_eq!(parse("and/or"), Ok(say("and/or")));
    }

    #[test]
    fn a_command_without_its_arguments_is_answered_with_its_usage() {
        for (message, usage) in [
            ("/me", "/me TEXT"),
            ("/me  ", "/me TEXT"),
            ("/msg", "/msg NICKNAME TEXT"),
            ("/msg Bo", "/msg NICKNAME TEXT"),
            ("/nick", "/nick NICKNAME"),
            ("/ping", "/ping TOKEN"),
            ("/search", "/search WORDS"),
            ("/search ?!", "/search WORDS"),
            ("/history x", "/history NUMBER"),
            ("/history 0", "/history NUMBER"),
            ("/history -1", "/history NUMBER"),
            ("/history +1", "/history NUMBER"),
            ("/history 1 2", "/history NUMBER"),
            ("/n", "/n NUMBER LINE"),
        ] {
            assert_eq!(parse(message), Err(Refusal::Usage(usage)), "{message}");
        }
        assert_eq!(parse("/shrug"), Err(Refusal::UnknownCommand));
        assert_eq!(parse("/"), Err(Refusal::UnknownCommand));
    }

    #[test]
    fn a_numbered_message_is_a_number_and_a_line() {
        let numbered = |number, line| Ok(Numbered { number, line });
        assert_eq!(Numbered::parse("/n 12 hello you"), numbered(Some(12), "hello you"));
        assert_eq!(Numbered::parse("/n 12  hello"), numbered(Some(12), " hello"));
        assert_eq!(Numbered::parse("/n 12"), numbered(Some(12), ""));
        assert_eq!(Numbered::parse("/nick Bo"), numbered(None, "/nick Bo"));
        assert_eq!(Numbered::parse("Alex: /n 1 hello"), numbered(None, "Alex: /n 1 hello"));
        for without in ["/n ", "/n x hello", "/n -1 hello", "/n +1 hello", "/n 18446744073709551616 hello"] {
            assert_eq!(Numbered::parse(without), Err(Refusal::Usage(NUMBERED_USAGE)), "{without}");
        }
        assert_eq!(parse("/n 1 hello"), Err(Refusal::Usage(NUMBERED_USAGE)), "not within a numbered one");
    }

    #[test]
    fn an_empty_line_says_nothing() {
        for message in ["", " ", "Alex: ", "Alex:  \t"] {
            assert_eq!(parse(message), Ok(Command::Nothing), "{message:?}");
        }
    }

    #[test]
    fn a_text_has_at_most_1024_bytes_not_counting_its_prefix() {
        let longest = "é".repeat(512);
        assert_eq!(parse(&format!("Alex: {longest}")), Ok(say(&longest)));
        assert_eq!(parse(&format!("{longest}x")), Err(Refusal::TooLong));
        let whisper = Command::Whisper { to: "Bo", text: Text(&longest) };
        assert_eq!(parse(&format!("/msg Bo {longest}")), Ok(whisper), "the addressee does not count");
        assert_eq!(parse(&format!("/msg Bo {longest}x")), Err(Refusal::TooLong));
    }

    #[test]
    fn a_text_that_would_act_on_a_terminal_is_refused() {
        for control in
            ['\0', '\t', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2067}']
        {
            let text = format!("a{control}b");
            assert_eq!(Text::parse(&text), Err(Refusal::Control(control)));
        }
        let family = "👩\u{200d}👧 می\u{200c}خواهم";
        assert_eq!(Text::parse(family), Ok(Text(family)), "joiners are part of writing");
    }
}
