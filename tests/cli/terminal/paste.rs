//! Pasted text, and the keys that end a line or the client.

use super::screen::{Window, joined, scripted_and_joined};
use crate::support::{Server, UNLIMITED};

/// With 300 lines, far more than one read of a terminal takes.
fn pasted_lines(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("line {number} of the paste, as long as a line is")).collect()
}

#[test]
fn a_paste_of_300_lines_ended_by_carriage_returns_is_said_whole_without_another_key() {
    let server = Server::start_with(&UNLIMITED);
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    alex.expect("Dinesh joined the chat!");
    let lines = pasted_lines(300);
    screen.types(&(lines.join("\r") + "\r"));
    for line in &lines {
        alex.expect_next(&format!("Dinesh: {line}"));
    }
    screen.expect("line 300 of the paste");
}

#[test]
fn a_paste_that_the_terminal_marks_is_said_line_by_line_and_the_rest_stays_to_be_edited() {
    let server = Server::start_with(&UNLIMITED);
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    alex.expect("Dinesh joined the chat!");
    let lines = pasted_lines(300);
    screen.pastes(&format!("{}\rone\ntwo\r\nand a ta", lines.join("\n")));
    for line in lines.iter().map(String::as_str).chain(["one", "two"]) {
        alex.expect_next(&format!("Dinesh: {line}"));
    }
    screen.expect_last_row("Dinesh: and a ta");
    screen.type_line("il");
    alex.expect_next("Dinesh: and a tail");
}

#[test]
fn ctrl_j_ends_a_line() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    alex.expect("Dinesh joined the chat!");
    screen.types("one\ntwo\n");
    alex.expect_next("Dinesh: one");
    alex.expect_next("Dinesh: two");
}

#[test]
fn one_ctrl_c_leaves_in_the_middle_of_a_paste() {
    // At its usual rate the server takes half a minute for this paste.
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    let lines = pasted_lines(3_000);
    screen.types(&(lines.join("\r") + "\r"));
    alex.expect(&format!("Dinesh: {}", lines[100]));
    screen.types("\u{3}");
    screen.expect_exit_code(0);
    screen.expect("lines were not sent.");
    let mut said = 101;
    while alex.line().is_some_and(|line| line != "Dinesh left the chat.") {
        said += 1;
    }
    assert!(said < 1_000, "{said} lines were said");
}

#[test]
fn waiting_lines_are_sent_as_earlier_ones_are_confirmed() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.types(&(pasted_lines(100).join("\r") + "\r"));
    for line in pasted_lines(100) {
        server.expect_next(&format!("Dinesh: {line}"));
        server.send(&format!("Dinesh: {line}\n"));
    }
    screen.expect("line 100 of the paste");
}

#[test]
fn a_server_that_confirms_nothing_is_sent_everything_all_the_same() {
    let (mut server, mut screen) = scripted_and_joined(false, Window::default());
    screen.types(&(pasted_lines(100).join("\r") + "\r"));
    for line in pasted_lines(100) {
        server.expect_next(&format!("Dinesh: {line}"));
    }
}
