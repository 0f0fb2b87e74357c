//! A connection to a server that a test controls byte by byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::wait::DEADLINE;

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

    /// Joins in the line framing, and waits until the server says so.
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

    /// Waits for exactly this line, and skips what comes before it.
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

    /// The next bytes must be these.
    #[track_caller]
    pub fn expect_bytes(&mut self, wanted: &str) {
        let mut bytes = vec![0; wanted.len()];
        self.stream.read_exact(&mut bytes).expect("the bytes before the deadline");
        assert_eq!(String::from_utf8_lossy(&bytes), wanted);
    }
}
