//! A connection that is lost and comes back, and a client that is killed and started anew.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use super::forwarder::Forwarder;
use super::screen::{Screen, Window};
use crate::support::{Peer, Server, wait_for};

const LOST: &str = "Connection lost; trying again…";
const BACK: &str = "Connected again ";
const TRYING: &str = "Trying again ";
const NOT_SENT_YET: &str = "Not sent yet: ";
const EARLIER_SESSION: &str = "Your earlier session goes on, without what it had not sent";

/// Where the clients of a test keep their sessions.
struct Runtime(TempDir);

impl Runtime {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Dinesh on a terminal, with a session in this directory.
    fn dinesh(&self, address: SocketAddr) -> Screen {
        let mut screen = self.start(address);
        screen.expect("Connected to server!");
        self.wait_for_files(1);
        screen
    }

    fn start(&self, address: SocketAddr) -> Screen {
        let shell = format!("export XDG_RUNTIME_DIR={}; exec \"$@\"", self.0.path().display());
        let window = Window { shell: &shell, ..Window::default() };
        Screen::of_client(address, &["--nickname", "Dinesh"], window)
    }

    fn wait_for_files(&self, count: usize) {
        wait_for("the files of the sessions", || {
            files(self.0.path()).iter().filter(|path| has_content(path)).count() == count
        });
    }

    /// The only file.
    fn file(&self) -> PathBuf {
        files(self.0.path()).remove(0)
    }
}

fn files(runtime: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runtime.join("commonroom"));
    entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// Alex in the room, and Dinesh on a terminal, whose way to it can be cut.
fn two_members(arguments: &[&str]) -> (Server, Peer, Forwarder, Screen) {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let forwarder = Forwarder::start(server.address);
    let arguments = [&["--nickname", "Dinesh"], arguments].concat();
    let mut screen = Screen::of_client(forwarder.address, &arguments, Window::default());
    alex.expect("Dinesh joined the chat!");
    screen.expect("Connected to server!");
    // With the answer to the first line the session has begun.
    screen.type_line("hello");
    alex.expect_next("Dinesh: hello");
    screen.expect("Dinesh: hello");
    (server, alex, forwarder, screen)
}

#[test]
fn what_is_typed_without_a_connection_is_shown_as_not_sent_and_said_when_there_is_one() {
    let (_server, mut alex, forwarder, mut screen) = two_members(&[]);
    forwarder.cut();
    screen.expect(LOST);
    screen.expect(TRYING);
    screen.type_line("one");
    screen.type_line("two");
    screen.types("half a se");
    screen.wait_for("what is not sent", |screen| {
        matches!(&screen.rows()[3..], [lost, one, two, status, typed] if lost == LOST
            && one == "Not sent yet: one" && two == "Not sent yet: two"
            && status.starts_with(TRYING) && typed == "Dinesh: half a se")
    });
    alex.send("where are you?\n");
    alex.expect_next("Alex: where are you?");
    forwarder.mend();
    screen.expect("Dinesh: two");
    // Nobody has noticed anything.
    alex.expect_next("Dinesh: one");
    alex.expect_next("Dinesh: two");
    let rows = screen.rows();
    let back = &rows[4];
    assert!(back.starts_with(BACK) && back.ends_with("; 1 line was missed."), "{back}");
    assert_eq!(rows[3], LOST);
    assert_eq!(rows[5..], ["Alex: where are you?", "Dinesh: one", "Dinesh: two", "Dinesh: half a se"]);
}

#[test]
fn the_time_until_the_next_attempt_is_counted_down_in_place() {
    let (_server, _alex, forwarder, mut screen) = two_members(&[]);
    forwarder.cut();
    for second in ["in 2 s…", "in 1 s…"] {
        screen.expect(&format!("{TRYING}{second}"));
    }
    let rows = screen.rows();
    assert_eq!(rows.iter().filter(|row| row.contains(TRYING) || row.contains(LOST)).count(), 2, "{rows:#?}");
    assert_eq!(rows.len(), 6, "{rows:#?}");
}

#[test]
fn ctrl_c_ctrl_d_and_quit_leave_without_a_connection() {
    for leave in ["\u{3}", "\u{4}", "/quit\r"] {
        let (_server, _alex, forwarder, mut screen) = two_members(&[]);
        forwarder.cut();
        screen.expect(TRYING);
        screen.type_line("never said");
        screen.expect(NOT_SENT_YET);
        screen.types(leave);
        screen.expect("1 line was not sent.");
        screen.expect_exit_code(0);
    }
}

#[test]
fn lines_that_are_not_sent_in_time_are_named() {
    let (_server, _alex, forwarder, mut screen) = two_members(&["--reconnect-for", "2"]);
    forwarder.cut();
    screen.expect(LOST);
    screen.type_line("never said");
    screen.expect("Not sent: never said");
    screen.expect("chat-client: Connection lost! 1 line was not sent.");
    screen.expect_exit_code(1);
}

#[test]
fn after_a_restart_of_the_server_the_client_is_there_as_a_newcomer() {
    let server = Server::start();
    let runtime = Runtime::new();
    let mut screen = runtime.dinesh(server.address);
    let server = server.restart(Signal::TERM);
    screen.expect(LOST);
    screen.expect("Your session is over, and you join as a newcomer: ");
    screen.expect_times(2, "Connected to server!");
    let mut alex = server.join("Alex");
    screen.type_line("hello again");
    alex.expect("Dinesh: hello again");
    screen.expect("Dinesh: hello again");
}

#[test]
fn a_client_that_is_killed_and_started_anew_goes_on_with_its_session_and_nobody_is_told() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let runtime = Runtime::new();
    let screen = runtime.dinesh(server.address);
    alex.expect_next("Dinesh joined the chat!");
    screen.signal(Signal::KILL);
    server.wait_for_log("Dinesh lost connection");
    drop(screen);
    alex.send("are you there?\n");
    alex.expect_next("Alex: are you there?");
    let mut screen = runtime.start(server.address);
    screen.expect(&format!("{EARLIER_SESSION}; 1 line was missed."));
    screen.expect("Alex: are you there?");
    screen.type_line("yes");
    alex.expect_next("Dinesh: yes");
    screen.type_line("/quit");
    screen.expect_exit_code(0);
    alex.expect_next("Dinesh left the chat.");
    assert_eq!(files(runtime.0.path()).len(), 0);
}

#[test]
fn a_second_client_of_the_nickname_does_not_take_the_session() {
    let server = Server::start();
    let runtime = Runtime::new();
    let mut screen = runtime.dinesh(server.address);
    let mut second = runtime.start(server.address);
    second.expect("-- Not joined: somebody here has that nickname, or one like it.");
    second.type_line("Bo");
    second.expect("Connected to server!");
    runtime.wait_for_files(2);
    screen.type_line("still here");
    second.expect("Dinesh: still here");
}

#[test]
fn a_client_is_found_by_the_nickname_that_it_has_taken() {
    let server = Server::start();
    let runtime = Runtime::new();
    let mut screen = runtime.dinesh(server.address);
    let by_dinesh = files(runtime.0.path());
    screen.type_line("/nick Bo");
    screen.expect_last_row("Bo:");
    wait_for("another file", || {
        let now = files(runtime.0.path());
        now.len() == 1 && now != by_dinesh && has_content(&now[0])
    });
}

#[test]
fn a_client_whose_session_goes_on_elsewhere_says_so_and_ends() {
    let server = Server::start();
    let runtime = Runtime::new();
    let mut screen = runtime.dinesh(server.address);
    let mut elsewhere = server.connect();
    elsewhere.expect_bytes("NICK");
    elsewhere.send(&std::fs::read_to_string(runtime.file()).unwrap());
    screen.expect("chat-client: Your session goes on in another client.");
    screen.expect_exit_code(1);
    assert_eq!(files(runtime.0.path()).len(), 0, "it would take the session back");
}

#[test]
fn a_client_that_is_told_to_end_leaves_and_takes_its_session_with_it() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    for signal in [Signal::TERM, Signal::HUP] {
        let runtime = Runtime::new();
        let mut screen = runtime.dinesh(server.address);
        alex.expect_next("Dinesh joined the chat!");
        screen.signal(signal);
        screen.expect_exit_code(0);
        alex.expect_next("Dinesh left the chat.");
        assert_eq!(files(runtime.0.path()).len(), 0);
    }
}

#[test]
fn a_client_that_could_not_say_that_it_leaves_is_found_when_it_comes_back() {
    let server = Server::start();
    let forwarder = Forwarder::start(server.address);
    let runtime = Runtime::new();
    let mut screen = runtime.dinesh(forwarder.address);
    // Nothing answers any more, and nothing is refused.
    server.running.signal(Signal::STOP);
    screen.type_line("hello?");
    screen.expect("Nothing has been heard from the server for");
    screen.types("\u{3}");
    screen.expect_exit_code(0);
    server.running.signal(Signal::CONT);

    let mut screen = runtime.start(forwarder.address);
    screen.expect(EARLIER_SESSION);
    forwarder.cut();
    screen.expect(LOST);
    screen.types("\u{3}");
    screen.expect_exit_code(0);
    forwarder.mend();

    let mut screen = runtime.start(forwarder.address);
    screen.expect(EARLIER_SESSION);
}

#[test]
fn the_nickname_is_that_of_the_session() {
    let server = Server::start();
    let runtime = Runtime::new();
    runtime.dinesh(server.address).signal(Signal::KILL);
    let mut bo = server.join("Bo");
    bo.send("/session\n");
    let begun = bo.line().unwrap();
    let (token, epoch) = begun.strip_prefix("-- Session ").unwrap().split_once(", log ").unwrap();
    let epoch = epoch.split_once(' ').unwrap().0;
    std::fs::write(runtime.file(), format!("/resume {token} {epoch} 0 0\n")).unwrap();
    let mut screen = runtime.start(server.address);
    screen.expect_last_row("Bo:");
}
