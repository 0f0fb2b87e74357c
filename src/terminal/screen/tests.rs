use std::num::NonZero;

use proptest::prelude::*;

use super::super::key::Key;
use super::super::line::Purpose;
use super::*;

const FULL: Terminal = Terminal::Full { reflows: false };

/// A screen, and the terminal that it writes to.
struct Test {
    screen: Screen,
    line: Line,
    terminal: vt100::Parser,
}

impl Test {
    fn new(terminal: Terminal, columns: u16, rows: u16) -> Self {
        let size = Size { columns: columns.into(), rows: rows.into() };
        let mut screen = Screen::new(terminal, size);
        screen.set_prompt("Bo: ");
        Self { screen, line: Line::default(), terminal: vt100::Parser::new(cells(rows), cells(columns), 0) }
    }

    fn types(&mut self, text: &str) {
        self.line.paste(text);
        self.screen.touch();
    }

    fn prints(&mut self, line: &str) {
        self.screen.print(Painted::plain(line));
    }

    fn status(&mut self, rows: &[&str]) {
        self.screen.set_status(rows.iter().copied().map(Painted::plain).collect());
    }

    /// The rows that are seen, up to the last that is not empty.
    fn rows(&mut self) -> Vec<String> {
        let text = self.screen.render(&self.line);
        self.terminal.process(text.as_bytes());
        self.terminal.screen().contents().lines().map(str::to_owned).collect()
    }

    /// Row and column of the cursor.
    fn cursor(&self) -> (u16, u16) {
        self.terminal.screen().cursor_position()
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a window has some")
}

#[test]
fn lines_are_printed_above_the_one_that_is_typed() {
    let mut test = Test::new(FULL, 20, 5);
    assert_eq!(test.rows(), ["Bo: "]);
    test.types("half a se");
    test.prints("Alex: hi");
    test.prints("Alex: hi again");
    assert_eq!(test.rows(), ["Alex: hi", "Alex: hi again", "Bo: half a se"]);
    assert_eq!(test.cursor(), (2, 13));
    assert_eq!(test.screen.render(&test.line), "", "nothing has changed");
}

#[test]
fn a_status_is_above_the_prompt_until_it_is_taken_away() {
    let mut test = Test::new(FULL, 20, 5);
    test.status(&["nothing for 5 s, and that is long"]);
    test.types("x");
    assert_eq!(test.rows(), ["nothing for 5 s, and", "Bo: x"]);
    test.status(&["nothing for 6 s"]);
    test.prints("Alex: hi");
    assert_eq!(test.rows(), ["Alex: hi", "nothing for 6 s", "Bo: x"]);
    test.status(&[]);
    assert_eq!(test.rows(), ["Alex: hi", "Bo: x"]);
}

#[test]
fn of_a_status_with_more_rows_than_half_of_the_window_the_last_are_shown() {
    let mut test = Test::new(FULL, 20, 5);
    test.types("a line of three rows, the last of them is short");
    test.status(&["first", "second", "third"]);
    assert_eq!(
        test.rows(),
        ["second", "third", "Bo: a line of three ", "rows, the last of th", "em is short"]
    );
    test.status(&["second"]);
    assert_eq!(test.rows()[..2], ["second", "Bo: a line of three "]);
}

#[test]
fn the_cursor_is_where_the_terminal_says_it_is() {
    let mut test = Test::new(FULL, 20, 5);
    // The terminal of this test shows the woman and the girl one after the other.
    test.types("漢👩\u{200d}👧e\u{301}x");
    test.rows();
    assert_eq!(test.cursor(), (0, 4 + 2 + 4 + 1 + 1));
    test.line.key(Key::Left);
    test.line.key(Key::Left);
    test.line.key(Key::Left);
    test.screen.touch();
    test.rows();
    assert_eq!(test.cursor(), (0, 4 + 2));
}

#[test]
fn a_long_line_is_wrapped_and_the_cursor_has_a_cell_of_its_own() {
    let mut test = Test::new(FULL, 10, 5);
    test.prints("Alex: hi");
    test.types("abcdef");
    assert_eq!(test.rows(), ["Alex: hi", "Bo: abcdef"]);
    assert_eq!(test.cursor(), (2, 0));
    test.types("ghi");
    test.line.key(Key::Home);
    assert_eq!(test.rows(), ["Alex: hi", "Bo: abcdef", "ghi"]);
    assert_eq!(test.cursor(), (1, 4));
    test.prints("Alex: ho");
    assert_eq!(test.rows(), ["Alex: hi", "Alex: ho", "Bo: abcdef", "ghi"]);
}

#[test]
fn a_line_that_is_longer_than_the_window_shows_the_rows_around_the_cursor() {
    let mut test = Test::new(FULL, 10, 3);
    test.types("abcdef0123456789ABCDEFGHIJ0123456789x");
    assert_eq!(test.rows(), ["ABCDEFGHIJ", "0123456789", "x"]);
    test.line.key(Key::Home);
    test.screen.touch();
    assert_eq!(test.rows(), ["Bo: abcdef", "0123456789", "ABCDEFGHIJ"]);
    assert_eq!(test.cursor(), (0, 4));
}

#[test]
fn a_window_without_room_and_one_without_a_size_are_written_to_all_the_same() {
    for (columns, rows) in [(1, 1), (2, 1), (3, 2), (8, 1), (0, 0)] {
        let size = Size { columns, rows };
        for terminal in [FULL, Terminal::Dumb] {
            let mut screen = Screen::new(terminal, size);
            let mut line = Line::default();
            line.paste("a long line, 漢字 and all");
            screen.print(Painted::plain("Alex: hi"));
            screen.set_status(vec![Painted::plain("status")]);
            assert!(screen.render(&line).contains("Alex"));
        }
    }
}

#[test]
fn after_a_resize_the_typed_line_is_there_once() {
    for columns in [8, 16, 40] {
        let mut test = Test::new(FULL, 20, 8);
        test.prints("Alex: hi");
        test.types("half a sentence, and another half");
        test.rows();
        test.terminal.screen_mut().set_size(cells(8), cells(columns));
        test.screen.resize(Size { columns: columns.into(), rows: 8 });
        let seen = test.rows().concat();
        assert_eq!(seen.matches("Alex: hi").count(), 1, "{seen}");
        assert_eq!(seen.matches("Bo:").count(), 1, "{seen}");
    }
}

#[test]
fn a_terminal_that_reflows_has_moved_the_typed_line_to_more_rows() {
    let size = |columns| Size { columns, rows: 24 };
    for (reflows, columns, up) in [(true, 20, "\x1b[4A"), (true, 40, "\x1b[2A"), (false, 20, "\x1b[2A")] {
        let mut screen = Screen::new(Terminal::Full { reflows }, size(40));
        let mut line = Line::default();
        screen.set_status(vec![Painted::plain("a status of more than twenty columns")]);
        line.paste(&"x".repeat(50));
        screen.render(&line);
        screen.resize(size(columns));
        let text = screen.render(&line);
        assert!(text.starts_with(&format!("{NO_WRAP}{up}\r{ERASE_BELOW}")), "{columns} {text:?}");
    }
}

#[test]
fn a_window_that_is_too_narrow_for_any_row_is_not_taken_for_one_that_has_become_narrower() {
    let mut screen = Screen::new(Terminal::Full { reflows: true }, Size { columns: 3, rows: 24 });
    let mut line = Line::default();
    line.paste("abcdef");
    screen.render(&line);
    screen.touch();
    let text = screen.render(&line);
    assert!(text.starts_with(&format!("{NO_WRAP}\x1b[1A\r")), "{text:?}");
}

#[test]
fn a_dumb_terminal_is_sent_nothing_but_text() {
    let mut test = Test::new(Terminal::Dumb, 20, 6);
    let mut written = String::new();
    test.types("half a sentence, longer than the row");
    written.push_str(&test.screen.render(&test.line));
    test.prints("Alex: hi");
    for status in [&["nothing for 5 s"][..], &["nothing for 6 s"], &[]] {
        test.status(status);
        written.push_str(&test.screen.render(&test.line));
    }
    assert!(!written.contains('\x1b'), "{written:?}");
    test.terminal.process(written.as_bytes());
    assert_eq!(test.rows(), ["Alex: hi", "nothing for 5 s", "ow"], "the row of the cursor");
    test.line.begin(Purpose::Secret);
    test.types("abc");
    assert_eq!(test.rows(), ["Alex: hi", "nothing for 5 s", "Bo: ***"]);
}

#[derive(Clone, Debug)]
enum Act {
    Type(String),
    Press(Key),
    Print(String),
    Status(Vec<String>),
}

fn any_act() -> impl Strategy<Value = Act> {
    let keys = vec![Key::Left, Key::Right, Key::Home, Key::End, Key::Backspace, Key::KillToStart];
    prop_oneof![
        "[a-c漢é ]{1,12}".prop_map(Act::Type),
        prop::sample::select(keys).prop_map(Act::Press),
        "[A-C]{1,3}: [x-z漢 ]{0,40}".prop_map(Act::Print),
        prop::collection::vec("[s-u]{1,30}", 0..4).prop_map(Act::Status),
    ]
}

proptest! {
    /// Drawing step by step gives the last rows of drawing everything at once in an endless window.
    #[test]
    fn the_window_shows_what_was_printed_and_below_it_the_bottom_once(
        acts in prop::collection::vec(any_act(), 1..30),
        columns in 8_u16..30,
        rows in 2_u16..8,
    ) {
        let mut test = Test::new(FULL, columns, rows);
        let mut all = Test::new(FULL, columns, rows);
        all.terminal = vt100::Parser::new(cells(1_000), cells(columns), 0);
        for act in acts {
            match act {
                Act::Type(text) => test.types(&text),
                Act::Press(key) => drop(test.line.key(key)),
                Act::Print(line) => {
                    test.prints(&line);
                    all.prints(&line);
                }
                Act::Status(rows) => {
                    test.status(&rows.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
            test.screen.touch();
            test.rows();
        }
        let seen = test.rows();
        all.screen.set_status(test.screen.status.clone());
        all.line = test.line;
        let wanted = all.rows();
        prop_assert!(wanted.ends_with(&seen), "{:?} is not the end of {:?}", seen, wanted);
        let ((row, column), (wanted_row, wanted_column)) = (test.terminal.screen().cursor_position(), all.cursor());
        prop_assert_eq!(column, wanted_column);
        prop_assert_eq!(seen.len() - usize::from(row), wanted.len() - usize::from(wanted_row));
    }
}
