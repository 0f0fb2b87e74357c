//! A load generator for chat servers, and for other programs that deliver one line to many.
//!
//! One thread serves a socket for each member, and reads in large pieces. Every delivery is counted and
//! checked: none lost, none repeated, each sender's in order. [`run`] joins, lets the senders speak for a
//! while, and waits until everything has arrived.

mod connection;
mod crowd;
mod hearing;
mod line;
mod poller;
mod protocol;
mod results;
mod sender;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use line::{SENDERS, SHORTEST_LINE_BYTES};
pub use protocol::Protocol;
pub use results::Results;

use crate::net::explain;
use crate::protocol::TEXT_BYTES;
use crate::terminal::descriptors;
use crate::tools::usage;
use connection::{READ_BYTES, UNFINISHED_BYTES};
use crowd::Crowd;
use poller::Poller;
use results::{Joining, Resuming, Talking};

/// The maximum number of receivers, and of stalled members.
pub const MEMBERS: usize = 20_000;

/// The longest line, in bytes: the longest text that our server takes, and the newline.
pub const LONGEST_LINE_BYTES: usize = TEXT_BYTES;

/// The maximum number of lines of a sender in flight.
pub const WINDOW_LINES: u32 = 16 * 1_024;

/// The maximum number of deliveries a second.
pub const RATE_DELIVERIES: u32 = 100_000_000;

/// The maximum length of a run, and of its warm-up, in seconds.
pub const LONGEST_SECONDS: u32 = 600;

/// How many connections are being opened at once.
const JOINING_AT_ONCE: usize = 4_096;

/// How long all members together may take to join and to hear that all have joined.
const JOIN_TIMEOUT: Duration = Duration::from_secs(120);

/// After this long without a message nothing is in flight any more.
const QUIET: Duration = Duration::from_millis(100);

/// How long deliveries may take to arrive after the last line.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(120);

/// After this long without any arrival, missing lines are lost.
const ARRIVAL_PAUSE: Duration = Duration::from_secs(5);

/// How long a line that seems lost may take to come late.
const LATE_LINE_GRACE: Duration = Duration::from_secs(1);

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// A pause below this is too short for the operating system's timer.
const TIMER_RESOLUTION: Duration = Duration::from_millis(1);

/// What a run does. Callers must keep to the bounds, which are the constants of this module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// Its protocol.
    pub protocol: Protocol,
    /// How many members only receive; at least one, at most [`MEMBERS`].
    pub receivers: usize,
    /// How many send (and receive, if the protocol echoes); at most [`SENDERS`].
    pub senders: usize,
    /// How many join and then never read; at most [`MEMBERS`].
    pub stalled: usize,
    /// The length of a line in bytes, including its sender's name and the newline, from
    /// [`SHORTEST_LINE_BYTES`] to [`LONGEST_LINE_BYTES`].
    pub line_bytes: usize,
    /// When senders send.
    pub pace: Pace,
    /// Whether the members have sessions, which at the end all lose their connections and go on in others.
    /// Only for an idle crowd of [`Protocol::Report`].
    pub sessions: bool,
    /// How long they send before the measurement.
    pub warm_up: Duration,
    /// How long the measurement takes; how long an idle crowd is held.
    pub duration: Duration,
    /// How sockets are read.
    pub trigger: Trigger,
    /// The process of the server, for its processor time and memory.
    pub server_process: Option<u32>,
}

/// When senders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not at all.
    Idle,
    /// With this many lines of each sender in flight: a line that comes back makes room for the next.
    Window(u32),
    /// At this many deliveries a second, however long they take.
    Rate(u32),
}

/// When the operating system reports a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Once for each change of readability or writability.
    Edge,
    /// As long as it is readable; as writable only while bytes wait to be written. On Linux.
    Level,
}

impl Plan {
    fn connections(&self) -> usize {
        self.receivers + self.senders + self.stalled
    }

    /// How many members hear a line.
    fn hearers(&self) -> usize {
        let others = if self.protocol.echoes() { self.senders } else { self.senders.saturating_sub(1) };
        self.receivers + others
    }
}

/// Carries out the plan, and returns the results. `progress` is called with the current activity now and then.
///
/// # Errors
///
/// A sentence about what went wrong: no connection, a refusal by the server, a line that was lost, repeated or
/// out of order, or a step that took too long.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Results, String> {
    allow_connections(plan.connections())?;
    let poller = Poller::new(plan.trigger).map_err(|error| cannot_wait(&error))?;
    let mut run = Run {
        buffer: vec![0; UNFINISHED_BYTES + READ_BYTES],
        crowd: Crowd::new(plan, poller)?,
        plan,
        progress,
        progress_due: 0,
        fault_deadline: None,
    };
    let joining = run.join()?;
    let talking = if plan.pace == Pace::Idle {
        run.go_on_for(plan.duration, "holding")?;
        None
    } else {
        Some(run.talk()?)
    };
    let resuming = plan.sessions.then(|| run.resume()).transpose()?;
    let resident_bytes_at_end = plan.server_process.and_then(usage::resident_bytes);
    Ok(Results { plan: plan.clone(), joining, talking, resuming, resident_bytes_at_end })
}

struct Run<'a> {
    plan: &'a Plan,
    buffer: Vec<u8>,
    crowd: Crowd,
    progress: &'a mut dyn FnMut(&str),
    progress_due: u64,
    fault_deadline: Option<u64>,
}

impl Run<'_> {
    /// Opens all connections, some at a time, and waits until every member has heard of all others.
    fn join(&mut self) -> Result<Joining, String> {
        // One-time costs of the server, such as pages of its program and buffers, are not costs of a connection.
        self.join_until(1)?;
        let before = self.used();
        let joined_at = self.join_until(self.plan.connections())?;
        let after = self.used();
        Ok(Joining {
            elapsed: Duration::from_nanos(joined_at - before.time),
            announcements: self.crowd.announcements,
            server_cpu: difference(after.server_cpu, before.server_cpu),
            resident_bytes_before: before.resident_bytes,
            resident_bytes: after.resident_bytes,
        })
    }

    /// Closes all connections, opens others, and waits until every session goes on.
    fn resume(&mut self) -> Result<Resuming, String> {
        let before = self.used();
        self.crowd.lose_connections()?;
        let resumed_at = self.join_until(self.plan.connections())?;
        Ok(Resuming {
            elapsed: Duration::from_nanos(resumed_at - before.time),
            server_cpu: difference(self.used().server_cpu, before.server_cpu),
        })
    }

    /// Continues until this many members have joined, and it is quiet. Returns when the last of them joined.
    fn join_until(&mut self, members: usize) -> Result<u64, String> {
        let mut joined_at = None;
        let deadline = self.crowd.now() + nanoseconds(JOIN_TIMEOUT);
        loop {
            while self.crowd.opened() < members && self.crowd.joining < JOINING_AT_ONCE {
                self.crowd.open_next()?;
            }
            let (joined, now) = (self.crowd.opened() - self.crowd.joining, self.crowd.now());
            self.turn(
                now + nanoseconds(QUIET),
                &format!("joining: {joined} of {}", self.plan.connections()),
            )?;
            if joined == members {
                let joined_at = *joined_at.get_or_insert(now);
                if self.crowd.now() >= self.crowd.last_heard.max(joined_at) + nanoseconds(QUIET) {
                    return Ok(joined_at);
                }
            }
            if now > deadline {
                return Err(format!(
                    "only {joined} of {members} had joined after {} s",
                    JOIN_TIMEOUT.as_secs()
                ));
            }
        }
    }

    /// Lets the senders speak, and waits until everything has arrived.
    fn talk(&mut self) -> Result<Talking, String> {
        self.crowd.begin_speaking()?;
        self.go_on_for(self.plan.warm_up, "warming up")?;
        let before = self.used();
        self.crowd.recording = true;
        self.go_on_for(self.plan.duration, "measuring")?;
        self.crowd.recording = false;
        let after = self.used();
        self.crowd.speaking = false;
        self.arrive()?;
        if after.deliveries == before.deliveries {
            return Err("nothing arrived while it was measured; measure longer with --seconds".to_owned());
        }
        Ok(Talking {
            elapsed: Duration::from_nanos(after.time - before.time),
            lines: after.lines - before.lines,
            deliveries: after.deliveries - before.deliveries,
            latency: self.crowd.latency.clone(),
            server_cpu: difference(after.server_cpu, before.server_cpu),
            own_cpu: difference(after.own_cpu, before.own_cpu),
            checked_deliveries: self.crowd.deliveries,
            one_order: self.crowd.one_order(),
        })
    }

    fn go_on_for(&mut self, duration: Duration, what: &str) -> Result<(), String> {
        let end = self.crowd.now() + nanoseconds(duration);
        while self.crowd.now() < end {
            self.turn(end, what)?;
        }
        Ok(())
    }

    /// Waits for everything in flight, and a moment longer for lines that should not come.
    fn arrive(&mut self) -> Result<(), String> {
        let begin = self.crowd.now();
        while !self.crowd.all_heard() {
            let now = self.crowd.now();
            if now > self.crowd.last_heard.max(begin) + nanoseconds(ARRIVAL_PAUSE) {
                let missing = self.crowd.first_missing().map(|fault| fault.to_string());
                return Err(missing.unwrap_or_else(|| "a sender did not hear all that was said".to_owned()));
            }
            if now > begin + nanoseconds(ARRIVAL_TIMEOUT) {
                return Err(format!(
                    "not all had arrived {} s after the last line",
                    ARRIVAL_TIMEOUT.as_secs()
                ));
            }
            self.turn(now + nanoseconds(QUIET), "waiting for what is on its way")?;
        }
        self.go_on_for(QUIET, "waiting for what is on its way")
    }

    /// Waits until a socket is ready, a line is due or the time has come, and handles it.
    fn turn(&mut self, until: u64, what: &str) -> Result<(), String> {
        let due = self.crowd.speak_on_time()?;
        let now = self.crowd.now();
        let wait = Duration::from_nanos(until.min(due.unwrap_or(until)).saturating_sub(now));
        // The timer is coarser than the latencies to be measured, so the last stretch is a busy wait.
        let wait = if due.is_some() { wait.saturating_sub(TIMER_RESOLUTION) } else { wait };
        let wait = wait.min(PROGRESS_INTERVAL);
        match self.crowd.poller.wait(wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(cannot_wait(&error)),
            _ => {}
        }
        for number in 0.. {
            let Some(ready) = self.crowd.poller.ready(number) else { break };
            self.crowd.handle(ready, &mut self.buffer)?;
        }
        if now >= self.progress_due {
            self.progress_due = now + nanoseconds(PROGRESS_INTERVAL);
            (self.progress)(&format!("{what}: {} deliveries", self.crowd.deliveries));
        }
        self.judge_fault(now)
    }

    /// Ends the run after a fault. A missing line is given a moment, to see whether it is lost or late.
    fn judge_fault(&mut self, now: u64) -> Result<(), String> {
        let Some(fault) = &self.crowd.fault else { return Ok(()) };
        let deadline = *self.fault_deadline.get_or_insert(now + nanoseconds(LATE_LINE_GRACE));
        if fault.may_be_explained() && now < deadline { Ok(()) } else { Err(fault.to_string()) }
    }

    /// The totals up to now.
    fn used(&self) -> Used {
        Used {
            time: self.crowd.now(),
            lines: self.crowd.lines_said(),
            deliveries: self.crowd.deliveries,
            own_cpu: usage::cpu_time(std::process::id()),
            server_cpu: self.plan.server_process.and_then(usage::cpu_time),
            resident_bytes: self.plan.server_process.and_then(usage::resident_bytes),
        }
    }
}

struct Used {
    /// In nanoseconds since the start of the run.
    time: u64,
    lines: u64,
    deliveries: u64,
    own_cpu: Option<Duration>,
    server_cpu: Option<Duration>,
    resident_bytes: Option<u64>,
}

fn difference(after: Option<Duration>, before: Option<Duration>) -> Option<Duration> {
    Some(after?.saturating_sub(before?))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn cannot_wait(error: &io::Error) -> String {
    format!("cannot wait for connections: {}", explain(error))
}

/// Raises the limit of descriptors to the number of connections.
fn allow_connections(connections: usize) -> Result<(), String> {
    descriptors::allow_connections(connections).map_err(|maximum| {
        format!("{connections} connections need more descriptors than the {maximum} that are allowed; see ulimit -n")
    })
}
