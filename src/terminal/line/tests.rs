use proptest::prelude::*;

use super::*;

fn typed(keys: &[Key]) -> Line {
    let mut line = Line::default();
    for &key in keys {
        assert_eq!(line.key(key), None);
    }
    line
}

fn text(text: &str) -> Vec<Key> {
    text.chars().map(Key::Text).collect()
}

/// The line with its cursor drawn in.
fn seen(line: &Line) -> String {
    let (mut text, cursor) = line.shown();
    text.insert(cursor, '|');
    text
}

fn submitted(line: &str) -> Action {
    Action::Submit(line.to_owned())
}

#[test]
fn words_are_killed_and_come_back() {
    let mut line = typed(&text("one two, three"));
    line.key(Key::KillWordLeft);
    assert_eq!(seen(&line), "one two, |");
    line.key(Key::KillWordLeft);
    assert_eq!(seen(&line), "one |");
    line.key(Key::Home);
    line.key(Key::Yank);
    assert_eq!(seen(&line), "two, |one ");
    line.key(Key::KillToEnd);
    line.key(Key::KillToStart);
    line.key(Key::Yank);
    line.key(Key::Yank);
    assert_eq!(seen(&line), "two, two, |");
}

#[test]
fn the_cursor_goes_by_words() {
    let mut line = typed(&text("one, two"));
    let mut go = |key| {
        line.key(key);
        seen(&line)
    };
    assert_eq!(go(Key::WordLeft), "one, |two");
    assert_eq!(go(Key::WordLeft), "|one, two");
    assert_eq!(go(Key::WordLeft), "|one, two");
    assert_eq!(go(Key::WordRight), "one|, two");
    assert_eq!(go(Key::KillWordRight), "one|");
}

#[test]
fn a_cluster_is_one_character_to_the_keys() {
    let mut line = typed(&text("a👩\u{200d}👧e\u{301}"));
    line.key(Key::Left);
    assert_eq!(seen(&line), "a👩\u{200d}👧|e\u{301}");
    line.key(Key::Backspace);
    assert_eq!(seen(&line), "a|e\u{301}");
    line.key(Key::Delete);
    assert_eq!(seen(&line), "a|");
}

#[test]
fn line_ends_of_every_kind_end_a_line() {
    let mut line = typed(&text("one"));
    assert_eq!(line.key(Key::LineFeed), Some(submitted("one")));
    for key in text("two") {
        line.key(key);
    }
    assert_eq!(line.key(Key::Enter), Some(submitted("two")));
    assert_eq!(line.key(Key::LineFeed), None, "the second half of the same line end");
    assert_eq!(line.key(Key::LineFeed), Some(submitted("")));

    let pasted = line.paste("a\rb\nc\r\n\td\u{7}\r\rlast");
    assert_eq!(pasted, [submitted("a"), submitted("b"), submitted("c"), submitted("    d"), submitted("")]);
    assert_eq!(seen(&line), "last|");
}

#[test]
fn a_secret_is_masked_and_kept_nowhere() {
    let mut line = typed(&text("hel"));
    line.begin(Purpose::Secret);
    assert_eq!(seen(&line), "|", "what was being typed is no part of the password");
    for key in text("öpen") {
        line.key(key);
    }
    line.key(Key::Left);
    assert_eq!(seen(&line), "***|*");
    line.key(Key::KillToStart);
    line.key(Key::Yank);
    assert_eq!(seen(&line), "|*");
    line.key(Key::Up);
    assert_eq!(line.key(Key::Enter), Some(submitted("n")));
    line.begin(Purpose::Talk);
    assert_eq!(seen(&line), "hel|");
    line.key(Key::Up);
    line.key(Key::Yank);
    assert_eq!(seen(&line), "hel|");
}

#[test]
fn a_line_that_was_said_comes_back_with_the_up_key() {
    let mut line = typed(&text("one"));
    line.key(Key::Enter);
    for key in text("tw") {
        line.key(key);
    }
    line.key(Key::Up);
    assert_eq!(seen(&line), "one|");
    line.key(Key::Down);
    assert_eq!(seen(&line), "tw|");
}

#[test]
fn a_line_that_is_too_long_is_not_cut_but_refused() {
    let mut line = Line::default();
    let long = "x".repeat(TYPED_BYTES + 1);
    assert_eq!(
        line.paste(&format!("{long}\nshort\n")),
        [Action::TooLong, Action::Submit("short".to_owned())]
    );
    line.paste(&long[1..]);
    assert_eq!(line.key(Key::Text('y')), None);
    assert_eq!(line.key(Key::Enter), Some(Action::TooLong));
}

#[test]
fn ctrl_c_leaves_and_ctrl_d_only_from_an_empty_line() {
    let mut line = typed(&text("ab"));
    line.key(Key::Home);
    assert_eq!(line.key(Key::EndOfInput), None);
    assert_eq!(seen(&line), "|b");
    assert_eq!(line.key(Key::Interrupt), Some(Action::Leave));
    line.key(Key::Delete);
    assert_eq!(line.key(Key::EndOfInput), Some(Action::Leave));
}

/// The same without any cleverness: clusters are found anew after every key.
#[derive(Debug, Default)]
struct Model {
    left: String,
    right: String,
}

impl Model {
    fn key(&mut self, key: Key) {
        let clusters = |text: &str| text.graphemes(true).map(str::to_owned).collect::<Vec<_>>();
        let all = clusters(&(self.left.clone() + &self.right));
        let mut at = clusters(&self.left).len();
        let mut all_after = all.clone();
        match key {
            Key::Text(character) => {
                return self.set(&format!("{}{character}", self.left), &self.right.clone());
            }
            Key::Left => at = at.saturating_sub(1),
            Key::Right => at = (at + 1).min(all.len()),
            Key::Home => at = 0,
            Key::End => at = all.len(),
            Key::Backspace if at > 0 => {
                at -= 1;
                all_after.remove(at);
            }
            Key::Delete if at < all.len() => drop(all_after.remove(at)),
            Key::KillToStart => {
                all_after.drain(..at);
                at = 0;
            }
            Key::KillToEnd => all_after.truncate(at),
            _ => {}
        }
        self.set(&all_after[..at].concat(), &all_after[at..].concat());
    }

    /// A cluster that begins on the left and ends on the right goes to the left.
    fn set(&mut self, left: &str, right: &str) {
        let (all, mut at) = (format!("{left}{right}"), 0);
        for cluster in all.graphemes(true).take_while(|_| true) {
            if at >= left.len() {
                break;
            }
            at += cluster.len();
        }
        (self.left, self.right) = (all[..at].to_owned(), all[at..].to_owned());
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    let characters = "ab é\u{301}漢👩\u{200d}👧\u{fe0f}🇩🇪".chars().map(Key::Text).collect::<Vec<_>>();
    prop_oneof![
        4 => prop::sample::select(characters),
        3 => prop::sample::select(vec![
            Key::Left, Key::Right, Key::Home, Key::End, Key::Backspace, Key::Delete, Key::KillToStart, Key::KillToEnd,
        ]),
    ]
}

proptest! {
    #[test]
    fn the_line_is_what_a_naive_editor_makes_of_the_same_keys(keys in prop::collection::vec(any_key(), 0..60)) {
        let (mut line, mut model) = (Line::default(), Model::default());
        for key in keys {
            line.key(key);
            model.key(key);
            prop_assert_eq!(seen(&line), format!("{}|{}", model.left, model.right), "after {:?}", key);
        }
    }

    #[test]
    fn no_key_puts_the_cursor_into_a_cluster(
        start in "[ab é\u{301}漢👩\u{200d}👧🇩🇪]{0,20}",
        keys in prop::collection::vec(prop::sample::select(vec![
            Key::WordLeft, Key::WordRight, Key::KillWordLeft, Key::KillWordRight, Key::Yank, Key::Left, Key::Text('\u{301}'),
        ]), 0..40),
    ) {
        let mut line = Line::default();
        line.paste(&start);
        for key in keys {
            line.key(key);
            let (text, cursor) = line.shown();
            let boundaries = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]);
            prop_assert!(boundaries.into_iter().any(|at| at == cursor), "{:?} at {}", text, cursor);
        }
    }
}
