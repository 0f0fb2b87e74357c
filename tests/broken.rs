//! Proof that the oracles bite: deliberately broken servers, each of which the simulation must
//! catch within a stated number of seeds.
//!
//! Each is a copy of this package with one place of its source replaced; production code carries
//! nothing of it. A replacement that no longer fits exactly once fails the test, so that it moves
//! along with the code. The copies share the target directory, so only this package is rebuilt.

#[path = "broken/mistakes.rs"]
mod mistakes;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mistakes::{BROKEN, Broken};

/// What the binary of a broken server is called, which is built only where it is asked for.
const REAL_SERVER: &str = "broken-chat-server";

/// The copy of the package, of which there is one.
static PACKAGE: Mutex<()> = Mutex::new(());

#[test]
fn every_broken_server_is_caught() {
    let _package = PACKAGE.lock();
    let only = std::env::var("BROKEN").unwrap_or_default();
    let escaped: Vec<String> = BROKEN
        .iter()
        .filter(|broken| broken.name.contains(&only))
        .filter_map(|broken| match catch(broken) {
            Ok(()) => {
                println!("caught: a server that {}", broken.name);
                None
            }
            Err(why) => Some(format!("a server that {}: {why}", broken.name)),
        })
        .collect();
    assert!(escaped.is_empty(), "not caught:\n{}", escaped.join("\n"));
}

/// Nobody knows of an input that makes a session of the right server panic.
#[test]
fn a_session_that_panics_in_a_real_server_ends_and_the_others_go_on() {
    let package = PACKAGE.lock();
    let broken =
        BROKEN.iter().find(|broken| broken.name == "panics on what it refuses").expect("it is there");
    let server = RealServer::build_and_start(broken).expect("it builds, and listens");
    drop(package);
    let mut dinesh = server.join("Dinesh");
    let mut alex = server.join("Alex");
    alex.get_mut().write_all(b"/nonsense\n").expect("a connection");
    hear(&mut dinesh, "Alex left the chat.");
    // Whether in order or by a reset, it ends.
    let _ = alex.read_to_end(&mut Vec::new());
    dinesh.get_mut().write_all(b"still here\n/who\n").expect("a connection");
    hear(&mut dinesh, "Dinesh: still here");
    hear(&mut dinesh, "-- Here now (1): Dinesh");
    server.wait_for_log(" - INFO - Alex disconnected (internal error)\n");
    server.wait_for_log(" - ERROR - A session ended by an internal error; the others go on\n");
}

/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Connection = BufReader<TcpStream>;

/// Waits for a line.
fn hear(connection: &mut Connection, wanted: &str) {
    let heard = connection.lines().map(|line| line.expect("a line in time")).find(|line| line == wanted);
    assert!(heard.is_some(), "the connection ended before {wanted:?}");
}

/// A real, broken server. Ends with the test.
struct RealServer {
    process: Child,
    address: String,
    log: PathBuf,
}

impl RealServer {
    fn build_and_start(broken: &Broken) -> Result<Self, String> {
        let package = root().join("target/broken").join("package");
        copy_package(&package);
        for (file, right, wrong) in broken.mistakes {
            replace(&package, file, right, wrong)?;
        }
        // With a test, so that the dependencies are those that have been built for tests.
        let built =
            cargo(&package, &["test", "--quiet", "--features", "real", "--test", "tidy", "--no-run"], 0, "");
        if !built.status.success() {
            return Err(said(&built));
        }
        let log = root().join("target/broken/server.log");
        let _ = fs::remove_file(&log);
        let mut process = Command::new(root().join("target/debug").join(REAL_SERVER))
            .args(["--quiet", "--listen", "127.0.0.1:0", "--log"])
            .arg(&log)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let address = line.trim().trim_start_matches("Server running on ").to_owned();
        Ok(Self { process, address, log })
    }

    fn join(&self, nickname: &str) -> Connection {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        let mut connection = BufReader::new(stream);
        connection.get_mut().write_all(format!("{nickname}\n").as_bytes()).expect("a connection");
        hear(&mut connection, "Connected to server!");
        connection
    }

    /// Waits for a line of its log, which is written beside the chat, not before it.
    fn wait_for_log(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&self.log).is_ok_and(|log| log.contains(wanted)) {
            assert!(Instant::now() < deadline, "{wanted:?} was waited for in vain");
            thread::yield_now();
        }
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
    }
}

fn catch(broken: &Broken) -> Result<(), String> {
    let package = root().join("target/broken").join("package");
    copy_package(&package);
    for (file, right, wrong) in broken.mistakes {
        replace(&package, file, right, wrong)?;
    }
    let (test, seeds, says) = broken.caught_by;
    let built = cargo(&package, &["test", "--quiet", "--test", "sim", "--no-run"], seeds, says);
    if !built.status.success() {
        return Err(format!("it does not build:\n{}", said(&built)));
    }
    // Each is judged by the one oracle that is meant for it, so that none hides behind another.
    let run = cargo(&package, &["test", "--quiet", "--test", "sim", "--", "--exact", test], seeds, says);
    match (run.status.success(), said(&run).contains(says)) {
        (true, _) => Err(format!("{seeds} seeds have not noticed")),
        (false, false) => Err(format!("it was caught, but not by {says:?}:\n{}", said(&run))),
        (false, true) => Ok(()),
    }
}

fn replace(package: &Path, file: &str, right: &str, wrong: &str) -> Result<(), String> {
    let path = package.join(file);
    let source = fs::read_to_string(&path).expect("a readable source");
    if source.matches(right).count() != 1 {
        return Err(format!("{file} does not have exactly one place with:\n{right}"));
    }
    fs::write(&path, source.replace(right, wrong)).map_err(|error| error.to_string())
}

/// The dependencies have been built already, for the original.
fn cargo(package: &Path, arguments: &[&str], seeds: u64, oracle: &str) -> Output {
    Command::new(env!("CARGO"))
        .current_dir(package)
        .args(arguments)
        .env("CARGO_TARGET_DIR", root().join("target"))
        .env("SIM_SEEDS", seeds.to_string())
        .env("SIM_ORACLE", oracle)
        .env("SIM_SHRINKS", std::env::var("SIM_SHRINKS").unwrap_or("0".to_owned()))
        .output()
        .expect("cargo runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn copy_package(to: &Path) {
    fs::create_dir_all(to).expect("a writable target directory");
    // Another name, or cargo would take what it builds of the copy for the original's. And no
    // binary, which would take the place of a right one, but one of another name.
    let names = ("name = \"commonroom\"\n", "name = \"commonroom-broken\"\n");
    let binaries = ("default-run = \"chat-server\"\n", "autobins = false\n");
    let library = ("[lib]\n", "[lib]\nname = \"commonroom\"\n");
    let manifest = [names, binaries, library]
        .iter()
        .fold(read("Cargo.toml"), |manifest, &replacement| replaced(&manifest, replacement));
    let real_server = format!(
        "\n[features]\nreal = []\n\n[[bin]]\nname = \"{REAL_SERVER}\"\npath = \"src/bin/chat-server/main.rs\"\n\
         required-features = [\"real\"]\n"
    );
    fs::write(to.join("Cargo.toml"), manifest + &real_server).expect("a writable target directory");
    fs::write(to.join("Cargo.lock"), replaced(&read("Cargo.lock"), names))
        .expect("a writable target directory");
    for directory in ["src", "tests", "benches", "snapshots", "docs"] {
        copy_directory(&root().join(directory), &to.join(directory));
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("a readable file of the package")
}

fn replaced(text: &str, (right, wrong): (&str, &str)) -> String {
    assert_eq!(text.matches(right).count(), 1, "{right}");
    text.replace(right, wrong)
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a writable target directory");
    for entry in fs::read_dir(from).expect("a readable directory").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_directory(&source, &target);
        } else {
            copy_if_different(&source, &target);
        }
    }
}

/// Leaves what is the same as it is, so that cargo does not build it again.
fn copy_if_different(from: &Path, to: &Path) {
    let content = fs::read(from).expect("a readable file");
    if fs::read(to).ok().as_ref() != Some(&content) {
        fs::write(to, content).expect("a writable target directory");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
