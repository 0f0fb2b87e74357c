//! Classes of characters: what may be part of a nickname, and how a character is shown in a sentence.

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

/// Decimal digits, of whatever script in use.
pub(super) fn is_digit(character: char) -> bool {
    character.general_category() == GeneralCategory::DecimalNumber && is_in_use(character)
}

/// Punctuation that names are written with, from the hyphen of `Anna-Lena` to the brackets of `[bot]`:
/// some of ASCII, and what UAX 31 (tables 3a and 3b) has in the middle of words beyond it.
pub(super) fn is_punctuation(character: char) -> bool {
    const ASCII: &str = "-_.'&()+@[]^{|}~!";
    const OTHERS: &str = "\u{b7}\u{58a}\u{5f3}\u{5f4}\u{f0b}\u{2010}\u{2019}\u{2027}\u{30a0}\u{30fb}";
    ASCII.contains(character) || OTHERS.contains(character)
}

/// Pictures that are shown as such by themselves. Without what only modifies others or makes flags: such a
/// character has a look of its own only together with its neighbours.
pub(super) fn is_emoji(character: char) -> bool {
    matches!(
        character.emoji_status(),
        EmojiStatus::EmojiPresentation | EmojiStatus::EmojiPresentationAndModifierBase
    )
}

/// What nobody sees: control and format characters (escape sequences, bidi controls, zero-width
/// joiners), whatever Unicode says is ignored by default (fillers, variation selectors, tags), and
/// the blank of Braille, which is a symbol.
pub(super) fn is_invisible(character: char) -> bool {
    let category = character.general_category();
    matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || character.identifier_type() == Some(IdentifierType::Default_Ignorable)
        || character == '\u{2800}'
}

/// Marks that have no look of their own: they put the letter after them under the one before, and are seen
/// only by that (`Indic_Syllabic_Category=Invisible_Stacker`, of the scripts in use; and the joiner of Tifinagh).
pub(super) fn is_joining_sign(character: char) -> bool {
    matches!(
        character,
        '\u{1039}' | '\u{17d2}' | '\u{1a60}' | '\u{1bab}' | '\u{2d7f}' | '\u{aaf6}' | '\u{11133}'
    )
}

/// Neither of a script that nobody writes any more, some of which have blanks for letters, nor
/// otherwise unfit for names.
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

/// A character as it can safely be printed in a sentence: itself where it is visible and harmless, and
/// its code point where that may not be enough.
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
