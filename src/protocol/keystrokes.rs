//! Tells a nickname that a person types, key by key, from one that a program sends at once.

/// The verdict on the bytes of the nickname, the first of a connection, so far.
///
/// The report's client writes its nickname at once, without a newline. A terminal in character mode
/// sends each key by itself. So two single characters with a pause between them come from a person, who
/// will press Enter at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keystrokes {
    /// Nothing has come.
    #[default]
    None,
    /// It began with a single character, which may be a keystroke or a nickname of one letter.
    Perhaps {
        /// The last read was followed by a [`pause`](Keystrokes::pause).
        paused: bool,
    },
    /// A person, who will end the nickname with a newline, however long that takes.
    Typed,
    /// A program, whose nickname ends when it falls silent.
    Written,
}

impl Keystrokes {
    /// Considers the bytes of one read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let is_one = is_one_character(bytes);
        *self = match *self {
            Self::Perhaps { paused: true } if is_one => Self::Typed,
            // Fast keystrokes, or ones that the network has merged.
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

/// Also true of one byte of a longer character: a terminal may send its bytes one by one.
fn is_one_character(bytes: &[u8]) -> bool {
    bytes.len() == 1 || std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The state after these reads, each with or without a pause after it.
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
    fn a_nickname_that_comes_at_once_or_in_pieces_without_a_pause_is_written() {
        assert_eq!(after(&[("Alexander", true), ("A", true), ("l", true)]), Keystrokes::Written);
        assert_eq!(after(&[("A", false), ("lexander", true)]), Keystrokes::Written);
        assert_eq!(after(&[("A", false), ("l", false), ("e", false)]), Keystrokes::Perhaps { paused: false });
    }

    proptest! {
        /// However a network cuts a write: without pauses, it is not taken for typed.
        #[test]
        fn without_pauses_nothing_is_typed(pieces in proptest::collection::vec(".{1,4}", 0..20)) {
            let reads: Vec<(&str, bool)> = pieces.iter().map(|piece| (piece.as_str(), false)).collect();
            prop_assert_ne!(after(&reads), Keystrokes::Typed);
        }
    }
}
