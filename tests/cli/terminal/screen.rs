//! A pseudo-terminal with a screen, as a person sees it.

use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rexpect::process::{PtyProcess, WaitStatus};
use rustix::process::{Signal, kill_process_group};
use rustix::termios::{Winsize, tcgetpgrp, tcsetwinsize};

use crate::support::{DEADLINE, Peer, Server, command};

/// How often to check whether the client has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The setup of a window.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    pub columns: u16,
    pub rows: u16,
    pub term: &'a str,
    /// Commands of the shell that starts the client as `"$@"`.
    pub shell: &'a str,
}

impl Default for Window<'_> {
    fn default() -> Self {
        // A terminal that keeps its rows when it is resized, as the one of these tests does.
        Self { columns: 80, rows: 24, term: "linux", shell: "exec \"$@\"" }
    }
}

/// A running client and the screen that it writes to.
pub struct Screen {
    process: PtyProcess,
    terminal: File,
    output: Receiver<Vec<u8>>,
    cells: vt100::Parser,
    /// Every byte that was written to the terminal.
    pub written: Vec<u8>,
}

impl Screen {
    pub fn of_client(address: SocketAddr, arguments: &[&str], window: Window<'_>) -> Self {
        let client = command("chat-client");
        // A new pseudo-terminal has no size.
        let size = format!("stty cols {} rows {} echo", window.columns, window.rows);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{size} && {}", window.shell), "sh"]);
        shell.arg(client.get_program()).arg(address.to_string()).args(arguments);
        for (name, value) in client.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("NO_COLOR", "1").env("TERM", window.term);
        for variable in ["TMUX", "STY", "XTERM_VERSION"] {
            shell.env_remove(variable);
        }
        let mut process = PtyProcess::new(shell).expect("a pseudo-terminal");
        process.set_kill_timeout(Some(1_000));
        let terminal = process.get_file_handle().expect("the terminal's other end");
        let seen = vt100::Parser::new(cells(window.rows), cells(window.columns), 0);
        let output = output_of(process.get_file_handle().expect("the terminal's other end"));
        Self { process, terminal, output, cells: seen, written: Vec::new() }
    }

    /// Types, or pastes into a terminal without bracketed paste.
    pub fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Types a line and presses Enter, which is a carriage return.
    pub fn type_line(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    /// Pastes into a terminal with bracketed paste.
    pub fn pastes(&mut self, text: &str) {
        self.types(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Resizes the window, and waits until the client has redrawn it.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.cells.screen_mut().set_size(cells(rows), cells(columns));
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.terminal, size).expect("the terminal has a size");
        let written = self.written.len();
        self.wait_for("the window of another size", |screen| screen.written.len() > written);
    }

    /// Sends a signal to the client, and to the shell if that is still there.
    pub fn signal(&self, signal: Signal) {
        let group = tcgetpgrp(&self.terminal).expect("the client is in the foreground");
        kill_process_group(group, signal).expect("the client is there");
    }

    /// The visible rows, up to the last that is not empty.
    pub fn rows(&self) -> Vec<String> {
        self.cells.screen().contents().lines().map(|row| row.trim_end().to_owned()).collect()
    }

    /// The row of the cursor and the column.
    pub fn cursor(&self) -> (usize, usize) {
        let (row, column) = self.cells.screen().cursor_position();
        (row.into(), column.into())
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while self.is_drawing() || !is_so(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come: {:#?}", self.rows()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the client ended before {what}: {:#?}", self.rows())
                }
            }
        }
    }

    /// Waits until exactly one row contains the text.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) {
        self.expect_times(1, wanted);
    }

    /// Waits until exactly this many rows contain the text.
    #[track_caller]
    pub fn expect_times(&mut self, times: usize, wanted: &str) {
        self.wait_for(&format!("{wanted:?}"), |screen| {
            screen.rows().iter().filter(|row| row.contains(wanted)).count() == times
        });
    }

    /// Waits until the last row, the one for typing, is this.
    #[track_caller]
    pub fn expect_last_row(&mut self, wanted: &str) {
        self.wait_for(&format!("{wanted:?} at the end"), |screen| {
            screen.rows().last().is_some_and(|row| row == wanted)
        });
    }

    /// Waits for the end of the client, and for its last words.
    #[track_caller]
    pub fn expect_exit_code(&mut self, code: i32) {
        let deadline = Instant::now() + DEADLINE;
        // The client may be blocked until somebody reads its output.
        loop {
            match self.output.recv_timeout(POLL_INTERVAL) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    assert!(Instant::now() < deadline, "the client does not end: {:#?}", self.rows());
                }
            }
        }
        match self.process.wait().expect("the client ends") {
            WaitStatus::Exited(_, ended) => assert_eq!(ended, code, "{:#?}", self.rows()),
            other => panic!("{other:?}: {:#?}", self.rows()),
        }
    }

    /// Only a part of what the client has written at once has come yet.
    fn is_drawing(&self) -> bool {
        let last = |mark: &[u8]| self.written.windows(mark.len()).rposition(|bytes| bytes == mark);
        last(b"\x1b[?7l") > last(b"\x1b[?7h")
    }

    fn take(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        self.cells.process(bytes);
    }
}

/// A server that the test plays, and Dinesh on a terminal, connected to it.
pub fn scripted(arguments: &[&str], window: Window<'_>) -> (Peer, Screen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let arguments = [&["--nickname", "Dinesh"], arguments].concat();
    let screen = Screen::of_client(listener.local_addr().unwrap(), &arguments, window);
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    (Peer { stream: BufReader::new(stream) }, screen)
}

/// The same after the handshake, with a server that may answer pings, but gives no sessions.
pub fn scripted_and_joined(answers_pings: bool, window: Window<'_>) -> (Peer, Screen) {
    let (mut server, mut screen) = scripted(&[], window);
    server.send("NICK");
    server.expect_next("Dinesh");
    server.send("Connected to server!\n");
    server.expect_next("Dinesh: /ping chat-client-1");
    if answers_pings {
        server.send("-- pong chat-client-1\n");
        server.expect_next("Dinesh: /session");
        server.send("-- Not sent: no such command; /help lists them.\n");
    }
    screen.wait_for("the room", |screen| {
        screen.rows().concat().replace(' ', "").contains("Connectedtoserver!")
    });
    (server, screen)
}

/// Dinesh on a terminal, who has joined a real server.
pub fn joined(server: &Server, window: Window<'_>) -> Screen {
    let mut screen = Screen::of_client(server.address, &["--nickname", "Dinesh"], window);
    screen.expect("Connected to server!");
    screen
}

fn output_of(mut terminal: File) -> Receiver<Vec<u8>> {
    let (sender, output) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        // It ends with an error when the client has.
        while let Ok(length) = terminal.read(&mut buffer)
            && length > 0
            && sender.send(buffer[..length].to_vec()).is_ok()
        {}
    });
    output
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a window has some")
}
