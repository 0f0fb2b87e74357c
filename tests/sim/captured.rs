//! What the events of a world are written to.

use std::io;
use std::sync::{Arc, Mutex};

/// Captured output, shared between the simulation and the test.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub fn writer(&self) -> impl Fn() -> Self + Send + Sync + 'static {
        let captured = self.clone();
        move || captured.clone()
    }

    /// What was written after the first `offset` bytes.
    pub fn text_from(&self, offset: usize) -> String {
        String::from_utf8(self.0.lock().unwrap()[offset..].to_vec()).expect("events are UTF-8")
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time of the world, for events.
pub struct VirtualTime;

impl tracing_subscriber::fmt::time::FormatTime for VirtualTime {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:?}", turmoil::sim_elapsed().unwrap_or_default())
    }
}
