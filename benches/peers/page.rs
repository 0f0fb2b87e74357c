//! The results as Markdown: ratios first, because absolute figures are one machine's.

use std::fmt::Write as _;
use std::path::Path;

use crate::cases::{self, Case, Load};
use crate::results::Results;
use crate::servers::{KINDS, Kind};
use crate::targets;

const BEGIN: &str = "<!-- results -->";
const END: &str = "<!-- end -->";

/// From here on the generator may have been the limit.
const GENERATOR_LIMIT: f64 = 0.95;
const SERVER_LIMIT: f64 = 0.90;

/// Everything between the markers.
pub fn render(results: &Results) -> String {
    let mut page = format!("Measured by `{}` on: {}.\n", results.command, results.machine);
    page.push_str("\n![Deliveries a second beside the floor's](performance.svg)\n");
    targets::push_table(&mut page, results);
    let windows = |case: &Case| matches!(case.load, Load::Window(_));
    table(&mut page, results, windows, &DELIVERIES_RATIO);
    table(&mut page, results, windows, &CPU_RATIO);
    table(&mut page, results, |case| matches!(case.load, Load::Rate(_)), &P99_RATIO);
    stalled(&mut page, results);
    table(&mut page, results, |case| case.load == Load::Idle, &MEMORY);
    table(&mut page, results, |case| case.load == Load::Idle, &JOINING);
    table(&mut page, results, windows, &DELIVERIES);
    table(&mut page, results, windows, &CPU);
    table(&mut page, results, |case| case.load != Load::Idle, &P99);
    failures(&mut page, results);
    page
}

/// Puts the results between the markers of a page.
pub fn replace_results(path: &Path, results: &str) -> Result<(), String> {
    let page =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no {BEGIN} and {END}", path.display()))?;
    std::fs::write(path, format!("{before}{BEGIN}\n\n{results}\n{END}{after}"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A table with a row for each case and a column for each server.
struct Figure {
    title: &'static str,
    name: &'static str,
    /// Whether it is shown as a multiple of the floor's.
    ratio: bool,
    show: fn(f64) -> String,
}

const DELIVERIES_RATIO: Figure = Figure {
    title: "Deliveries a second, as a multiple of the floor's (more is better)",
    name: "deliveries_per_second",
    ratio: true,
    show: times,
};
const CPU_RATIO: Figure = Figure {
    title: "The server's CPU a delivery, as a multiple of the floor's (less is better)",
    name: "cpu_seconds_per_million",
    ratio: true,
    show: times,
};
const P99_RATIO: Figure = Figure {
    title: "p99 latency in the open loop, as a multiple of the floor's (less is better)",
    name: "p99_seconds",
    ratio: true,
    show: times,
};
const MEMORY: Figure = Figure {
    title: "Resident memory a connection, joined and idle, in bytes",
    name: "bytes_per_connection",
    ratio: false,
    show: whole,
};
const JOINING: Figure = Figure {
    title: "CPU of the server until all had joined, in seconds (chat-server, ngircd and inspircd announce every join to all)",
    name: "join_cpu_seconds",
    ratio: false,
    show: seconds,
};
const DELIVERIES: Figure = Figure {
    title: "Deliveries a second, in millions",
    name: "deliveries_per_second",
    ratio: false,
    show: millions,
};
const CPU: Figure = Figure {
    title: "The server's CPU a million deliveries, in seconds",
    name: "cpu_seconds_per_million",
    ratio: false,
    show: fine_seconds,
};
const P99: Figure =
    Figure { title: "p99 latency, in milliseconds", name: "p99_seconds", ratio: false, show: milliseconds };

fn table(page: &mut String, results: &Results, wanted: impl Fn(&Case) -> bool, figure: &Figure) {
    let is_there = |case: &Case, kind: Kind| {
        !(figure.ratio && kind == Kind::Floor) && !cell(results, case, kind, figure).is_empty()
    };
    let measured = |case: &Case| KINDS.iter().any(|&kind| is_there(case, kind));
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| wanted(case) && measured(case)).collect();
    let kinds: Vec<Kind> =
        KINDS.into_iter().filter(|&kind| cases.iter().any(|case| is_there(case, kind))).collect();
    if cases.is_empty() || kinds.is_empty() {
        return;
    }
    let _ = write!(page, "\n### {}\n\n| case |", figure.title);
    for kind in &kinds {
        let _ = write!(page, " {} |", kind.name());
    }
    let _ = writeln!(page, "\n|---|{}", "---:|".repeat(kinds.len()));
    for case in &cases {
        let _ = write!(page, "| {} |", title(case));
        for &kind in &kinds {
            let _ = write!(page, " {} |", cell(results, case, kind, figure));
        }
        page.push('\n');
    }
    if page.contains('†') && figure.name == DELIVERIES.name {
        page.push_str("\n† The generator was the limit, not the server: compare the CPU a delivery.\n");
    }
}

fn cell(results: &Results, case: &Case, kind: Kind, figure: &Figure) -> String {
    let value = if figure.ratio {
        results.ratio((&case.name, kind.name()), (&case.name, Kind::Floor.name()), figure.name)
    } else {
        results.figure(&case.name, kind.name(), figure.name)
    };
    let Some(value) = value else { return String::new() };
    let limited = figure.name == DELIVERIES.name && generator_was_the_limit(results, &case.name, kind.name());
    format!("{}{}", (figure.show)(value), if limited { " †" } else { "" })
}

/// Whether the server could have done more than it was asked.
pub fn generator_was_the_limit(results: &Results, case: &str, server: &str) -> bool {
    let busy = |figure| results.figure(case, server, figure);
    busy("generator_busy").is_some_and(|busy| busy >= GENERATOR_LIMIT)
        && busy("server_busy").is_some_and(|busy| busy < SERVER_LIMIT)
}

/// What one member that never reads costs the others, and the server.
fn stalled(page: &mut String, results: &Results) {
    let (with, without) = ("n100-w64-stalled", "n100-w64");
    let mut rows = String::new();
    for kind in KINDS.iter().map(|kind| kind.name()) {
        if let Some(ratio) = results.ratio((with, kind), (without, kind), "deliveries_per_second") {
            let memory = |figure| results.figure(with, kind, figure);
            let grown = memory("resident_bytes_at_end").zip(memory("resident_bytes_joined"));
            let grown = grown.map(|(after, before)| format!("{:.1} MiB", (after - before) / 1_048_576.0));
            let _ = writeln!(rows, "| {kind} | {} | {} |", times(ratio), grown.unwrap_or_default());
        }
    }
    if !rows.is_empty() {
        let title = "One of 105 members never reads: the others' deliveries, and the server's memory";
        let _ = write!(
            page,
            "\n### {title}\n\n| server | of without it | memory grows by |\n|---|---:|---:|\n{rows}"
        );
    }
}

fn failures(page: &mut String, results: &Results) {
    for (index, (case, server, reason)) in results.failures().enumerate() {
        if index == 0 {
            page.push_str("\n### What could not be measured\n\n");
        }
        let _ = writeln!(page, "- {server}, {case}: {reason}");
    }
}

pub fn title(case: &Case) -> String {
    let receivers = if case.receivers < 1_000 {
        case.receivers.to_string()
    } else {
        format!("{},{:03}", case.receivers / 1_000, case.receivers % 1_000)
    };
    let load = match case.load {
        Load::Window(lines) => format!(", W={lines}"),
        Load::Rate(rate) => format!(", {},000 deliveries/s", rate / 1_000),
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

fn times(ratio: f64) -> String {
    format!("{ratio:.2} ×")
}

fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2}")
}

fn fine_seconds(seconds: f64) -> String {
    format!("{seconds:.4}")
}

fn millions(value: f64) -> String {
    let millions = value / 1e6;
    if millions < 0.1 { format!("{millions:.3}") } else { format!("{millions:.2}") }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}
