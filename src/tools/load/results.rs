//! The results of a run, as a table for people or as JSON for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::{Pace, Plan, Protocol};

/// From this share of a core on, the generator may have limited a closed loop.
const OWN_LIMIT: f64 = 0.95;

/// Below this share of a core, the server did not limit it.
const SERVER_LIMIT: f64 = 0.90;

/// The results of a run. They exist only if no line was lost, repeated or out of order.
#[derive(Clone, Debug)]
pub struct Results {
    pub(super) plan: Plan,
    pub(super) joining: Joining,
    pub(super) talking: Option<Talking>,
    pub(super) resuming: Option<Resuming>,
    pub(super) resident_bytes_at_end: Option<u64>,
}

/// From when the first member had joined until every member had joined and heard of all others.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    /// Until the last one had joined.
    pub(super) elapsed: Duration,
    pub(super) announcements: u64,
    pub(super) server_cpu: Option<Duration>,
    pub(super) resident_bytes_before: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
}

/// The measurement itself.
#[derive(Clone, Debug)]
pub(super) struct Talking {
    pub(super) elapsed: Duration,
    pub(super) lines: u64,
    pub(super) deliveries: u64,
    pub(super) latency: Histogram<u64>,
    pub(super) server_cpu: Option<Duration>,
    pub(super) own_cpu: Option<Duration>,
    /// Including those of the warm-up and those that arrived after the measurement.
    pub(super) checked_deliveries: u64,
    pub(super) one_order: bool,
}

/// From when all connections were closed until all sessions went on in others.
#[derive(Clone, Debug)]
pub(super) struct Resuming {
    pub(super) elapsed: Duration,
    pub(super) server_cpu: Option<Duration>,
}

impl Results {
    /// One line for each figure.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table(String::new());
        let _ = writeln!(table.0, "{}\n", self.title());
        self.push_joining(&mut table);
        if let Some(talking) = &self.talking {
            talking.push_rows(&mut table);
        }
        if let Some(Resuming { elapsed, server_cpu }) = &self.resuming {
            let (connections, seconds) = (self.plan.connections(), elapsed.as_secs_f64());
            table.row("Resumed", &format!("{connections} in {seconds:.3} s"));
            table.optional("Server CPU for resuming", server_cpu.map(seconds_of).as_deref());
        }
        if let Some(bytes) = self.resident_bytes_at_end {
            table.row("Server memory at the end", &format!("{} KiB resident", grouped(bytes / 1_024)));
        }
        if let Some(limit) = self.talking.as_ref().and_then(|talking| self.limit(talking)) {
            let _ = writeln!(table.0, "\n{limit}");
        }
        table.0
    }

    /// The same as one JSON object. Figures that could not be measured are null.
    #[must_use]
    pub fn json(&self) -> String {
        let results = json!({
            "address": self.plan.address.to_string(),
            "protocol": name(self.plan.protocol),
            "receivers": self.plan.receivers,
            "senders": self.plan.senders,
            "stalled": self.plan.stalled,
            "line_bytes": self.plan.line_bytes,
            "window_lines": match self.plan.pace { Pace::Window(lines) => Some(lines), _ => None },
            "rate_deliveries_per_second": match self.plan.pace { Pace::Rate(rate) => Some(rate), _ => None },
            "join_seconds": self.joining.elapsed.as_secs_f64(),
            "connections_per_second": self.connections_per_second(),
            "join_announcements": self.joining.announcements,
            "join_server_cpu_seconds": self.joining.server_cpu.map(|cpu| cpu.as_secs_f64()),
            "memory_bytes_per_connection": self.memory_per_connection(),
            "server_resident_bytes_before": self.joining.resident_bytes_before,
            "server_resident_bytes_joined": self.joining.resident_bytes,
            "server_resident_bytes_at_end": self.resident_bytes_at_end,
            "sessions": self.plan.sessions,
            "resume_seconds": self.resuming.as_ref().map(|resuming| resuming.elapsed.as_secs_f64()),
            "resume_server_cpu_seconds":
                self.resuming.as_ref().and_then(|resuming| Some(resuming.server_cpu?.as_secs_f64())),
            "measured": self.talking.as_ref().map(|talking| self.measured(talking)),
        });
        format!("{results:#}\n")
    }

    fn title(&self) -> String {
        let Plan { address, protocol, receivers, senders, stalled, line_bytes, pace, sessions, .. } =
            &self.plan;
        let mut title = format!("{address} ({}): {receivers} receivers", name(*protocol));
        if *stalled > 0 {
            let _ = write!(title, ", {stalled} that never read");
        }
        let _ = match pace {
            Pace::Idle if *sessions => write!(title, ", idle, with sessions"),
            Pace::Idle => write!(title, ", idle"),
            Pace::Window(lines) => {
                write!(title, ", {senders} senders, lines of {line_bytes} bytes, {lines} in flight each")
            }
            Pace::Rate(rate) => {
                let rate = grouped(u64::from(*rate));
                write!(title, ", {senders} senders, lines of {line_bytes} bytes, {rate} deliveries/s")
            }
        };
        title
    }

    fn push_joining(&self, table: &mut Table) {
        let (connections, seconds) = (self.plan.connections(), self.joining.elapsed.as_secs_f64());
        let rate = self.connections_per_second();
        table.row("Joined", &format!("{connections} in {seconds:.3} s, {rate:.0} connections/s"));
        table.row("Joins announced", &grouped(self.joining.announcements));
        table.optional("Server CPU for joining", self.joining.server_cpu.map(seconds_of).as_deref());
        let memory = self.memory_per_connection().map(|bytes| format!("{bytes:.0} bytes a connection"));
        table.optional("Server memory, joined", memory.as_deref());
    }

    fn measured(&self, talking: &Talking) -> serde_json::Value {
        let mut measured = json!({
            "seconds": talking.elapsed.as_secs_f64(),
            "lines": talking.lines,
            "deliveries": talking.deliveries,
            "deliveries_per_second": per_second(talking.deliveries, talking.elapsed),
            "latency_samples": talking.latency.len(),
            "server_cpu_seconds_per_million_deliveries": talking.server_cpu_per_million(),
            "server_busy": talking.server_cpu.map(|cpu| share(cpu, talking.elapsed)),
            "generator_busy": talking.own_cpu.map(|cpu| share(cpu, talking.elapsed)),
            "generator_was_the_limit": self.limit(talking).is_some(),
            "checked_deliveries": talking.checked_deliveries,
            "one_order": talking.one_order,
        });
        for (name, seconds) in latencies(&talking.latency) {
            measured[format!("latency_{name}_seconds")] = json!(seconds);
        }
        measured
    }

    fn connections_per_second(&self) -> f64 {
        per_second(self.plan.connections() as u64 - 1, self.joining.elapsed)
    }

    fn memory_per_connection(&self) -> Option<f64> {
        let grown = self.joining.resident_bytes?.saturating_sub(self.joining.resident_bytes_before?);
        Some(float(grown) / float(self.plan.connections() as u64 - 1)).filter(|bytes| bytes.is_finite())
    }

    /// A sentence if this program limited a closed loop. In an open loop it is always busy.
    fn limit(&self, talking: &Talking) -> Option<String> {
        let own = share(talking.own_cpu?, talking.elapsed);
        let server = talking.server_cpu.map(|cpu| share(cpu, talking.elapsed));
        let limited = own >= OWN_LIMIT && server.is_none_or(|server| server < SERVER_LIMIT);
        (limited && matches!(self.plan.pace, Pace::Window(_))).then(|| {
            let server = server.map_or_else(|| "not known".to_owned(), percent);
            format!(
                "The generator was the limit (busy {}, the server {server}): \
                 compare the server's CPU a million deliveries, not the deliveries a second.",
                percent(own)
            )
        })
    }
}

impl Talking {
    fn push_rows(&self, table: &mut Table) {
        let rate = per_second(self.deliveries, self.elapsed);
        let (deliveries, lines) = (grouped(self.deliveries), grouped(self.lines));
        table.row("Deliveries", &format!("{} /s ({deliveries} of {lines} lines)", grouped_rate(rate)));
        let [p50, p99, p999, max] = latencies(&self.latency).map(|(_, seconds)| microseconds(seconds));
        table.row("Latency", &format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}"));
        let cpu = self.server_cpu_per_million();
        table.optional("Server CPU", cpu.map(|cpu| format!("{cpu:.4} s a million deliveries")).as_deref());
        let busy = |cpu: Option<Duration>| cpu.map(|cpu| percent(share(cpu, self.elapsed)));
        table.optional("Server busy", busy(self.server_cpu).as_deref());
        table.optional("Generator busy", busy(self.own_cpu).as_deref());
        let order = if self.one_order { "one order for everyone" } else { "not in one order for everyone" };
        let checked = grouped(self.checked_deliveries);
        table.row("Checked", &format!("{checked}: none lost, none twice, {order}"));
    }

    fn server_cpu_per_million(&self) -> Option<f64> {
        let millions = float(self.deliveries) / 1e6;
        (millions > 0.0).then_some(self.server_cpu?.as_secs_f64() / millions)
    }
}

struct Table(String);

impl Table {
    fn row(&mut self, title: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{title:26}{value}");
    }

    fn optional(&mut self, title: &str, value: Option<&str>) {
        self.row(title, value.unwrap_or("not known (give --pid, on Linux)"));
    }
}

fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Report => "report",
        Protocol::Irc => "irc",
        Protocol::Redis => "redis",
        Protocol::Nats => "nats",
    }
}

/// Named, in seconds.
fn latencies(latency: &Histogram<u64>) -> [(&'static str, f64); 4] {
    let quantile = |quantile| float(latency.value_at_quantile(quantile)) / 1e9;
    [
        ("p50", quantile(0.5)),
        ("p99", quantile(0.99)),
        ("p99_9", quantile(0.999)),
        ("max", float(latency.max()) / 1e9),
    ]
}

fn microseconds(seconds: f64) -> String {
    let microseconds = seconds * 1e6;
    if microseconds < 10_000.0 {
        format!("{microseconds:.0} µs")
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

fn seconds_of(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn share(cpu: Duration, elapsed: Duration) -> f64 {
    cpu.as_secs_f64() / elapsed.as_secs_f64()
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    float(count) / elapsed.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people, of which three digits matter")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is a small positive number"
)]
fn grouped_rate(rate: f64) -> String {
    grouped(rate.round() as u64)
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
