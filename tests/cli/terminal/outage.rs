//! The messages to a person when the server is silent or gone.

use super::screen::{Window, scripted, scripted_and_joined};
use super::terminal;
use crate::support::Server;

const SILENT: &str = "Nothing has been heard from the server for";

#[test]
fn lines_typed_during_an_outage_are_named_when_the_connection_is_lost() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.type_line("this one came back");
    server.expect_next("Dinesh: this one came back");
    server.send("Dinesh: this one came back\n");
    screen.expect("Dinesh: this one came back");
    // From here on the server says nothing more.
    for line in ["are you there?", "/me waits"] {
        screen.type_line(line);
        server.expect_next(&format!("Dinesh: {line}"));
    }
    drop(server);
    screen.expect("Not confirmed: are you there?");
    screen.expect("Not confirmed: /me waits");
    screen.expect("chat-client: Connection lost! 2 lines were not confirmed.");
    screen.expect_exit_code(1);
    assert!(!screen.rows().concat().contains("Not confirmed: this one"), "{:#?}", screen.rows());
}

#[test]
fn of_many_lost_lines_some_are_named_and_the_others_counted() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.type_line("line 0.");
    server.expect_next("Dinesh: line 0.");
    server.send("Dinesh: line 0.\n");
    screen.expect("Dinesh: line 0.");
    for number in 1..=50 {
        screen.type_line(&format!("line {number}."));
    }
    // When this is seen, the client has read all of them.
    screen.types("the end");
    screen.expect("Dinesh: the end");
    // No more lines than these are sent without being confirmed.
    for number in 1..=32 {
        server.expect_next(&format!("Dinesh: line {number}."));
    }
    drop(server);
    screen.expect_exit_code(1);
    let rows = screen.rows();
    let from = rows.iter().position(|row| row == "Not confirmed: line 1.").expect("they are named");
    assert_eq!(
        rows[from + 9..],
        [
            "Not confirmed: line 10.",
            "And 40 more.",
            "chat-client: Connection lost! 32 lines were not confirmed, and 18 were not sent."
        ]
    );
}

#[test]
fn silence_is_reported_after_a_few_seconds_and_the_report_is_taken_back() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.type_line("hello?");
    server.expect_next("Dinesh: hello?");
    screen.types("half a se");
    screen.expect(&format!("{SILENT} 5 s…"));
    screen.expect(&format!("{SILENT} 6 s…"));
    assert_eq!(screen.rows(), ["Connected to server!", &format!("{SILENT} 6 s…"), "Dinesh: half a se"]);
    server.send("Dinesh: hello?\n");
    screen.wait_for("what is heard", |screen| {
        screen.rows() == ["Connected to server!", "Dinesh: hello?", "Dinesh: half a se"]
    });
}

#[test]
fn silence_is_reported_after_a_line_that_had_to_wait_too() {
    let (mut server, mut screen) = scripted(&[], Window::default());
    server.send("NICK");
    server.expect_next("Dinesh");
    server.send("Connected to server!\n-- pong chat-client-1\n");
    server.expect_next("Dinesh: /ping chat-client-1");
    server.expect_next("Dinesh: /session");
    screen.types("hello?\rhalf a se");
    screen.expect("Dinesh: half a se");
    // The line waits for this.
    server.send("-- Not sent: no such command; /help lists them.\n");
    server.expect_next("Dinesh: hello?");
    screen.expect(SILENT);
}

#[test]
fn a_server_that_owes_nothing_may_be_silent() {
    let (mut server, mut screen) = scripted_and_joined(false, Window::default());
    // Nobody knows whether this one sends a member's own lines back.
    screen.type_line("hello?");
    server.expect_next("Dinesh: hello?");
    // It does not answer pings, so none comes after the first until it has closed.
    let (mut other, mut other_screen) = scripted_and_joined(true, Window::default());
    other_screen.type_line("hello?");
    other.expect_next("Dinesh: hello?");
    other_screen.expect(&format!("{SILENT} 6 s…"));
    drop(server);
    screen.expect_exit_code(1);
    assert!(!String::from_utf8_lossy(&screen.written).contains(SILENT));
}

#[test]
fn a_lost_connection_is_reported_and_is_a_failure() {
    let mut server = Server::start();
    let mut screen = terminal(&server, &["--nickname", "Dinesh", "--no-reconnect"]);
    screen.expect("Connected to server!");
    server.running.kill();
    screen.expect("chat-client: Connection lost!");
    screen.expect_exit_code(1);
}

#[test]
fn ctrl_c_leaves_a_server_that_does_not_answer() {
    let (mut server, mut screen) = scripted_and_joined(true, Window::default());
    screen.type_line("hello?");
    server.expect_next("Dinesh: hello?");
    screen.expect(SILENT);
    screen.types("\u{3}");
    screen.expect_exit_code(0);
}
