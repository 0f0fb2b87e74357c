//! `just bench --store`: how many lines a second are stored, and how long an echo takes.
//!
//! The floor of the first is a bare loop of SQLite transactions with as many rows as our server had in its
//! batches; that of the second is a bare write with `fdatasync`. `redis-server` appends the same lines to a list, with
//! `appendfsync always`. All write to the same directory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::machine::{on_path, pinned};
use crate::servers::{GENERATOR_CORE, SERVER_CORE, ours};

/// Lines in flight.
const WINDOWS: [u32; 2] = [64, 1_024];

const LINE_BYTES: usize = 64;

/// How many lines a second are sent to measure the echo: few enough that each has a sync of its own.
const LINES_PER_SECOND: u32 = 50;

const START_TIMEOUT: Duration = Duration::from_secs(10);
const START_INTERVAL: Duration = Duration::from_millis(10);

/// Measures everything this many times, in turn, and renders the medians.
pub fn measure(rounds: u32, seconds: f64) -> Result<String, String> {
    let mut table = String::from(
        "| lines in flight | rows a batch | chat-server, lines/s | floor, lines/s | ratio | redis-server, lines/s |\n\
         |---:|---:|---:|---:|---:|---:|\n",
    );
    for window in WINDOWS {
        let (mut batches, mut stored, mut floors, mut ratios, mut redis) = Default::default();
        for _ in 0..rounds {
            let (lines, batch) = ours_stores(window, seconds).map_err(failed("chat-server"))?;
            let floor = floor_stores(batch, seconds).map_err(failed("the floor"))?;
            push(&mut batches, batch);
            push(&mut stored, lines);
            push(&mut floors, floor);
            push(&mut ratios, lines / floor);
            if on_path("redis-benchmark").is_some() {
                push(&mut redis, redis_stores(window, lines * seconds).map_err(failed("redis-server"))?);
            }
        }
        let redis = if redis.is_empty() { "not on PATH".to_owned() } else { format!("{:.0}", median(redis)) };
        let (batch, stored, floor) = (median(batches), median(stored), median(floors));
        let ratio = median(ratios);
        let _ =
            writeln!(table, "| {window} | {batch:.1} | {stored:.0} | {floor:.0} | {ratio:.2} | {redis} |");
    }
    table.push_str("\n| echo of a line | p50, ms | p99, ms |\n|---|---:|---:|\n");
    let (mut echoes, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        echoes.push(ours_echoes(seconds).map_err(failed("chat-server"))?);
        syncs.push(bare_syncs(seconds).map_err(failed("fdatasync"))?);
    }
    for (name, measured) in [("chat-server", echoes), ("a bare fdatasync", syncs)] {
        let (p50, p99): (Vec<f64>, Vec<f64>) = measured.into_iter().unzip();
        let _ = writeln!(table, "| {name} | {:.2} | {:.2} |", median(p50) * 1e3, median(p99) * 1e3);
    }
    Ok(table)
}

fn push(figures: &mut Vec<f64>, figure: f64) {
    figures.push(figure);
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn failed(what: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Lines a second, and rows a batch.
fn ours_stores(window: u32, seconds: f64) -> io::Result<(f64, f64)> {
    let server = Server::start()?;
    let before = server.counters()?;
    let measured = server.load(seconds, &["--window", &window.to_string()])?;
    let after = server.counters()?;
    let lines = number(&measured, "lines")? / number(&measured, "seconds")?;
    Ok((lines, (after.0 - before.0) / (after.1 - before.1)))
}

/// The median and the 99th percentile of the time from a line to its echo, in seconds.
fn ours_echoes(seconds: f64) -> io::Result<(f64, f64)> {
    let server = Server::start()?;
    // The sender and the receiver each get every line.
    let measured = server.load(seconds, &["--rate", &(2 * LINES_PER_SECOND).to_string()])?;
    Ok((number(&measured, "latency_p50_seconds")?, number(&measured, "latency_p99_seconds")?))
}

/// A `chat-server` with a store, killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    metrics: SocketAddr,
    _directory: TempDir,
}

impl Server {
    fn start() -> io::Result<Self> {
        let directory = directory()?;
        let (address, metrics) = (free_address()?, free_address()?);
        let child = pinned(&ours("chat-server"), SERVER_CORE)
            .current_dir(directory.path())
            .args(["--listen", &address.to_string(), "--metrics", &metrics.to_string()])
            .args(["--quiet", "--rate", "0", "--store", "room.db"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { child, address, metrics, _directory: directory };
        wait_until_it_accepts(metrics)?;
        wait_until_it_accepts(address)?;
        Ok(server)
    }

    fn load(&self, seconds: f64, arguments: &[&str]) -> io::Result<serde_json::Value> {
        let output = pinned(&ours("chat-load"), GENERATOR_CORE)
            .args([&self.address.to_string(), "--format=json", "--receivers=1", "--senders=4"])
            .args(["--bytes", &LINE_BYTES.to_string(), "--seconds", &seconds.to_string()])
            .args(arguments)
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let results: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(results["measured"].clone())
    }

    /// How many records are stored, and in how many batches.
    fn counters(&self) -> io::Result<(f64, f64)> {
        let mut stream = TcpStream::connect(self.metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let counter = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            line.ok_or_else(|| io::Error::other(format!("there is no {name}")))
        };
        Ok((counter("chat_stored_records_total ")?, counter("chat_stored_batches_total ")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(measured: &serde_json::Value, name: &str) -> io::Result<f64> {
    measured[name].as_f64().ok_or_else(|| io::Error::other(format!("chat-load does not say {name}")))
}

/// Transactions of so many rows, and nothing else, in rows a second.
fn floor_stores(batch: f64, seconds: f64) -> io::Result<f64> {
    let directory = directory()?;
    let stored = || -> rusqlite::Result<f64> {
        let database = Connection::open(directory.path().join("floor.db"))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.execute_batch("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT)")?;
        let prepare = |sql| database.prepare(sql);
        let (mut begins, mut commits) = (prepare("BEGIN")?, prepare("COMMIT")?);
        let mut insert = prepare("INSERT INTO line (text) VALUES (?1)")?;
        let text = "x".repeat(LINE_BYTES);
        let (mut rows, mut wanted, begin) = (0_u32, 0.0, Instant::now());
        while begin.elapsed().as_secs_f64() < seconds {
            begins.execute([])?;
            wanted += batch;
            while f64::from(rows) < wanted {
                insert.execute([&text])?;
                rows += 1;
            }
            commits.execute([])?;
        }
        Ok(f64::from(rows) / begin.elapsed().as_secs_f64())
    };
    stored().map_err(io::Error::other)
}

/// The median and the 99th percentile of a write of one line with a sync, in seconds.
fn bare_syncs(seconds: f64) -> io::Result<(f64, f64)> {
    let directory = directory()?;
    let mut file = File::create(directory.path().join("floor"))?;
    let (mut took, begin) = (Vec::new(), Instant::now());
    while begin.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        file.write_all(&[b'x'; LINE_BYTES])?;
        file.sync_data()?;
        took.push(one.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    Ok((took[took.len() / 2], took[took.len() * 99 / 100]))
}

/// Lines a second that `redis-server` appends to a list and syncs, with so many in flight.
fn redis_stores(window: u32, lines: f64) -> io::Result<f64> {
    let directory = directory()?;
    let address = free_address()?;
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut server = pinned(Path::new("redis-server"), SERVER_CORE)
        .current_dir(directory.path())
        .args([
            "--bind",
            &ip,
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .stdout(Stdio::null())
        .spawn()?;
    let measured = wait_until_it_accepts(address).and_then(|()| {
        let output = pinned(Path::new("redis-benchmark"), GENERATOR_CORE)
            .args(["-h", &ip, "-p", &port, "-t", "rpush", "-c", "1", "--csv", "-P", &window.to_string()])
            .args(["-d", &LINE_BYTES.to_string(), "-n", &format!("{lines:.0}")])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let field = text.lines().find_map(|line| line.strip_prefix("\"RPUSH\",\"")?.split('"').next());
        field.and_then(|field| field.parse().ok()).ok_or_else(|| io::Error::other(text.clone()))
    });
    let _ = server.kill();
    let _ = server.wait();
    measured
}

/// A new directory next to the programs that are measured: /tmp is often in memory, where a sync costs nothing.
fn directory() -> io::Result<TempDir> {
    tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))
}

#[expect(clippy::disallowed_methods, reason = "other programs do not say that they accept")]
fn wait_until_it_accepts(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(START_INTERVAL),
        }
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
