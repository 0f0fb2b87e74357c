//! `chat-check`: the report's test table, run against any chat server.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use commonroom::net::{explain, parse_address};
use commonroom::protocol::Framing;
use commonroom::tools::check::process::Process;
use commonroom::tools::check::results::{Results, list};
use commonroom::tools::check::{Case, cases, check};

/// Run the report's test cases, its edge cases and some harder ones against a chat server, and print
/// the results as the report's own table. In lines, the cases for sessions are run too.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  chat-check --server 'python3 server.py' --log server.log       a server of your own
  chat-check --server 'python3 server.py' --case server-restart  one case
  chat-check chat.example:5555                                   one that is already running
  chat-check --list                                              the cases and their names

The server is started anew for each case, with its output going nowhere.
Exit codes: 0 nothing failed; 1 something did, or the check could not be run; 2 usage."
)]
struct Arguments {
    /// A server that is already running; cases that need control over it are skipped
    #[arg(
        value_name = "HOST:PORT",
        value_parser = parse_address,
        conflicts_with_all = ["server", "address", "log"],
        required_unless_present_any = ["server", "list"]
    )]
    running: Option<String>,

    /// The command that starts the server
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,

    /// Where the server that the command starts listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5555", value_parser = parse_address)]
    address: String,

    /// The log that it writes; only lines added during the check count
    #[arg(long, value_name = "FILE", requires = "server")]
    log: Option<PathBuf>,

    /// How messages are delimited: as in the report, or by newlines
    #[arg(long, value_name = "FRAMING", default_value = "report")]
    framing: Delimited,

    /// Run only this case; can be given several times
    #[arg(long = "case", value_name = "NAME", value_delimiter = ',', value_parser = case_name)]
    names: Vec<String>,

    /// How the results are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// List the cases and do nothing else
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Delimited {
    Report,
    Lines,
}

impl From<Delimited> for Framing {
    fn from(delimited: Delimited) -> Self {
        match delimited {
            Delimited::Report => Self::Report,
            Delimited::Lines => Self::Lines,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn case_name(name: &str) -> Result<String, String> {
    if cases::<Process>().iter().any(|case| case.name == name) {
        Ok(name.to_owned())
    } else {
        Err("there is no such case; --list shows them".to_owned())
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            // If stderr is closed, nobody is listening.
            let _ = writeln!(io::stderr(), "chat-check: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing failed.
fn run(arguments: Arguments) -> Result<bool, String> {
    let mut cases = cases();
    if !arguments.names.is_empty() {
        cases.retain(|case| arguments.names.iter().any(|name| name == case.name));
    }
    if arguments.list {
        print(&list::<Process>(&cases))?;
        return Ok(true);
    }
    if arguments.names.is_empty() {
        cases.retain(|case| case.is_for(arguments.framing.into()));
    }
    let format = arguments.format;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {}", explain(&error)))?;
    let results = runtime.block_on(async {
        tokio::select! {
            biased;
            // This also ends the server that was started.
            _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
            results = check_all(arguments, cases) => results,
        }
    });
    // Children of the server may have inherited its stderr and keep it open, so the task that reads it is not
    // awaited.
    runtime.shutdown_background();
    let results = results?;
    print(&match format {
        Format::Table => results.table(),
        Format::Json => results.json(),
    })?;
    Ok(results.passed())
}

async fn check_all(arguments: Arguments, cases: Vec<Case<Process>>) -> Result<Results<Process>, String> {
    let framing = arguments.framing.into();
    let mut process = match (arguments.server, arguments.running) {
        (Some(command), _) => Process::started_by(command, arguments.address, framing, arguments.log).await?,
        (None, Some(address)) => Process::already_running(address, framing).await?,
        (None, None) => return Err("there is no server to check".to_owned()),
    };
    let mut results = Results::new(framing);
    let total = cases.len();
    for (number, case) in (1..).zip(cases) {
        show_progress(&format!("{number} of {total}: {}", case.title));
        let verdict = check(&case, &mut process).await;
        results.add(case, verdict);
    }
    show_progress("");
    Ok(results)
}

/// Shows progress on a terminal, in place of the previous one.
fn show_progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // Progress that cannot be shown is not worth an error.
        let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
    }
}

fn print(text: &str) -> Result<(), String> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| format!("cannot print the results: {}", explain(&error)))
}
