//! `/search` and `/history`, as `nc` and the report's client ask.

use std::io::{BufWriter, Write as _};
use std::time::{Duration, Instant};

use super::support::{Peer, Server, UNLIMITED};

/// The next line without its time, whose form is checked.
#[track_caller]
fn expect_found(peer: &mut Peer, wanted: &str) {
    let line = peer.line().expect("a line that was found");
    let (time, found) = line.split_at_checked("-- 2026-11-24 18:07 ".len()).expect("a time");
    let shape: String = time.chars().map(|digit| if digit.is_ascii_digit() { '0' } else { digit }).collect();
    assert_eq!((&*shape, found), ("-- 0000-00-00 00:00 ", wanted), "{line}");
}

#[test]
fn what_was_said_is_found_by_its_words_and_shown_to_the_asker_alone() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    dinesh.send("Hello, world\nhelloworld\n/me says HELLO to the World\n");
    dinesh.expect("* Dinesh says HELLO to the World");
    let mut alex = server.join("Alex");
    dinesh.expect_next("Alex joined the chat!");
    alex.send("/msg Dinesh hello world, but in private\n/search world, hello\n/search joined\nall of it\n");
    alex.expect_next("-- You to Dinesh: hello world, but in private");
    alex.expect_next("-- Found 2 lines:");
    expect_found(&mut alex, "Dinesh: Hello, world");
    expect_found(&mut alex, "* Dinesh says HELLO to the World");
    alex.expect_next("-- Nothing like that was said.");
    alex.expect_next("Alex: all of it");
    dinesh.expect_next("-- Alex to you: hello world, but in private");
    dinesh.expect_next("Alex: all of it");
}

#[test]
fn history_shows_the_last_lines_of_any_kind_within_its_limits() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    dinesh.send("/history\n");
    dinesh.expect_next("-- Found 1 line:");
    expect_found(&mut dinesh, "Dinesh joined the chat!");
    (0..60).for_each(|number| dinesh.send(&format!("{number}\n")));
    dinesh.send("/nick Bo\n/history 2\n/history\n/history 99999999999999999999\n");
    dinesh.expect("-- Found 2 lines:");
    expect_found(&mut dinesh, "Dinesh: 59");
    expect_found(&mut dinesh, "Dinesh is now known as Bo.");
    for (count, first) in [(10, 51), (50, 11)] {
        dinesh.expect_next(&format!("-- Found {count} lines:"));
        (first..60).for_each(|number| expect_found(&mut dinesh, &format!("Dinesh: {number}")));
        expect_found(&mut dinesh, "Dinesh is now known as Bo.");
    }
}

#[test]
fn of_long_lines_the_newest_that_fit_are_shown() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let long = |number| format!("{number:0>1000}");
    (0..40).for_each(|number| dinesh.send(&format!("{}\n", long(number))));
    dinesh.expect(&format!("Dinesh: {}", long(39)));
    dinesh.send("/history 40\n/ping 7\n");
    // 16 KiB of lines that take 1,000 bytes, a nickname and a time.
    dinesh.expect_next("-- Found 15 lines:");
    (25..40).for_each(|number| expect_found(&mut dinesh, &format!("Dinesh: {}", long(number))));
    dinesh.expect_next("-- pong 7");
}

#[test]
fn a_question_that_asks_nothing_is_answered_with_its_usage() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    for question in ["/search", "/search ?!"] {
        dinesh.send(&format!("{question}\n"));
        dinesh.expect_next("-- Not sent: the command is used so: /search WORDS.");
    }
    for question in ["/history 0", "/history all", "/history -1"] {
        dinesh.send(&format!("{question}\n"));
        dinesh.expect_next("-- Not sent: the command is used so: /history NUMBER.");
    }
    dinesh.send("/search 1 2 3 4 5 6 7 8 9\n");
    dinesh.expect_next("-- Not sent: a search has at most 8 words.");
}

#[test]
fn the_reports_client_can_ask_as_well() {
    let server = Server::start();
    let mut dinesh = server.connect();
    dinesh.expect_bytes("NICK");
    dinesh.send("Dinesh");
    dinesh.expect_bytes("Dinesh joined the chat!\nConnected to server!");
    dinesh.send("Dinesh: helloDinesh: /search hello");
    dinesh.expect_bytes("Dinesh: hello");
    let answer = dinesh.read();
    assert!(answer.contains("-- Found 1 line:\n-- 20") && answer.ends_with(" Dinesh: hello"), "{answer:?}");
}

#[test]
fn questions_wait_when_a_member_asks_too_fast_and_others_do_not() {
    let server = Server::start_with(&["--burst", "40", "--rate", "40"]);
    let mut asker = server.join("Asker");
    let mut dinesh = server.join("Dinesh");
    asker.expect("Dinesh joined the chat!");
    asker.send(&"/search nothing\n".repeat(4));
    let begin = Instant::now();
    for _ in 0..4 {
        asker.expect("-- Nothing like that was said.");
    }
    // Each counts for half of what may be sent in a second, and the first two are free.
    assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
    dinesh.send("all well?\n");
    dinesh.expect("Dinesh: all well?");
}

#[test]
fn all_that_is_retained_is_searched() {
    const LINES: usize = 20_000;
    let server = Server::start_with(&UNLIMITED);
    let mut dinesh = server.join("Dinesh");
    let mut writer = BufWriter::new(dinesh.stream.get_ref().try_clone().unwrap());
    let mut say = move |number| writeln!(writer, "this is line {number} of a long talk");
    let saying = std::thread::spawn(move || (0..LINES).try_for_each(&mut say));
    dinesh.expect(&format!("Dinesh: this is line {} of a long talk", LINES - 1));
    saying.join().expect("no panic").expect("the server reads");
    dinesh.send("/search nowhere\n/search LINE 0 talk\n");
    dinesh.expect_next("-- Nothing like that was said.");
    dinesh.expect_next("-- Found 1 line:");
    expect_found(&mut dinesh, "Dinesh: this is line 0 of a long talk");
}
