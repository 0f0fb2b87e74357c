//! What members ask about what was said: the words that they look for, and the answer.

use std::fmt;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::Refusal;

/// How many words a search may have.
pub const SEARCHED_WORDS: usize = 8;

/// The words of a search: at least one, and at most [`SEARCHED_WORDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Checks what is looked for.
    ///
    /// # Errors
    ///
    /// [`Refusal::Usage`] if there is no word in it, and [`Refusal::TooManyWords`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        match words(text).take(SEARCHED_WORDS + 1).count() {
            0 => Err(Refusal::Usage(SEARCH_USAGE)),
            count if count > SEARCHED_WORDS => Err(Refusal::TooManyWords),
            _ => Ok(Self(text)),
        }
    }

    /// The words, as they were typed.
    pub fn each(self) -> impl Iterator<Item = &'a str> {
        words(self.0)
    }
}

pub(super) const SEARCH_USAGE: &str = "/search WORDS";

/// The words of a text: runs of letters and digits, with the marks on them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|character| !is_of_a_word(character));
    runs.map(|run| run.trim_start_matches(is_mark)).filter(|word| !word.is_empty())
}

/// Whether two words are the same, apart from case.
#[must_use]
pub fn is_same_word(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().map(folded).eq(other.chars().map(folded))
}

/// A letter, whatever its case was. Two small letters can have one capital: `σ` and `ς`.
fn folded(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_lowercase();
    }
    let upper = only(letter.to_uppercase()).unwrap_or(letter);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The character of an iterator that has one.
fn only(mut characters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if characters.len() == 1 { characters.next() } else { None }
}

fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || is_mark(character)
}

/// A mark that is no letter by itself, unlike the vowels of Indian scripts.
fn is_mark(character: char) -> bool {
    // What categories are looked up in is slow.
    let can_be = !character.is_ascii() && !character.is_alphanumeric();
    can_be && character.general_category_group() == GeneralCategoryGroup::Mark
}

/// The answer to `/search` and `/history`: lines that were said, the oldest first, each after its time.
///
/// Displayed without the `-- ` of its first line. That tells a client where each answer begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a>(pub Vec<(String, &'a str)>);

impl Found<'_> {
    /// Whether a line, given without its `-- `, is the first of such an answer.
    #[must_use]
    pub fn begins_with(told: &str) -> bool {
        let count = |end| told.strip_prefix(FOUND)?.strip_suffix(end)?.parse::<usize>().ok();
        told == NOTHING_FOUND || count(ONE_LINE).or_else(|| count(LINES)).is_some()
    }
}

const FOUND: &str = "Found ";
const ONE_LINE: &str = " line:";
const LINES: &str = " lines:";
const NOTHING_FOUND: &str = "Nothing like that was said.";

impl fmt::Display for Found<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => return formatter.write_str(NOTHING_FOUND),
            1 => write!(formatter, "{FOUND}1{ONE_LINE}")?,
            count => write!(formatter, "{FOUND}{count}{LINES}")?,
        }
        self.0.iter().try_for_each(|(time, line)| write!(formatter, "\n-- {time} {line}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn a_word_is_a_run_of_letters_and_digits_with_their_marks() {
        assert_eq!(split("Dinesh: hello, world!"), ["Dinesh", "hello", "world"]);
        assert_eq!(
            split("  don't  \"/etc/fstab\" x_y 3.14 "),
            ["don", "t", "etc", "fstab", "x", "y", "3", "14"]
        );
        assert_eq!(split("un cafe\u{301} à l’été"), ["un", "cafe\u{301}", "à", "l", "été"]);
        assert_eq!(split("नमस्ते दुनिया"), ["नमस्ते", "दुनिया"]);
        assert_eq!(split("你好,世界 🎉\u{fe0f} \u{301}x"), ["你好", "世界", "x"]);
        for none in ["", " ", "?!", "🎉\u{fe0f}", "-- *"] {
            assert_eq!(split(none), [""; 0], "{none:?}");
        }
    }

    #[test]
    fn words_are_the_same_whatever_their_case_is_but_not_in_part() {
        for (one, other) in
            [("hello", "HELLO"), ("Été", "éTÉ"), ("ΟΔΟΣ", "οδος"), ("мир", "МИР"), ("x1", "X1")]
        {
            assert!(is_same_word(one, other), "{one} {other}");
        }
        for (one, other) in [("hello", "hell"), ("hell", "hello"), ("été", "ete"), ("мир", "мира"), ("", "x")]
        {
            assert!(!is_same_word(one, other), "{one} {other}");
        }
    }

    #[test]
    fn every_letter_is_the_same_in_either_case() {
        for letter in (char::MIN..=char::MAX).filter(|letter| letter.is_alphabetic()) {
            for case in [only(letter.to_lowercase()), only(letter.to_uppercase())].into_iter().flatten() {
                assert!(is_same_word(&letter.to_string(), &case.to_string()), "{letter} {case}");
            }
        }
    }

    #[test]
    fn a_search_has_one_word_or_a_few() {
        let many = |count| "a ".repeat(count);
        assert_eq!(Words::parse("one, two").map(|words| words.each().collect()), Ok(vec!["one", "two"]));
        assert_eq!(Words::parse(&many(SEARCHED_WORDS)).map(|words| words.each().count()), Ok(SEARCHED_WORDS));
        assert_eq!(Words::parse(&many(SEARCHED_WORDS + 1)), Err(Refusal::TooManyWords));
        assert_eq!(Words::parse("?!"), Err(Refusal::Usage("/search WORDS")));
    }

    #[test]
    fn every_line_of_an_answer_is_private_and_its_first_line_tells_that_it_begins() {
        let line = |time: &str, line| (time.to_owned(), line);
        let one = line("2026-11-24 18:07", "Dinesh: hello");
        let two = line("2026-11-24 18:09", "* Alex waves");
        assert_eq!(Found(vec![]).to_string(), "Nothing like that was said.");
        assert_eq!(Found(vec![one.clone()]).to_string(), "Found 1 line:\n-- 2026-11-24 18:07 Dinesh: hello");
        let found = Found(vec![one, two]).to_string();
        let lines =
            ["Found 2 lines:", "-- 2026-11-24 18:07 Dinesh: hello", "-- 2026-11-24 18:09 * Alex waves"];
        assert_eq!(found.lines().collect::<Vec<_>>(), lines);
        for first in ["Nothing like that was said.", "Found 1 line:", "Found 2 lines:", "Found 50 lines:"] {
            assert!(Found::begins_with(first), "{first}");
        }
        let others = [
            "",
            "2026-11-24 18:07 Dinesh: hello",
            "Found to you: 2 lines:",
            "Found x lines:",
            "Found 2 lines: x",
        ];
        for other in others {
            assert!(!Found::begins_with(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_letter_and_digit_is_in_exactly_one_word(text: String) {
            let in_words: String = words(&text).flat_map(str::chars).filter(|&character| !is_mark(character)).collect();
            let wanted: String =
                text.chars().filter(|&character| is_of_a_word(character) && !is_mark(character)).collect();
            prop_assert_eq!(in_words, wanted);
        }

    }
}
