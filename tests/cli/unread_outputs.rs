//! Nobody reads the server's stderr, or the pipe that is its log: neither holds up the chat or its end.

use std::fs::{File, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::support::{Peer, Running, UNLIMITED, command, wait_for};

/// A pipe that is open, and that nobody reads.
fn unread_pipe(directory: &Path) -> (PathBuf, File) {
    let path = make_pipe(directory);
    let held = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (path, held)
}

fn make_pipe(directory: &Path) -> PathBuf {
    let path = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

fn address(server: &mut Running) -> std::net::SocketAddr {
    let line = server.stdout.expect("Server running on ");
    line.trim_start_matches("Server running on ").parse().unwrap()
}

/// More than a pipe holds, in many lines.
fn talk(address: std::net::SocketAddr) {
    let mut dinesh = Peer::connect(address);
    dinesh.join("Dinesh");
    for number in 0..1_000 {
        let text = format!("{number:0>100}");
        dinesh.send(&format!("{text}\n"));
        dinesh.expect_next(&format!("Dinesh: {text}"));
    }
}

#[test]
fn an_unread_stderr_holds_up_neither_the_chat_nor_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let (pipe, _held) = unread_pipe(directory.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" --listen 127.0.0.1:0 -vv --rate 0 2> \"$1\""]);
    shell.arg(command("chat-server").get_program()).arg(pipe).current_dir(&directory);
    let mut server = Running::start(&mut shell);
    talk(address(&mut server));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn lines_that_a_hanging_log_has_not_taken_at_the_end_are_counted_on_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let (pipe, _held) = unread_pipe(directory.path());
    let mut server = Running::start(
        command("chat-server").args(["--listen", "127.0.0.1:0", "--log"]).arg(&pipe).args(UNLIMITED),
    );
    talk(address(&mut server));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let told = server.stderr.seen.last().expect("a sentence");
    let count = told.strip_prefix("chat-server: up to ").and_then(|rest| rest.split_once(' ')).expect(told);
    // A pipe holds 64 KiB, and each line has 150 bytes.
    assert!((500..=1_004).contains(&count.0.parse::<u32>().unwrap()), "{told}");
    assert!(told.ends_with(": nothing was taken for too long"), "{told}");
}

#[test]
fn a_pipe_without_a_reader_as_the_log_is_waited_for_until_a_signal_comes() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = make_pipe(directory.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut server = Running::start(command("chat-server").args(["--listen", &address, "--log"]).arg(pipe));
    wait_for("the port", || TcpStream::connect(&address).is_ok());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().signal(), Some(Signal::TERM.as_raw()));
}
