//! The layout of the screen.

use rustix::process::Signal;

use super::screen::{Screen, Window, joined, scripted_and_joined};
use crate::support::Server;

/// A forged line: wrapped at 80 columns, its end would fill a row of its own.
fn forged() -> String {
    format!("hi{}Boss: I quit", " ".repeat(73))
}

#[test]
fn a_wrapped_line_cannot_pass_for_anothers() {
    for (columns, rows) in [
        (80, &["Alex: hi", "    Boss: I quit"][..]),
        (40, &["Alex: hi", "    Boss: I quit"]),
        (20, &["Alex: hi", "  Boss: I quit"]),
        (6, &["Alex:", " Boss:", " quit"]),
    ] {
        let (mut server, mut screen) = scripted_and_joined(true, Window { columns, ..Window::default() });
        server.send(&format!("Alex: {}\nAlex: the end\n", forged()));
        screen.wait_for("the end", |screen| screen.rows().concat().contains("end"));
        let seen = screen.rows();
        for row in rows {
            assert!(seen.iter().any(|seen| seen == row), "{row:?} is not in {seen:#?}");
        }
        assert!(!seen.iter().any(|row| row.starts_with("Boss")), "{seen:#?}");
    }
}

#[test]
fn a_terminal_that_draws_characters_too_wide_does_not_wrap_either() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    server.send("Alex: hi\n");
    screen.expect("Alex: hi");
    let written = String::from_utf8_lossy(&screen.written).into_owned();
    let line = written.find("Alex: hi").expect("it was written");
    let (before, after) = written.split_at(line);
    assert!(before.rfind("\x1b[?7l") > before.rfind("\x1b[?7h"), "{before:?}");
    assert!(after.contains("\x1b[?7h"), "{after:?}");
}

#[test]
fn wide_characters_and_emoji_keep_the_cursor_right() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.types("漢字 👍 né\u{1b}[D\u{1b}[D");
    screen.expect_last_row("Dinesh: 漢字 👍 né");
    let before = "Dinesh: ".len() + 4 + 1 + 2 + 1;
    screen.wait_for("the cursor on the n", |screen| screen.cursor().1 == before);
    // One key removes a whole emoji, even if it consists of several.
    screen.types("👩\u{200d}👧\u{7f}x");
    screen.wait_for("the x", |screen| screen.rows().last().is_some_and(|row| row == "Dinesh: 漢字 👍 xné"));
    screen.wait_for("the cursor after it", |screen| screen.cursor().1 == before + 1);
    screen.types("\r");
    server.expect_next("Dinesh: 漢字 👍 xné");
}

#[test]
fn a_long_line_is_typed_over_several_rows_and_edited_in_the_first() {
    let (mut server, mut screen) =
        scripted_and_joined(true, Window { columns: 40, rows: 8, ..Window::default() });
    let long = "0123456789".repeat(9);
    screen.types(&long);
    screen.expect_last_row("234567890123456789");
    screen.types("\u{1}>");
    screen.wait_for("the mark", |screen| screen.rows().concat().contains(&format!("Dinesh: >{long}")));
    assert_eq!(screen.cursor(), (1, "Dinesh: >".len()));
    server.send("Alex: hi\n");
    screen.wait_for("a line above", |screen| screen.rows().get(1).is_some_and(|row| row == "Alex: hi"));
    assert!(screen.rows()[2..].concat().contains(&format!("Dinesh: >{long}")), "{:#?}", screen.rows());
}

#[test]
fn after_a_resize_the_typed_line_is_there_once() {
    let (_server, mut screen) = scripted_and_joined(true, Window::default());
    screen.types("half a sentence");
    screen.expect_last_row("Dinesh: half a sentence");
    for columns in [40, 100] {
        screen.resize(columns, 24);
        screen.types("?");
        screen.wait_for("the key", |screen| screen.rows().concat().contains('?'));
        assert_eq!(screen.rows().concat().matches("half a").count(), 1, "{:#?}", screen.rows());
        screen.types("\u{7f}");
        screen.expect_last_row("Dinesh: half a sentence");
    }
    screen.resize(20, 24);
    screen.wait_for("the narrow window", |screen| {
        screen.rows() == ["Connected to server!", "Dinesh: half a sente", "nce"]
    });
}

#[test]
fn ctrl_l_leaves_nothing_but_the_line_that_is_typed() {
    let server = Server::start();
    let mut screen = joined(&server, Window::default());
    screen.types("half a se\u{c}");
    screen.wait_for("an empty screen", |screen| screen.rows() == ["Dinesh: half a se"]);
}

#[test]
fn ctrl_z_where_no_shell_waits_changes_nothing() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    screen.types("half a se\u{1a}");
    screen.wait_for("raw mode again", |screen| {
        String::from_utf8_lossy(&screen.written).matches("\x1b[?2004h").count() == 2
    });
    screen.type_line("ntence");
    alex.expect("Dinesh: half a sentence");
    screen.expect_times(1, "half a se");
}

#[test]
fn a_dumb_terminal_shows_plain_lines() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let window = Window { term: "dumb", columns: 40, ..Window::default() };
    let mut screen = joined(&server, window);
    screen.types("half a se");
    alex.send("interrupting\n");
    screen.expect("Alex: interrupting");
    screen.expect_last_row("Dinesh: half a se");
    screen.type_line("ntence");
    alex.expect("Dinesh: half a sentence");
    screen.type_line("/quit");
    screen.expect_exit_code(0);
    assert!(!screen.written.contains(&0x1b), "{:?}", String::from_utf8_lossy(&screen.written));
}

#[test]
fn the_terminal_is_left_as_it_was() {
    let server = Server::start();
    for (keys, signal) in [("/quit\r", None), ("", Some(Signal::TERM)), ("", Some(Signal::HUP))] {
        // The shell outlives the signal, and prints the settings of the terminal at the end.
        let shell = "trap : TERM HUP; \"$@\"; code=$?; stty -a; exit $code";
        let mut screen = joined(&server, Window { shell, rows: 40, ..Window::default() });
        screen.types(keys);
        if let Some(signal) = signal {
            screen.signal(signal);
        }
        screen.expect_exit_code(0);
        let settings = screen.rows().join(" ");
        for setting in [" isig", " icanon", " echo ", " opost"] {
            assert!(settings.contains(setting), "{setting} is not among {settings}");
        }
        assert_the_last(&screen, "\x1b[?2004h", "\x1b[?2004l");
    }
}

/// Asserts that a mode was switched off after it was last switched on.
#[track_caller]
fn assert_the_last(screen: &Screen, on: &str, off: &str) {
    let written = String::from_utf8_lossy(&screen.written);
    assert!(written.rfind(on) < written.rfind(off), "{written:?}");
}
