//! How the tests of the binaries run a program and speak to a server: the parts that all tests share, and
//! those that only these need.

#[path = "../support/certificates.rs"]
pub mod certificates;
#[path = "../support/commit_log.rs"]
pub mod commit_log;
#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/proxy.rs"]
pub mod proxy;
#[path = "../support/random.rs"]
pub mod random;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/snapshot.rs"]
mod snapshot;
#[path = "../support/wait.rs"]
mod wait;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

pub use peer::Peer;
pub use process::Running;
pub use server::Server;
pub use snapshot::snapshot;
pub use wait::{DEADLINE, wait_for};

/// For tests of bursts and crowds: no limit for a member's messages or an address's connections.
pub const UNLIMITED: [&str; 4] = ["--rate", "0", "--max-per-address", "0"];

/// A chat binary of this package, ready to be given arguments.
pub fn command(name: &str) -> Command {
    process::command(binary(name))
}

/// The same for programs that end by themselves.
pub fn assert(name: &str) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(command(name));
    command.timeout(DEADLINE);
    command
}

pub fn binary(name: &str) -> PathBuf {
    match name {
        "chat-server" => assert_cmd::cargo::cargo_bin!("chat-server"),
        "chat-check" => assert_cmd::cargo::cargo_bin!("chat-check"),
        "chat-load" => assert_cmd::cargo::cargo_bin!("chat-load"),
        "chat-client" => assert_cmd::cargo::cargo_bin!("chat-client"),
        other => panic!("{other} is not a binary of this package"),
    }
    .to_owned()
}

impl Running {
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("the process is there");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_program(&binary("chat-server"), arguments)
    }

    /// Stops it with `signal` and starts it again, on the same port and with the same log.
    #[cfg(unix)]
    pub fn restart(mut self, signal: rustix::process::Signal) -> Self {
        self.running.signal(signal);
        self.running.wait();
        Self::start_in(self.directory, &binary("chat-server"), &self.address.to_string(), &[])
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// A line-framed member that has joined and was told so.
    pub fn join(&self, nickname: &str) -> Peer {
        let mut peer = self.connect();
        peer.join(nickname);
        peer
    }

    /// A `chat-client` for this server.
    pub fn client(&self, arguments: &[&str]) -> Running {
        Running::start(command("chat-client").arg(self.address.to_string()).args(arguments))
    }

    /// Waits until the log contains `wanted`.
    #[track_caller]
    pub fn wait_for_log(&self, wanted: &str) {
        wait_for(wanted, || self.log().contains(wanted));
    }

    /// Ends the server in order, and returns its log as [`read_log`] does.
    #[cfg(unix)]
    pub fn stop(&mut self) -> String {
        self.running.signal(rustix::process::Signal::TERM);
        let status = self.running.wait();
        assert_eq!(status.code(), Some(0), "{:#?}", self.running.stderr.seen);
        read_log(&self.log_path())
    }
}

/// The lines of a log, with placeholders for times and ports, which differ from run to run. Their format
/// is checked here.
pub fn read_log(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the log is there");
    text.lines().map(|line| normalise(line) + "\n").collect()
}

fn normalise(line: &str) -> String {
    let (time, event) = line.split_at_checked("2026-02-23 02:55:16,769".len()).expect("a time stamp");
    let shape: String =
        time.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00,000", "{line}");
    match event.split_once("('127.0.0.1', ") {
        Some((before, after)) => {
            let (port, after) = after.split_once(')').expect("the address ends");
            assert!(port.parse::<u16>().is_ok(), "{line}");
            format!("TIME{before}('127.0.0.1', PORT){after}")
        }
        None => format!("TIME{event}"),
    }
}

impl Peer {
    /// The next line must be this one.
    #[track_caller]
    pub fn expect_next(&mut self, wanted: &str) {
        assert_eq!(self.line().as_deref(), Some(wanted));
    }

    /// Waits for one read, and returns it as text, as a client of the report would see it.
    pub fn read(&mut self) -> String {
        let mut buffer = [0; 1_024];
        let length = self.stream.read(&mut buffer).expect("a read before the deadline");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Nothing but the end of the stream may come.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.line(), None);
    }
}

/// Does something at the end of a test, even if it fails.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
