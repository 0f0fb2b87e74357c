//! `chat-client` on a real terminal (a pseudo-terminal): what a person types and sees.

mod forwarder;
mod layout;
mod outage;
mod paste;
mod reconnect;
mod screen;

use std::fmt::Write as _;

use screen::{Screen, Window, joined, scripted, scripted_and_joined};

use super::support::Server;
use super::support::certificates::Authority;

/// The answer to a line that is typed before the person has joined.
const NOT_JOINED_YET: &str = "Not sent: you have not joined yet. The Up key brings the line back.";

fn terminal(server: &Server, arguments: &[&str]) -> Screen {
    Screen::of_client(server.address, arguments, Window::default())
}

#[test]
fn a_person_chooses_a_nickname_and_talks() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = terminal(&server, &[]);
    screen.expect_last_row("Choose your nickname:");
    screen.type_line("two words");
    screen.expect("Not a nickname: a nickname cannot contain a space.");
    screen.type_line("Dinesh");
    screen.expect("Connected to server!");
    screen.type_line("Hello everyone");
    alex.expect("Dinesh: Hello everyone");
    alex.send("hi\n");
    screen.expect("Alex: hi");
    screen.type_line("/quit");
    alex.expect("Dinesh left the chat.");
    screen.expect_exit_code(0);
}

#[test]
fn lines_that_arrive_while_typing_do_not_tear_the_typed_line_apart() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = joined(&server, Window::default());
    screen.types("half a se");
    screen.expect("half a se");
    alex.send("interrupting\n");
    screen.expect("Alex: interrupting");
    // The line that was begun is drawn again below.
    screen.expect("Dinesh: half a se");
    screen.type_line("ntence");
    alex.expect("Dinesh: half a sentence");
}

#[test]
fn a_taken_nickname_is_asked_for_again() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = terminal(&server, &["--nickname", "alex"]);
    screen.expect("-- Not joined: somebody here has that nickname, or one like it.");
    screen.type_line("Dinesh");
    alex.expect("Dinesh joined the chat!");
}

#[test]
fn a_line_typed_before_joining_is_neither_the_nickname_nor_the_password() {
    let (mut server, mut screen) = scripted(&[], Window::default());
    let mut times = 0;
    let mut type_too_early = |screen: &mut Screen, line: &str| {
        times += 1;
        screen.type_line(line);
        screen.expect_times(times, NOT_JOINED_YET);
    };
    type_too_early(&mut screen, "before the nickname");
    server.send("NICK");
    server.expect_next("Dinesh");
    type_too_early(&mut screen, "before the password");
    server.send("PASS\n");
    screen.expect_last_row("The room's password:");
    screen.type_line("open sesame");
    server.expect_next("open sesame");
    type_too_early(&mut screen, "after the password");
    server.send("Connected to server!\n");
    server.expect_next("Dinesh: /ping chat-client-1");
    // The Up key.
    screen.types("\u{1b}[A");
    screen.expect("after the password");
    screen.type_line(", and said now");
    server.expect_next("Dinesh: after the password, and said now");
}

#[test]
fn a_line_typed_while_connecting_is_not_lost_silently() {
    // A server that never answers a handshake.
    let (_server, mut screen) =
        scripted(&["--tls-ca", Authority::new("ours").file().to_str().unwrap()], Window::default());
    screen.type_line("hello");
    screen.expect(NOT_JOINED_YET);
    screen.type_line("/quit");
    screen.expect_exit_code(0);
}

#[test]
fn in_the_reports_framing_the_first_line_from_the_room_shows_that_one_has_joined() {
    let (mut server, mut screen) = scripted(&["--framing", "report"], Window::default());
    server.send("NICK");
    server.expect_bytes("Dinesh");
    // As the report's own server merges them.
    server.send("Dinesh joined the chat!Connected to server!");
    screen.expect("Connected to server!");
    screen.type_line("hello");
    server.expect_bytes("Dinesh: hello");
}

#[test]
fn the_refusal_of_a_foreign_server_cannot_act_on_the_terminal() {
    let (mut server, mut screen) = scripted(&[], Window::default());
    server.send("NICK");
    server.expect_next("Dinesh");
    server.send("-- Not joined: \u{1b}]0;evil\u{7}\u{1b}[2J.\n");
    drop(server);
    screen.expect("chat-client: Not joined: \\u{1b}]0;evil\\u{7}\\u{1b}[2J.");
    screen.expect_exit_code(1);
}

#[test]
fn the_last_line_of_a_burst_is_shown_without_waiting_for_another() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    let mut burst = String::new();
    for number in 1..=501 {
        writeln!(burst, "Alex: {number}.").unwrap();
    }
    server.send(&burst);
    screen.expect("Alex: 500.");
    screen.expect("Alex: 501.");
    let drawn = String::from_utf8_lossy(&screen.written).matches("\rDinesh: ").count();
    assert!(drawn < 50, "the prompt was drawn {drawn} times for one burst");
}

#[test]
fn ctrl_d_and_ctrl_c_leave_and_the_others_are_told() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    for key in ["\u{4}", "\u{3}"] {
        let mut screen = joined(&server, Window::default());
        screen.types(key);
        alex.expect("Dinesh left the chat.");
        screen.expect_exit_code(0);
    }
}

/// A room with this password, and Dinesh, who is asked for it.
fn locked(password: &str) -> (Server, Screen) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), password).unwrap();
    let server = Server::start_with(&["--password-file", file.path().to_str().unwrap()]);
    let mut screen = terminal(&server, &["--nickname", "Dinesh"]);
    screen.expect_last_row("The room's password:");
    (server, screen)
}

#[test]
fn a_person_is_asked_for_the_password_of_the_room() {
    let (_server, mut screen) = locked("open sesame");
    screen.type_line("open sesame");
    screen.expect("Connected to server!");
    screen.type_line("/quit");
    screen.expect_exit_code(0);
}

#[test]
fn a_password_is_not_shown_while_it_is_typed() {
    let (_server, mut screen) = locked("open sesame");
    screen.types("open sesame");
    screen.expect_last_row("The room's password: ***********");
    // Removed to the start of the line, it does not come back, here or in the room.
    screen.types("\u{15}\u{19}open sesamy\u{7f}e\r");
    screen.expect("Connected to server!");
    screen.types("\u{1b}[A\u{19}said");
    screen.expect_last_row("Dinesh: said");
    let written = String::from_utf8_lossy(&screen.written);
    assert!(!written.contains("open") && !written.contains("sesam"), "{written:?}");
}

#[test]
fn a_wrong_password_is_reported_once() {
    let (_server, mut screen) = locked("open sesame");
    screen.type_line("open barley");
    screen.expect("chat-client: Not joined: the password is wrong.");
    screen.expect_exit_code(1);
    screen.expect_times(1, "the password is wrong");
}
