//! The results: for each case and server the figures of every round.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::cases::Case;

/// The figures of `chat-load` that are kept, as pointers into its results.
const FIGURES: [(&str, &str); 11] = [
    ("deliveries_per_second", "/measured/deliveries_per_second"),
    ("cpu_seconds_per_million", "/measured/server_cpu_seconds_per_million_deliveries"),
    ("server_busy", "/measured/server_busy"),
    ("generator_busy", "/measured/generator_busy"),
    ("p50_seconds", "/measured/latency_p50_seconds"),
    ("p99_seconds", "/measured/latency_p99_seconds"),
    ("bytes_per_connection", "/memory_bytes_per_connection"),
    ("join_cpu_seconds", "/join_server_cpu_seconds"),
    ("resume_cpu_seconds", "/resume_server_cpu_seconds"),
    ("resident_bytes_joined", "/server_resident_bytes_joined"),
    ("resident_bytes_at_end", "/server_resident_bytes_at_end"),
];

type Figures = BTreeMap<String, Vec<f64>>;

#[derive(Default)]
pub struct Results {
    pub machine: String,
    pub command: String,
    cases: BTreeMap<String, BTreeMap<String, Figures>>,
    failures: BTreeMap<String, BTreeMap<String, String>>,
}

impl Results {
    /// Forgets previous results of the cases that are measured now.
    pub fn begin(&mut self, cases: &[Case], machine: String, command: &str) {
        for case in cases {
            self.cases.remove(&case.name);
            self.failures.remove(&case.name);
        }
        self.machine = machine;
        command.clone_into(&mut self.command);
    }

    /// Adds a round.
    pub fn add(&mut self, case: &str, server: &str, measured: &Value) {
        let figures = self.cases.entry(case.to_owned()).or_default().entry(server.to_owned()).or_default();
        for (name, pointer) in FIGURES {
            if let Some(figure) = measured.pointer(pointer).and_then(Value::as_f64) {
                figures.entry(name.to_owned()).or_default().push(figure);
            }
        }
    }

    /// Records why there is no result.
    pub fn fail(&mut self, case: &str, server: &str, reason: &str) {
        eprintln!("{case}: {server}: {reason}");
        self.failures.entry(case.to_owned()).or_default().insert(server.to_owned(), reason.to_owned());
    }

    /// Whether anything was measured of this server in this case.
    pub fn has(&self, case: &str, server: &str) -> bool {
        self.cases.get(case).is_some_and(|servers| servers.contains_key(server))
    }

    /// The median of the rounds.
    pub fn figure(&self, case: &str, server: &str, figure: &str) -> Option<f64> {
        median(self.rounds(case, server, figure)?.to_vec())
    }

    /// The median of the rounds' ratios to another server.
    pub fn ratio(&self, of: (&str, &str), to: (&str, &str), figure: &str) -> Option<f64> {
        let (of, to) = (self.rounds(of.0, of.1, figure)?, self.rounds(to.0, to.1, figure)?);
        median(of.iter().zip(to).map(|(of, to)| of / to).collect())
    }

    /// The failures: case, server, reason.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.failures.iter().flat_map(|(case, servers)| {
            servers.iter().map(|(server, reason)| (case.as_str(), server.as_str(), reason.as_str()))
        })
    }

    pub fn load(path: &Path) -> Result<Self, String> {
        let unreadable = |reason: String| format!("cannot read {}: {reason}", path.display());
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            machine: text("machine"),
            command: text("command"),
            cases: entries(&value["cases"], |servers| entries(servers, |figures| entries(figures, numbers))),
            failures: entries(&value["failures"], |servers| {
                entries(servers, |reason| reason.as_str().unwrap_or_default().to_owned())
            }),
        })
    }

    pub fn save(&self, path: &Path) -> Result<(), String> {
        let value = json!({
            "machine": self.machine, "command": self.command, "cases": self.cases, "failures": self.failures,
        });
        std::fs::write(path, format!("{value:#}\n"))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    fn rounds(&self, case: &str, server: &str, figure: &str) -> Option<&[f64]> {
        self.cases.get(case)?.get(server)?.get(figure).map(Vec::as_slice)
    }
}

fn entries<T>(value: &Value, read: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), read(value))).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len().checked_sub(1)? / 2;
    Some(f64::midpoint(figures[middle], figures[figures.len() / 2]))
}
