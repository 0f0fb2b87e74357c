//! A program that runs while a test does.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::wait::DEADLINE;

/// How many lines the message of a failing test shows, if it has waited in vain.
const SHOWN_LINES: usize = 20;

/// A program whose settings come from its arguments alone, not from the environment of the tests.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("CHAT_")) {
        command.env_remove(variable);
    }
    // A client keeps no session where another one, on a port that is used again, would find it.
    command.env("XDG_RUNTIME_DIR", "/dev/null").env_remove("LOCALAPPDATA");
    command.env("TZ", "UTC");
    command
}

/// A running program whose output is read as it comes. It is killed when this is dropped.
pub struct Running {
    pub child: Child,
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

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// Closes its input and waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        // Its outputs end when the process does.
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

/// The lines of an output, kept for the message of a failing test.
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

    /// Waits for the next line. Returns `None` at the end of the output.
    pub fn next(&mut self) -> Option<String> {
        match self.incoming.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let last = &self.seen[self.seen.len().saturating_sub(SHOWN_LINES)..];
                panic!(
                    "nothing came within {DEADLINE:?} after {} lines, of which the last are {last:#?}",
                    self.seen.len()
                )
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
