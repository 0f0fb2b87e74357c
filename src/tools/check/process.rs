//! A server that is started as a process on this machine, or one that is already running somewhere.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::subject::{Connection, Need, Observation, Subject};
use crate::net::{Bind as _, Connect as _, ResettingTcp, Tcp, explain};
use crate::protocol::{Framing, Sanitized};
use crate::tools::usage::wanted_cpu_time;

/// How long a server may take until it accepts.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const START_INTERVAL: Duration = Duration::from_millis(20);

/// How long a server may take to end after Ctrl-C, or because its port is in use.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of a log is looked at. A server that spins writes far more.
const LOG_BYTES: usize = 4 * 1_024 * 1_024;

/// How much of a server's stderr is kept.
const STDERR_BYTES: usize = 4 * 1_024;

/// A server over the operating system's TCP.
pub struct Process {
    address: String,
    framing: Framing,
    command: Option<String>,
    log: Option<PathBuf>,
    /// The length of the log when the current case began. The file may be older than the run.
    log_begin: u64,
    running: Option<Running>,
    first_connection: Option<Connection<Self>>,
}

impl Process {
    /// A server that `command` starts (on Unix a command of the shell, on Windows a program and its
    /// arguments), and that then listens on `address`.
    ///
    /// # Errors
    ///
    /// If something else listens on the address, or the server does not begin to accept there.
    pub async fn started_by(
        command: String,
        address: String,
        framing: Framing,
        log: Option<PathBuf>,
    ) -> Result<Self, Observation> {
        let explained = |reason| format!("cannot check a server on {address}: {reason}");
        // Otherwise the cases would run against whatever listens there.
        let free = Tcp.bind(&address).await;
        drop(free.map_err(|error| explained(explain(&error)))?);
        let mut process = Self::new(address.clone(), framing);
        process.command = Some(command);
        process.log = log;
        // If a server cannot be started at all, this reports it once instead of for each case.
        process.start().await.map_err(explained)?;
        Ok(process)
    }

    /// A server that is already running.
    ///
    /// # Errors
    ///
    /// If nothing accepts connections there.
    pub async fn already_running(address: String, framing: Framing) -> Result<Self, Observation> {
        let mut process = Self::new(address, framing);
        let connected = timeout(START_TIMEOUT, ResettingTcp.connect(&process.address)).await;
        let connection = connected
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| format!("cannot connect to {}: {}", process.address, explain(&error)))?;
        process.first_connection = Some(connection);
        Ok(process)
    }

    fn new(address: String, framing: Framing) -> Self {
        Self {
            address,
            framing,
            command: None,
            log: None,
            log_begin: 0,
            running: None,
            first_connection: None,
        }
    }

    fn spawn(&self) -> Result<Running, Observation> {
        let command = self.command.as_deref().ok_or("there is no command to start it with")?;
        Running::spawn(command).map_err(|error| format!("cannot start “{command}”: {}", explain(&error)))
    }

    /// Waits until nothing listens on the address any more. If something does, the command is not the server
    /// itself, but has started it, and the cases would continue with an orphan that they cannot end.
    async fn until_address_is_free(&self) -> Result<(), Observation> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while let Err(error) = Tcp.bind(&self.address).await {
            if Instant::now() > deadline {
                return Err(match error.kind() {
                    io::ErrorKind::AddrInUse => format!(
                        "the command has ended, but {} is still in use: \
                         the command must be the server itself, not something that starts it",
                        self.address
                    ),
                    _ => format!("{} cannot be had again: {}", self.address, explain(&error)),
                });
            }
            sleep(START_INTERVAL).await;
        }
        Ok(())
    }

    fn log_length(&self) -> u64 {
        self.log.as_ref().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    fn read_log(&self) -> io::Result<String> {
        let Some(path) = &self.log else { return Ok(String::new()) };
        let mut file = File::open(path)?;
        // If the log is shorter now, the server has begun it anew.
        let begin = if self.log_length() < self.log_begin { 0 } else { self.log_begin };
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = vec![0; LOG_BYTES];
        let mut length = 0;
        loop {
            match file.read(&mut bytes[length..])? {
                0 => break,
                read => length += read,
            }
        }
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

impl Subject for Process {
    type Network = ResettingTcp;

    fn network(&self) -> &ResettingTcp {
        &ResettingTcp
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn offers(&self, need: Need) -> bool {
        match need {
            // Whether it gives sessions is found out by asking.
            Need::Nothing | Need::Sessions => true,
            Need::Control => self.command.is_some(),
            Need::Log => self.command.is_some() && self.log.is_some(),
            Need::CpuTime => self.command.is_some() && cfg!(target_os = "linux"),
        }
    }

    async fn renew(&mut self) -> Result<(), Observation> {
        if self.command.is_none() {
            return Ok(());
        }
        // A server that is spinning, deaf or dead after one case must not fail the next one.
        self.kill().await;
        self.until_address_is_free().await?;
        self.log_begin = self.log_length();
        self.start().await
    }

    async fn start(&mut self) -> Result<(), Observation> {
        let mut running = self.spawn()?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(connection) = ResettingTcp.connect(&self.address).await {
                self.first_connection = Some(connection);
                self.running = Some(running);
                return Ok(());
            }
            if let Some(status) = running.ended() {
                return Err(format!(
                    "the server ended before it accepted{}",
                    running.last_words(status).await
                ));
            }
            if Instant::now() > deadline {
                return Err(format!("the server did not accept within {START_TIMEOUT:?}"));
            }
            sleep(START_INTERVAL).await;
        }
    }

    async fn start_second(&mut self) -> Result<(), Observation> {
        let mut second = self.spawn()?;
        match timeout(STOP_TIMEOUT, second.child.wait()).await {
            Ok(Ok(status)) if status.success() => {
                Err("the second server ended as if all was well".to_owned())
            }
            Ok(_) => Ok(()),
            Err(_) => Err(format!("the second server still ran after {STOP_TIMEOUT:?}")),
        }
    }

    async fn stop(&mut self) -> Result<(), Observation> {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.interrupt();
        match timeout(STOP_TIMEOUT, running.child.wait()).await {
            Ok(_) => {
                self.running = None;
                self.until_address_is_free().await
            }
            Err(_) => Err(format!(
                "with a client connected, the server did not end within {STOP_TIMEOUT:?} of Ctrl-C"
            )),
        }
    }

    async fn kill(&mut self) {
        self.first_connection = None;
        if let Some(mut running) = self.running.take() {
            // It may already have ended by itself.
            let _ = running.child.kill().await;
        }
    }

    async fn log(&mut self) -> Result<String, Observation> {
        self.read_log().map_err(|error| format!("the log cannot be read: {}", explain(&error)))
    }

    fn wanted_cpu_time(&self) -> Option<Duration> {
        wanted_cpu_time(self.running.as_ref()?.child.id()?)
    }

    fn take_first_connection(&mut self) -> Option<Connection<Self>> {
        self.first_connection.take()
    }
}

/// A process, killed when it is dropped.
struct Running {
    child: Child,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_ended: Option<JoinHandle<()>>,
}

impl Running {
    fn spawn(command: &str) -> io::Result<Self> {
        let mut child = starting(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&stderr);
        let stderr_ended = child.stderr.take().map(|pipe| tokio::spawn(keep_the_end(pipe, kept)));
        Ok(Self { child, stderr, stderr_ended })
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last line on stderr, which usually says why the process ended.
    async fn last_words(&mut self, status: ExitStatus) -> String {
        if let Some(ended) = self.stderr_ended.take() {
            // Processes that have inherited its stderr may keep it open.
            let _ = timeout(STOP_TIMEOUT, ended).await;
        }
        let said = self.stderr.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        match said.unwrap_or_default().lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!(" ({status}): {}", Sanitized(line.trim())),
            None => format!(" ({status})"),
        }
    }

    #[cfg(unix)]
    fn interrupt(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // A process that has ended by itself needs no signal.
        let _ = id.map(|id| kill_process(id, Signal::INT));
    }

    /// Windows has no Ctrl-C for a single process, so this ends it.
    #[cfg(windows)]
    fn interrupt(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// Keeps the end of the output. Talkative servers must neither fill the memory nor block.
async fn keep_the_end(mut pipe: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; STDERR_BYTES];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        if let Ok(mut kept) = kept.lock() {
            kept.extend_from_slice(&buffer[..length]);
            let excess = kept.len().saturating_sub(STDERR_BYTES);
            kept.drain(..excess);
        }
    }
}

/// `exec` replaces the shell, so that signals go to the server itself.
#[cfg(unix)]
fn starting(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {command}"));
    shell
}

/// Without a shell, because ending the shell would not end the server. On Windows programs split their
/// arguments themselves, so they are passed on unchanged.
#[cfg(windows)]
fn starting(command: &str) -> Command {
    let (program, arguments) = split_program(command);
    let mut command = Command::new(program);
    command.raw_arg(arguments);
    command
}

/// The program of a command line, without its quotation marks, and the rest.
#[cfg(any(windows, test))]
fn split_program(command: &str) -> (&str, &str) {
    let command = command.trim();
    let split = match command.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"'),
        None => command.split_once(char::is_whitespace),
    };
    let (program, arguments) = split.unwrap_or((command, ""));
    (program, arguments.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_into_a_program_and_its_arguments() {
        for (command, program, arguments) in [
            ("chat-server.exe", "chat-server.exe", ""),
            ("  python  server.py --port 80 ", "python", "server.py --port 80"),
            (r#""C:\Program Files\chat.exe" --log "a b""#, r"C:\Program Files\chat.exe", r#"--log "a b""#),
            (r#""unfinished"#, r#""unfinished"#, ""),
            ("", "", ""),
        ] {
            assert_eq!(split_program(command), (program, arguments), "{command}");
        }
    }
}
