//! The network traffic of a run, recorded for its picture.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use super::timeline::Message;

thread_local! {
    /// The recording of the world that is taking a step on this thread. Streams are created deep inside the
    /// server and the client, where it cannot be passed to them.
    static CURRENT: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Every write, with the time at which its last byte was delivered.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    writes: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    from: SocketAddr,
    to: SocketAddr,
    sent: Duration,
    delivered: Option<Duration>,
    bytes: Vec<u8>,
    /// How many of the bytes have not been delivered yet.
    missing: usize,
}

impl Recording {
    /// Records the writes and deliveries of `step`, if there is a recording.
    pub fn during<T>(recording: &mut Option<Self>, step: impl FnOnce() -> T) -> T {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, recording));
        let done = step();
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, recording));
        done
    }

    /// The messages for a picture; `host` looks up the host of an address.
    pub fn messages(&self, host: impl Fn(SocketAddr) -> Option<String>) -> Vec<Message> {
        let message = |write: &Write| {
            Some(Message {
                from: host(write.from)?,
                to: host(write.to)?,
                sent: write.sent,
                delivered: write.delivered,
                label: String::from_utf8_lossy(&write.bytes).trim_end().replace('\n', " ⏎ "),
            })
        };
        self.writes.iter().filter_map(message).collect()
    }
}

/// Records a write.
pub fn sent(from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    CURRENT.with_borrow_mut(|current| {
        let Some(recording) = current else { return };
        let (bytes, missing) = (bytes.to_vec(), bytes.len());
        recording.writes.push(Write { from, to, sent: now(), delivered: None, bytes, missing });
    });
}

/// Records a delivery. TCP delivers in order.
pub fn delivered(from: SocketAddr, to: SocketAddr, mut count: usize) {
    CURRENT.with_borrow_mut(|current| {
        let Some(recording) = current else { return };
        let under_way = recording.writes.iter_mut().filter(|write| write.missing > 0);
        for write in under_way.filter(|write| (write.from, write.to) == (from, to)) {
            let taken = count.min(write.missing);
            write.missing -= taken;
            count -= taken;
            if write.missing == 0 {
                write.delivered = Some(now());
            }
            if count == 0 {
                return;
            }
        }
    });
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
