//! What the server is to show, beside what was measured.

use std::fmt::Write as _;

use crate::page::generator_was_the_limit;
use crate::results::Results;
use crate::servers::Kind;

/// Figures of the server itself, or ratios to another's.
enum Wanted {
    /// Deliveries a second against another server's; where the generator was the limit, the other's
    /// CPU a delivery against ours.
    AtLeast(f64, Kind),
    /// A figure against the floor's.
    AtMostOfFloor(f64, &'static str),
    /// A figure as it is, in a unit.
    AtMost(f64, &'static str, &'static str),
    /// Deliveries against those of the same without what is special in this case.
    AtLeastOf(f64, &'static str),
    /// A figure against that of the same without what is special in this case.
    AtMostOf(f64, &'static str, &'static str),
    /// By how many MiB the server's memory grows more than in the same without what is special.
    GrowsAtMost(f64, &'static str),
}

const MIB: f64 = 1_048_576.0;
const OURS: &str = "chat-server";

/// By the case that shows it.
const TARGETS: [(&str, Wanted); 15] = [
    ("n1000-w64", Wanted::AtLeast(1.1, Kind::Floor)),
    ("n1000-w1024", Wanted::AtLeast(0.95, Kind::Floor)),
    ("n1000-w1", Wanted::AtLeast(0.88, Kind::Floor)),
    ("n5000-w64", Wanted::AtLeast(0.95, Kind::Floor)),
    ("n1000-w64", Wanted::AtLeast(2.4, Kind::Redis)),
    ("n1000-w1024", Wanted::AtLeast(8.0, Kind::Redis)),
    ("n1000-w64", Wanted::AtLeast(7.0, Kind::Nats)),
    ("n1000-rate10000", Wanted::AtMostOfFloor(1.3, "p99_seconds")),
    ("n1000-rate100000", Wanted::AtMostOfFloor(1.3, "p99_seconds")),
    ("n1000-idle", Wanted::AtMost(1_536.0, "bytes_per_connection", "bytes a connection")),
    ("n5000-idle", Wanted::AtMost(1_536.0, "bytes_per_connection", "bytes a connection")),
    ("n5000-idle", Wanted::AtMost(1.0, "join_cpu_seconds", "s of CPU until all had joined")),
    ("n100-w64-stalled", Wanted::AtLeastOf(0.98, "n100-w64")),
    // The retention of the log.
    ("n100-w64-stalled", Wanted::GrowsAtMost(8.0, "n100-w64")),
    ("n94-rate10000-flooded", Wanted::AtMostOf(2.0, "n94-rate10000", "p99_seconds")),
];

/// A table with a row for each target that was measured.
pub fn push_table(page: &mut String, results: &Results) {
    let mut rows = String::new();
    for (case, wanted) in &TARGETS {
        if let Some((what, bound, measured, reached)) = judge(results, case, wanted) {
            let reached = if reached { "yes" } else { "**no**" };
            let _ = writeln!(rows, "| {case} | {what} | {bound} | {measured:.2} | {reached} |");
        }
    }
    if !rows.is_empty() {
        let _ = write!(
            page,
            "\n| case | chat-server's | wanted | measured | reached |\n|---|---|---|---:|---|\n{rows}"
        );
    }
}

/// What it is, what is wanted, what was measured, and whether that is enough.
fn judge(results: &Results, case: &str, wanted: &Wanted) -> Option<(String, String, f64, bool)> {
    let ours = |figure| results.figure(case, OURS, figure);
    let at_least = |what, bound: f64, measured| (what, format!("≥ {bound}"), measured, measured >= bound);
    let at_most = |what, bound: f64, measured| (what, format!("≤ {bound}"), measured, measured <= bound);
    Some(match *wanted {
        Wanted::AtLeast(bound, kind) => {
            let limited = generator_was_the_limit(results, case, OURS);
            let (what, measured) = if limited {
                (
                    "deliveries for the CPU",
                    results.ratio((case, kind.name()), (case, OURS), "cpu_seconds_per_million")?,
                )
            } else {
                ("deliveries", results.ratio((case, OURS), (case, kind.name()), "deliveries_per_second")?)
            };
            at_least(format!("{what} against {}", kind.name()), bound, measured)
        }
        Wanted::AtMostOfFloor(bound, figure) => {
            let measured = results.ratio((case, OURS), (case, Kind::Floor.name()), figure)?;
            at_most("p99 latency against floor".to_owned(), bound, measured)
        }
        Wanted::AtMost(bound, figure, unit) => at_most(unit.to_owned(), bound, ours(figure)?),
        Wanted::AtLeastOf(bound, without) => {
            let measured = results.ratio((case, OURS), (without, OURS), "deliveries_per_second")?;
            at_least(format!("deliveries against {without}"), bound, measured)
        }
        Wanted::AtMostOf(bound, without, figure) => {
            let measured = results.ratio((case, OURS), (without, OURS), figure)?;
            at_most(format!("p99 latency against {without}"), bound, measured)
        }
        Wanted::GrowsAtMost(bound, without) => {
            let grown = |case| {
                let bytes = |figure| results.figure(case, OURS, figure);
                Some(bytes("resident_bytes_at_end")? - bytes("resident_bytes_joined")?)
            };
            let more = (grown(case)? - grown(without)?) / MIB;
            at_most(format!("memory grows more than in {without}, in MiB"), bound, more)
        }
    })
}
