//! Names that look alike.

/// The two keys of a name: two names that share one of them look alike.
///
/// Two, because the skeleton of UTS 39 and case folding do not commute. The first is the skeleton of the
/// folded name (`Alex` and `alex`), the second the folded skeleton (`PaypaI` with a capital I and
/// `Paypal`).
pub(super) fn keys(name: &str) -> [Box<str>; 2] {
    [look(&fold(name)), fold(&look(name))].map(Box::from)
}

/// The skeleton of a name (UTS 39), without a second dot on `i` and `j`.
fn look(text: &str) -> String {
    let mut look = String::with_capacity(text.len());
    for character in unicode_security::skeleton(text) {
        if character != DOT_ABOVE || !look.ends_with(['i', 'j']) {
            look.push(character);
        }
    }
    look
}

const DOT_ABOVE: char = '\u{307}';

/// Folds case, character by character. Lower case alone would keep `ß` and `SS` apart, and `ς` and `σ`.
fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use unicode_normalization::UnicodeNormalization as _;

    use super::super::Nickname;
    use super::super::nickname::tests::pieces;

    fn share_a_key(left: &Nickname, right: &Nickname) -> bool {
        let right = right.keys();
        left.keys().iter().any(|key| right.contains(key))
    }

    fn resemble(left: &str, right: &str) -> bool {
        let name = |name| Nickname::parse(name).expect("a valid nickname");
        share_a_key(&name(left), &name(right))
    }

    #[test]
    fn nicknames_that_look_alike_cannot_both_be_taken() {
        assert!(resemble("Alex", "alex"));
        assert!(resemble("coco", "\u{441}\u{43e}\u{441}\u{43e}"), "all of it in Cyrillic");
        assert!(resemble("ALEX", "\u{a4ee}\u{a4f2}\u{a4f0}\u{a4eb}"), "all of it in Lisu");
        assert!(resemble("Paypal", "PaypaI"), "a capital I for a small l");
        assert!(resemble("Ivan", "ivan"));
        assert!(resemble("ivan", "i\u{307}van"), "a second dot");
        assert!(resemble("Strauß", "STRAUSS"));
        assert!(resemble("Σοφός", "ΣΟΦΌΣ"));
        assert!(resemble("O'Brien", "O’Brien"));
        assert!(resemble("Bob", "B0b"));
        assert!(!resemble("Alex", "Alec"));
        assert!(!resemble("ivan", "lvan"));
        assert!(!resemble("Zoe", "Zoë"));
        assert!(!resemble("Ze", "Że"), "a dot that is not a second one");
    }

    /// A name that a reader takes for the same: in another case or normalisation form, and with
    /// something invisible in it.
    fn disguise(name: &str, choices: &[Index], invisible: char) -> String {
        let mut disguised = String::new();
        for (character, choice) in name.chars().zip(choices.iter().cycle()) {
            match choice.index(12) {
                0 => disguised.extend(character.to_uppercase()),
                1 => disguised.extend(character.to_lowercase()),
                2 => disguised.extend([character].iter().copied().nfkd()),
                3 if character.is_ascii_graphic() => {
                    disguised.extend(char::from_u32(u32::from(character) - 0x20 + 0xff00));
                }
                4 => disguised.extend([character, invisible]),
                _ => disguised.push(character),
            }
        }
        disguised
    }

    proptest! {
        /// At most one of a name and its disguise is in the room at a time.
        #[test]
        fn a_nickname_in_disguise_is_refused_or_shares_a_key(
            input in pieces(),
            choices in proptest::collection::vec(any::<Index>(), 1..8),
            invisible in prop_oneof![2 => Just(' '), 1 => select(&['\u{200b}', '\u{fe0f}', '\u{115f}', '\u{1d159}'][..])],
        ) {
            let disguised = disguise(&input, &choices, invisible);
            if let (Ok(name), Ok(disguised)) = (Nickname::parse(&input), Nickname::parse(&disguised)) {
                prop_assert!(share_a_key(&name, &disguised), "{} and {}", name, disguised);
            }
        }
    }
}
