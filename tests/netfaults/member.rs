//! A member: a `chat-client` in a pipe that says numbered lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use super::machine::Machine;
use super::pause;
use super::support::wait::{POLL_INTERVAL, wait_for};

/// How long a client may take to leave: it waits for answers for up to 30 s.
const LEAVING: Duration = Duration::from_secs(45);

/// Lines, and when each has come.
pub type Heard = Vec<(Instant, String)>;

pub struct Member {
    name: &'static str,
    child: Child,
    said: u32,
    heard: Arc<Mutex<Heard>>,
}

impl Member {
    /// Starts a client on a machine, and waits until it has joined.
    pub fn join(machine: &Machine, name: &'static str, server: &str) -> Self {
        let mut command = machine.command(cargo_bin!("chat-client"));
        command.args([server, "--nickname", name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("a client");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                hearing.lock().expect("nobody panics with it").push((Instant::now(), line));
            }
        });
        let member = Self { name, child, said: 0, heard };
        let joined = format!("{name} joined the chat!");
        wait_for(&joined, || member.heard().iter().any(|(_, line)| *line == joined));
        member
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many lines it was given to say.
    pub fn said(&self) -> u32 {
        self.said
    }

    /// Says its next number.
    pub fn say(&mut self) {
        self.said += 1;
        let stdin = self.child.stdin.as_mut().expect("it is open until the end");
        // A client that has ended takes nothing more; its lines are lost.
        let _ = writeln!(stdin, "{}", self.said);
    }

    /// All that has come so far.
    pub fn heard(&self) -> Heard {
        self.heard.lock().expect("nobody panics with it").clone()
    }

    /// The numbers that the other has said, as they came.
    pub fn heard_of(&self, other: &Self) -> Vec<(Instant, u32)> {
        let number = |line: &str| line.strip_prefix(other.name)?.strip_prefix(": ")?.parse().ok();
        self.heard().iter().filter_map(|(at, line)| Some((*at, number(line)?))).collect()
    }

    pub fn has_heard_since(&self, time: Instant, other: &Self) -> bool {
        self.heard_of(other).last().is_some_and(|(at, _)| *at >= time)
    }

    pub fn has_heard_all_of(&self, other: &Self) -> bool {
        self.heard_of(other).last().is_some_and(|(_, number)| *number == other.said)
    }

    /// Whether its client has ended, and will hear nothing more.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the process is ours").is_some()
    }

    /// Ends its input. Returns its exit code, or `None` if it has none in time.
    pub fn leave(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + LEAVING;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                return status.code();
            }
            pause(POLL_INTERVAL);
        }
        None
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
