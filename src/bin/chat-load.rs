//! `chat-load`: one line in, N lines out, counted, checked and timed.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};
use commonroom::net::{explain, parse_address};
use commonroom::tools::load::{
    LONGEST_LINE_BYTES, LONGEST_SECONDS, MEMBERS, Pace, Plan, Protocol, RATE_DELIVERIES, SENDERS,
    SHORTEST_LINE_BYTES, Trigger, WINDOW_LINES, run,
};

/// Let many members join a chat server, let some of them talk, and measure how their lines reach
/// everyone. Every delivery is checked: none lost, none twice, each sender's in order.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  chat-server --max-per-address 0 --rate 0   a server without the limits that one machine would meet
  chat-load                                  1,000 receivers, 4 senders with 64 lines each in flight
  chat-load --rate 10000                     an open loop: latency counts from when a line was due
  chat-load --idle --receivers 5000          the cost of joining and of idle members, with --pid
  chat-load --idle --sessions                the cost of sessions, and of resuming all of them
  chat-load --pid $(pidof chat-server)       with the server's processor time and memory
  chat-load 127.0.0.1:6379 --protocol redis  the same for a peer

The length of a line includes its sender's name, a number and the newline, but not what a protocol adds.
In a closed loop a line that comes back to its sender (in irc: to the last receiver) makes room for the next.
Exit codes: 0 measured, and nothing was wrong; 1 something was, or it could not be measured; 2 usage."
)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of a command line")]
struct Arguments {
    /// The server
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:5555", value_parser = parse_address)]
    server: String,

    /// The protocol: as in the report, with a newline after each message; or that of a peer
    #[arg(long, value_name = "PROTOCOL", default_value = "report")]
    protocol: Spoken,

    /// Members that only receive
    #[arg(long, value_name = "MEMBERS", default_value_t = 1_000, value_parser = count(1, MEMBERS))]
    receivers: u64,

    /// Members that send, and receive as well
    #[arg(long, value_name = "MEMBERS", default_value_t = 4, value_parser = count(1, SENDERS))]
    senders: u64,

    /// More members that join and never read
    #[arg(long, value_name = "MEMBERS", default_value_t = 0, value_parser = count(0, MEMBERS))]
    stalled: u64,

    /// Length of a line
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = count(SHORTEST_LINE_BYTES, LONGEST_LINE_BYTES))]
    bytes: u64,

    /// Lines of each sender in flight
    #[arg(long, value_name = "LINES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=i64::from(WINDOW_LINES)))]
    window: u32,

    /// Send at this rate, however slowly it is delivered
    #[arg(long, value_name = "DELIVERIES/S", conflicts_with = "idle", value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_DELIVERIES)))]
    rate: Option<u32>,

    /// Only join and stay, send nothing
    #[arg(long)]
    idle: bool,

    /// The idle members have sessions; at the end all lose their connections at once, and resume
    #[arg(long, requires = "idle")]
    sessions: bool,

    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = some_seconds)]
    seconds: Duration,

    /// How long to send before that
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,

    /// Poll sockets level-triggered instead of edge-triggered (on Linux)
    #[arg(long)]
    level_triggered: bool,

    /// The process of the server, for its processor time and memory (on Linux)
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// How the results are printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,

    /// Load a server that is not on this machine
    #[arg(long)]
    i_own_this_server: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spoken {
    Report,
    Irc,
    Redis,
    Nats,
}

impl From<Spoken> for Protocol {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::Report => Self::Report,
            Spoken::Irc => Self::Irc,
            Spoken::Redis => Self::Redis,
            Spoken::Nats => Self::Nats,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn count(least: usize, most: usize) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(least as u64..=most as u64)
}

fn seconds(input: &str) -> Result<Duration, String> {
    let duration = input.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration
        .filter(|duration| duration.as_secs() < u64::from(LONGEST_SECONDS))
        .ok_or_else(|| format!("a number of seconds from 0 to less than {LONGEST_SECONDS} is needed"))
}

fn some_seconds(input: &str) -> Result<Duration, String> {
    let duration = seconds(input)?;
    if duration.is_zero() { Err("no time is too short to measure anything".to_owned()) } else { Ok(duration) }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // If stderr is closed, nobody is listening.
            let _ = writeln!(io::stderr(), "chat-load: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), String> {
    let address = resolve(&arguments.server)?;
    if !address.ip().to_canonical().is_loopback() && !arguments.i_own_this_server {
        let refusal =
            format!("{address} is not on this machine: give --i-own-this-server if it is yours to be loaded");
        Arguments::command().error(ErrorKind::ValueValidation, refusal).exit();
    }
    if arguments.level_triggered && !cfg!(target_os = "linux") {
        let refusal = "--level-triggered is available on Linux only";
        Arguments::command().error(ErrorKind::ValueValidation, refusal).exit();
    }
    if arguments.sessions && Protocol::from(arguments.protocol) != Protocol::Report {
        let refusal = "--sessions is for --protocol report only";
        Arguments::command().error(ErrorKind::ValueValidation, refusal).exit();
    }
    let results = run(&plan(arguments, address), &mut show_progress);
    show_progress("");
    let results = results?;
    let text = match arguments.format {
        Format::Table => results.table(),
        Format::Json => results.json(),
    };
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| format!("cannot print the results: {}", explain(&error)))
}

fn resolve(server: &str) -> Result<SocketAddr, String> {
    let resolved = server.to_socket_addrs().map(|mut addresses| addresses.next());
    let address = resolved.map_err(|error| format!("cannot connect to {server}: {}", explain(&error)))?;
    address.ok_or_else(|| format!("cannot connect to {server}: it has no address"))
}

fn plan(arguments: &Arguments, address: SocketAddr) -> Plan {
    // The parsers of the arguments keep them far below the size of the address space.
    let size = |count| usize::try_from(count).unwrap_or(usize::MAX);
    Plan {
        address,
        protocol: arguments.protocol.into(),
        receivers: size(arguments.receivers),
        senders: if arguments.idle { 0 } else { size(arguments.senders) },
        stalled: size(arguments.stalled),
        line_bytes: size(arguments.bytes),
        pace: match arguments.rate {
            _ if arguments.idle => Pace::Idle,
            Some(rate) => Pace::Rate(rate),
            None => Pace::Window(arguments.window),
        },
        sessions: arguments.sessions,
        warm_up: arguments.warm_up,
        duration: arguments.seconds,
        trigger: if arguments.level_triggered { Trigger::Level } else { Trigger::Edge },
        server_process: arguments.pid,
    }
}

/// Shows progress on a terminal, in place of the previous one.
fn show_progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // Progress that cannot be shown is not worth an error.
        let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
    }
}
