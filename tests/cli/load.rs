//! `chat-load` measures the real server, and notices a server that loses, repeats or reorders lines.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use predicates::prelude::*;
use serde_json::Value;

use super::support::{Server, UNLIMITED, assert, read_log, snapshot, wait_for};

#[test]
fn a_server_that_refuses_too_many_connections_is_told_from_a_fault_with_advice() {
    let server = Server::start();
    assert("chat-load")
        .args([&server.address.to_string(), "--receivers", "100", "--seconds", "1"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "was told: -- Not connected: too many connections from this address. ",
        ))
        .stderr(predicate::str::ends_with(
            "Start a chat-server that is to be loaded with --max-per-address 0 --rate 0\n",
        ));
}

#[test]
fn every_delivery_of_the_real_server_is_counted_and_checked() {
    let server = Server::start_with(&UNLIMITED);
    let results = measure(server.address, &["--receivers", "20", "--senders", "3", "--window", "16"]);
    let measured = &results["measured"];
    let (lines, deliveries) = (measured["lines"].as_u64().unwrap(), measured["deliveries"].as_u64().unwrap());
    assert!(lines > 0 && deliveries > lines, "{results}");
    let checked = measured["checked_deliveries"].as_u64().unwrap();
    assert!(checked >= deliveries && checked.is_multiple_of(23), "senders hear what is said too: {results}");
    assert_eq!(measured["one_order"], true);
    assert_eq!(results["join_announcements"], 23 * 24 / 2, "each join is announced to all who are there");
    assert!(measured["latency_max_seconds"].as_f64() >= measured["latency_p50_seconds"].as_f64());
}

/// With level-triggered polling, the generator registers for room to write only while a socket is full.
/// With windows this large it is full all the time.
#[cfg(target_os = "linux")]
#[test]
fn level_triggered_reading_hears_the_same() {
    let server = Server::start_with(&UNLIMITED);
    let load = ["--receivers", "10", "--senders", "2", "--window", "8192", "--bytes", "1024"];
    let results = measure(server.address, &[&load[..], &["--level-triggered"]].concat());
    let measured = &results["measured"];
    let checked = measured["checked_deliveries"].as_u64().unwrap();
    assert!(checked > 12 * 2 * 8_192, "more than the first window of each sender: {results}");
    assert!(checked.is_multiple_of(12), "senders hear what is said too: {results}");
    assert_eq!(measured["one_order"], true);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let server = Server::start_with(&UNLIMITED);
    let results = measure(server.address, &["--receivers", "9", "--senders", "1", "--rate", "2000"]);
    let rate = results["measured"]["deliveries_per_second"].as_f64().unwrap();
    assert!((1_000.0..3_000.0).contains(&rate), "{results}");
    let measured = &results["measured"];
    assert!(measured["latency_samples"].as_u64() >= measured["deliveries"].as_u64(), "each one is timed");
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_crowd_tells_what_a_member_costs() {
    let server = Server::start_with(&UNLIMITED);
    let pid = server.running.id().to_string();
    let results = measure(server.address, &["--idle", "--receivers", "200", "--pid", &pid]);
    assert_eq!(results["measured"], Value::Null);
    assert_eq!(results["join_announcements"], 200 * 201 / 2);
    let memory = results["memory_bytes_per_connection"].as_f64().unwrap();
    assert!((1.0..100_000.0).contains(&memory), "{results}");
}

#[test]
fn sessions_that_all_resume_at_once_are_told_nothing_twice_and_nobody_of_it() {
    let server = Server::start_with(&UNLIMITED);
    let results = measure(server.address, &["--idle", "--sessions", "--receivers", "300"]);
    assert_eq!(results["join_announcements"], 300 * 301 / 2);
    assert!(results["resume_seconds"].as_f64() > Some(0.0), "{results}");
    let count = |what: &str| read_log(&server.log_path()).matches(what).count();
    wait_for("300 returns in the log", || count(" reconnected from ") == 300);
    assert_eq!(count(" disconnected"), 0);
}

#[test]
fn a_thousand_that_join_and_leave_at_once_are_each_announced_once_and_leave_nothing_behind() {
    let server = Server::start_with(&UNLIMITED);
    let results = measure(server.address, &["--idle", "--receivers", "1000"]);
    assert_eq!(
        results["join_announcements"],
        1_000 * 1_001 / 2,
        "each join is announced to all who are there"
    );
    // All of them leave with the generator.
    let count = |what: &str| read_log(&server.log_path()).matches(what).count();
    wait_for("a thousand leavings in the log", || count(" disconnected") == 1_000);
    assert_eq!(count(" connected from "), 1_000);
    let mut dinesh = server.join("Dinesh");
    dinesh.send("/who\n");
    dinesh.expect("-- Here now (1): Dinesh");
}

#[test]
fn a_member_that_never_reads_costs_the_others_no_line() {
    let server = Server::start_with(&UNLIMITED);
    let results = measure(server.address, &["--receivers", "5", "--senders", "2", "--stalled", "1"]);
    assert!(results["measured"]["deliveries"].as_u64() > Some(0));
    assert_eq!(results["join_announcements"].as_u64().map(|count| count >= 7 * 8 / 2), Some(true));
}

#[test]
fn a_lost_line_is_found() {
    let toy = toy_server(|number| if number == 100 { vec![] } else { vec![number] });
    fails(toy, "line 100 of s00000 was lost on the way to ");
}

#[test]
fn a_line_that_comes_twice_is_found() {
    let toy = toy_server(|number| if number == 100 { vec![number, number] } else { vec![number] });
    fails(toy, "line 100 of s00000 was delivered twice to ");
}

#[test]
fn a_line_out_of_order_is_found() {
    let toy = toy_server(|number| match number {
        100 => vec![],
        101 => vec![101, 100],
        _ => vec![number],
    });
    fails(toy, "line 100 of s00000 was delivered out of order to ");
}

#[test]
fn a_server_elsewhere_is_loaded_only_by_its_owner() {
    assert("chat-load")
        .arg("192.0.2.1:5555")
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("192.0.2.1:5555 is not on this machine: give --i-own-this-server"));
}

#[test]
fn a_server_that_is_not_there_is_reported_in_one_line() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    assert("chat-load")
        .arg(address.to_string())
        .assert()
        .code(1)
        .stdout("")
        .stderr(format!("chat-load: cannot connect to {address}: connection refused\n"));
}

#[test]
fn a_value_beyond_its_bounds_is_a_usage_error() {
    for arguments in [
        ["--receivers", "0"],
        ["--senders", "65"],
        ["--bytes", "16"],
        ["--window", "0"],
        ["--seconds", "600"],
        ["--seconds", "0"],
    ] {
        assert("chat-load").args(arguments).assert().code(2).stdout("");
    }
}

#[test]
fn the_generator_explains_itself() {
    let output = assert("chat-load").arg("--help").env("COLUMNS", "100").assert().code(0);
    snapshot("chat-load_help", &String::from_utf8(output.get_output().stdout.clone()).unwrap());
}

fn measure(address: SocketAddr, arguments: &[&str]) -> Value {
    let output = short_run(address).args(["--format", "json"]).args(arguments).assert().stderr("").code(0);
    serde_json::from_slice(&output.get_output().stdout).expect("JSON")
}

#[track_caller]
fn fails(address: SocketAddr, message: &str) {
    short_run(address)
        .args(["--receivers", "3", "--senders", "1", "--window", "4"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::contains(message));
}

fn short_run(address: SocketAddr) -> assert_cmd::Command {
    let mut command = assert("chat-load");
    command.arg(address.to_string()).args(["--seconds", "0.5", "--warm-up", "0.1"]);
    command
}

/// A server that sends everyone, for line n of its one sender, the lines that `becomes` makes of n. It
/// ends with the test.
fn toy_server(becomes: impl Fn(usize) -> Vec<usize> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, incoming) = channel();
    std::thread::spawn(move || broadcast(&incoming, &becomes));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).expect("no delay");
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                let _nickname = lines.next();
                let _ = sender.send(Happening::Joined(stream));
                for line in lines.map_while(Result::ok) {
                    let _ = sender.send(Happening::Said(line));
                }
            });
        }
    });
    address
}

enum Happening {
    Joined(TcpStream),
    Said(String),
}

fn broadcast(incoming: &Receiver<Happening>, becomes: &dyn Fn(usize) -> Vec<usize>) {
    let mut members = Vec::new();
    let mut said = BTreeMap::new();
    for happening in incoming {
        match happening {
            Happening::Joined(mut stream) => {
                let _ = stream.write_all(b"NICKConnected to server!\n");
                members.push(stream);
            }
            Happening::Said(line) => {
                let number = said.len();
                said.insert(number, line);
                for line in becomes(number).iter().filter_map(|number| said.get(number)) {
                    for member in &mut members {
                        let _ = member.write_all(format!("{line}\n").as_bytes());
                    }
                }
            }
        }
    }
}
