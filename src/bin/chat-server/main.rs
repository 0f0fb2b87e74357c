//! `chat-server`: one room on a TCP port.

mod limits;
mod metrics;
mod signals;
mod store;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser, ValueEnum};
use commonroom::commit_log::Keep;
use commonroom::journal::Disk;
use commonroom::journal::LogFile;
use commonroom::journal::{self, LogFormat};
use commonroom::journal::{BackgroundWriter, Handle};
use commonroom::net::{Bind, Identity, Listener, Peer, Tcp, TlsServer, explain, parse_address};
use commonroom::protocol::{Password, Timestamp};
use commonroom::server::{Clock, Config, Server};
use commonroom::terminal::descriptors::{OTHER_DESCRIPTORS, allow_connections};
use commonroom::terminal::password_file;
use limits::LimitArguments;
use signals::Signals;
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
  chat-server --store room.db                the room is there again after a restart or a crash
  chat-server --password-file FILE           newcomers are asked for its first line
  chat-server --tls-cert CERT --tls-key KEY  encrypted; members connect with chat-client --tls
  nc 127.0.0.1 5555                          a client that is everywhere: type a nickname, then talk

Ctrl-C or SIGTERM tells the members, writes what is pending, and ends with exit code 0.
SIGHUP reopens the log, for logrotate.
Without --password-file the variable CHAT_PASSWORD is the password, if there is one."
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

    /// A file in which the room outlives the server: after a restart or a crash everything is there again
    #[arg(long, env = "CHAT_STORE", value_name = "FILE")]
    store: Option<PathBuf>,

    /// How much is kept in it: a size, a number of days, or both
    #[arg(long, env = "CHAT_STORE_KEEP", value_name = "10GiB,90d", default_value = "1GiB", value_parser = store::parse_keep)]
    store_keep: Keep,

    /// A file whose first line is the password of the room
    #[arg(long, env = "CHAT_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The certificate of the server for TLS, in PEM, followed by those of intermediate authorities
    #[arg(long, env = "CHAT_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of that certificate, in PEM
    #[arg(long, env = "CHAT_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Where to serve metrics for Prometheus, under /metrics; nowhere unless given
    #[arg(long, env = "CHAT_METRICS", value_name = "HOST:PORT", value_parser = parse_address)]
    metrics: Option<String>,

    /// Say on stderr what happens inside; twice for every read and write
    #[arg(short, long, env = "CHAT_VERBOSE", action = ArgAction::Count)]
    verbose: u8,

    /// Do not print a line for each connection
    #[arg(long, env = "CHAT_QUIET")]
    quiet: bool,

    #[command(flatten)]
    limits: LimitArguments,
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

/// How many tasks run before the runtime polls the operating system. Pending lines are delivered before more are
/// read, so that each member gets fewer and larger writes.
const EVENT_INTERVAL_POLLS: u32 = 1_024;

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
    // One thread: the work of a chat is socket writes, and handing them to a second core costs more than
    // it gains.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .event_interval(EVENT_INTERVAL_POLLS)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {}", explain(&error)))?;
    let password = password_file::load(arguments.password_file.as_deref())?;
    getrandom::u32().map_err(|error| format!("cannot get random bytes from the system: {error}"))?;
    match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::load(certificate, key).map_err(|error| error.to_string())?;
            if let Some(warning) = identity.warning(jiff::Timestamp::now()) {
                say_on_stderr(&warning);
            }
            runtime.block_on(serve_until_signalled(&TlsServer::new(Tcp, identity), arguments, password))
        }
        _ => runtime.block_on(serve_until_signalled(&Tcp, arguments, password)),
    }
}

async fn serve_until_signalled<N: Bind>(
    network: &N,
    arguments: &Arguments,
    password: Option<Password>,
) -> Result<(), String> {
    let (listener, address) = listen(network, &arguments.listen).await?;
    let scraped = match &arguments.metrics {
        Some(address) => Some(listen_for_metrics(address).await?),
        None => None,
    };
    // These may be pipes that are broken or that nobody reads. Neither may hold up the chat.
    let stderr = BackgroundWriter::spawn(io::stderr());
    let stdout = BackgroundWriter::spawn(io::stdout());
    let log = open_log(arguments, stderr.handle())?;
    // Not earlier: opening a pipe as the log waits for a reader, and only the default action of a signal ends that.
    let signals = Signals::catch().map_err(|error| format!("cannot catch signals: {}", explain(&error)))?;
    start_logging(arguments, log.handle(), stderr.handle());
    let config = Config {
        history_lines: arguments.history,
        password,
        sessions: Some(arguments.limits.sessions()),
        limits: arguments.limits.limits(),
        clock: Clock::new(now, show),
    };
    // After the log, which tells if something unfinished was found.
    let store = match &arguments.store {
        Some(path) => Some(store::open(path, &arguments.log, arguments.store_keep, now, &config).await?),
        None => None,
    };
    if let Some(warning) = exposure(address, arguments.tls_cert.is_some(), config.password.is_some()) {
        say(&stderr.handle(), &warning);
    }
    if let Err(maximum) = allow_connections(arguments.limits.max_clients) {
        say(&stderr.handle(), &too_few_descriptors(arguments.limits.max_clients, maximum));
    }
    print_line(&stdout.handle(), &format!("Server running on {address}"));
    let server = Server::new(config);
    if let Some((listener, address)) = scraped {
        say(&stderr.handle(), &format!("metrics on http://{address}/metrics"));
        tokio::spawn(metrics::serve(listener, server.observer()));
    }
    let listener = Announcing { listener, console: (!arguments.quiet).then(|| stdout.handle()) };

    let shutdown = async {
        signals.until_the_end(&log.handle()).await;
        tell_systemd(State::Stopping);
    };
    tell_systemd(State::Ready);
    let ended = if let Some(store) = store {
        server.run_with_store(store, listener, shutdown).await.map_err(|error| error.to_string())
    } else {
        server.run(listener, shutdown).await;
        Ok(())
    };
    let lost = log.finish();
    if lost > 0 {
        say(
            &stderr.handle(),
            &format!(
                "up to {lost} lines were not written to the log {}: nothing was taken for too long",
                arguments.log.display()
            ),
        );
    }
    ended
}

/// The time now.
fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond().try_into().unwrap_or_default())
}

/// A time as members are shown it: local to the server, as in `server.log`.
fn show(time: Timestamp) -> String {
    let milliseconds = time.0.try_into().unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX);
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Listens, and returns the address with the actual port, which differs if 0 was asked for.
async fn listen<N: Bind>(network: &N, address: &str) -> Result<(N::Listener, SocketAddr), String> {
    let cannot = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; stop the program that has it, or choose another with --listen",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need privileges, choose another with --listen"
            }
            _ => "",
        };
        format!("cannot listen on {address}: {}{advice}", explain(&error))
    };
    let listener = network.bind(address).await.map_err(cannot)?;
    let address = listener.local_address().map_err(cannot)?;
    Ok((listener, address))
}

fn open_log(arguments: &Arguments, stderr: Handle) -> Result<BackgroundWriter, String> {
    let format = arguments.log_format.into();
    let tell = move |sentence: &str| say(&stderr, sentence);
    let file = LogFile::open(Disk, &arguments.log, format, jiff::Zoned::now, tell)
        .map_err(|error| format!("{error}; choose another with --log"))?;
    Ok(BackgroundWriter::spawn(file))
}

/// Metrics are not encrypted: they are meant for this machine or a private network.
async fn listen_for_metrics(address: &str) -> Result<(<Tcp as Bind>::Listener, SocketAddr), String> {
    let cannot = |error| format!("cannot serve metrics on {address}: {}", explain(&error));
    let listener = Tcp.bind(address).await.map_err(cannot)?;
    let address = listener.local_address().map_err(cannot)?;
    Ok((listener, address))
}

fn too_few_descriptors(connections: usize, maximum: u64) -> String {
    let possible = maximum.saturating_sub(OTHER_DESCRIPTORS);
    format!(
        "--max-clients {connections} cannot be met: {maximum} open files are allowed, which is enough for about \
         {possible} members; others will wait. See ulimit -n, or LimitNOFILE of systemd"
    )
}

/// A warning if other machines can reach the server without encryption or a password.
fn exposure(address: SocketAddr, has_tls: bool, has_password: bool) -> Option<String> {
    let guards =
        [(has_tls, "encryption (--tls-cert, --tls-key)"), (has_password, "password (--password-file)")];
    let missing: Vec<_> = guards.iter().filter(|(is_there, _)| !is_there).map(|&(_, guard)| guard).collect();
    (!address.ip().is_loopback() && !missing.is_empty()).then(|| {
        format!("{address} can be reached from other machines, and there is no {}", missing.join(" and no "))
    })
}

fn start_logging(arguments: &Arguments, log: Handle, stderr: Handle) {
    let level = match arguments.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let inside = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(Targets::new().with_target("commonroom", level));
    tracing_subscriber::registry()
        .with(journal::layer(arguments.log_format.into(), jiff::Zoned::now, log))
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
        if let Some(console) = &self.console {
            print_line(console, &format!("Connected with {}", Peer(peer)));
        }
        Ok((stream, peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    fn is_encrypted(&self) -> bool {
        self.listener.is_encrypted()
    }
}

fn print_line(console: &Handle, line: &str) {
    // Writing to a handle never fails.
    let _ = console.clone().write_all(format!("{line}\n").as_bytes());
}

fn say(stderr: &Handle, message: &str) {
    print_line(stderr, &format!("chat-server: {message}"));
}

fn say_on_stderr(message: &str) {
    // If even stderr is closed, nobody is listening.
    let _ = writeln!(io::stderr(), "chat-server: {message}");
}

/// The states that systemd is told.
#[derive(Clone, Copy)]
enum State {
    Ready,
    Stopping,
}

/// Tells systemd the state of the server, if it runs with `Type=notify`.
#[cfg(target_os = "linux")]
fn tell_systemd(state: State) {
    let state = match state {
        State::Ready => sd_notify::NotifyState::Ready,
        State::Stopping => sd_notify::NotifyState::Stopping,
    };
    // The chat goes on if systemd does not listen.
    let _ = sd_notify::notify(&[state]);
}

#[cfg(not(target_os = "linux"))]
fn tell_systemd(_: State) {}
