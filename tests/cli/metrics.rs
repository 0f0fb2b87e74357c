//! `--metrics`: Prometheus is told the truth, and scraping disturbs nobody.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use commonroom::server::limits::TURNED_AWAY_CONNECTIONS;

use super::support::{DEADLINE, Peer, Server, assert, wait_for};

#[test]
fn the_metrics_count_everything_that_has_happened() {
    let (server, metrics) = start(&["--ping-timeout", "1"]);
    let mut dinesh = server.connect();
    dinesh.expect_bytes("NICK");
    dinesh.send("Dinesh\n");
    let mut heard = Heard::default();
    heard.by(&mut dinesh, &["Dinesh joined the chat!", "Connected to server!"]);

    let mut alex = server.connect();
    alex.expect_bytes("NICK");
    alex.send("Alex\nhello\n/nonsense\n");
    heard.by(&mut alex, &["Alex joined the chat!", "Connected to server!", "Alex: hello"]);
    heard.by(&mut alex, &["-- Not sent: no such command; /help lists them."]);
    heard.by(&mut dinesh, &["Alex joined the chat!", "Alex: hello"]);

    let mut twin = server.connect();
    twin.expect_bytes("NICK");
    twin.send("Dinesh\n");
    twin.expect_next("-- Not joined: somebody here has that nickname, or one like it.");

    let mut gone = server.connect();
    gone.expect_bytes("NICK");
    gone.send("Gone\n/ping 42\n");
    heard.by(&mut gone, &["Gone joined the chat!", "Connected to server!", "-- pong 42"]);
    for member in [&mut dinesh, &mut alex] {
        heard.by(member, &["Gone joined the chat!", "Gone left the chat."]);
    }

    wait_for("the end of one connection", || value(&scrape(metrics), "chat_connections") == Some(3));
    let text = scrape(metrics);
    let lines = ["Dinesh joined the chat!", "Alex joined the chat!", "Alex: hello", "Gone joined the chat!"];
    let lines = [&lines[..], &["Gone left the chat."]].concat();
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    for (name, expected) in [
        ("chat_members", 2),
        ("chat_lines_total", lines.len()),
        ("chat_deliveries_total", heard.lines),
        ("chat_delivered_bytes_total", heard.bytes),
        ("chat_evictions_total{cause=\"timed_out\"}", 1),
        ("chat_evictions_total{cause=\"stalled\"}", 0),
        ("chat_evictions_total{cause=\"too_slow\"}", 0),
        ("chat_refusals_total{cause=\"nickname_taken\"}", 1),
        ("chat_refusals_total{cause=\"unknown_command\"}", 1),
        ("chat_log_position_bytes", bytes),
        ("chat_largest_lag_bytes", 0),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name}\n{text}");
    }
}

#[test]
fn connections_that_are_turned_away_are_few_at_a_time() {
    let (server, metrics) = start(&["--max-clients", "1", "--max-per-address", "0"]);
    let _dinesh = server.join("Dinesh");
    let mut turned_away: Vec<Peer> = (0..3 * TURNED_AWAY_CONNECTIONS).map(|_| server.connect()).collect();
    for peer in &mut turned_away {
        // Told, or closed to make room for the next.
        let _ = peer.stream.read(&mut [0; 64]);
    }
    let open = value(&scrape(metrics), "chat_connections");
    assert!(open <= Some(1 + TURNED_AWAY_CONNECTIONS), "{open:?}");
}

#[test]
fn the_lag_of_the_slowest_member_is_told() {
    let (server, metrics) = start(&["--rate", "0", "--write-timeout", "600"]);
    let mut dinesh = server.join("Dinesh");
    let _slow = server.join("Slow");
    dinesh.expect("Slow joined the chat!");
    let line = "x".repeat(1_000);
    wait_for("somebody to fall behind", || {
        for _ in 0..100 {
            dinesh.send(&format!("{line}\n"));
            dinesh.expect(&format!("Dinesh: {line}"));
        }
        value(&scrape(metrics), "chat_largest_lag_bytes").is_some_and(|lag| lag > 100_000)
    });
}

#[test]
fn strange_and_unfinished_requests_for_metrics_disturb_nobody() {
    let (server, metrics) = start(&[]);
    let mut dinesh = server.join("Dinesh");
    let mut silent = connect(metrics);
    silent.write_all(b"GET /metr").unwrap();
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\nHost: chat\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET /metrics?x=1 HTTP/1.1\r\nHost: chat\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("GET /metricsx HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("NICK\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
    ] {
        let answer = ask(metrics, request);
        assert!(answer.starts_with(status), "{request}: {answer}");
    }
    dinesh.send("all well?\n");
    dinesh.expect_next("Dinesh: all well?");
    let mut nothing = String::new();
    silent.read_to_string(&mut nothing).unwrap();
    assert_eq!(nothing, "", "it was closed in the end");
}

#[test]
fn a_head_request_gets_no_body() {
    let (_server, metrics) = start(&[]);
    let answer = ask(metrics, "HEAD /metrics HTTP/1.1\r\nHost: chat\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head ends");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    assert!(length.is_some_and(|length| length > 100), "{head}");
    assert_eq!(body, "");
}

#[test]
fn many_idle_connections_keep_nobody_from_scraping() {
    let (_server, metrics) = start(&[]);
    let _idle: Vec<TcpStream> = (0..500).map(|_| connect(metrics)).collect();
    let begun = Instant::now();
    let answer = scrape(metrics);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_port_in_use_for_the_metrics_is_reported_in_one_line() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let address = server.address.to_string();
    assert("chat-server")
        .current_dir(&directory)
        .args(["--listen", "127.0.0.1:0", "--metrics", &address])
        .assert()
        .code(1)
        .stdout("")
        .stderr(format!("chat-server: cannot serve metrics on {address}: the port is in use\n"));
}

/// A server, and the address of its metrics.
fn start(arguments: &[&str]) -> (Server, SocketAddr) {
    let mut server = Server::start_with(&[arguments, &["--metrics", "127.0.0.1:0"]].concat());
    let line = server.running.stderr.expect("metrics on ");
    let address = line.trim_start_matches("chat-server: metrics on http://").trim_end_matches("/metrics");
    (server, address.parse().unwrap())
}

fn scrape(metrics: SocketAddr) -> String {
    ask(metrics, "GET /metrics HTTP/1.1\r\nHost: chat\r\n\r\n")
}

fn ask(metrics: SocketAddr, request: &str) -> String {
    let mut stream = connect(metrics);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn connect(metrics: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(metrics).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn value(metrics: &str, name: &str) -> Option<usize> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The lines and bytes that all members together have heard.
#[derive(Default)]
struct Heard {
    lines: usize,
    bytes: usize,
}

impl Heard {
    #[track_caller]
    fn by(&mut self, member: &mut Peer, lines: &[&str]) {
        for line in lines {
            member.expect_next(line);
            self.lines += 1;
            self.bytes += line.len() + 1;
        }
    }
}
