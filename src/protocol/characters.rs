//! Classes of characters for nicknames, and how a character is shown in a sentence.

use std::fmt;

use unicode_properties::{
    EmojiStatus, GeneralCategory, GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _,
};
use unicode_security::GeneralSecurityProfile as _;
use unicode_security::general_security_profile::IdentifierType;

/// Letters of the scripts that are in use today.
pub(super) fn is_letter(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Letter && is_in_use(character)
}

/// Marks that combine with the letter before them, spacing or not, but do not enclose it.
pub(super) fn is_mark(character: char) -> bool {
    let category = character.general_category();
    matches!(category, GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark) && is_in_use(character)
}

/// Decimal digits of the scripts that are in use today.
pub(super) fn is_digit(character: char) -> bool {
    character.general_category() == GeneralCategory::DecimalNumber && is_in_use(character)
}

/// Punctuation that names are written with, from the hyphen of `Anna-Lena` to the brackets of `[bot]`:
/// some of ASCII, and beyond it the characters that UAX 31 (tables 3a and 3b) allows inside words.
pub(super) fn is_punctuation(character: char) -> bool {
    const ASCII: &str = "-_.'&()+@[]^{|}~!";
    const OTHERS: &str = "\u{b7}\u{58a}\u{5f3}\u{5f4}\u{f0b}\u{2010}\u{2019}\u{2027}\u{30a0}\u{30fb}";
    ASCII.contains(character) || OTHERS.contains(character)
}

/// Emoji that are displayed as pictures by default. Modifiers and the letters of flags are not among them:
/// they look like something only together with their neighbours.
pub(super) fn is_emoji(character: char) -> bool {
    matches!(
        character.emoji_status(),
        EmojiStatus::EmojiPresentation | EmojiStatus::EmojiPresentationAndModifierBase
    )
}

/// Invisible characters: control and format characters (escape sequences, bidi controls, zero-width
/// joiners), everything that Unicode ignores by default (fillers, variation selectors, tags), and the
/// blank of Braille, which is a symbol.
pub(super) fn is_invisible(character: char) -> bool {
    let category = character.general_category();
    matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || character.identifier_type() == Some(IdentifierType::Default_Ignorable)
        || character == '\u{2800}'
}

/// Marks that are invisible themselves: they only stack the letter after them under the one before
/// (`Indic_Syllabic_Category=Invisible_Stacker` of the scripts in use, and the joiner of Tifinagh).
pub(super) fn is_joining_sign(character: char) -> bool {
    matches!(
        character,
        '\u{1039}' | '\u{17d2}' | '\u{1a60}' | '\u{1bab}' | '\u{2d7f}' | '\u{aaf6}' | '\u{11133}'
    )
}

/// Whether the identifier type of UTS 39 makes a character fit for names. Scripts that nobody writes any
/// more are excluded, since some of them have blanks for letters.
fn is_in_use(character: char) -> bool {
    matches!(
        character.identifier_type(),
        Some(
            IdentifierType::Recommended
                | IdentifierType::Inclusion
                | IdentifierType::Limited_Use
                | IdentifierType::Uncommon_Use
                | IdentifierType::Technical
                | IdentifierType::Obsolete
        )
    )
}

/// A character as it can safely be printed in a sentence: itself if it is visible, and its code point
/// unless it is ASCII.
pub(super) struct Shown(pub(super) char);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use GeneralCategoryGroup::{Letter, Number, Punctuation, Symbol};
        let (shown, group) = (self.0, self.0.general_category_group());
        match shown {
            ' ' => formatter.write_str("a space"),
            _ if shown.is_ascii_graphic() => write!(formatter, "“{shown}”"),
            _ if matches!(group, Letter | Number | Punctuation | Symbol) && !is_invisible(shown) => {
                write!(formatter, "“{shown}” (U+{:04X})", u32::from(shown))
            }
            _ => write!(formatter, "U+{:04X}", u32::from(shown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_invisible_character_is_known() {
        for (invisible, kind) in [
            ('\u{1b}', "a control character"),
            ('\u{202e}', "a format character"),
            ('\u{115f}', "a filler, which is a letter"),
            ('\u{fe0f}', "a variation selector, which is a mark"),
            ('\u{2800}', "a blank symbol"),
        ] {
            assert!(is_invisible(invisible), "{kind}");
        }
        for visible in ['a', 'é', '1', '-', '🎈', '\u{301}'] {
            assert!(!is_invisible(visible), "{visible:?}");
        }
    }
}
