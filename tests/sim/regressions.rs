//! Plans that have failed once, shrunk, in `tests/sim/regressions/`.
//!
//! The plans are kept instead of their seeds, which yield other plans as soon as there is another kind of
//! fault. A file that is not named after a seed is named after the mistake.

use std::fs;
use std::path::{Path, PathBuf};

use super::plan::Plan;
use super::sweep::run;

/// Keeps a plan that failed. Returns its path, or why it could not be written.
pub fn keep(name: &str, plan: &Plan) -> String {
    let path = directory().join(format!("{name}.json"));
    let json = serde_json::to_string_pretty(plan).expect("a plan is plain data");
    match fs::create_dir_all(directory()).and_then(|()| fs::write(&path, json + "\n")) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("nothing, since {} cannot be written: {error}", path.display()),
    }
}

/// Runs all of them, or the one at the path `SIM_PLAN`, and then prints everything that happens.
#[test]
fn every_plan_that_failed_once_keeps_every_promise() {
    if let Some(path) = std::env::var_os("SIM_PLAN") {
        return println!("{}", run_kept(Path::new(&path), true));
    }
    let mut kept: Vec<PathBuf> = fs::read_dir(directory())
        .expect("the directory of the kept plans")
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    kept.sort();
    assert!(!kept.is_empty());
    for path in kept {
        run_kept(&path, false);
    }
}

/// Runs a plan, and returns what has happened inside.
fn run_kept(path: &Path, traced: bool) -> String {
    let json = fs::read_to_string(path).expect("a readable plan");
    let plan =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{} is no plan: {error}", path.display()));
    let outcome = run(&plan, traced).unwrap_or_else(|broken| panic!("{}: {broken}", path.display()));
    outcome.events
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/regressions")
}
