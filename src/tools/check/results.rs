//! The results of the cases, as the report's own table or as JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::{Case, Kind, Need, Subject, Verdict, tolerance};
use crate::protocol::Framing;

/// The results of a run.
pub struct Results<S> {
    framing: Framing,
    rows: Vec<(Case<S>, Verdict)>,
}

impl<S: Subject> Results<S> {
    /// No results yet.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, rows: Vec::new() }
    }

    /// Adds the result of a case.
    pub fn add(&mut self, case: Case<S>, verdict: Verdict) {
        self.rows.push((case, verdict));
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.rows.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
    }

    /// The report's table, with the observation below each case that did not pass.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut kind = None;
        for (case, verdict) in &self.rows {
            if kind.replace(case.kind) != Some(case.kind) {
                let separator = if text.is_empty() { "" } else { "\n" };
                text.push_str(separator);
                push_row(&mut text, &case.kind.to_string(), "Expected result", "Status");
                text.push_str(&"─".repeat(TITLE_WIDTH + EXPECTED_WIDTH + STATUS_WIDTH));
                text.push('\n');
            }
            push_row(&mut text, case.title, case.expected, status(verdict));
            match verdict {
                Verdict::Passed => {}
                Verdict::Failed(reason) | Verdict::Skipped(reason) => push_note(&mut text, case.name, reason),
            }
        }
        let [passed, failed, skipped] = self.counts();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{passed} passed, {failed} failed, {skipped} skipped");
        let _ = writeln!(text, "{}", tolerance(self.framing));
        text
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let cases: Vec<_> = self
            .rows
            .iter()
            .map(|(case, verdict)| {
                let observed = match verdict {
                    Verdict::Passed => None,
                    Verdict::Failed(reason) | Verdict::Skipped(reason) => Some(reason.as_str()),
                };
                json!({
                    "name": case.name,
                    "kind": case.kind.to_string(),
                    "title": case.title,
                    "expected": case.expected,
                    "status": status(verdict).to_lowercase(),
                    "observed": observed,
                })
            })
            .collect();
        let [passed, failed, skipped] = self.counts();
        let results = json!({
            "framing": match self.framing { Framing::Report => "report", Framing::Lines => "lines" },
            "tolerance": tolerance(self.framing),
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "cases": cases,
        });
        format!("{results:#}\n")
    }

    fn counts(&self) -> [usize; 3] {
        ["Pass", "FAIL", "Skip"]
            .map(|wanted| self.rows.iter().filter(|(_, verdict)| status(verdict) == wanted).count())
    }
}

/// The names of the cases, with their titles and needs.
#[must_use]
pub fn list<S: Subject>(cases: &[Case<S>]) -> String {
    let mut text = String::new();
    for case in cases {
        let kind = match case.kind {
            Kind::Report => "report",
            Kind::Edge => "edge",
            Kind::Robustness => "robustness",
            Kind::Session => "session",
        };
        let needs = match case.needs {
            Need::Nothing => "",
            Need::Control => "  (needs --server)",
            Need::Log => "  (needs --server and --log)",
            Need::CpuTime => "  (needs --server, on Linux)",
            Need::Sessions => "  (needs --framing lines)",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:27}  {kind:10}  {}: {}{needs}", case.name, case.title, case.expected);
    }
    text
}

const TITLE_WIDTH: usize = 34;
const EXPECTED_WIDTH: usize = 36;
const STATUS_WIDTH: usize = 6;

fn status(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Pass",
        // In capitals, to be easy to find among forty cases.
        Verdict::Failed(_) => "FAIL",
        Verdict::Skipped(_) => "Skip",
    }
}

fn push_row(text: &mut String, title: &str, expected: &str, status: &str) {
    let _ = writeln!(text, "{title:TITLE_WIDTH$}{expected:EXPECTED_WIDTH$}{status}");
}

fn push_note(text: &mut String, name: &str, note: &str) {
    let _ = writeln!(text, "    {name}: {note}");
}
