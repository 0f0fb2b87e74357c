//! `server.log`: what happened, in the report's format, one event a line.
//!
//! ```text
//! 2026-02-23 02:58:31,231 - INFO - Dinesh connected from ('127.0.0.1', 54380)
//! ```
//!
//! A `tracing_subscriber` layer formats the ordinary `tracing` events of the library, from `INFO` up. It can
//! also write the same events with their fields as JSON lines. The clock is an argument, so that a simulation
//! controls the timestamps. `docs/protocol.md`, "server.log", has every event and its meaning.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::protocol::Sanitized;

/// The format of the lines of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-02-23 02:58:31,231 - INFO - text`, as Python's `logging` was set up in the report.
    #[default]
    Report,
    /// One JSON object a line, with the fields of the event.
    Json,
}

/// Returns the time and the time zone, like [`Zoned::now`].
pub trait Clock: Fn() -> Zoned + Send + Sync + 'static {}

impl<F: Fn() -> Zoned + Send + Sync + 'static> Clock for F {}

/// The layer that writes the journal to `target`.
pub fn layer<S, W>(format: LogFormat, clock: impl Clock, target: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(target);
    // Events of other libraries do not belong in the log of the chat.
    let events = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
    match format {
        LogFormat::Report => {
            layer.event_format(ReportFormat { clock: ReportTime(clock) }).with_filter(events).boxed()
        }
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .with_timer(JsonTime(clock))
            .with_filter(events)
            .boxed(),
    }
}

/// Formats the events that `happening` emits, bypassing the global subscriber.
pub fn lines_of(format: LogFormat, clock: impl Clock, happening: impl FnOnce()) -> Vec<u8> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let target = Arc::clone(&lines);
    let layer = layer(format, clock, move || Lines(Arc::clone(&target)));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), happening);
    std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Collects lines in memory.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `time - LEVEL - message`.
struct ReportFormat<C> {
    clock: ReportTime<C>,
}

impl<S, N, C> FormatEvent<S, N> for ReportFormat<C>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    C: Clock,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.clock.format_time(&mut writer)?;
        write!(writer, " - {} - ", python_level(*event.metadata().level()))?;
        let mut message = Message { writer: OneLine(&mut writer), result: Ok(()) };
        event.record(&mut message);
        message.result?;
        writeln!(writer)
    }
}

/// The names that Python's `logging` gives to the levels.
fn python_level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::WARN => "WARNING",
        tracing::Level::ERROR => "ERROR",
        tracing::Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// Takes the message of an event and ignores its other fields.
struct Message<'a, 'writer> {
    writer: OneLine<'a, 'writer>,
    result: fmt::Result,
}

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.result = write!(self.writer, "{value:?}");
        }
    }
}

/// Keeps an event on one line, so that clients cannot forge lines even if a check elsewhere fails.
struct OneLine<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write!(self.0, "{}", Sanitized(text))
    }
}

/// `2026-02-23 02:58:31,231`, in the zone of the clock.
struct ReportTime<C>(C);

impl<C: Clock> FormatTime for ReportTime<C> {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", (self.0)().strftime("%Y-%m-%d %H:%M:%S,%3f"))
    }
}

/// `2026-02-23T02:58:31.231+05:30` (RFC 3339).
struct JsonTime<C>(C);

impl<C: Clock> FormatTime for JsonTime<C> {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", (self.0)().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug, error, info, warn};

    use super::*;

    /// Formats the events of `happening`, at a fixed time in India.
    fn journal(format: LogFormat, happening: impl FnOnce()) -> String {
        let now: Zoned = "2026-02-23T02:58:31.231999+05:30[+05:30]".parse().unwrap();
        String::from_utf8(lines_of(format, move || now.clone(), happening)).unwrap()
    }

    #[test]
    fn a_line_looks_as_the_report_shows_it() {
        let written = journal(LogFormat::Report, || {
            info!(event = "join", nickname = "Dinesh", "Dinesh connected from ('127.0.0.1', 54380)");
            warn!("Refused");
            error!("Failed");
            debug!("not for the log");
            info!(target: "another_crate", "not for the log");
        });
        assert_eq!(
            written,
            "2026-02-23 02:58:31,231 - INFO - Dinesh connected from ('127.0.0.1', 54380)\n\
             2026-02-23 02:58:31,231 - WARNING - Refused\n\
             2026-02-23 02:58:31,231 - ERROR - Failed\n"
        );
    }

    #[test]
    fn the_same_event_as_json_has_its_fields() {
        let written = journal(LogFormat::Json, || {
            info!(event = "join", nickname = "Dinesh", "Dinesh connected");
        });
        assert_eq!(
            written,
            "{\"timestamp\":\"2026-02-23T02:58:31.231+05:30\",\"level\":\"INFO\",\
             \"message\":\"Dinesh connected\",\"event\":\"join\",\"nickname\":\"Dinesh\"}\n"
        );
    }

    #[test]
    fn nothing_can_forge_a_line() {
        let evil = "x\n2026-02-23 02:58:31,231 - INFO - Server stopped\u{1b}[2J\u{2028}";
        let written = journal(LogFormat::Report, || info!("Message: Alex: {evil}"));
        assert_eq!(written.lines().count(), 1, "{written}");
        assert!(!written.contains('\u{1b}'));
        let written = journal(LogFormat::Json, || info!(text = evil, "Message"));
        assert_eq!(written.lines().count(), 1, "{written}");
    }
}
