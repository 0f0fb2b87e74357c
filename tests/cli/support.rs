//! The one way in which tests run a program or speak to a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything that is awaited may take. Far longer than it does, on any machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A chat binary of this package, ready to be given arguments; no setting comes from outside.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(match name {
        "chat-server" => assert_cmd::cargo::cargo_bin!("chat-server"),
        "chat-check" => assert_cmd::cargo::cargo_bin!("chat-check"),
        "chat-load" => assert_cmd::cargo::cargo_bin!("chat-load"),
        "chat-client" => assert_cmd::cargo::cargo_bin!("chat-client"),
        other => panic!("{other} is not a binary of this package"),
    });
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("CHAT_")) {
        command.env_remove(variable);
    }
    command.env("TZ", "UTC");
    command
}

/// The same, for programs that end by themselves.
pub fn assert(name: &str) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(command(name));
    command.timeout(DEADLINE);
    command
}

/// Compares with what has been reviewed; the snapshots lie together at the top of the repository.
#[track_caller]
pub fn snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

/// A running program whose output is read as it comes.
pub struct Running {
    child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: Lines,
    pub stderr: Lines,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
        let stdout = Lines::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::of(child.stderr.take().expect("stderr is piped"));
        Self { stdin: child.stdin.take(), child, stdout, stderr }
    }

    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("the process is there");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its input and waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        // The ends of its outputs come with its own.
        self.stdout.rest();
        self.stderr.rest();
        self.child.wait().expect("the process is ours")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come, kept for the message of a failing test.
pub struct Lines {
    incoming: Receiver<String>,
    pub seen: Vec<String>,
}

impl Lines {
    fn of(source: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Self { incoming, seen: Vec::new() }
    }

    /// Waits for the next line; `None` at the end.
    pub fn next(&mut self) -> Option<String> {
        match self.incoming.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                panic!("nothing came within {DEADLINE:?} after {:#?}", self.seen)
            }
        }
    }

    /// Waits for a line that contains `wanted`, and returns it.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) -> String {
        while let Some(line) = self.next() {
            if line.contains(wanted) {
                return line;
            }
        }
        panic!("the output ended without {wanted:?}: {:#?}", self.seen)
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// For tests whose point is a burst or a crowd: this machine may send as fast and come as often as it likes.
pub const UNLIMITED: [&str; 4] = ["--rate", "0", "--max-per-address", "0"];

/// A real `chat-server` on a free port, with its log in a directory of its own.
pub struct Server {
    pub running: Running,
    pub address: SocketAddr,
    directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(directory, "127.0.0.1:0", arguments)
    }

    fn start_in(directory: TempDir, listen: &str, arguments: &[&str]) -> Self {
        let mut command = command("chat-server");
        command.args(["--listen", listen, "--log"]).arg(directory.path().join("server.log")).args(arguments);
        let mut running = Running::start(&mut command);
        let line = running.stdout.expect("Server running on ");
        let address = line.trim_start_matches("Server running on ").parse().expect("an address");
        Self { running, address, directory }
    }

    /// Ends it with SIGKILL or, as a person would, with SIGTERM, and starts it again: same port, same log.
    #[cfg(unix)]
    pub fn restart(mut self, signal: rustix::process::Signal) -> Self {
        self.running.signal(signal);
        self.running.wait();
        Self::start_in(self.directory, &self.address.to_string(), &[])
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// A line-framed member that has joined, and seen that it has.
    pub fn join(&self, nickname: &str) -> Peer {
        let mut peer = self.connect();
        peer.join(nickname);
        peer
    }

    /// A `chat-client` for this server.
    pub fn client(&self, arguments: &[&str]) -> Running {
        Running::start(command("chat-client").arg(self.address.to_string()).args(arguments))
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// Waits until the log has a line with `wanted`. It is written beside the chat, not before it,
    /// so only an orderly end writes all of it.
    #[track_caller]
    pub fn wait_for_log(&self, wanted: &str) {
        wait_for(wanted, || std::fs::read_to_string(self.log_path()).is_ok_and(|log| log.contains(wanted)));
    }

    /// Ends the server in order, and returns its log without the times and the ports, which are
    /// different each time; that they are well-formed is checked here.
    #[cfg(unix)]
    pub fn stop(&mut self) -> String {
        self.running.signal(rustix::process::Signal::TERM);
        let status = self.running.wait();
        assert_eq!(status.code(), Some(0), "{:#?}", self.running.stderr.seen);
        read_log(&self.log_path())
    }
}

/// Waits until something is so of which nobody tells.
#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what:?} was waited for in vain, for {DEADLINE:?}");
        std::thread::yield_now();
    }
}

/// The lines of a log, without what is different each time.
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

/// One connection to a server, byte by byte under the control of the test.
pub struct Peer {
    pub stream: BufReader<TcpStream>,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream: BufReader::new(stream) }
    }

    pub fn join(&mut self, nickname: &str) {
        self.expect_bytes("NICK");
        self.send(&format!("{nickname}\n"));
        self.expect(&format!("{nickname} joined the chat!"));
        self.expect("Connected to server!");
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the connection takes it");
    }

    /// The next line; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).expect("a line before the deadline");
        (length > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Waits for this very line; what comes before is passed over.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) {
        let mut seen = Vec::new();
        while let Some(line) = self.line() {
            if line == wanted {
                return;
            }
            seen.push(line);
        }
        panic!("the connection ended without {wanted:?}: {seen:#?}");
    }

    /// The next line must be this one.
    #[track_caller]
    pub fn expect_next(&mut self, wanted: &str) {
        assert_eq!(self.line().as_deref(), Some(wanted));
    }

    #[track_caller]
    pub fn expect_bytes(&mut self, wanted: &str) {
        let mut bytes = vec![0; wanted.len()];
        self.stream.read_exact(&mut bytes).expect("the bytes before the deadline");
        assert_eq!(String::from_utf8_lossy(&bytes), wanted);
    }

    /// Waits for one read, and returns it as text: what a client of the report would see.
    pub fn read(&mut self) -> String {
        let mut buffer = [0; 1_024];
        let length = self.stream.read(&mut buffer).expect("a read before the deadline");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Nothing more may come but the end of the stream.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.line(), None);
    }
}
