//! `chat-server`: one room on a TCP port.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Parser, ValueEnum};
use commonroom::background::{BackgroundWriter, Handle, WhenFull};
use commonroom::journal::{self, LogFormat};
use commonroom::net::{Listener, Network, Peer, Tcp, explain, parse_address};
use commonroom::server::{Config, serve};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A chat room on a TCP port. Members connect with chat-client, nc, telnet, or the clients of the
/// report that this system was first described in.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  chat-server                                a room for this machine, on 127.0.0.1:5555
  chat-server --listen 0.0.0.0:5555          a room for everyone who can reach this machine
  chat-server --history 20                   newcomers see the last 20 lines
  nc 127.0.0.1 5555                          a client that is everywhere: type a nickname, then talk

Ctrl-C or SIGTERM tells the members, writes what is pending, and ends with exit code 0."
)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "CHAT_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:5555", value_parser = parse_address)]
    listen: String,

    /// The file to which everything that happens in the room is appended
    #[arg(long, env = "CHAT_LOG", value_name = "FILE", default_value = "server.log")]
    log: PathBuf,

    /// How the lines of that file look: as in the report, or JSON objects
    #[arg(long, env = "CHAT_LOG_FORMAT", value_name = "FORMAT", default_value = "report")]
    log_format: Format,

    /// How many earlier lines a newcomer is shown
    #[arg(long, env = "CHAT_HISTORY", value_name = "LINES", default_value_t = 0)]
    history: usize,

    /// Say on stderr what happens inside; twice for every read and write
    #[arg(short, long, env = "CHAT_VERBOSE", action = ArgAction::Count)]
    verbose: u8,

    /// Do not print a line for each connection
    #[arg(long, env = "CHAT_QUIET")]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Report,
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Report => Self::Report,
            Format::Json => Self::Json,
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say_on_stderr(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    // One thread: the work of a chat is socket writes, and handing them to a second core costs
    // more than it brings.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {}", explain(&error)))?;
    runtime.block_on(serve_until_signalled(arguments))
}

async fn serve_until_signalled(arguments: &Arguments) -> Result<(), String> {
    let shutdown = shutdown_signal().map_err(|error| format!("cannot catch signals: {}", explain(&error)))?;
    let listener =
        Tcp.bind(&arguments.listen).await.map_err(|error| cannot_listen(&arguments.listen, &error))?;
    let address = listener.local_address().map_err(|error| cannot_listen(&arguments.listen, &error))?;
    let log = open_log(&arguments.log)?;
    start_logging(arguments, &log);

    // stdout may be a pipe that nobody reads or that has gone away: neither may hold up the chat.
    let stdout = BackgroundWriter::spawn(io::stdout(), WhenFull::Drop, |_| {});
    let mut console = stdout.handle();
    print_line(&mut console, &format!("Server running on {address}"));
    let listener = Announcing { listener, console: (!arguments.quiet).then_some(console) };

    let config = Config { history_lines: arguments.history, ..Config::default() };
    serve(listener, config, shutdown).await;
    Ok(())
}

fn cannot_listen(address: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that has it, or choose another with --listen",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges, choose another with --listen",
        _ => "",
    };
    format!("cannot listen on {address}: {}{advice}", explain(error))
}

fn open_log(path: &Path) -> Result<BackgroundWriter, String> {
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
        format!("cannot open the log {}: {}; choose another with --log", path.display(), explain(&error))
    })?;
    let path = path.to_owned();
    let on_error = move |error: io::Error| {
        say_on_stderr(&format!(
            "cannot write the log {}: {}; the chat goes on without it",
            path.display(),
            explain(&error)
        ));
    };
    Ok(BackgroundWriter::spawn(file, WhenFull::Wait, on_error))
}

fn start_logging(arguments: &Arguments, log: &BackgroundWriter) {
    let level = match arguments.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let inside = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(Targets::new().with_target("commonroom", level));
    tracing_subscriber::registry()
        .with(journal::layer(arguments.log_format.into(), jiff::Zoned::now, log.handle()))
        .with(inside)
        .init();
}

/// A listener that prints who connects, as the report's server does.
struct Announcing<L> {
    listener: L,
    console: Option<Handle>,
}

impl<L: Listener> Listener for Announcing<L> {
    type Stream = L::Stream;

    async fn accept(&mut self) -> io::Result<(L::Stream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        if let Some(console) = &mut self.console {
            print_line(console, &format!("Connected with {}", Peer(peer)));
        }
        Ok((stream, peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }
}

fn print_line(console: &mut Handle, line: &str) {
    // A handle takes everything; what becomes of it is its writer's business.
    let _ = console.write_all(format!("{line}\n").as_bytes());
}

fn say_on_stderr(message: &str) {
    // Where even stderr is closed, nobody wants to know.
    let _ = writeln!(io::stderr(), "chat-server: {message}");
}

/// Completes when the server is asked to end: Ctrl-C, or SIGTERM where there is one. The handlers
/// are in place when this returns.
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
