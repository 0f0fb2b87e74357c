//! Sessions outlive connections: the real binaries, with a network between them that breaks.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::support::proxy::{Direction, FOR_EVER, Fault, Happened, Planned, Proxy, draw};
use super::support::random::SplitMix64;
use super::support::{Peer, Running, Server, UNLIMITED, command, wait_for};

const PIPES: usize = 5;
/// How many lines each pipe sends.
const LINES: usize = 2_000;
const CUTS: usize = 50;
const STALLS: usize = 8;
const SEED: u64 = 1;

/// How many bytes of a line pass at least: four digits and its end.
const LINE_BYTES: usize = 5;

#[test]
fn five_pipes_send_two_thousand_lines_each_through_fifty_cuts_and_all_see_all_once_in_one_order() {
    let mut server = Server::start_with(&UNLIMITED);
    let proxy = Proxy::start(server.address);
    let mut pipes: Vec<Running> = (0..PIPES).map(|pipe| client(proxy.address, &name(pipe), &[])).collect();
    for pipe in &mut pipes[..PIPES - 1] {
        pipe.stdout.expect(&format!("{} joined the chat!", name(PIPES - 1)));
    }
    let mut seen = exchange(&mut pipes, 0..1);
    // Each has heard the answer to its first line, and so it has a session.
    let to_server = PIPES * (LINES - 1) * LINE_BYTES;
    let mut random = SplitMix64::seeded(SEED);
    proxy.plan(draw(&mut random, CUTS, STALLS, to_server as u64, (to_server * PIPES) as u64));
    for (seen, more) in seen.iter_mut().zip(exchange(&mut pipes, 1..LINES)) {
        seen.extend(more);
    }
    assert_complete(&seen[0]);
    for (pipe, seen_by_pipe) in seen.iter().enumerate() {
        assert!(*seen_by_pipe == seen[0], "{} has seen another order than {}", name(pipe), name(0));
    }
    wait_for("all faults", || proxy.happened().len() == CUTS + STALLS);
    assert_each_kind_happened(&proxy.happened());
    for pipe in &mut pipes {
        assert_eq!(pipe.wait().code(), Some(0), "{:#?}", pipe.stderr.seen);
    }
    assert_logged(&server.stop(), &seen[0]);
}

/// Has all say their lines with these numbers at once. Returns what each has seen until it had seen as many
/// lines as were said.
fn exchange(pipes: &mut [Running], numbers: Range<usize>) -> Vec<Vec<String>> {
    let count = pipes.len() * numbers.len();
    let text: String = numbers.map(|number| line(number) + "\n").collect();
    std::thread::scope(|scope| {
        let talk = |pipe| scope.spawn(|| talk(pipe, &text, count));
        let talking: Vec<_> = pipes.iter_mut().map(talk).collect();
        talking.into_iter().map(|pipe| pipe.join().expect("it has seen all lines")).collect()
    })
}

/// Says this text, and returns the next `count` lines. The input stays open, so that the client stays.
fn talk(pipe: &mut Running, text: &str, count: usize) -> Vec<String> {
    let mut stdin = pipe.stdin.take().expect("its input is open");
    let seen: Vec<String> = std::thread::scope(|scope| {
        let saying = scope.spawn(|| stdin.write_all(text.as_bytes()));
        let seen: Vec<_> = (0..count).map_while(|_| pipe.stdout.next()).collect();
        assert_eq!(seen.len(), count, "the client has ended: {:#?}", pipe.stderr.rest());
        saying.join().expect("no panic").expect("its input is read");
        seen
    });
    pipe.stdin = Some(stdin);
    seen
}

fn name(pipe: usize) -> String {
    format!("pipe{pipe}")
}

fn line(number: usize) -> String {
    format!("{number:04}")
}

/// There are the lines of all, each sender's in order, each once, and nothing else.
fn assert_complete(seen: &[String]) {
    let mut senders: BTreeMap<&str, usize> = BTreeMap::new();
    for said in seen {
        let (name, text) = said.split_once(": ").unwrap_or_else(|| panic!("nobody said {said:?}"));
        let next = senders.entry(name).or_default();
        assert_eq!(text, line(*next), "of {name}");
        *next += 1;
    }
    assert!(senders.len() == PIPES && senders.values().all(|lines| *lines == LINES), "{senders:?}");
}

fn assert_each_kind_happened(happened: &[Happened]) {
    let count = |is_one: &dyn Fn(&Happened) -> bool| happened.iter().filter(|one| is_one(one)).count();
    assert_eq!(count(&|one| matches!(one.fault, Fault::Close | Fault::Reset)), CUTS);
    for direction in [Direction::Up, Direction::Down] {
        let in_direction = |is_kind: fn(Fault) -> bool, inside_line: bool| {
            count(&|one| one.direction == direction && is_kind(one.fault) && one.inside_line >= inside_line)
        };
        assert!(in_direction(|fault| fault == Fault::Close, true) > 0, "{direction:?}: {happened:#?}");
        assert!(in_direction(|fault| fault == Fault::Reset, true) > 0, "{direction:?}: {happened:#?}");
        assert!(in_direction(|fault| matches!(fault, Fault::Stall(_)), false) > 0, "{direction:?}");
        assert!(in_direction(|fault| matches!(fault, Fault::StallBoth(_)), false) > 0, "{direction:?}");
    }
}

/// The log has the same lines in the same order, and nobody has joined or left in between.
fn assert_logged(log: &str, seen: &[String]) {
    let events: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("TIME - INFO - ")).collect();
    let said: Vec<&str> = events.iter().filter_map(|event| event.strip_prefix("Message: ")).collect();
    assert!(said == seen, "the log has another order than the members");
    let is_message = |event: &&str| event.starts_with("Message: ");
    let first = events.iter().position(is_message).expect("a message");
    let last = events.iter().rposition(is_message).expect("a message");
    let others: Vec<&str> = events[first..last].iter().filter(|event| !is_message(event)).copied().collect();
    let is_told = |word: &str| others.iter().filter(|event| event.contains(word)).count();
    let (away, back) = (is_told(" lost connection"), is_told(" reconnected from "));
    assert!(away > 0 && back > 0 && away + back == others.len(), "{others:#?}");
}

#[test]
fn a_client_that_is_not_to_reconnect_ends_with_its_connection_and_counts_what_is_open() {
    let server = Server::start();
    let proxy = Proxy::start(server.address);
    let mut bot = client(proxy.address, "bot", &["--no-reconnect"]);
    say_into_a_stall(&mut bot, &proxy);
    proxy.plan(vec![now(Fault::Reset, Direction::Down)]);
    // Somebody who joins is a line down.
    let _alex = server.join("Alex");
    bot.stderr.expect("chat-client: Connection lost! 3 lines were not confirmed.");
    assert_eq!(bot.wait().code(), Some(1));
}

#[test]
fn a_client_whose_server_is_gone_for_too_long_names_the_lines_that_are_not_confirmed() {
    const SECONDS: u64 = 2;
    let mut server = Server::start();
    let proxy = Proxy::start(server.address);
    let mut bot = client(proxy.address, "bot", &["--reconnect-for", &SECONDS.to_string()]);
    say_into_a_stall(&mut bot, &proxy);
    let begin = Instant::now();
    server.running.kill();
    bot.stderr.expect("3 lines were not confirmed.");
    assert!(begin.elapsed() >= Duration::from_secs(SECONDS), "given up after {:?}", begin.elapsed());
    assert_eq!(bot.wait().code(), Some(1));
}

#[test]
fn a_client_that_is_killed_and_started_anew_goes_on_and_nobody_is_told() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let runtime = tempfile::tempdir().unwrap();
    let mut bot = client_with_runtime(&server, "bot", runtime.path());
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    assert!(has_files(runtime.path()), "its token is kept while it runs");
    bot.kill();
    bot.wait();
    server.wait_for_log("bot lost connection");

    let mut bot = client_with_runtime(&server, "bot", runtime.path());
    bot.type_line("two");
    assert_eq!(bot.wait().code(), Some(0), "{:#?}", bot.stderr.seen);
    for wanted in ["bot joined the chat!", "bot: one", "bot: two", "bot left the chat."] {
        alex.expect_next(wanted);
    }
    server.wait_for_log("bot reconnected from ('127.0.0.1', ");
    assert!(!has_files(runtime.path()), "a client that leaves takes its token with it");
}

#[test]
fn a_member_that_quits_has_left_at_once_and_cannot_resume() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut bot = server.join("bot");
    let session = begin_session(&mut bot);
    alex.expect_next("bot joined the chat!");
    bot.send("/n 1 /quit\n");
    bot.expect_end();
    // Long before the grace has passed.
    alex.expect_next("bot left the chat.");
    let answer = resume(&server, &session).line().expect("an answer");
    assert!(answer.starts_with("-- Not resumed: "), "{answer}");
}

#[test]
fn a_session_brings_back_nothing_from_before_it_began() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    alex.send("before\n");
    alex.expect("Alex: before");
    let mut bot = server.join("bot");
    let session = begin_session(&mut bot);
    bot.send("after\n");
    bot.expect("bot: after");
    let mut again = resume(&server, &session);
    again.expect_next("-- Resumed as bot at 4, 0 taken.");
    again.expect_next("bot: after");
}

#[test]
fn what_was_found_is_answered_once_and_kept_like_any_private_line() {
    let server = Server::start();
    let mut bot = server.join("bot");
    let session = begin_session(&mut bot);
    bot.send("/n 1 hello\n/n 2 /search hello\n/n 2 /search hello\n/n 3 /search nothing\n/ping 4\n");
    bot.expect_next("bot: hello");
    let found: Vec<_> = (0..3).map(|_| bot.line().expect("a line")).collect();
    assert_eq!((&*found[0], &*found[2]), ("-- Found 1 line:", "-- Nothing like that was said."));
    bot.expect_next("-- pong 4 at 2, 3 taken.");
    let mut again = resume(&server, &session);
    again.expect_next("-- Resumed as bot at 2, 3 taken.");
    again.expect_next("bot: hello");
    for line in &found {
        again.expect_next(line);
    }
    again.send("/n 3 /search hello\n/ping 5\n");
    again.expect_next("-- pong 5 at 2, 3 taken.");
}

#[test]
fn whoever_is_away_counts_for_its_address_until_it_is_back() {
    let server = Server::start_with(&["--max-per-address", "2"]);
    let mut alex = server.join("Alex");
    let mut bot = server.join("bot");
    let session = begin_session(&mut bot);
    drop(bot);
    server.wait_for_log("bot lost connection");
    let mut other = server.connect();
    other.send("other\n");
    other.expect("NICK-- Not joined: too many connections from this address.");
    other.expect_end();
    let mut again = resume(&server, &session);
    again.expect("-- Resumed as bot at 2, 0 taken.");
    again.send("/quit\n");
    alex.expect("bot left the chat.");
}

#[test]
fn a_session_that_goes_on_has_no_burst_to_begin_with() {
    let server = Server::start_with(&["--rate", "10", "--burst", "200"]);
    let mut bot = server.join("bot");
    let session = begin_session(&mut bot);
    let begin = Instant::now();
    let mut again = resume(&server, &session);
    again.send(&"/ping x\n".repeat(5));
    (0..5).for_each(|_| again.expect("-- pong x at 1, 0 taken."));
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

/// Goes on with a session from its very beginning, whatever has been read.
fn resume(server: &Server, (token, epoch): &(String, String)) -> Peer {
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    peer.send(&format!("/resume {token} {epoch} 0 0\n"));
    peer
}

#[test]
fn a_pipe_that_has_said_everything_has_left_at_once() {
    let server = Server::start();
    let mut alex = server.join("Alex");
    let mut bot = client(server.address, "bot", &[]);
    bot.type_line("one");
    assert_eq!(bot.wait().code(), Some(0), "{:#?}", bot.stderr.seen);
    for wanted in ["bot joined the chat!", "bot: one", "bot left the chat."] {
        alex.expect_next(wanted);
    }
}

#[test]
fn a_server_without_a_grace_gives_no_sessions_and_everything_is_as_before() {
    let server = Server::start_with(&["--resume-grace", "0"]);
    let mut alex = server.join("Alex");
    alex.send("/session\n");
    let answer = alex.line().expect("an answer");
    assert!(answer.starts_with("-- Not sent: "), "{answer}");

    let proxy = Proxy::start(server.address);
    let mut bot = client(proxy.address, "bot", &[]);
    say_into_a_stall(&mut bot, &proxy);
    proxy.plan(vec![now(Fault::Reset, Direction::Down)]);
    alex.send("hello\n");
    bot.stderr.expect("chat-client: Connection lost! 3 lines were not confirmed.");
    assert_eq!(bot.wait().code(), Some(1));
    for wanted in ["bot joined the chat!", "bot: one", "Alex: hello", "bot left the chat."] {
        alex.expect_next(wanted);
    }
}

/// A member that was told its token, and the epoch of the log.
fn begin_session(member: &mut Peer) -> (String, String) {
    member.send("/session\n");
    let begun = member.line().expect("an answer");
    let (token, rest) = begun
        .strip_prefix("-- Session ")
        .and_then(|rest| rest.split_once(", log "))
        .unwrap_or_else(|| panic!("not a session: {begun}"));
    let epoch = rest.split_once(" at ").expect("a position").0;
    member.expect_next("-- Kept for 120 s after a lost connection.");
    (token.to_owned(), epoch.to_owned())
}

/// Says one line that is heard, and three that are held on their way to the server.
fn say_into_a_stall(bot: &mut Running, proxy: &Proxy) {
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    proxy.plan(vec![now(Fault::Stall(FOR_EVER), Direction::Up)]);
    // In one write, so that they are read at once.
    bot.type_line("two\nthree\nfour");
    wait_for("the lines to be held", || proxy.is_holding(Direction::Up));
}

fn now(fault: Fault, direction: Direction) -> Planned {
    Planned { fault, direction, after_bytes: 0 }
}

/// A `chat-client` that has joined.
fn client(address: SocketAddr, nickname: &str, arguments: &[&str]) -> Running {
    let mut command = command("chat-client");
    let mut bot =
        Running::start(command.arg(address.to_string()).args(["--nickname", nickname]).args(arguments));
    bot.stdout.expect(&format!("{nickname} joined the chat!"));
    bot
}

fn has_files(directory: &Path) -> bool {
    let mut entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.any(|path| !path.is_dir() || has_files(&path))
}

/// A `chat-client` that keeps its token in this directory.
fn client_with_runtime(server: &Server, nickname: &str, runtime: &Path) -> Running {
    let mut command = command("chat-client");
    command.args([&server.address.to_string(), "--nickname", nickname]).env("XDG_RUNTIME_DIR", runtime);
    Running::start(&mut command)
}
