//! A member that floods the server with commands that produce nothing for others.

use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

/// Sends `/who` without a pause, as fast as the server reads; ends when this is dropped.
///
/// The server slows it down, so it uses hardly any processor time.
pub struct Flood(TcpStream);

impl Flood {
    pub fn begin(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        let (mut speaking, mut hearing) = (stream.try_clone()?, stream.try_clone()?);
        speaking.write_all(b"flooder\n")?;
        // Both end with the connection.
        thread::spawn(move || while speaking.write_all(&b"/who\n".repeat(1_000)).is_ok() {});
        thread::spawn(move || io::copy(&mut hearing, &mut io::sink()));
        Ok(Self(stream))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // The server may have ended it already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
