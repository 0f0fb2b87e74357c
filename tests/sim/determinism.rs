//! Determinism is checked, not hoped for: the same seeds give the same trace in two processes, byte for
//! byte. A trace has every event at `TRACE`, and every byte that was sent or delivered.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::sweep::{plan_of, run};

/// How many seeds are compared.
const SEEDS: u64 = 100;

/// Follows the traces. The output of the test harness after it contains real time.
const END: &str = "end of the traces\n";

/// Set in the processes whose traces are compared.
const PRINT: &str = "SIM_PRINT_TRACES";

#[test]
fn two_processes_with_the_same_seeds_do_exactly_the_same() {
    if std::env::var_os(PRINT).is_some() {
        return print_traces();
    }
    let mut processes = [start(), start()];
    let [mut first, mut second] =
        processes.each_mut().map(|process| BufReader::new(process.stdout.take().expect("stdout is piped")));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut context = String::new();
    for line in 1_u64.. {
        one.clear();
        other.clear();
        first.read_until(b'\n', &mut one).expect("a readable trace");
        second.read_until(b'\n', &mut other).expect("a readable trace");
        if one.starts_with(b"seed ") {
            context = String::from_utf8_lossy(&one).trim_end().to_owned();
        }
        assert!(
            one == other,
            "{context}: the first line that differs is line {line}:\n  {}  {}",
            String::from_utf8_lossy(&one),
            String::from_utf8_lossy(&other)
        );
        assert!(!one.is_empty(), "the traces end before the {SEEDS} seeds do");
        if one == END.as_bytes() {
            assert!(line > SEEDS * 100, "{line} lines are no traces of {SEEDS} seeds");
            break;
        }
    }
    for process in &mut processes {
        assert!(process.wait().expect("the process is ours").success());
    }
}

/// This very test in a process of its own, told to print.
fn start() -> Child {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .args([
            "--exact",
            "determinism::two_processes_with_the_same_seeds_do_exactly_the_same",
            "--nocapture",
            "--quiet",
        ])
        .env(PRINT, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test starts again")
}

fn print_traces() {
    let mut out = std::io::stdout().lock();
    for seed in 0..SEEDS {
        let trace = match run(&plan_of(seed), true) {
            Ok(outcome) => outcome.events,
            // The sweep reports broken promises; here they only have to be the same.
            Err(broken) => broken,
        };
        write!(out, "seed {seed}\n{trace}\n").expect("the comparing process reads");
    }
    out.write_all(END.as_bytes()).expect("the comparing process reads");
}
