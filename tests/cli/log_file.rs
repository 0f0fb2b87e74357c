//! The log file fails, is rotated, or is another server's: the chat goes on, and every lost line is counted.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use commonroom::journal::WAITING_BYTES;
use rustix::process::Signal;

use super::support::{Peer, Running, Server, UNLIMITED, assert, command, wait_for};

/// A server with its log at `log`.
fn start_with_log(log: &Path) -> (Running, Peer) {
    let mut running = Running::start(
        command("chat-server").args(["--listen", "127.0.0.1:0", "--log"]).arg(log).args(UNLIMITED),
    );
    let line = running.stdout.expect("Server running on ");
    let address = line.trim_start_matches("Server running on ").parse().unwrap();
    let mut dinesh = Peer::connect(address);
    dinesh.join("Dinesh");
    (running, dinesh)
}

fn says(member: &mut Peer, text: &str) {
    member.send(&format!("{text}\n"));
    member.expect_next(&format!("Dinesh: {text}"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_stops_nobody_and_its_cost_is_told_on_stderr_and_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("server.log");
    // Every write to this fails, as on a full disk.
    symlink("/dev/full", &log).unwrap();
    let (mut server, mut dinesh) = start_with_log(&log);
    let warning = server.stderr.next().unwrap();
    says(&mut dinesh, "one");
    says(&mut dinesh, "two");
    assert_eq!(
        warning,
        format!(
            "chat-server: cannot write the log {}: no space left on device; the chat goes on without it",
            log.display()
        )
    );

    // Somebody makes room.
    fs::remove_file(&log).unwrap();
    server.signal(Signal::HUP);
    wait_for("a new log", || log.exists());
    says(&mut dinesh, "three");
    assert_eq!(
        server.stderr.next().unwrap(),
        format!(
            "chat-server: 4 lines were not written to the log {}: no space left on device",
            log.display()
        )
    );
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let written = super::support::read_log(&log);
    assert!(
        written.starts_with(
            "TIME - WARNING - 4 lines were not written: no space left on device\n\
             TIME - INFO - Message: Dinesh: three\n"
        ),
        "{written}"
    );
    assert_eq!(server.stderr.seen.len(), 2, "{:?}", server.stderr.seen);
}

#[test]
fn a_log_whose_directory_is_removed_is_reported_and_created_again_when_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    let log = logs.join("server.log");
    fs::create_dir(&logs).unwrap();
    let (mut server, mut dinesh) = start_with_log(&log);
    wait_for("the joining in the log", || fs::read_to_string(&log).unwrap().contains("connected from"));
    fs::remove_dir_all(&logs).unwrap();
    server.signal(Signal::HUP);
    server.stderr.expect("cannot reopen the log");
    assert!(
        server.stderr.seen.last().unwrap().ends_with("; the old one is gone"),
        "{:?}",
        server.stderr.seen
    );
    says(&mut dinesh, "nobody writes this down");
    server.stderr.expect("cannot write the log");
    fs::create_dir(&logs).unwrap();
    says(&mut dinesh, "but this");
    server.stderr.expect("1 line was not written to the log");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let written = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = written.lines().collect();
    assert!(lines[0].contains(" - WARNING - 1 line was not written: "), "{written}");
    assert!(lines[1].ends_with("Message: Dinesh: but this"), "{written}");
}

#[test]
fn a_log_that_ends_in_the_middle_of_a_line_is_not_continued_there() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("server.log");
    fs::write(&log, "2026-02-23 02:55:16,769 - INFO - Mess").unwrap();
    let (mut server, _dinesh) = start_with_log(&log);
    server.signal(Signal::TERM);
    server.wait();
    let written = super::support::read_log(&log);
    assert!(written.starts_with("TIME - INFO - Mess\nTIME - INFO - Server started\n"), "{written}");
}

#[test]
fn a_log_that_hangs_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("server.log");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    // Opening it blocks until the server opens it, too; nothing is read from it for now.
    let reader = std::thread::spawn({
        let log = log.clone();
        move || fs::File::open(log).unwrap()
    });
    let (mut server, mut dinesh) = start_with_log(&log);
    let reader = BufReader::new(reader.join().unwrap());
    let text = "x".repeat(1_000);
    for _ in 0..(2 * WAITING_BYTES / text.len() + 1_000) {
        says(&mut dinesh, &text);
    }
    // Somebody reads it again.
    let mut lines = reader.lines().map(Result::unwrap);
    let warning = lines.find(|line| {
        if line.ends_with(&text) {
            says(&mut dinesh, "still here");
        }
        line.contains(" - WARNING - ")
    });
    let reason = " lines were not written: they came faster than they could be written";
    assert!(warning.unwrap().ends_with(reason));
    server.stderr.expect("lines come faster than they can be written; the chat goes on without it");
    server.stderr.expect("lines were not written to the log");
}

#[test]
fn sighup_reopens_the_log_and_no_line_is_lost_or_in_the_wrong_file() {
    let mut server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let rotated = server.log_path().with_extension("1");
    for round in 1..=5 {
        says(&mut dinesh, &format!("before {round}"));
        server.wait_for_log(&format!("before {round}"));
        fs::rename(server.log_path(), &rotated).unwrap();
        says(&mut dinesh, &format!("between {round}"));
        server.running.signal(Signal::HUP);
        wait_for("a new log", || server.log_path().exists());
        says(&mut dinesh, &format!("after {round}"));
        server.wait_for_log(&format!("after {round}"));

        let old = fs::read_to_string(&rotated).unwrap();
        let new = fs::read_to_string(server.log_path()).unwrap();
        assert!(old.ends_with(&format!("Message: Dinesh: between {round}\n")), "{old}");
        assert_eq!(new.lines().count(), 1, "{new}");
    }
    assert!(server.stop().ends_with("Server stopped\n"));
    assert_eq!(server.running.stderr.seen, [""; 0]);
}

#[test]
fn sighup_without_a_rotation_changes_nothing() {
    let mut server = Server::start();
    let mut dinesh = server.join("Dinesh");
    server.running.signal(Signal::HUP);
    says(&mut dinesh, "still here");
    let log = server.stop();
    assert_eq!(log.lines().count(), 5, "{log}");
    assert_eq!(server.running.stderr.seen, [""; 0]);
}

#[test]
fn a_log_that_cannot_be_reopened_is_reported_and_the_old_one_is_written_to() {
    let mut server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let rotated = server.log_path().with_extension("1");
    fs::rename(server.log_path(), &rotated).unwrap();
    fs::create_dir(server.log_path()).unwrap();
    server.running.signal(Signal::HUP);
    server.running.stderr.expect("the old one is still written to");
    says(&mut dinesh, "still here");
    server.running.signal(Signal::TERM);
    server.running.wait();
    let log = fs::read_to_string(rotated).unwrap();
    assert!(log.contains("Dinesh: still here") && log.ends_with("Server stopped\n"), "{log}");
}

#[test]
fn a_second_server_on_the_same_log_is_refused_also_after_a_rotation() {
    let server = Server::start();
    let log = server.log_path();
    let refused = || {
        assert("chat-server")
            .args(["--listen", "127.0.0.1:0", "--log"])
            .arg(&log)
            .assert()
            .code(1)
            .stdout("")
            .stderr(format!(
                "chat-server: cannot open the log {}: another server writes to it; \
                 choose another with --log\n",
                log.display()
            ));
    };
    refused();
    fs::rename(&log, log.with_extension("1")).unwrap();
    server.running.signal(Signal::HUP);
    wait_for("a new log", || log.exists());
    server.join("Dinesh");
    server.wait_for_log("Dinesh connected");
    refused();
}

#[test]
fn several_servers_may_share_a_log_that_is_not_a_regular_file() {
    let (mut one, _dinesh) = start_with_log(Path::new("/dev/null"));
    let (mut two, _other) = start_with_log(Path::new("/dev/null"));
    let (mut three, _another) = start_with_log(Path::new("/dev/stdout"));
    three.stdout.expect("Dinesh connected from");
    for server in [&one, &two, &three] {
        server.signal(Signal::HUP);
        server.signal(Signal::TERM);
    }
    for server in [&mut one, &mut two, &mut three] {
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(server.stderr.seen, [""; 0]);
    }
}
