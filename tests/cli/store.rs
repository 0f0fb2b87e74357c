//! The room outlives the server: the real binaries, with a store that the server leaves in good order, or not.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::support::random::SplitMix64;
use super::support::{Running, Server, UNLIMITED, binary, command, snapshot, wait_for};

const PIPES: usize = 5;
const KILLS: usize = 200;
const SEED: u64 = 1;

/// A server is killed within this time after its members have heard something, or after its start.
const LIFE_MILLISECONDS: u64 = 100;

/// How often each pipe says something.
const SAYS_EVERY: Duration = Duration::from_millis(5);

const STORE: &str = "room.db";

#[test]
fn a_server_that_is_killed_two_hundred_times_loses_nothing_and_doubles_nothing() {
    let mut server = start(&UNLIMITED);
    let mut pipes: Vec<Running> = (0..PIPES).map(|pipe| client(&server, &name(pipe))).collect();
    for pipe in &mut pipes[..PIPES - 1] {
        pipe.stdout.expect(&format!("{} joined the chat!", name(PIPES - 1)));
    }
    let talk = Talk::default();
    let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
        let talking = pipes.iter_mut().map(|pipe| scope.spawn(|| talk.through(pipe)));
        let talking: Vec<_> = talking.collect();
        let mut random = SplitMix64::seeded(SEED);
        for kill in 0..KILLS {
            // Some are killed before anybody is back.
            if !random.draw().is_multiple_of(4) {
                let before = talk.heard.load(SeqCst);
                wait_for("somebody to hear something", || talk.heard.load(SeqCst) > before);
            }
            pass(Duration::from_millis(random.draw() % LIFE_MILLISECONDS));
            server.running.kill();
            server.running.wait();
            assert_intact(server.directory.path(), kill);
            server = start_again(server, &UNLIMITED);
        }
        talk.ends.store(true, SeqCst);
        talking.into_iter().map(|pipe| pipe.join().expect("it has heard everything")).collect()
    });
    for (pipe, seen_by_pipe) in pipes.iter_mut().zip(&seen) {
        assert_eq!(pipe.wait().code(), Some(0), "{:#?}", pipe.stderr.seen);
        assert!(*seen_by_pipe == seen[0], "two members have seen different orders");
    }
    assert_complete(&seen[0]);
}

/// What all pipes say and hear.
#[derive(Default)]
struct Talk {
    said: AtomicUsize,
    heard: AtomicUsize,
    ends: AtomicBool,
}

impl Talk {
    /// Says one line after the other until the talk ends, and returns what was heard until that was everything.
    fn through(&self, pipe: &mut Running) -> Vec<String> {
        let mut stdin = pipe.stdin.take().expect("its input is open");
        let seen = std::thread::scope(|scope| {
            let saying = scope.spawn(|| {
                for number in (0..).take_while(|_| !self.ends.load(SeqCst)) {
                    self.said.fetch_add(1, SeqCst);
                    writeln!(stdin, "{}", line(number)).expect("its input is read");
                    pass(SAYS_EVERY);
                }
            });
            let mut seen = Vec::new();
            while !saying.is_finished() || seen.len() < self.said.load(SeqCst) {
                seen.push(pipe.stdout.next().expect("the client goes on"));
                self.heard.fetch_add(1, SeqCst);
            }
            seen
        });
        // It stays open until everyone has heard everything, so that the client stays.
        pipe.stdin = Some(stdin);
        seen
    }
}

/// Lets time pass: here it is what is tested, and nothing is waited for.
fn pass(time: Duration) {
    let (_open, never) = channel::<()>();
    assert_eq!(never.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

fn name(pipe: usize) -> String {
    format!("pipe{pipe}")
}

fn line(number: usize) -> String {
    format!("{number:06}")
}

/// There are the lines of all, each sender's in order, each once, and nothing else.
fn assert_complete(seen: &[String]) {
    let mut next = BTreeMap::new();
    for said in seen {
        let (speaker, text) = said.split_once(": ").unwrap_or_else(|| panic!("nobody said {said:?}"));
        let number = next.entry(speaker).or_insert(0);
        assert_eq!(text, line(*number), "of {speaker}");
        *number += 1;
    }
    assert_eq!(next.len(), PIPES);
    println!("{} lines through {KILLS} kills", seen.len());
}

/// What a power cut or a kill has left is a database without a fault. A copy is looked at, since looking mends it.
fn assert_intact(directory: &Path, kill: usize) {
    let copies = tempfile::tempdir().unwrap();
    for file in ["room.db", "room.db-wal"] {
        if directory.join(file).exists() {
            std::fs::copy(directory.join(file), copies.path().join(file)).unwrap();
        }
    }
    let database = Connection::open(copies.path().join(STORE)).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "after kill {kill}");
}

#[test]
fn after_a_restart_the_room_goes_on_and_the_log_tells_what_became_of_whom() {
    for (signal, name) in [(Signal::TERM, "stopped"), (Signal::KILL, "killed")] {
        let mut server = start(&[]);
        let mut alex = server.join("Alex");
        let mut bot = client(&server, "bot");
        alex.expect_next("bot joined the chat!");
        alex.send("hello\n/msg bot psst\n");
        bot.stdout.expect("Alex: hello");
        bot.stdout.expect("-- Alex to you: psst");
        server.wait_for_log("Message: Alex: hello");
        server.running.signal(signal);
        server.running.wait();
        bot.type_line("is anybody here?");

        let mut server = start_again(server, &["--history", "9"]);
        bot.stdout.expect("Alex left the chat.");
        bot.stdout.expect("bot: is anybody here?");
        let mut late = server.connect();
        late.expect_bytes("NICK");
        late.send("Alex\n");
        for wanted in [
            "Alex joined the chat!",
            "bot joined the chat!",
            "Alex: hello",
            "Alex left the chat.",
            "bot: is anybody here?",
            "Alex joined the chat!",
            "Connected to server!",
        ] {
            late.expect_next(wanted);
        }
        bot.type_line("goodbye");
        late.expect("bot: goodbye");
        assert_eq!(bot.wait().code(), Some(0), "{:#?}", bot.stderr.seen);
        late.expect("bot left the chat.");
        snapshot(&format!("server_log_{name}_with_a_store"), &server.stop());
    }
}

#[test]
fn a_private_message_to_a_member_that_is_away_after_an_orderly_restart_arrives() {
    let mut server = start(&[]);
    let mut bot = client(&server, "bot");
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    server.running.signal(Signal::TERM);
    bot.stderr.expect("-- The server is shutting down.");
    bot.signal(Signal::STOP);
    server.running.wait();

    let server = start_again(server, &[]);
    let mut alex = server.join("Alex");
    alex.send("/msg bot psst\n");
    alex.expect("-- You to bot: psst");
    bot.signal(Signal::CONT);
    bot.stdout.expect("-- Alex to you: psst");
}

#[test]
fn a_client_is_told_if_the_store_was_deleted_and_is_given_no_wrong_lines() {
    let mut server = start(&[]);
    let mut bot = client(&server, "bot");
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    server.running.kill();
    server.running.wait();
    for file in ["room.db", "room.db-wal", "room.db-shm"] {
        let _ = std::fs::remove_file(server.directory.path().join(file));
    }
    let _server = start_again(server, &[]);
    bot.stderr.expect("the log has begun anew since then");
    bot.stdout.expect("bot joined the chat!");
}

#[test]
fn a_client_is_back_under_its_nickname_when_the_store_was_put_back_to_an_earlier_state() {
    let mut server = start(&[]);
    let mut bot = client(&server, "bot");
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    let backup = server.directory.path().join("backup.db");
    let store = Connection::open(server.directory.path().join(STORE)).unwrap();
    store.execute("VACUUM INTO ?1", [backup.to_str()]).unwrap();
    drop(store);
    bot.type_line("two");
    bot.stdout.expect("bot: two");
    server.running.kill();
    server.running.wait();
    std::fs::rename(backup, server.directory.path().join(STORE)).unwrap();
    for file in ["room.db-wal", "room.db-shm"] {
        std::fs::remove_file(server.directory.path().join(file)).unwrap();
    }
    let server = start_again(server, &[]);
    bot.stderr.expect("the log has begun anew since then");
    bot.stdout.expect("bot joined the chat!");
    server.wait_for_log("This is not the store that the last server left, so no session goes on");
}

#[test]
fn a_token_is_of_no_use_after_the_password_has_changed() {
    let password = |word: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{word}").unwrap();
        file
    };
    let (first, second) = (password("first"), password("second"));
    let of = |file: &tempfile::NamedTempFile| file.path().to_str().expect("UTF-8").to_owned();
    let mut server = start(&["--password-file", &of(&first)]);
    let mut bot = server.connect();
    bot.expect_bytes("NICK");
    bot.send("bot\nfirst\n/session\n");
    let begun = std::iter::from_fn(|| bot.line())
        .find_map(|line| line.strip_prefix("-- Session ").map(str::to_owned));
    let begun = begun.expect("a session");
    let (token, log) = begun.split_once(", log ").expect("a log");
    let resume = format!("/resume {token} {} 0 0\n", log.split_once(' ').expect("a position").0);
    for (file, answer) in
        [(&second, "NICK-- Not resumed: there is no such session."), (&first, "NICK-- Resumed as bot at ")]
    {
        server.running.kill();
        server.running.wait();
        server = start_again(server, &["--password-file", &of(file)]);
        let mut bot = server.connect();
        bot.send(&resume);
        let line = bot.line().expect("an answer");
        assert!(line.starts_with(answer), "{line}");
    }
}

#[test]
fn two_servers_cannot_use_one_store() {
    let server = start(&[]);
    let message = refused(server.directory.path());
    assert!(message.ends_with(": another server uses it"), "{message}");
}

#[test]
fn a_store_and_a_log_in_one_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let mut command = command("chat-server");
    command.args(["--listen", "127.0.0.1:0", "--log"]).arg(&file).arg("--store").arg(&file);
    let mut running = Running::start(&mut command);
    assert_eq!(running.wait().code(), Some(1));
    let message = running.stderr.seen.concat();
    assert!(message.ends_with("is the log as well; choose another file with --store"), "{message}");
}

#[test]
fn a_store_of_a_newer_server_and_a_file_that_is_none_are_refused_with_a_sentence() {
    let mut server = start(&[]);
    server.join("Alex");
    server.stop();
    let store = server.directory.path().join(STORE);
    Connection::open(&store).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let message = refused(server.directory.path());
    assert!(message.contains("newer"), "{message}");
    std::fs::write(&store, "a letter, not a store. ".repeat(400)).unwrap();
    let _ = std::fs::remove_file(server.directory.path().join("room.db-wal"));
    let message = refused(server.directory.path());
    assert!(message.contains("it is no database of SQLite"), "{message}");
}

#[test]
fn while_nothing_can_be_stored_senders_wait_and_are_told_once_and_then_it_goes_on() {
    let server = start(&UNLIMITED);
    let mut alex = server.join("Alex");
    let mut zoe = server.join("Zoe");
    let size = std::fs::metadata(server.directory.path().join("room.db-wal")).unwrap().len();
    limit_files(&server, Some(size + 4_096));
    let text = "x".repeat(900);
    for number in 0..20 {
        alex.send(&format!("{number} {text}\n"));
    }
    alex.expect("-- What you send waits: the server cannot store it at the moment.");
    // Whoever reads hears nothing that is not stored, and answers as before.
    server.wait_for_log("Nothing can be stored at the moment");
    assert!(!server.log().contains(&format!("Message: Alex: 19 {text}")));
    limit_files(&server, None);
    for number in 0..20 {
        zoe.expect(&format!("Alex: {number} {text}"));
        alex.expect(&format!("Alex: {number} {text}"));
    }
    server.wait_for_log("The store takes what is said again");
}

/// Limits how large the files of a server may become.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.running.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[test]
fn the_tables_can_be_read_by_people_while_the_server_runs() {
    let server = start(&[]);
    let mut alex = server.join("Alex");
    alex.send("hello\n");
    alex.expect("Alex: hello");
    let database = Connection::open(server.directory.path().join(STORE)).unwrap();
    let text: String =
        database.query_row("SELECT text FROM chat ORDER BY id DESC LIMIT 1", [], |row| row.get(0)).unwrap();
    assert_eq!(text, "Alex: hello");
    alex.send("again\n");
    alex.expect("Alex: again");
}

fn start(arguments: &[&str]) -> Server {
    let directory = tempfile::tempdir().unwrap();
    start_in(directory, "127.0.0.1:0", arguments)
}

/// Starts a server again that has ended, on the same port and with the same store.
fn start_again(server: Server, arguments: &[&str]) -> Server {
    let address = server.address.to_string();
    start_in(server.directory, &address, arguments)
}

fn start_in(directory: tempfile::TempDir, listen: &str, arguments: &[&str]) -> Server {
    let store = directory.path().join(STORE);
    let store = ["--store", store.to_str().expect("UTF-8")];
    Server::start_in(directory, &binary("chat-server"), listen, &[&store, arguments].concat())
}

/// The sentence with which a server refuses the store of this directory.
fn refused(directory: &Path) -> String {
    let log = tempfile::tempdir().unwrap();
    let mut command = command("chat-server");
    command.args(["--listen", "127.0.0.1:0", "--log"]).arg(log.path().join("server.log"));
    let mut running = Running::start(command.arg("--store").arg(directory.join(STORE)));
    let status = running.wait();
    assert_eq!(status.code(), Some(1));
    assert_eq!(running.stderr.seen.len(), 1, "{:#?}", running.stderr.seen);
    running.stderr.seen.concat()
}

/// A `chat-client` that has joined, and has a session.
fn client(server: &Server, nickname: &str) -> Running {
    let mut client = server.client(&["--nickname", nickname]);
    client.stdout.expect(&format!("{nickname} joined the chat!"));
    let begun = "SELECT count(*) FROM entry WHERE kind = 'begin' AND nickname = ?1";
    let database = Connection::open(server.directory.path().join(STORE)).unwrap();
    wait_for("a session", || database.query_row(begun, [nickname], |row| row.get(0)) == Ok(1));
    client
}
