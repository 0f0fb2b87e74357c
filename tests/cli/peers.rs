//! The report's own programs, rewritten in Python from its description, against ours.

use std::path::PathBuf;
use std::process::Command;

use super::support::{Running, Server, UNLIMITED, assert};

/// A program of `peers/`. These tests need Python 3, and say so if it is missing.
fn python(script: &str, arguments: &[&str]) -> Running {
    let found = Command::new("python3").arg("--version").output();
    assert!(found.is_ok(), "these tests run the report's Python programs and need python3 on PATH");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/peers").join(script);
    Running::start(Command::new("python3").arg("-u").arg(script).args(arguments))
}

fn python_client(server: &Server, nickname: &str) -> Running {
    let mut client = python("client.py", &[&server.address.port().to_string()]);
    client.type_line(nickname);
    client.stdout.expect(&format!("{nickname} joined the chat!"));
    client.stdout.expect("Connected to server!");
    client
}

#[test]
fn the_reports_client_joins_talks_and_leaves_without_noticing_a_difference() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut dinesh = python_client(&server, "Dinesh");
    alex.expect_next("Dinesh joined the chat!");

    dinesh.type_line("Hello everyone");
    alex.expect_next("Dinesh: Hello everyone");
    dinesh.stdout.expect("Dinesh: Hello everyone");
    alex.send("hi\nthere\n");
    dinesh.stdout.expect("Alex: hi");
    dinesh.stdout.expect("Alex: there");
    dinesh.type_line("/who");
    dinesh.stdout.expect("-- Here now (2): Alex, Dinesh");

    assert!(dinesh.wait().success());
    alex.expect("Dinesh left the chat.");
}

#[test]
fn messages_that_the_reports_client_sends_fast_are_neither_merged_nor_lost() {
    let server = Server::start_with(&UNLIMITED);
    let mut alex = server.join("Alex");
    let mut dinesh = python_client(&server, "Dinesh");
    alex.expect("Dinesh joined the chat!");
    for number in 0..1_000 {
        dinesh.type_line(&number.to_string());
    }
    for number in 0..1_000 {
        alex.expect_next(&format!("Dinesh: {number}"));
    }
}

#[test]
fn a_killed_client_of_the_report_is_announced_at_once() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut dinesh = python_client(&server, "Dinesh");
    alex.expect("Dinesh joined the chat!");
    dinesh.kill();
    alex.expect_next("Dinesh left the chat.");
}

#[cfg(unix)]
#[test]
fn the_reports_client_is_told_when_the_server_ends() {
    let mut server = Server::start();
    let mut dinesh = python_client(&server, "Dinesh");
    server.stop();
    dinesh.stdout.expect("-- The server is shutting down.");
    dinesh.stdout.expect("The server closed the connection.");
}

#[test]
fn our_client_speaks_to_the_reports_own_server() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("server.log");
    let mut server = python("server.py", &["0", log.to_str().unwrap()]);
    let line = server.stdout.expect("Server running on ");
    let address = line.trim_start_matches("Server running on ");

    let client = |nickname: &str, input: &str| {
        assert("chat-client")
            .args([address, "--framing", "report", "--nickname", nickname])
            .write_stdin(input)
            .assert()
            .code(0)
    };
    let alex = client("Alex", "Hello everyone\n/slash\nbye\n");
    let screen = String::from_utf8(alex.get_output().stdout.clone()).unwrap();
    assert!(screen.starts_with("Alex joined the chat!"), "{screen}");
    assert!(screen.ends_with("Alex: Hello everyone\nAlex: /slash\nAlex: bye\n"), "{screen}");

    server.kill();
    let log = std::fs::read_to_string(log).unwrap();
    for wanted in ["Alex connected from", "Message: Alex: Hello everyone", "Message: Alex: bye"] {
        assert!(log.contains(wanted), "{log}");
    }
}
