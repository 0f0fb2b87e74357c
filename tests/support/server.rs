//! A real `chat-server` for a test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process::{Running, command};

/// A server on a port of this machine, with its log in a directory of its own.
pub struct Server {
    pub running: Running,
    pub address: SocketAddr,
    pub directory: TempDir,
}

impl Server {
    /// Starts `program` on a free port.
    pub fn start_program(program: &Path, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(directory, program, "127.0.0.1:0", arguments)
    }

    /// Starts `program` on `listen`, with its log in `directory`.
    pub fn start_in(directory: TempDir, program: &Path, listen: &str, arguments: &[&str]) -> Self {
        let mut command = command(program);
        command.args(["--listen", listen, "--log"]).arg(directory.path().join("server.log")).args(arguments);
        let mut running = Running::start(&mut command);
        let line = running.stdout.expect("Server running on ");
        let address = line.trim_start_matches("Server running on ").parse().expect("an address");
        Self { running, address, directory }
    }

    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// The content of `server.log` so far. It is written concurrently with the chat: only after an orderly
    /// end of the server is it complete.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).expect("the log is there")
    }
}
