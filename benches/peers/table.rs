//! The results as one table in Markdown: a row for each case and server. Figures are followed by their ratio
//! to the floor's in brackets, because absolute figures depend on the machine.

use std::fmt::Write as _;
use std::path::Path;

use crate::cases::{self, Case, Load};
use crate::kind::{KINDS, Kind};
use crate::results::Results;

const BEGIN: &str = "<!-- results -->";
const END: &str = "<!-- end -->";

/// From this share of a core on, the generator may have been the limit.
const GENERATOR_LIMIT: f64 = 0.95;
const SERVER_LIMIT: f64 = 0.90;

struct Column {
    title: &'static str,
    figure: &'static str,
    /// Whether it is about idle crowds instead of talking ones.
    idle: bool,
    /// The unit of the column, in units of the figure.
    unit: f64,
    digits: usize,
}

const COLUMNS: [Column; 6] = [
    Column {
        title: "deliveries/s, millions",
        figure: "deliveries_per_second",
        idle: false,
        unit: 1e6,
        digits: 3,
    },
    // A second for a million is a microsecond for each.
    Column {
        title: "CPU a delivery, µs",
        figure: "cpu_seconds_per_million",
        idle: false,
        unit: 1.0,
        digits: 4,
    },
    Column { title: "p99 latency, ms", figure: "p99_seconds", idle: false, unit: 1e-3, digits: 2 },
    Column {
        title: "memory a member, bytes",
        figure: "bytes_per_connection",
        idle: true,
        unit: 1.0,
        digits: 0,
    },
    Column { title: "CPU for joining, s", figure: "join_cpu_seconds", idle: true, unit: 1.0, digits: 2 },
    Column { title: "CPU for resuming, s", figure: "resume_cpu_seconds", idle: true, unit: 1.0, digits: 2 },
];

/// Renders the results, the machine, and what could not be measured.
pub fn render(results: &Results) -> String {
    let mut text = format!("Measured by `{}` on: {}.\n\n| case | server |", results.command, results.machine);
    for column in &COLUMNS {
        let _ = write!(text, " {} |", column.title);
    }
    let _ = writeln!(text, "\n|---|---|{}", "---:|".repeat(COLUMNS.len()));
    for case in cases::all() {
        for kind in KINDS.into_iter().filter(|kind| results.has(&case.name, kind.name())) {
            let _ = write!(text, "| {} | {} |", title(&case), kind.name());
            for column in &COLUMNS {
                let _ = write!(text, " {} |", cell(results, &case, kind, column));
            }
            text.push('\n');
        }
    }
    if text.contains('†') {
        text.push_str("\n† The generator was the limit, not the server: compare the CPU a delivery.\n");
    }
    for (case, server, reason) in results.failures() {
        let _ = writeln!(text, "\nNot measured: {server}, {case}: {reason}");
    }
    text
}

/// Replaces the results between the markers of a page.
pub fn write(path: &Path, results: &Results) -> Result<(), String> {
    let page =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no {BEGIN} and {END}", path.display()))?;
    std::fs::write(path, format!("{before}{BEGIN}\n\n{}\n{END}{after}", render(results)))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn cell(results: &Results, case: &Case, kind: Kind, column: &Column) -> String {
    if column.idle != (case.load == Load::Idle) {
        return String::new();
    }
    let Some(value) = results.figure(&case.name, kind.name(), column.figure) else { return String::new() };
    let mut cell = format!("{:.*}", column.digits, value / column.unit);
    let floor = (case.name.as_str(), Kind::Floor.name());
    let ratio = results.ratio((&case.name, kind.name()), floor, column.figure);
    if let Some(ratio) = ratio.filter(|_| kind != Kind::Floor && !column.idle) {
        let _ = write!(cell, " ({ratio:.2})");
    }
    if column.figure == "deliveries_per_second" && generator_was_the_limit(results, case, kind) {
        cell.push_str(" †");
    }
    cell
}

/// Whether the server could have delivered more.
fn generator_was_the_limit(results: &Results, case: &Case, kind: Kind) -> bool {
    let busy = |figure| results.figure(&case.name, kind.name(), figure);
    matches!(case.load, Load::Window(_))
        && busy("generator_busy").is_some_and(|busy| busy >= GENERATOR_LIMIT)
        && busy("server_busy").is_some_and(|busy| busy < SERVER_LIMIT)
}

fn title(case: &Case) -> String {
    let receivers = if case.receivers < 1_000 {
        case.receivers.to_string()
    } else {
        format!("{},{:03}", case.receivers / 1_000, case.receivers % 1_000)
    };
    let load = match case.load {
        Load::Window(1) if case.senders == 1 => ", one line at a time".to_owned(),
        Load::Window(lines) => format!(", W={lines}"),
        Load::Rate(rate) => format!(", {},000 deliveries/s", rate / 1_000),
        Load::Idle if case.sessions => ", idle, with sessions".to_owned(),
        Load::Idle => ", idle".to_owned(),
    };
    let bytes = if case.line_bytes == 64 { String::new() } else { format!(", {} bytes", case.line_bytes) };
    let stalled = match (case.stalled > 0, case.flooded) {
        (false, _) => "",
        (true, false) => ", one stalled",
        (true, true) => ", one stalled, one floods",
    };
    format!("N={receivers}{load}{bytes}{stalled}")
}
