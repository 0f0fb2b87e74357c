//! `just bench`: our server, the peers installed on this machine, and the floor, measured by `chat-load`.
//!
//! Rounds are interleaved: every server is measured once before any is measured again, so that other
//! load on the machine affects all of them. A ratio is the median of the rounds' ratios.

mod cases;
mod flood;
#[cfg(target_os = "linux")]
#[path = "../floor.rs"]
mod floor;
#[cfg(not(target_os = "linux"))]
mod floor {
    pub fn serve(_: std::net::SocketAddr) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
mod kind;
mod machine;
mod results;
mod servers;
mod store;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cases::Case;
use clap::Parser;
use flood::Flood;
use kind::{KINDS, Kind};
use machine::{pinned, pins};
use results::Results;
use servers::{GENERATOR_CORE, Running, ours};

const PAGE: &str = "docs/performance.md";
const DATA: &str = "docs/performance.json";

/// How long a run takes in addition to the measurement, for starting, joining, waiting and ending; and for each
/// receiver.
const OVERHEAD_SECONDS: f64 = 0.8;
const RECEIVER_SECONDS: f64 = 0.0008;

/// Measure our server, its peers that are on PATH, and the floor.
#[derive(Parser)]
#[command(args_override_self = true)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of a command line")]
struct Arguments {
    /// One short round
    #[arg(long)]
    quick: bool,

    /// Only cases whose names contain this; can be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<String>,

    /// Only servers whose names contain this, besides the floor and ours; can be given several times
    #[arg(long, value_name = "PART")]
    peer: Vec<String>,

    /// How many times each case is measured
    #[arg(long, value_name = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,

    /// How long each case is measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,

    /// How long each case runs before that
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    warm_up: f64,

    /// Measure what it takes to store lines, and nothing else
    #[arg(long)]
    store: bool,

    /// Have the generator read level-triggered
    #[arg(long)]
    level_triggered: bool,

    /// Write the results to docs/performance.md and docs/performance.json; other cases stay
    #[arg(long)]
    write: bool,

    /// Measure nothing; write docs/performance.md anew from docs/performance.json
    #[arg(long)]
    render: bool,

    /// List the cases and do nothing else
    #[arg(long)]
    list: bool,

    /// Be the floor
    #[arg(long, hide = true)]
    floor: Option<SocketAddr>,

    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), String> {
    if let Some(address) = arguments.floor {
        return floor::serve(address).map_err(|error| format!("the floor: {error}"));
    }
    if arguments.quick {
        (arguments.rounds, arguments.seconds, arguments.warm_up) = (1, 0.5, 0.1);
    }
    if arguments.store {
        let report = store::measure(arguments.rounds, arguments.seconds)?;
        println!("Measured by `{}` on: {}.\n\n{report}", command(), machine::describe());
        return Ok(());
    }
    let cases: Vec<Case> =
        cases::all().into_iter().filter(|case| matches(&case.name, &arguments.only)).collect();
    if arguments.list {
        for case in cases {
            println!("{}", case.name);
        }
        return Ok(());
    }
    let path = in_repository(DATA);
    if arguments.render {
        return table::write(&in_repository(PAGE), &Results::load(&path)?);
    }
    let kinds = kinds_here(&arguments.peer);
    announce(&cases, &kinds, &arguments);
    let mut results =
        if arguments.write { Results::load(&path).unwrap_or_default() } else { Results::default() };
    results.begin(&cases, machine::describe(), &command());
    measure(&cases, &kinds, &arguments, &mut results);
    println!("\n{}", table::render(&results));
    if arguments.write {
        results.save(&path)?;
        table::write(&in_repository(PAGE), &results)?;
    }
    Ok(())
}

/// The command that measures the same again.
fn command() -> String {
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    std::iter::once("just bench".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn matches(name: &str, parts: &[String]) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(part))
}

/// The wanted servers that are on this machine. Prints which are missing.
fn kinds_here(wanted: &[String]) -> Vec<Kind> {
    let always = |kind| kind == Kind::Floor || kind == Kind::ChatServer;
    let (here, missing): (Vec<Kind>, Vec<Kind>) = KINDS
        .into_iter()
        .filter(|&kind| always(kind) || matches(kind.name(), wanted))
        .partition(|kind| kind.is_here());
    for kind in missing {
        println!("missing: {} is not on PATH", kind.name());
    }
    if !pins() {
        println!("missing: taskset is not on PATH, so server and generator are not kept on a core each");
    }
    here
}

fn announce(cases: &[Case], kinds: &[Kind], arguments: &Arguments) {
    let runs = |case: &Case| kinds.iter().filter(|&&kind| case.fits(kind)).count();
    let run_seconds = |case: &Case| {
        arguments.seconds * case.longer()
            + arguments.warm_up
            + OVERHEAD_SECONDS
            + RECEIVER_SECONDS * f64::from(case.receivers)
    };
    let round: f64 = cases.iter().flat_map(|case| std::iter::repeat_n(run_seconds(case), runs(case))).sum();
    let minutes = round * f64::from(arguments.rounds) / 60.0;
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    println!(
        "{} cases, {} rounds of {} s: {}; about {minutes:.0} minutes",
        cases.len(),
        arguments.rounds,
        arguments.seconds,
        names.join(", ")
    );
}

fn measure(cases: &[Case], kinds: &[Kind], arguments: &Arguments, results: &mut Results) {
    for round in 1..=arguments.rounds {
        for case in cases {
            for &kind in kinds.iter().filter(|&&kind| case.fits(kind)) {
                show_progress(&format!(
                    "round {round} of {}: {}, {}",
                    arguments.rounds,
                    case.name,
                    kind.name()
                ));
                match measure_one(case, kind, arguments) {
                    Ok(measured) => results.add(&case.name, kind.name(), &measured),
                    Err(reason) => results.fail(&case.name, kind.name(), &reason),
                }
            }
        }
    }
    show_progress("");
}

/// One server, one run of the generator.
fn measure_one(case: &Case, kind: Kind, arguments: &Arguments) -> Result<serde_json::Value, String> {
    let server = Running::start(kind, case)?;
    let flood = case.flooded.then(|| Flood::begin(server.address)).transpose();
    let _flood = flood.map_err(|error| format!("cannot flood {}: {error}", kind.name()))?;
    let output = pinned(&ours("chat-load"), GENERATOR_CORE)
        .args([&server.address.to_string(), "--format=json", "--protocol", kind.protocol()])
        .args(["--pid", &server.id().to_string()])
        .args(case.arguments(arguments.seconds, arguments.warm_up))
        .args(arguments.level_triggered.then_some("--level-triggered"))
        .output()
        .map_err(|error| format!("cannot start chat-load: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("chat-load printed no results: {error}"))
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn show_progress(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Progress that cannot be shown is not worth an error.
        let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
    }
}
