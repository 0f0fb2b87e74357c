//! A person's actions at the keyboard, in terms of the editor.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One key, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A character to be put in.
    Text(char),
    /// Enter, which a terminal sends as a carriage return.
    Enter,
    /// Ctrl-J, a line feed: ends a line too.
    LineFeed,
    /// Left by a character.
    Left,
    /// Right by a character.
    Right,
    /// Left by a word.
    WordLeft,
    /// Right by a word.
    WordRight,
    /// To the start of the line.
    Home,
    /// To its end.
    End,
    /// The line before in the history.
    Up,
    /// The line after in the history.
    Down,
    /// Removes the character on the left.
    Backspace,
    /// Removes the character under the cursor.
    Delete,
    /// Removes the word on the left: Ctrl-W.
    KillWordLeft,
    /// Removes the word on the right: Alt-D.
    KillWordRight,
    /// Removes all on the left: Ctrl-U.
    KillToStart,
    /// Removes all on the right: Ctrl-K.
    KillToEnd,
    /// Puts the text that was removed last back in: Ctrl-Y.
    Yank,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    EndOfInput,
    /// Ctrl-L.
    Clear,
    /// Ctrl-Z.
    Suspend,
}

/// An input from a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A key was pressed.
    Key(Key),
    /// A text was pasted, and the terminal says so.
    Paste(String),
    /// The window has another size.
    Resized,
}

impl Input {
    /// `None` for an event that means nothing here.
    pub(super) fn of_event(event: Event) -> Option<Self> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(Self::Key),
            Event::Paste(text) => Some(Self::Paste(text)),
            Event::Resize(..) => Some(Self::Resized),
            _ => None,
        }
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char(character) if !control && !alt => Key::Text(character),
        // AltGr, with which people type @ and the like.
        KeyCode::Char(character) if control && alt && cfg!(windows) => Key::Text(character),
        KeyCode::Char(character) if control => control_key(character.to_ascii_lowercase())?,
        KeyCode::Char('b' | 'B') => Key::WordLeft,
        KeyCode::Char('f' | 'F') => Key::WordRight,
        KeyCode::Char('d' | 'D') => Key::KillWordRight,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace if control || alt => Key::KillWordLeft,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete if control || alt => Key::KillWordRight,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left if control || alt => Key::WordLeft,
        KeyCode::Left => Key::Left,
        KeyCode::Right if control || alt => Key::WordRight,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        _ => return None,
    })
}

fn control_key(letter: char) -> Option<Key> {
    Some(match letter {
        'a' => Key::Home,
        'b' => Key::Left,
        'c' => Key::Interrupt,
        'd' => Key::EndOfInput,
        'e' => Key::End,
        'f' => Key::Right,
        'h' => Key::Backspace,
        'j' => Key::LineFeed,
        'k' => Key::KillToEnd,
        'l' => Key::Clear,
        'm' => Key::Enter,
        'n' => Key::Down,
        'p' => Key::Up,
        'u' => Key::KillToStart,
        'w' => Key::KillWordLeft,
        'y' => Key::Yank,
        'z' => Key::Suspend,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_by_their_modifiers() {
        let key = |code, modifiers| Input::of_event(Event::Key(KeyEvent::new(code, modifiers)));
        let (none, control, alt) = (KeyModifiers::NONE, KeyModifiers::CONTROL, KeyModifiers::ALT);
        for (code, modifiers, wanted) in [
            (KeyCode::Char('c'), none, Some(Key::Text('c'))),
            (KeyCode::Char('C'), KeyModifiers::SHIFT, Some(Key::Text('C'))),
            (KeyCode::Char('c'), control, Some(Key::Interrupt)),
            (KeyCode::Char('j'), control, Some(Key::LineFeed)),
            (KeyCode::Char('b'), alt, Some(Key::WordLeft)),
            (KeyCode::Char('x'), alt, None),
            (KeyCode::Char('x'), control, None),
            (KeyCode::Left, control, Some(Key::WordLeft)),
            (KeyCode::Backspace, alt, Some(Key::KillWordLeft)),
            (KeyCode::F(1), none, None),
        ] {
            assert_eq!(key(code, modifiers), wanted.map(Input::Key), "{code:?} {modifiers:?}");
        }
    }

    #[test]
    fn letting_a_key_go_means_nothing() {
        let released = KeyEvent::new_with_kind(KeyCode::Char('x'), KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(Input::of_event(Event::Key(released)), None);
    }
}
