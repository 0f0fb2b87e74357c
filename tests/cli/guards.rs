//! The real server keeps out clients that connect too often, and slows down members that send too fast.
//! The same in virtual time is in `tests/sim/scenarios`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
#[cfg(unix)]
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use commonroom::server::limits::NEWCOMERS;

use super::support::{OnDrop, Peer, Server, wait_for};
#[cfg(unix)]
use super::support::{Running, command};

#[test]
fn many_connections_from_one_address_are_refused_beyond_the_limit_with_a_reason_and_logged() {
    let server = Server::start_with(&["--max-per-address", "3"]);
    let mut dinesh = server.join("Dinesh");
    let alex = server.join("Alex");
    let _silent = server.connect();

    let mut refused = server.connect();
    refused.expect_next("-- Not connected: too many connections from this address.");
    refused.expect_end();
    drop(refused);
    server.wait_for_log(" - WARNING - Refused ('127.0.0.1', ");
    server.wait_for_log("): too many connections from this address\n");

    drop(alex);
    dinesh.expect("Alex left the chat.");
    // The room hears of it before its place is free.
    wait_for("a free place", || {
        let mut next = server.connect();
        next.send("Next\n");
        next.line().is_some_and(|line| line == "NICKNext joined the chat!")
    });
}

#[test]
fn connections_beyond_the_limit_are_told_that_the_room_is_full() {
    let server = Server::start_with(&["--max-clients", "2"]);
    let _members = [server.join("Dinesh"), server.join("Alex")];
    let mut refused = server.connect();
    refused.expect_next("-- Not connected: the room is full.");
    refused.expect_end();
    server.wait_for_log("): the room is full\n");
}

/// The refused clients keep coming, and stay after they are told to go.
#[test]
fn clients_turned_away_take_no_places_of_those_who_join() {
    const MEMBERS: usize = 20;
    const HAMMERS: usize = 8;
    const STAYING: usize = 16;
    let members_text = MEMBERS.to_string();
    let server = Server::start_with(&["--max-clients", &members_text, "--max-per-address", "0"]);
    let first = server.join("Member0");
    let over = AtomicBool::new(false);
    let members: Vec<Peer> = thread::scope(|scope| {
        let _end = OnDrop(|| over.store(true, Ordering::Relaxed));
        for index in 0..HAMMERS {
            let (address, over) = (server.address, &over);
            // A nickname that is taken: refused at once, after 250 ms, and after three attempts.
            let said = ["Member0\nMember0\nMember0\n", "Member0"][index % 2];
            scope.spawn(move || {
                let mut refused = VecDeque::new();
                while !over.load(Ordering::Relaxed) {
                    let mut peer = Peer::connect(address);
                    peer.send(said);
                    // Told, or closed to make room for the next.
                    let _ = peer.stream.read(&mut [0; 256]);
                    refused.push_back(peer);
                    if refused.len() > STAYING {
                        refused.pop_front();
                    }
                }
            });
        }
        server.wait_for_log("somebody here has that nickname");
        (1..MEMBERS).map(|index| server.join(&format!("Member{index}"))).collect()
    });
    assert_eq!(members.len() + 1, MEMBERS);
    let mut late = server.connect();
    late.expect_next("-- Not connected: the room is full.");
    drop(first);
}

#[test]
fn a_client_that_is_refused_and_stays_does_not_count_against_its_address() {
    let server = Server::start_with(&["--max-per-address", "3"]);
    let _dinesh = server.join("Dinesh");
    let refused = || {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        peer.send("Dinesh");
        peer.expect_bytes("-- Not joined: somebody here has that nickname, or one like it.");
        peer
    };
    let _refused: Vec<Peer> = (0..5).map(|_| refused()).collect();
    let _members = [server.join("Alex"), server.join("Bo")];
}

#[test]
fn the_oldest_of_too_many_that_choose_no_nickname_gives_way() {
    let server = Server::start_with(&["--max-clients", "1", "--max-per-address", "0"]);
    let mut oldest = server.connect();
    oldest.expect_bytes("NICK");
    let mut silent: Vec<Peer> = (0..NEWCOMERS).map(|_| server.connect()).collect();
    for peer in &mut silent {
        peer.expect_bytes("NICK");
    }
    let mut dinesh = server.join("Dinesh");
    oldest.expect_next("-- Not joined: too many others are joining at the moment.");
    oldest.expect_end();
    server.wait_for_log("): too many others are joining at the moment\n");
    silent[NEWCOMERS - 1].send("Alex\n");
    silent[NEWCOMERS - 1].expect_next("-- Not joined: the room is full.");
    dinesh.send("just me\n");
    dinesh.expect_next("Dinesh: just me");
}

#[test]
fn without_a_limit_on_members_any_number_may_join() {
    let server = Server::start_with(&["--max-clients", "0"]);
    let _members: Vec<Peer> = (0..30).map(|index| server.join(&format!("Member{index}"))).collect();
}

#[test]
fn without_a_limit_on_an_address_any_number_may_connect() {
    let server = Server::start_with(&["--max-per-address", "0"]);
    let mut peers: Vec<Peer> = (0..100).map(|_| server.connect()).collect();
    for peer in &mut peers {
        peer.expect_bytes("NICK");
    }
}

/// The server has descriptors for a few members, and cannot raise that limit.
#[cfg(unix)]
#[test]
fn accepting_pauses_without_descriptors_and_goes_on_and_members_notice_nothing() {
    const DESCRIPTORS: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("server.log");
    let program = command("chat-server");
    let mut shell = Command::new("sh");
    let start = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" --listen 127.0.0.1:0 --log \"$1\"");
    shell.args(["-c", &start]).arg(program.get_program()).arg(&log).env("TZ", "UTC");
    let mut server = Running::start(&mut shell);
    let warning = server.stderr.expect("--max-clients 10000 cannot be met");
    assert!(warning.contains("40 open files are allowed"), "{warning}");
    let line = server.stdout.expect("Server running on ");
    let address = line.trim_start_matches("Server running on ").parse().unwrap();

    let mut dinesh = Peer::connect(address);
    dinesh.join("Dinesh");
    let mut crowd: Vec<Peer> = (0..DESCRIPTORS).map(|_| Peer::connect(address)).collect();
    wait_for("a pause in accepting", || {
        std::fs::read_to_string(&log)
            .is_ok_and(|log| log.contains("Cannot accept connections at the moment: "))
    });
    dinesh.send("still here\n");
    dinesh.expect("Dinesh: still here");

    // The one that has waited longest gets in when others leave.
    let mut last = crowd.pop().expect("a crowd");
    drop(crowd);
    last.join("Patience");
    dinesh.expect("Patience joined the chat!");
}

#[test]
fn a_flood_from_one_member_is_slowed_down_and_nothing_is_lost_and_the_others_hear_at_once() {
    const LINES: u32 = 100;
    const SECONDS: u64 = 2;
    let server = Server::start_with(&["--burst", "20", "--rate", "40"]);
    let mut flooder = server.join("Flooder");
    let mut dinesh = server.join("Dinesh");
    let flood = (0..LINES).fold(String::new(), |mut flood, number| {
        writeln!(flood, "{number}").expect("memory");
        flood
    });
    let begun = Instant::now();
    flooder.stream.get_mut().write_all(flood.as_bytes()).unwrap();
    dinesh.expect("Flooder: 0");
    dinesh.send("who shouts here?\n");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|line| line != "Flooder: 99") {
        seen.push(dinesh.line().expect("the flood goes on"));
    }
    // The last of the flood has waited until its turn came: 20 at once, 80 more at 40 a second.
    assert!(begun.elapsed() >= Duration::from_secs(SECONDS), "{:?}", begun.elapsed());
    let said: Vec<&String> = seen.iter().filter(|line| line.starts_with("Flooder: ")).collect();
    let wanted: Vec<String> = (1..LINES).map(|number| format!("Flooder: {number}")).collect();
    assert_eq!(said, wanted.iter().collect::<Vec<_>>(), "each once, in order");
    let own = seen.iter().position(|line| line == "Dinesh: who shouts here?").expect("its own line");
    assert!(own < seen.len() / 2, "Dinesh did not wait for the end of the flood: {seen:#?}");
}
