//! Nicknames: parsed once, then always valid.

use std::fmt;
use std::sync::Arc;

use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// The longest nickname, in characters (Unicode scalar values) after normalisation.
pub const NICKNAME_CHARACTERS: usize = 32;

/// A nickname that follows the rules of `docs/protocol.md`: RFC 8266 (PRECIS nicknames) and, beyond
/// it, no spaces, no `:`, a letter or a digit in front, and at most [`NICKNAME_CHARACTERS`].
///
/// The rules are what makes a broadcast line unforgeable: in `<nickname>: <text>` the first `: `
/// ends the name, and no name can begin like a notice (`-- `) or an action (`* `).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

impl Nickname {
    /// Normalises and checks what somebody asked to be called.
    ///
    /// # Errors
    ///
    /// The first rule that `input` breaks, as a sentence for whoever typed it.
    pub fn parse(input: &str) -> Result<Self, NicknameError> {
        // Checked before normalisation: the profile would report these only as "disallowed".
        if let Some(forbidden) = input.chars().find(|&character| is_invisible(character)) {
            return Err(NicknameError::Forbidden(forbidden));
        }
        let name = precis_profiles::Nickname::enforce(input)
            .map_err(|error| match error {
                _ if input.trim().is_empty() => NicknameError::Empty,
                precis_profiles::precis_core::Error::BadCodepoint(bad) => {
                    char::from_u32(bad.cp).map_or(NicknameError::Disallowed, NicknameError::Forbidden)
                }
                _ => NicknameError::Disallowed,
            })?
            .into_owned();
        let first = name.chars().next().ok_or(NicknameError::Empty)?;
        if let Some(forbidden) = name.chars().find(|&character| is_separating(character)) {
            return Err(NicknameError::Forbidden(forbidden));
        }
        if !is_letter_or_digit(first) {
            return Err(NicknameError::First(first));
        }
        if name.chars().count() > NICKNAME_CHARACTERS {
            return Err(NicknameError::TooLong);
        }
        Ok(Self(name.into()))
    }

    /// The nickname as everyone sees it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The two keys under which a nickname is taken, mostly the same: two nicknames that share one
    /// of them cannot be in the room at once.
    ///
    /// Two, because the skeleton of UTS 39 and case folding do not commute. The first ignores case
    /// and then looks (`Alex`, `alex`, and Cyrillic `аlex`), the second looks and then ignores case
    /// (`PaypaI` with a capital I and `Paypal`).
    #[must_use]
    pub fn keys(&self) -> [Box<str>; 2] {
        let look = |text: &str| unicode_security::skeleton(text).collect::<String>().to_lowercase();
        [look(&self.0.to_lowercase()).into(), look(&self.0).into()]
    }
}

impl From<Nickname> for Arc<str> {
    fn from(nickname: Nickname) -> Self {
        nickname.0
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why something cannot be a nickname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Nothing was left after trimming.
    Empty,
    /// More than [`NICKNAME_CHARACTERS`].
    TooLong,
    /// It begins with something other than a letter or a digit.
    First(char),
    /// It holds a character that no nickname may hold.
    Forbidden(char),
    /// RFC 8266 rules it out for a reason that is not one single character.
    Disallowed,
}

impl fmt::Display for NicknameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "a nickname needs at least one character"),
            Self::TooLong => {
                write!(formatter, "a nickname has at most {NICKNAME_CHARACTERS} characters")
            }
            Self::First(first) => {
                write!(formatter, "a nickname begins with a letter or a digit, not with {}", Shown(*first))
            }
            Self::Forbidden(forbidden) => {
                write!(formatter, "a nickname cannot contain {}", Shown(*forbidden))
            }
            Self::Disallowed => write!(formatter, "the characters do not form a nickname (RFC 8266)"),
        }
    }
}

impl std::error::Error for NicknameError {}

/// A character as it can safely be printed in a sentence: itself where it is visible and harmless,
/// its code point otherwise.
pub(super) struct Shown(pub(super) char);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ' ' => formatter.write_str("a space"),
            visible if visible.is_ascii_graphic() => write!(formatter, "“{visible}”"),
            other => write!(formatter, "U+{:04X}", u32::from(other)),
        }
    }
}

/// Control and format characters (general categories Cc and Cf): escape sequences, bidi controls,
/// zero-width joiners; and the blank of Braille, which is a symbol that nobody sees.
fn is_invisible(character: char) -> bool {
    character == '\u{2800}'
        || matches!(character.general_category(), GeneralCategory::Control | GeneralCategory::Format)
}

fn is_separating(character: char) -> bool {
    character == ':' || character.is_whitespace()
}

fn is_letter_or_digit(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Letter
        || character.general_category() == GeneralCategory::DecimalNumber
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resemble(left: &str, right: &str) -> bool {
        let keys = |name: &str| Nickname::parse(name).expect("a valid nickname").keys();
        let right = keys(right);
        keys(left).iter().any(|key| right.contains(key))
    }

    #[test]
    fn names_of_all_scripts_are_nicknames() {
        for name in ["Dinesh", "alex_2", "7of9", "Zoë", "Алексей", "دينيش", "दिनेश", "陳大文", "a-b.c"]
        {
            assert_eq!(Nickname::parse(name).map(|name| name.to_string()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_nickname_is_trimmed_and_normalised() {
        assert_eq!(Nickname::parse("  Alex ").unwrap().as_str(), "Alex");
        assert_eq!(Nickname::parse("Ａｌｅｘ").unwrap().as_str(), "Alex");
        assert_eq!(Nickname::parse("Zoe\u{308}").unwrap().as_str(), "Zoë");
    }

    #[test]
    fn what_is_not_a_nickname_is_refused_with_the_reason() {
        use NicknameError::{Empty, First, Forbidden, TooLong};
        let cases = [
            ("", Empty),
            ("   ", Empty),
            ("two words", Forbidden(' ')),
            ("Alex:", Forbidden(':')),
            ("-- The server", Forbidden(' ')),
            ("--", First('-')),
            ("*", First('*')),
            ("/quit", First('/')),
            ("Al\u{1b}[31mex", Forbidden('\u{1b}')),
            ("Al\nex", Forbidden('\n')),
            ("Al\u{200b}ex", Forbidden('\u{200b}')),
            ("Al\u{202e}ex", Forbidden('\u{202e}')),
            ("Al\u{9b}ex", Forbidden('\u{9b}')),
            ("\u{3164}", Forbidden('\u{3164}')),
            ("Alex\u{2800}", Forbidden('\u{2800}')),
            ("abcdefghijklmnopqrstuvwxyz1234567", TooLong),
        ];
        for (input, reason) in cases {
            assert_eq!(Nickname::parse(input), Err(reason), "{input:?}");
        }
        assert!(Nickname::parse("abcdefghijklmnopqrstuvwxyz123456").is_ok());
    }

    #[test]
    fn nicknames_that_look_alike_cannot_both_be_taken() {
        assert!(resemble("Alex", "alex"));
        assert!(resemble("Alex", "\u{410}lex"), "a Cyrillic capital A");
        assert!(resemble("alex", "\u{430}lex"), "a Cyrillic small a");
        assert!(resemble("Paypal", "PaypaI"), "a capital I for a small l");
        assert!(resemble("Ivan", "ivan"));
        assert!(resemble("Bob", "B0b"));
        assert!(!resemble("Alex", "Alec"));
        assert!(!resemble("ivan", "lvan"));
    }

    proptest! {
        #[test]
        fn any_nickname_can_be_parsed_again_and_stays_the_same(input in ".{0,40}") {
            if let Ok(name) = Nickname::parse(&input) {
                prop_assert_eq!(Nickname::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().chars().count() <= NICKNAME_CHARACTERS);
                prop_assert!(!name.as_str().contains([':', ' ', '\n', '\r']));
                prop_assert!(!name.as_str().starts_with(['-', '*', '/']));
            }
        }
    }
}
