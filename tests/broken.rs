//! Proof that the oracles bite: deliberately broken servers, each of which the simulation must
//! catch within a stated number of seeds. `BROKEN=name` runs only those whose names contain `name`.
//!
//! Each is a copy of this package with a mistake in its source; production code carries nothing of
//! it. `tests/tidy.rs` checks that every mistake still fits the code. The copies share the target
//! directory, so only this package is rebuilt.

#[path = "broken/mistakes.rs"]
mod mistakes;
#[path = "support"]
mod support {
    pub mod peer;
    pub mod process;
    pub mod progress;
    pub mod server;
    pub mod wait;
}

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use mistakes::{BROKEN, Broken, CaughtBy, PANICS};
use support::peer::Peer;
use support::progress::Progress;
use support::server::Server;
use support::wait::wait_for;

/// The binary of a broken server, which is built only on request.
const REAL_SERVER: &str = "broken-chat-server";

/// Held while the only copy of the package is in use.
static PACKAGE: Mutex<()> = Mutex::new(());

#[test]
fn every_broken_server_is_caught() {
    let _package = PACKAGE.lock();
    let only = std::env::var("BROKEN").unwrap_or_default();
    let broken: Vec<&Broken> = BROKEN.iter().filter(|broken| broken.name.contains(&only)).collect();
    assert!(!broken.is_empty(), "no broken server has a name that contains {only:?}");
    let progress = Progress::of(broken.len() as u64, "broken servers");
    let mut escaped = Vec::new();
    for broken in broken {
        match catch(broken) {
            Ok(()) => println!("caught: a server that {}", broken.name),
            Err(why) => escaped.push(format!("a server that {}: {why}", broken.name)),
        }
        progress.advance();
    }
    assert!(escaped.is_empty(), "not caught:\n{}", escaped.join("\n"));
}

/// No input is known that makes a session of the correct server panic, so this runs a broken one.
#[test]
fn a_session_that_panics_in_a_real_server_ends_and_the_others_go_on() {
    let package = PACKAGE.lock();
    let broken = BROKEN.iter().find(|broken| broken.name == PANICS).expect("it is listed");
    let program = build_real_server(broken).unwrap_or_else(|why| panic!("{why}"));
    let mut server = Server::start_program(&program, &["--quiet"]);
    drop(package);
    let mut dinesh = Peer::connect(server.address);
    dinesh.join("Dinesh");
    let mut alex = Peer::connect(server.address);
    alex.join("Alex");
    alex.send("/nonsense\n");
    dinesh.expect("Alex left the chat.");
    // The connection ends, in order or by a reset.
    let _ = alex.stream.read_to_end(&mut Vec::new());
    dinesh.send("still here\n/who\n");
    dinesh.expect("Dinesh: still here");
    dinesh.expect("-- Here now (1): Dinesh");
    for line in [
        " - INFO - Alex disconnected (internal error)\n",
        " - ERROR - A session ended by an internal error; the others go on\n",
    ] {
        wait_for(line, || server.log().contains(line));
    }
    server.running.signal(rustix::process::Signal::TERM);
    assert_eq!(server.running.wait().code(), Some(0), "{:#?}", server.running.stderr.seen);
}

/// Builds a real server that is broken, and returns where its binary is.
fn build_real_server(broken: &Broken) -> Result<PathBuf, String> {
    let package = broken_package(broken)?;
    // Building a test along with it selects the features with which the dependencies are already built.
    let arguments = ["test", "--quiet", "--features", "real", "--test", "tidy", "--no-run"];
    let built = cargo(&package, &arguments, 0, "");
    if !built.status.success() {
        return Err(said(&built));
    }
    Ok(root().join("target/debug").join(REAL_SERVER))
}

fn catch(broken: &Broken) -> Result<(), String> {
    let package = broken_package(broken)?;
    let CaughtBy { test, seeds, says } = broken.caught_by;
    let built = cargo(&package, &["test", "--quiet", "--test", "sim", "--no-run"], seeds, says);
    if !built.status.success() {
        return Err(format!("it does not build:\n{}", said(&built)));
    }
    // Only the intended oracle runs, so that no other one hides that it fails to bite.
    let run = cargo(&package, &["test", "--quiet", "--test", "sim", "--", "--exact", test], seeds, says);
    match (run.status.success(), said(&run).contains(says)) {
        (true, _) => Err(format!("{seeds} seeds have not noticed")),
        (false, false) => Err(format!("it was caught, but not by {says:?}:\n{}", said(&run))),
        (false, true) => Ok(()),
    }
}

/// Makes the copy of this package a broken one, and returns where it is.
fn broken_package(broken: &Broken) -> Result<PathBuf, String> {
    let package = root().join("target/broken/package");
    copy_package(&package);
    for source in broken.sources(&package)? {
        fs::write(&source.path, &source.text).map_err(|error| error.to_string())?;
    }
    Ok(package)
}

/// Runs cargo in the copy. Its dependencies are already built, for the original.
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
    // With the same name, cargo would take builds of the copy for those of the original.
    let names = ("name = \"commonroom\"\n", "name = \"commonroom-broken\"\n");
    let library = ("[lib]\n", "[lib]\nname = \"commonroom\"\n");
    let binaries = ("default-run = \"chat-server\"\n", "autobins = false\n");
    let features = ("[features]\n", "[features]\nreal = []\n");
    // Binaries of the same names would replace the correct ones.
    let manifest = read("Cargo.toml");
    let kept: Vec<&str> = manifest.split("\n\n").filter(|block| !block.starts_with("[[bin]]")).collect();
    let manifest = [names, library, binaries, features]
        .iter()
        .fold(kept.join("\n\n"), |manifest, &replacement| replaced(&manifest, replacement));
    let real_server = format!(
        "\n[[bin]]\nname = \"{REAL_SERVER}\"\npath = \"src/bin/chat-server/main.rs\"\n\
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

/// Leaves identical files alone, so that cargo does not build them again.
fn copy_if_different(from: &Path, to: &Path) {
    let content = fs::read(from).expect("a readable file");
    if fs::read(to).ok().as_ref() != Some(&content) {
        fs::write(to, content).expect("a writable target directory");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
