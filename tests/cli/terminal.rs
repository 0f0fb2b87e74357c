//! `chat-client` on a real terminal (a pseudo-terminal): what a person types and sees.

use std::fmt::Write as _;
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use rexpect::session::{PtySession, spawn_command};

use super::support::certificates::Authority;
use super::support::{DEADLINE, Peer, Server, command};

/// What a person is told who types before having joined.
const NOT_JOINED_YET: &str = "Not sent: you have not joined yet. The Up key brings the line back.";

fn terminal(server: &Server, arguments: &[&str]) -> PtySession {
    terminal_at(server.address, arguments)
}

fn terminal_at(address: SocketAddr, arguments: &[&str]) -> PtySession {
    let client = command("chat-client");
    // A pseudo-terminal is born without a size.
    let mut shell = Command::new("sh");
    shell.args(["-c", "stty cols 80 rows 24 && exec \"$@\"", "sh"]);
    shell.arg(client.get_program()).arg(address.to_string()).args(arguments);
    shell.env("NO_COLOR", "1").env("TERM", "xterm");
    let deadline = Duration::as_millis(&DEADLINE).try_into().expect("a short deadline");
    spawn_command(shell, Some(deadline)).expect("a pseudo-terminal")
}

/// A server that does what the test says, and Dinesh on a terminal, who has connected to it.
fn scripted(arguments: &[&str]) -> (Peer, PtySession) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = [&["--nickname", "Dinesh"], arguments].concat();
    let screen = terminal_at(listener.local_addr().unwrap(), &arguments);
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    (Peer { stream: BufReader::new(stream) }, screen)
}

/// Types a line and presses Enter, which is a carriage return.
#[track_caller]
fn type_line(screen: &mut PtySession, line: &str) {
    screen.send(&format!("{line}\r")).and_then(|_| screen.flush()).expect("the terminal takes it");
}

#[test]
fn a_person_chooses_a_nickname_and_talks() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = terminal(&server, &[]);
    screen.exp_string("Choose your nickname: ").unwrap();
    type_line(&mut screen, "two words");
    screen.exp_string("Not a nickname: a nickname cannot contain a space.").unwrap();
    type_line(&mut screen, "Dinesh");
    screen.exp_string("Connected to server!").unwrap();
    type_line(&mut screen, "Hello everyone");
    alex.expect("Dinesh: Hello everyone");
    alex.send("hi\n");
    screen.exp_string("Alex: hi").unwrap();
    type_line(&mut screen, "/quit");
    alex.expect("Dinesh left the chat.");
    expect_exit_code(&screen, 0);
}

#[test]
fn what_arrives_while_typing_does_not_tear_the_line_apart() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = terminal(&server, &["--nickname", "Dinesh"]);
    screen.exp_string("Connected to server!").unwrap();
    screen.send("half a se").unwrap();
    screen.flush().unwrap();
    screen.exp_string("half a se").unwrap();
    alex.send("interrupting\n");
    screen.exp_string("Alex: interrupting").unwrap();
    // The line that was begun is drawn again below.
    screen.exp_string("Dinesh: half a se").unwrap();
    type_line(&mut screen, "ntence");
    alex.expect("Dinesh: half a sentence");
}

#[test]
fn a_taken_nickname_is_asked_for_again() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut screen = terminal(&server, &["--nickname", "alex"]);
    screen.exp_string("-- Not joined: somebody here has that nickname, or one like it.").unwrap();
    type_line(&mut screen, "Dinesh");
    alex.expect("Dinesh joined the chat!");
}

#[test]
fn a_line_typed_before_one_has_joined_is_neither_the_nickname_nor_the_password() {
    let (mut server, mut screen) = scripted(&[]);
    let type_too_early = |screen: &mut PtySession, line: &str| {
        type_line(screen, line);
        screen.exp_string(NOT_JOINED_YET).unwrap();
    };
    type_too_early(&mut screen, "before the nickname");
    server.send("NICK");
    server.expect_next("Dinesh");
    type_too_early(&mut screen, "before the password");
    server.send("PASS\n");
    screen.exp_string("The room's password: ").unwrap();
    type_line(&mut screen, "open sesame");
    server.expect_next("open sesame");
    type_too_early(&mut screen, "behind the password");
    server.send("Connected to server!\n");
    server.expect_next("Dinesh: /ping chat-client-1");
    // The Up key.
    screen.send("\u{1b}[A").unwrap();
    screen.flush().unwrap();
    screen.exp_string("behind the password").unwrap();
    type_line(&mut screen, ", and said now");
    server.expect_next("Dinesh: behind the password, and said now");
}

#[test]
fn a_line_typed_while_the_connection_is_made_is_not_lost_without_a_word() {
    // A server that never answers a handshake.
    let (_server, mut screen) = scripted(&["--tls-ca", Authority::new("ours").file().to_str().unwrap()]);
    type_line(&mut screen, "hello");
    screen.exp_string(NOT_JOINED_YET).unwrap();
    type_line(&mut screen, "/quit");
    expect_exit_code(&screen, 0);
}

#[test]
fn in_the_reports_framing_one_has_joined_when_the_room_is_heard() {
    let (mut server, mut screen) = scripted(&["--framing", "report"]);
    server.send("NICK");
    server.expect_bytes("Dinesh");
    // As the report's own server merges them.
    server.send("Dinesh joined the chat!Connected to server!");
    screen.exp_string("Connected to server!").unwrap();
    type_line(&mut screen, "hello");
    server.expect_bytes("Dinesh: hello");
}

#[test]
fn why_a_foreign_server_lets_nobody_in_cannot_act_on_the_terminal() {
    let (mut server, mut screen) = scripted(&[]);
    server.send("NICK");
    server.expect_next("Dinesh");
    server.send("-- Not joined: \u{1b}]0;evil\u{7}\u{1b}[2J.\n");
    drop(server);
    screen.exp_string("chat-client: Not joined: \\u{1b}]0;evil\\u{7}\\u{1b}[2J.").unwrap();
    expect_exit_code(&screen, 1);
}

#[test]
fn the_last_line_of_a_burst_is_shown_without_waiting_for_another() {
    let (mut server, mut screen) = scripted(&[]);
    server.send("NICK");
    server.expect_next("Dinesh");
    server.send("Connected to server!\n");
    server.expect_next("Dinesh: /ping chat-client-1");
    // One more than the queue of the terminal takes, in one read.
    let mut burst = String::new();
    for number in 1..=501 {
        writeln!(burst, "Alex: {number}.").unwrap();
    }
    server.send(&burst);
    screen.exp_string("Alex: 500.").unwrap();
    screen.exp_string("Alex: 501.").unwrap();
}

#[test]
fn ctrl_d_and_ctrl_c_leave_and_the_others_are_told() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    for key in ['d', 'c'] {
        let mut screen = terminal(&server, &["--nickname", "Dinesh"]);
        screen.exp_string("Connected to server!").unwrap();
        screen.send_control(key).unwrap();
        alex.expect("Dinesh left the chat.");
        expect_exit_code(&screen, 0);
    }
}

#[test]
fn a_lost_connection_is_said_and_is_a_failure() {
    let mut server = Server::start();
    let mut screen = terminal(&server, &["--nickname", "Dinesh"]);
    screen.exp_string("Connected to server!").unwrap();
    server.running.kill();
    screen.exp_string("chat-client: Connection lost!").unwrap();
    expect_exit_code(&screen, 1);
}

#[track_caller]
fn expect_exit_code(screen: &PtySession, code: i32) {
    let status = screen.process().wait().expect("the client ends");
    assert!(
        format!("{status:?}").starts_with("Exited(") && format!("{status:?}").ends_with(&format!(" {code})")),
        "{status:?}"
    );
}

#[test]
fn a_person_is_asked_for_the_password_of_the_room() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "open sesame\n").unwrap();
    let server = Server::start_with(&["--password-file", file.path().to_str().unwrap()]);
    let mut screen = terminal(&server, &["--nickname", "Dinesh"]);
    screen.exp_string("The room's password: ").unwrap();
    type_line(&mut screen, "open sesame");
    screen.exp_string("Connected to server!").unwrap();
    type_line(&mut screen, "/quit");
    expect_exit_code(&screen, 0);

    let mut screen = terminal(&server, &["--nickname", "Mallory"]);
    screen.exp_string("The room's password: ").unwrap();
    type_line(&mut screen, "open barley");
    screen.exp_string("Not joined: the password is wrong.").unwrap();
    expect_exit_code(&screen, 1);
}
