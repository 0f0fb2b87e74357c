//! A way to a server that a test can cut and mend.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to a server while it is whole.
pub struct Forwarder {
    pub address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

#[derive(Default)]
struct Way {
    is_cut: bool,
    /// Both ends of every connection since the last cut.
    ends: Vec<TcpStream>,
}

impl Forwarder {
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let way = Arc::new(Mutex::new(Way::default()));
        let accepting = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut way = accepting.lock().expect("no thread panics with it");
                if !way.is_cut
                    && let Ok(server) = TcpStream::connect(server)
                {
                    for (from, to) in [(&client, &server), (&server, &client)] {
                        forward(from, to);
                        way.ends.extend(from.try_clone());
                    }
                }
            }
        });
        Self { address, way }
    }

    /// Ends all connections; new ones are closed before anything is said.
    pub fn cut(&self) {
        let mut way = self.way.lock().expect("no thread panics with it");
        way.is_cut = true;
        for end in way.ends.drain(..) {
            // It may have been closed before.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.way.lock().expect("no thread panics with it").is_cut = false;
    }
}

/// Forwards one direction, until its end.
fn forward(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(length) = from.read(&mut buffer)
            && length > 0
            && to.write_all(&buffer[..length]).is_ok()
        {}
        let _ = to.shutdown(Shutdown::Write);
    });
}
