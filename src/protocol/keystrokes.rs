//! Who sends a nickname: a program, all of it at once, or a person at a keyboard, key by key.

/// What is known of that so far. Only the first bytes of a connection are looked at, those of its
/// nickname.
///
/// The report's client writes its nickname at once, and no newline. A terminal in character mode
/// sends each key by itself. So a client that has twice sent one character, with a pause between, is
/// a person, who will press Enter at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keystrokes {
    /// Nothing has come.
    #[default]
    None,
    /// It began with one character alone, which may be a key or a nickname of one letter. Whether a
    /// pause has followed what came last.
    Perhaps {
        /// See [`Keystrokes::pause`].
        paused: bool,
    },
    /// A person, who will end the nickname by a newline, however long that takes.
    Typed,
    /// A program, whose nickname ends where it falls silent.
    Written,
}

impl Keystrokes {
    /// Looks at what one read brought.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let is_one = is_one_character(bytes);
        *self = match *self {
            Self::Perhaps { paused: true } if is_one => Self::Typed,
            // Keys that were fast, or that the network has brought together.
            Self::Perhaps { paused } if is_one || paused => Self::Perhaps { paused: false },
            Self::None if is_one => Self::Perhaps { paused: false },
            Self::None | Self::Perhaps { .. } => Self::Written,
            known => known,
        }
    }

    /// A moment has passed since the last read: longer than a network takes between the pieces of one
    /// write, shorter than a person takes between two keys.
    pub(super) fn pause(&mut self) {
        if let Self::Perhaps { paused } = self {
            *paused = true;
        }
    }
}

/// Also if it is one byte of several: a terminal may send those one by one.
fn is_one_character(bytes: &[u8]) -> bool {
    bytes.len() == 1 || std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is known after these reads, each with a pause after it, or without.
    fn after(reads: &[(&str, bool)]) -> Keystrokes {
        let mut keystrokes = Keystrokes::default();
        for &(read, paused) in reads {
            keystrokes.read(read.as_bytes());
            if paused {
                keystrokes.pause();
            }
        }
        keystrokes
    }

    #[test]
    fn two_characters_with_a_pause_between_are_typed() {
        assert_eq!(after(&[]), Keystrokes::None);
        assert_eq!(after(&[("A", true)]), Keystrokes::Perhaps { paused: true });
        assert_eq!(after(&[("A", true), ("l", false)]), Keystrokes::Typed);
        assert_eq!(after(&[("Ł", true), ("u", false)]), Keystrokes::Typed);
        assert_eq!(after(&[("A", false), ("l", true), ("e", false)]), Keystrokes::Typed);
        assert_eq!(after(&[("A", true), ("le", true), ("x", false)]), Keystrokes::Typed);
        assert_eq!(after(&[("A", true), ("l", false), ("exander", false)]), Keystrokes::Typed);
    }

    #[test]
    fn what_comes_at_once_or_in_pieces_without_a_pause_is_written() {
        assert_eq!(after(&[("Alexander", true), ("A", true), ("l", true)]), Keystrokes::Written);
        assert_eq!(after(&[("A", false), ("lexander", true)]), Keystrokes::Written);
        assert_eq!(after(&[("A", false), ("l", false), ("e", false)]), Keystrokes::Perhaps { paused: false });
    }

    proptest! {
        /// However a network cuts what was written at once: without pauses nothing is taken for typed.
        #[test]
        fn without_pauses_nothing_is_typed(pieces in proptest::collection::vec(".{1,4}", 0..20)) {
            let reads: Vec<(&str, bool)> = pieces.iter().map(|piece| (piece.as_str(), false)).collect();
            prop_assert_ne!(after(&reads), Keystrokes::Typed);
        }
    }
}
