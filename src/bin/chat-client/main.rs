//! `chat-client`: a member of a room, on a terminal or in a script.

mod signals;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};
use commonroom::client::Reconnect;
use commonroom::net::{Connect, Tcp, TlsClient, Trust, explain, parse_address};
use commonroom::protocol::{Framing, LINE_BYTES, Nickname};
use commonroom::terminal::Failure;
use commonroom::terminal::interactive::{self, NICKNAME_PROMPT};
use commonroom::terminal::password_file;
use commonroom::terminal::pipe::{self, Streams};
use commonroom::terminal::settings::Settings;

/// The longest that one may ask a client to look for another connection: a week.
const MAX_RECONNECT_SECONDS: u64 = 7 * 24 * 60 * 60;

/// Talk in a chat room. On a terminal: type, and Enter says it. In a pipe: each input line is a
/// message, and the client leaves when all of them have come back.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
In the room:
  /who   /me TEXT   /msg NICKNAME TEXT   /nick NICKNAME   /search WORDS   /history NUMBER
  /help   /quit, Ctrl-D or Ctrl-C to leave

Examples:
  chat-client                                           the room on this machine
  chat-client chat.example:5555 --nickname Dinesh       a room elsewhere
  printf 'hello\\n' | chat-client --nickname bot          say it and be sure that it was taken
  chat-client --framing report                          the report's own server
  chat-client chat.example --tls                        an encrypted connection

Exit codes: 0 done; 1 a line was refused or not confirmed, or the connection failed; 2 usage.
In a pipe a line that begins with a slash is no command, but said as it stands; only with
--framing report a server that knows commands takes it for one.
Without --password-file the variable CHAT_PASSWORD is the password, if there is one.
A client that was killed goes on where it was, if it is started soon with the same nickname."
)]
struct Arguments {
    /// The server; without a port it is 5555
    #[arg(env = "CHAT_ADDRESS", value_name = "HOST:PORT", default_value = "127.0.0.1:5555", value_parser = parse_address)]
    address: String,

    /// What to be called; asked for when not given
    #[arg(long, env = "CHAT_NICKNAME", value_name = "NAME", value_parser = Nickname::parse)]
    nickname: Option<Nickname>,

    /// A file whose first line is the password of the room, if it has one; asked for when not given
    #[arg(long, env = "CHAT_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// How messages are delimited: lines, or as the report's own server expects it
    #[arg(long, env = "CHAT_FRAMING", value_name = "FRAMING", default_value = "lines")]
    framing: Delimited,

    /// Encrypt the connection, and make sure that the server is the one it says it is
    #[arg(long, env = "CHAT_TLS")]
    tls: bool,

    /// Trust this authority to say so, in PEM, instead of those that this machine trusts; implies --tls
    #[arg(long, env = "CHAT_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// How long to try to connect again when the connection is lost; as long as the server keeps the
    /// member's place when not given
    #[arg(long, env = "CHAT_RECONNECT_FOR", value_name = "SECONDS", value_parser = RangedU64ValueParser::<u64>::new().range(0..=MAX_RECONNECT_SECONDS))]
    reconnect_for: Option<u64>,

    /// End when the connection is lost, and keep no file to come back with
    #[arg(long, env = "CHAT_NO_RECONNECT")]
    no_reconnect: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Delimited {
    Lines,
    Report,
}

impl From<Delimited> for Framing {
    fn from(delimited: Delimited) -> Self {
        match delimited {
            Delimited::Lines => Self::Lines,
            Delimited::Report => Self::Report,
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed stderr means that nobody reads the failure.
            let _ = writeln!(io::stderr(), "chat-client: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Input(error.to_string()))?;
    let result = match arguments.trust().map_err(Failure::Input)? {
        Some(trust) => runtime.block_on(talk(&TlsClient::new(Tcp, trust), arguments)),
        None => runtime.block_on(talk(&Tcp, arguments)),
    };
    // A read of stdin that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    result
}

impl Arguments {
    /// The authorities to trust, if the connection is to be encrypted.
    fn trust(&self) -> Result<Option<Trust>, String> {
        match &self.tls_ca {
            Some(authorities) => Trust::load(authorities).map(Some).map_err(|error| error.to_string()),
            None if self.tls => Trust::of_this_machine()
                .map(Some)
                .map_err(|error| format!("{error}; --tls-ca names a file with the certificate of one")),
            None => Ok(None),
        }
    }

    fn settings(self) -> Result<Settings, String> {
        let password = password_file::load(self.password_file.as_deref())?;
        let reconnect = (!self.no_reconnect).then(|| {
            // Without randomness, clients that lose their connections together try again together.
            let mut reconnect = Reconnect::new(getrandom::u64().unwrap_or_default());
            reconnect.for_at_most = self.reconnect_for.map(Duration::from_secs);
            reconnect
        });
        Ok(Settings {
            encrypted: self.tls || self.tls_ca.is_some(),
            address: self.address,
            framing: self.framing.into(),
            nickname: self.nickname,
            password,
            reconnect,
        })
    }
}

async fn talk<N: Connect>(network: &N, arguments: Arguments) -> Result<(), Failure> {
    let settings = arguments.settings().map_err(Failure::Input)?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        interactive::run(network, settings).await
    } else {
        run_pipe(network, settings).await
    }
}

async fn run_pipe<N: Connect>(network: &N, settings: Settings) -> Result<(), Failure> {
    let nickname = settings.nickname.clone().map_or_else(read_nickname, Ok)?;
    let connected = settings.connect(network, nickname).await?;
    let streams = Streams {
        input: tokio::io::stdin(),
        output: io::stdout(),
        errors: io::stderr(),
        leave_when_unheard: io::stdin().is_terminal(),
    };
    pipe::run(connected, streams, signals::asked_to_leave()).await
}

/// The first line of the input is the nickname, as with the report's client; the rest is left.
fn read_nickname() -> Result<Nickname, Failure> {
    // With stderr closed nobody sees the question, but it can be answered all the same.
    let _ = write!(io::stderr(), "{NICKNAME_PROMPT}");
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(LINE_BYTES as u64)
        .read_line(&mut line)
        .map_err(|error| Failure::Input(format!("Cannot read the nickname: {}", explain(&error))))?;
    Nickname::parse(line.trim_end_matches(['\r', '\n']))
        .map_err(|error| Failure::Input(format!("Not a nickname: {error}.")))
}
