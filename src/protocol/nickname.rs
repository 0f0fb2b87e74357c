//! Nicknames: parsed once, then always valid.

use std::fmt;
use std::sync::Arc;

use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use precis_profiles::precis_core::{self, DerivedPropertyValue};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::mixed_script::AugmentedScriptSet;

use super::characters::{
    Shown, is_digit, is_emoji, is_invisible, is_joining_sign, is_letter, is_mark, is_punctuation,
};
use super::lookalike;

/// The longest nickname, in characters (Unicode scalar values) after normalisation.
pub const NICKNAME_CHARACTERS: usize = 32;

/// How many marks may stand on one letter: the limit of UTS 39, and more than any language needs.
const MARKS_ON_A_LETTER: usize = 4;

/// A nickname that follows the rules of `docs/protocol.md`: RFC 8266 (PRECIS nicknames) and, beyond
/// it, only characters of the classes named there, one writing system, no spaces, no `:`, a letter or
/// a digit at the start, and at most [`NICKNAME_CHARACTERS`].
///
/// The rules make a broadcast line unforgeable: in `<nickname>: <text>` the first `: `
/// ends the name, and no name can begin like a notice (`-- `) or an action (`* `).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

impl Nickname {
    /// Normalises and checks the nickname that somebody asks for.
    ///
    /// # Errors
    ///
    /// The first rule that `input` breaks, as a sentence for the person who typed it.
    pub fn parse(input: &str) -> Result<Self, NicknameError> {
        // Checked before normalisation: the profile would report these only as "disallowed".
        if let Some(forbidden) = input.chars().find(|&character| is_invisible(character)) {
            return Err(NicknameError::Forbidden(forbidden));
        }
        let name = precis_profiles::Nickname::enforce(input)
            .map_err(|error| explain(&error, input.trim().is_empty()))?
            .into_owned();
        let first = name.chars().next().ok_or(NicknameError::Empty)?;
        if let Some(forbidden) = name.chars().find(|&character| !is_allowed(character)) {
            return Err(NicknameError::Forbidden(forbidden));
        }
        if !is_letter(first) && !is_digit(first) {
            return Err(NicknameError::First(first));
        }
        if name.chars().count() > NICKNAME_CHARACTERS {
            return Err(NicknameError::TooLong);
        }
        check_marks(&name)?;
        check_scripts(&name)?;
        Ok(Self(name.into()))
    }

    /// A nickname that was parsed before, and kept as text. It is not checked again: it may have been allowed by
    /// earlier tables of Unicode.
    pub(crate) fn kept(name: &str) -> Self {
        Self(name.into())
    }

    /// The nickname as everyone sees it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The two keys under which a nickname is taken, mostly the same: two nicknames that share one
    /// of them look alike, and cannot be in the room at once.
    #[must_use]
    pub fn keys(&self) -> [Box<str>; 2] {
        lookalike::keys(&self.0)
    }
}

fn explain(error: &precis_core::Error, is_blank: bool) -> NicknameError {
    match error {
        _ if is_blank => NicknameError::Empty,
        precis_core::Error::BadCodepoint(bad) => {
            let needs_context =
                matches!(bad.property, DerivedPropertyValue::ContextO | DerivedPropertyValue::ContextJ);
            let why = if needs_context { NicknameError::OutOfPlace } else { NicknameError::Forbidden };
            char::from_u32(bad.cp).map_or(NicknameError::Disallowed, why)
        }
        _ => NicknameError::Disallowed,
    }
}

fn is_allowed(character: char) -> bool {
    is_letter(character)
        || is_mark(character)
        || is_digit(character)
        || is_punctuation(character)
        || is_emoji(character)
}

/// Marks stand on letters, few of them and each once: more would hide the letter, or one another. A joining
/// sign is visible only between two letters.
fn check_marks(name: &str) -> Result<(), NicknameError> {
    let mut marks = 0;
    let mut before = None;
    // Decomposed, so that a mark counts whether or not Unicode has one character for it and its letter.
    for character in name.nfd() {
        if let Some(sign) = before.filter(|&before| is_joining_sign(before) && !is_letter(character)) {
            return Err(NicknameError::OutOfPlace(sign));
        }
        marks = if is_mark(character) { marks + 1 } else { 0 };
        let stands_on_a_letter = before.is_some_and(|before| is_letter(before) || is_mark(before));
        if marks > 0 && (!stands_on_a_letter || before == Some(character) || marks > MARKS_ON_A_LETTER) {
            return Err(NicknameError::Marks(character));
        }
        before = Some(character);
    }
    let last = before.filter(|&last| is_joining_sign(last));
    last.map_or(Ok(()), |sign| Err(NicknameError::OutOfPlace(sign)))
}

/// All characters belong to one script, or to one of the combinations with which Chinese, Japanese and
/// Korean are written, Latin included: the restriction level "highly restrictive" of UTS 39.
fn check_scripts(name: &str) -> Result<(), NicknameError> {
    let mut all = AugmentedScriptSet::default();
    let mut all_but_latin = AugmentedScriptSet::default();
    let mut first = None;
    for character in name.chars() {
        let scripts = AugmentedScriptSet::for_char(character);
        if scripts.is_all() {
            continue;
        }
        let script = scripts.base.iter().next().map_or("", |script| script.full_name());
        let first = *first.get_or_insert(script);
        all.intersect_with(scripts);
        if !scripts.base.iter().any(|script| script.full_name() == "Latin") {
            all_but_latin.intersect_with(scripts);
        }
        let is_east_asian = all_but_latin.hanb || all_but_latin.jpan || all_but_latin.kore;
        if all.is_empty() && !is_east_asian {
            return Err(NicknameError::MixedScripts(first, script));
        }
    }
    Ok(())
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
#[non_exhaustive]
pub enum NicknameError {
    /// Nothing was left after trimming.
    Empty,
    /// More than [`NICKNAME_CHARACTERS`].
    TooLong,
    /// It begins with something other than a letter or a digit.
    First(char),
    /// It contains a character that no nickname may contain.
    Forbidden(char),
    /// This mark is one too many on its letter, is there already, or is not on a letter.
    Marks(char),
    /// This character is allowed only in certain places, and this is not one: a middle dot anywhere but
    /// between two `l`, or a sign that joins two letters without a letter after it.
    OutOfPlace(char),
    /// Its characters belong to different scripts, such as these two.
    MixedScripts(&'static str, &'static str),
    /// RFC 8266 rules it out, and not because of a single character.
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
            Self::Marks(mark) => write!(
                formatter,
                "in a nickname marks such as {} stand on letters, at most {MARKS_ON_A_LETTER} on one and none twice",
                Shown(*mark)
            ),
            Self::OutOfPlace(character) => {
                write!(formatter, "a nickname cannot contain {} in this place", Shown(*character))
            }
            Self::MixedScripts(one, other) => {
                write!(formatter, "a nickname is written in one script, not in both {one} and {other}")
            }
            Self::Disallowed => write!(formatter, "the characters do not form a nickname (RFC 8266)"),
        }
    }
}

impl std::error::Error for NicknameError {}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::characters::is_invisible;
    use super::*;

    #[test]
    fn names_of_all_scripts_are_nicknames() {
        let names = "Dinesh alex_2 7of9 Zoë Алексей دينيش दिनेश 陳大文 a-b.c José Łukasz O'Brien O’Brien 李雷 たろう 김철수 \
                     Zoë🎈 Nguyễn Anna‐Lena Тарас-2 ภูมิพล தமிழ் ኢትዮጵያ Paral·lel ネ・コ אב״ג မန္တလေး ខ្មែរ ᏣᎳᎩ R&D Bo+1 \
                     Alex(away) alex@work a[bot] a{x}|^~! 山田Taro タロウBob 철수Kim 𠀀";
        for name in names.split_whitespace() {
            assert_eq!(Nickname::parse(name).map(|name| name.to_string()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn a_nickname_is_trimmed_and_normalised() {
        assert_eq!(Nickname::parse("  Alex ").unwrap().as_str(), "Alex");
        assert_eq!(Nickname::parse("Ａｌｅｘ").unwrap().as_str(), "Alex");
        assert_eq!(Nickname::parse("Zoe\u{308}").unwrap().as_str(), "Zoë");
        assert_eq!(Nickname::parse("HenryⅣ").unwrap().as_str(), "HenryIV");
    }

    #[test]
    fn an_invalid_nickname_is_refused_with_the_reason() {
        use NicknameError::{Empty, First, Forbidden, Marks, OutOfPlace, TooLong};
        let cases = [
            ("", Empty),
            ("   ", Empty),
            ("two words", Forbidden(' ')),
            ("Alex:", Forbidden(':')),
            ("-- The server", Forbidden(' ')),
            ("--", First('-')),
            ("*", Forbidden('*')),
            ("/quit", Forbidden('/')),
            ("🎈Zoë", First('🎈')),
            ("\u{301}a", First('\u{301}')),
            ("Al\u{1b}[31mex", Forbidden('\u{1b}')),
            ("Al\nex", Forbidden('\n')),
            ("Al\u{200b}ex", Forbidden('\u{200b}')),
            ("Al\u{202e}ex", Forbidden('\u{202e}')),
            ("Al\u{9b}ex", Forbidden('\u{9b}')),
            // Blanks, alone or at the end of a nickname: of Hangul, Braille, music, hieroglyphs.
            ("\u{3164}", Forbidden('\u{3164}')),
            ("Alex\u{3164}", Forbidden('\u{3164}')),
            ("Alex\u{115f}", Forbidden('\u{115f}')),
            ("Alex\u{2800}", Forbidden('\u{2800}')),
            ("Alex\u{1d159}", Forbidden('\u{1d159}')),
            ("\u{13441}", Forbidden('\u{13441}')),
            // Private use, unassigned, a selector, a tag, a joiner of emoji, an emoji that needs a selector.
            ("Alex\u{e000}", Forbidden('\u{e000}')),
            ("Alex\u{378}", Forbidden('\u{378}')),
            ("Alex\u{fe0f}", Forbidden('\u{fe0f}')),
            ("Alex\u{e0061}", Forbidden('\u{e0061}')),
            ("A👩\u{200d}👧", Forbidden('\u{200d}')),
            ("Zoë❤", Forbidden('❤')),
            ("Alex🇩🇪", Forbidden('🇩')),
            ("x\u{489}", Forbidden('\u{489}')),
            // Marks on nothing, the same twice, too many.
            ("a-\u{301}", Marks('\u{301}')),
            ("Zoë🎈\u{301}", Marks('\u{301}')),
            ("a\u{301}\u{301}", Marks('\u{301}')),
            ("a\u{323}\u{324}\u{325}\u{326}\u{327}", Marks('\u{326}')),
            // A dot that is not between two `l`, a sign that joins nothing.
            ("A·B", OutOfPlace('·')),
            ("မောင်\u{1039}", OutOfPlace('\u{1039}')),
            ("မောင်\u{1039}2", OutOfPlace('\u{1039}')),
            ("abcdefghijklmnopqrstuvwxyz1234567", TooLong),
        ];
        for (input, reason) in cases {
            assert_eq!(Nickname::parse(input), Err(reason), "{input:?}");
        }
        assert!(Nickname::parse("abcdefghijklmnopqrstuvwxyz123456").is_ok());
    }

    #[test]
    fn scripts_are_mixed_only_where_people_mix_them() {
        use NicknameError::{Forbidden, MixedScripts};
        // Nobody writes Coptic any more, so its letters are forbidden even unmixed.
        assert_eq!(Nickname::parse("\u{2c81}lex"), Err(Forbidden('\u{2c81}')));
        for (name, one, other) in [
            ("p\u{430}ypal", "Latin", "Cyrillic"),
            ("\u{440}\u{430}ypal", "Cyrillic", "Latin"),
            ("\u{391}lex", "Greek", "Latin"),
            ("Al\u{585}x", "Latin", "Armenian"),
            ("\u{13aa}lex", "Cherokee", "Latin"),
            ("김た", "Hangul", "Hiragana"),
            ("李a\u{430}", "Han", "Cyrillic"),
            ("Alex\u{661}", "Latin", "Arabic"),
        ] {
            assert_eq!(Nickname::parse(name), Err(MixedScripts(one, other)), "{name}");
        }
    }

    #[test]
    fn a_reason_is_a_sentence_for_the_person_who_typed_the_nickname() {
        for (name, sentence) in [
            ("two words", "a nickname cannot contain a space"),
            ("Zoë❤", "a nickname cannot contain “❤” (U+2764)"),
            ("Al\u{200b}ex", "a nickname cannot contain U+200B"),
            ("-", "a nickname begins with a letter or a digit, not with “-”"),
            ("A·B", "a nickname cannot contain “·” (U+00B7) in this place"),
            (
                "a\u{301}\u{301}",
                "in a nickname marks such as U+0301 stand on letters, at most 4 on one and none twice",
            ),
            ("\u{430}lex", "a nickname is written in one script, not in both Cyrillic and Latin"),
        ] {
            assert_eq!(Nickname::parse(name).unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn no_invisible_character_is_allowed_in_a_nickname() {
        for character in '\0'..=char::MAX {
            let is_seen = !is_invisible(character)
                && !is_default_ignorable(character)
                && !character.is_control()
                && !character.is_whitespace();
            assert!(is_seen || !is_allowed(character), "{}", Shown(character));
        }
    }

    /// `Default_Ignorable_Code_Point`, including those that are not assigned yet.
    fn is_default_ignorable(character: char) -> bool {
        matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
    }

    /// Pieces of names, and characters that try to hide in them.
    pub(in crate::protocol) fn pieces() -> impl Strategy<Value = String> {
        const PIECES: &str = "a I l 1 Straß ς Σ İ ı ǰ É o\u{308} \u{301} \u{307} ж Щ á 李 た カ 김 ﬁ Ｚ Ⅳ ß ẞ - ' · 🎈 ٣ ن \
                              ᏣᎳ \u{200b} \u{fe0f} \u{115f} \u{1d159} \u{ad} \u{1039} ŉ և ΐ ᾳ";
        let pieces: Vec<&str> = PIECES.split(' ').filter(|piece| !piece.is_empty()).collect();
        let piece = prop_oneof![
            4 => select(pieces).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_nickname_can_be_parsed_again_is_visible_and_stays_the_same(input in pieces()) {
            if let Ok(name) = Nickname::parse(&input) {
                prop_assert_eq!(Nickname::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().chars().count() <= NICKNAME_CHARACTERS);
                prop_assert!(!name.as_str().contains([':', ' ', '\n', '\r']));
                prop_assert!(name.as_str().starts_with(|first| is_letter(first) || is_digit(first)));
                prop_assert!(!name.as_str().contains(is_invisible));
                prop_assert!(!name.as_str().contains(is_default_ignorable));
            }
        }
    }
}
