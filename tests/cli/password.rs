//! The password of a room, on the real binaries. The same in virtual time is in
//! `tests/sim/scenarios/a_password.rs`.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use commonroom::server::limits::PASSWORD_PAUSE;
use predicates::prelude::*;
use tempfile::TempDir;

use super::support::{OnDrop, Peer, Server, assert, wait_for};

const PASSWORD: &str = "open sesame";

/// A file in a directory of its own.
fn file_with(text: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn start() -> Server {
    let (_directory, path) =
        file_with(format!("{PASSWORD}\nonly the first line is the password\n").as_bytes());
    Server::start_with(&["--password-file", text(&path)])
}

/// Answers in lines, up to the password.
fn try_password(server: &Server, nickname: &str, password: &str) -> Peer {
    try_password_at(server.address, nickname, password)
}

fn try_password_at(address: SocketAddr, nickname: &str, password: &str) -> Peer {
    let mut peer = Peer::connect(address);
    peer.expect_bytes("NICK");
    peer.send(&format!("{nickname}\n"));
    peer.expect_next("PASS");
    peer.send(&format!("{password}\n"));
    peer
}

#[test]
fn the_reports_client_knows_the_password_also_under_a_nickname_that_is_normalised() {
    let server = start();
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    peer.send("Zoe\u{308}");
    peer.expect_bytes("PASS");
    peer.send(&format!("Zoe\u{308}: {PASSWORD}"));
    peer.expect_bytes("Zoë joined the chat!\nConnected to server!");
}

#[test]
fn a_client_without_a_password_in_time_is_told_and_logged_and_not_announced() {
    let (_directory, path) = file_with(PASSWORD.as_bytes());
    let server = Server::start_with(&["--registration-timeout", "1", "--password-file", text(&path)]);
    let mut alex = try_password(&server, "Alex", PASSWORD);
    alex.expect("Connected to server!");
    for (end, wanted) in [
        ("\n", "PASS\n-- No password has come in time. Goodbye.\n"),
        ("", "PASS-- No password has come in time. Goodbye."),
    ] {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        peer.send(&format!("Dinesh{end}"));
        peer.expect_bytes(wanted);
        peer.expect_end();
    }
    wait_for("the log", || server.log().matches("): no password in time\n").count() == 2);
    alex.send("nobody came?\n");
    alex.expect_next("Alex: nobody came?");
}

#[cfg(unix)]
#[test]
fn the_pattern_for_fail2ban_matches_wrong_passwords_and_tokens_and_nothing_that_a_member_says() {
    let document = include_str!("../../docs/operations.md");
    let pattern = document.lines().find_map(|line| line.strip_prefix("failregex = ")).expect("one line");
    // fail2ban strips the time, and puts its own pattern of an address in.
    let wanted = predicate::str::is_match(pattern.replace("<HOST>", "[0-9.]+")).unwrap();
    let mut server = start();
    let mut dinesh = try_password(&server, "Dinesh", PASSWORD);
    dinesh.expect("Connected to server!");
    dinesh.send("2026-02-23 03:00:00,000 - WARNING - Refused ('192.0.2.1', 1): the password is wrong\n");
    dinesh.send(
        "2026-02-23 03:00:00,000 - WARNING - Refused ('192.0.2.1', 1) a session: there is no such session\n",
    );
    dinesh.send("/nick Refused\n");
    try_password(&server, "Mallory", "open barley").expect_next("-- Not joined: the password is wrong.");
    dinesh.send("/session\n");
    let epoch = loop {
        let line = dinesh.line().expect("the server goes on");
        if let Some((_, rest)) = line.split_once(", log ") {
            break rest.split(' ').next().unwrap().to_owned();
        }
    };
    let mut guesser = server.connect();
    guesser.send(&format!("/resume {}.{} {epoch} 0 0\n", "0".repeat(32), "0".repeat(64)));
    guesser.expect("NICK-- Not resumed: there is no such session.");
    server.stop();
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    let events = log.lines().map(|line| &line["2026-02-23 02:55:16,769".len()..]);
    let found: Vec<&str> = events.filter(|event| wanted.eval(event)).collect();
    assert_eq!(found.len(), 2, "{log}");
    assert!(found.iter().all(|line| line.starts_with(" - WARNING - Refused ('127.0.0.1', ")), "{found:?}");
}

#[test]
fn the_right_password_gets_in_and_a_wrong_one_is_refused_and_logged_with_its_address() {
    let server = start();
    let mut dinesh = try_password(&server, "Dinesh", PASSWORD);
    dinesh.expect_next("Dinesh joined the chat!");
    dinesh.expect_next("Connected to server!");

    // A client without the password is not even told that the nickname is taken.
    let mut mallory = try_password(&server, "Dinesh", "open barley");
    mallory.expect_next("-- Not joined: the password is wrong.");
    mallory.expect_end();
    server.wait_for_log(" - WARNING - Refused ('127.0.0.1', ");
    server.wait_for_log("): the password is wrong\n");

    dinesh.send("nobody came?\n");
    dinesh.expect_next("Dinesh: nobody came?");
}

#[test]
fn the_password_is_not_asked_for_again_when_only_the_nickname_is_taken() {
    let server = start();
    let _dinesh = try_password(&server, "Dinesh", PASSWORD);
    let mut other = try_password(&server, "Other", PASSWORD);
    other.expect("Connected to server!");
    let mut second = try_password(&server, "Other", PASSWORD);
    second.expect_next("-- Not joined: somebody here has that nickname, or one like it.");
    second.expect_next("NICK");
    second.send("Second\n");
    second.expect("Second joined the chat!");
}

#[test]
fn the_answer_to_a_wrong_password_comes_later_each_time_and_the_right_one_gets_in_at_once() {
    let server = start();
    for pause in [PASSWORD_PAUSE, 2 * PASSWORD_PAUSE] {
        let begun = Instant::now();
        let mut mallory = try_password(&server, "Mallory", "open barley");
        let mut dinesh = try_password(&server, "Dinesh", PASSWORD);
        dinesh.expect("Connected to server!");
        assert!(begun.elapsed() < PASSWORD_PAUSE, "{:?}", begun.elapsed());
        mallory.expect_next("-- Not joined: the password is wrong.");
        mallory.expect_end();
        assert!(begun.elapsed() >= pause, "{:?}", begun.elapsed());
        dinesh.send("/quit\n");
        dinesh.expect_end();
    }
}

#[cfg(unix)]
#[test]
fn a_delayed_answer_does_not_hold_up_the_end() {
    let mut server = start();
    let mut guessers: Vec<Peer> = (0..4).map(|_| try_password(&server, "Mallory", "open barley")).collect();
    wait_for("four refusals", || {
        let log = std::fs::read_to_string(server.log_path()).unwrap_or_default();
        log.matches("the password is wrong").count() == guessers.len()
    });
    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed() < 2 * PASSWORD_PAUSE, "{:?}", begun.elapsed());
    guessers.pop().expect("the last").expect_next("-- Not joined: the password is wrong.");
}

/// As in a school, where everyone shares one address.
#[test]
fn the_right_password_gets_in_within_two_seconds_among_eight_endless_guessers() {
    const GUESSERS: usize = 8;
    let server = start();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The guessers end with the test, even if it fails.
        let _end = OnDrop(|| over.store(true, Ordering::Relaxed));
        for index in 0..GUESSERS {
            let (address, over) = (server.address, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut peer = try_password_at(address, &format!("Mallory{index}"), "open barley");
                    // Half of them do not even wait for the answer.
                    if index % 2 == 0 {
                        let _ = peer.stream.read_to_end(&mut Vec::new());
                    }
                }
            });
        }
        server.wait_for_log("): the password is wrong\n");
        for attempt in 0..5 {
            let begun = Instant::now();
            let mut dinesh = try_password(&server, "Dinesh", PASSWORD);
            dinesh.expect("Connected to server!");
            assert!(begun.elapsed() < Duration::from_secs(2), "attempt {attempt}: {:?}", begun.elapsed());
            dinesh.send("/quit\n");
            dinesh.expect_end();
        }
    });
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(!log.contains("no password in time"), "a password had come:\n{log}");
}

#[test]
fn a_client_of_the_report_can_be_told_the_password_as_a_message() {
    let server = start();
    for password in [PASSWORD.to_owned(), format!("Dinesh: {PASSWORD}")] {
        let mut dinesh = server.connect();
        dinesh.expect_bytes("NICK");
        dinesh.send("Dinesh");
        dinesh.expect_bytes("PASS");
        dinesh.send(&password);
        dinesh.expect_next("Dinesh joined the chat!");
        dinesh.send("Dinesh: /quit");
        dinesh.expect_bytes("Connected to server!");
        dinesh.expect_end();
    }
}

#[test]
fn chat_client_gives_the_password_from_a_file_or_from_the_environment() {
    let server = start();
    let (_directory, path) = file_with(PASSWORD.as_bytes());
    let client = || {
        let mut client = assert("chat-client");
        client.args([&server.address.to_string(), "--nickname", "bot"]).write_stdin("hello\n");
        client
    };
    let said = "bot joined the chat!\nbot: hello\n";
    client().args(["--password-file", text(&path)]).assert().code(0).stdout(said);
    client().env("CHAT_PASSWORD", PASSWORD).assert().code(0).stdout(said);
    let report = ["--framing", "report", "--password-file", text(&path)];
    client().args(report).assert().code(0).stdout(predicate::str::contains("bot: hello\n"));

    let wrong = "chat-client: Not joined: the password is wrong.\n";
    client().env("CHAT_PASSWORD", "open barley").assert().code(1).stdout("").stderr(wrong);
    let none =
        "chat-client: Not joined: the room has a password; --password-file or CHAT_PASSWORD gives it\n";
    client().assert().code(1).stdout("").stderr(none);
}

#[test]
fn an_unusable_password_file_is_reported_in_one_line() {
    let (_empty_directory, empty) = file_with(b"\nsesame\n");
    let (_long_directory, long) = file_with("x".repeat(10_000).as_bytes());
    let missing = Path::new("/nonexistent/password");
    for (path, reason) in [
        (empty.as_path(), "the password is empty"),
        (&long, "a password has at most 128 bytes"),
        (missing, "No such file or directory"),
    ] {
        for program in ["chat-server", "chat-client"] {
            assert(program)
                .args(["--password-file", text(path)])
                .assert()
                .code(1)
                .stdout("")
                .stderr(format!("{program}: cannot use {}: {reason}\n", path.display()));
        }
    }
}
