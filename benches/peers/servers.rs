//! The servers that are measured. Each is started for one measurement, and killed after it.

use std::env::consts::EXE_SUFFIX;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cases::Case;
use crate::kind::Kind;
use crate::machine::pinned;

/// The arguments of `chat-server` besides its address and its log, which is enabled as for users. All members
/// share one address here.
const CHAT_SERVER_ARGUMENTS: [&str; 3] = ["--quiet", "--max-per-address", "0"];

/// Additional arguments for cases whose members send as fast as they can.
const WITHOUT_A_RATE: [&str; 2] = ["--rate", "0"];

const START_TIMEOUT: Duration = Duration::from_secs(10);
const START_INTERVAL: Duration = Duration::from_millis(10);

/// The cores that the server and the generator are kept on.
pub const SERVER_CORE: &str = "0";
pub const GENERATOR_CORE: &str = "1";

/// A running server in a directory of its own, killed when this is dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
    directory: TempDir,
}

impl Running {
    /// Starts a server of this kind for a case.
    pub fn start(kind: Kind, case: &Case) -> Result<Self, String> {
        let cannot_start = |error: io::Error| format!("cannot start {}: {error}", kind.name());
        let directory = tempfile::tempdir().map_err(cannot_start)?;
        let address = free_address().map_err(cannot_start)?;
        let output = File::create(directory.path().join("output")).map_err(cannot_start)?;
        let mut command = command(kind, case, address, directory.path()).map_err(cannot_start)?;
        command.stdin(Stdio::null()).stderr(output.try_clone().map_err(cannot_start)?).stdout(output);
        let child = command.spawn().map_err(cannot_start)?;
        let mut running = Self { child, address, directory };
        running.wait_until_it_accepts(kind).map_err(|reason| format!("{} {reason}", kind.name()))?;
        Ok(running)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[expect(clippy::disallowed_methods, reason = "other programs do not say that they accept")]
    fn wait_until_it_accepts(&mut self, kind: Kind) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.accepts(kind) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at its start ({status})"));
            }
            if Instant::now() > deadline {
                return Err(format!("did not accept within {} s", START_TIMEOUT.as_secs()));
            }
            sleep(START_INTERVAL);
        }
        Ok(())
    }

    fn accepts(&self, kind: Kind) -> bool {
        if kind == Kind::Python {
            // A dropped connection would make the report's server spin.
            let output = std::fs::read_to_string(self.directory.path().join("output"));
            return output.is_ok_and(|output| output.contains("Server running"));
        }
        TcpStream::connect(self.address).is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may already have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that starts a server, and the files that it needs in its directory.
fn command(kind: Kind, case: &Case, address: SocketAddr, directory: &Path) -> io::Result<Command> {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let (program, arguments): (PathBuf, Vec<String>) = match kind {
        Kind::Floor => (std::env::current_exe()?, strings(&["--floor", &address.to_string()])),
        Kind::ChatServer => {
            let log = directory.join("server.log").display().to_string();
            let mut arguments = strings(&["--listen", &address.to_string(), "--log", &log]);
            arguments.extend(strings(&CHAT_SERVER_ARGUMENTS));
            if !case.flooded {
                arguments.extend(strings(&WITHOUT_A_RATE));
            }
            (ours("chat-server"), arguments)
        }
        Kind::Redis => (
            kind.name().into(),
            strings(&["--bind", &ip, "--port", &port, "--save", "", "--maxclients", "20000"])
                .into_iter()
                // Like our server, it must not drop anybody because of a burst.
                .chain(strings(&["--client-output-buffer-limit", "pubsub 0 0 0"]))
                .collect(),
        ),
        Kind::Nats => (kind.name().into(), strings(&["--addr", &ip, "--port", &port])),
        Kind::Ngircd => {
            let configuration = directory.join("ngircd.conf");
            std::fs::write(&configuration, ngircd_configuration(&ip, &port))?;
            (kind.name().into(), strings(&["-n", "-f", &configuration.display().to_string()]))
        }
        Kind::Inspircd => {
            let configuration = directory.join("inspircd.conf");
            std::fs::write(&configuration, inspircd_configuration(&ip, &port, directory))?;
            let configuration = format!("--config={}", configuration.display());
            (kind.name().into(), strings(&["--nofork", "--nolog", "--runasroot", &configuration]))
        }
        Kind::Python => {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/peers/server.py");
            let log = directory.join("server.log").display().to_string();
            ("python3".into(), strings(&[script, &port, &log]))
        }
    };
    let mut command = pinned(&program, SERVER_CORE);
    command.args(arguments).current_dir(directory);
    Ok(command)
}

/// One of our own programs, built as for users. Together with a benchmark, cargo builds them with the features
/// that tests enable in dependencies, which costs 120 bytes a member. So `just bench` builds them separately and
/// passes their directory.
pub fn ours(name: &str) -> PathBuf {
    let directory = std::env::var_os("BENCH_PROGRAMS").map_or_else(|| "target/release".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(format!("{name}{EXE_SUFFIX}"))
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Without limits, and without DNS or ident lookups.
fn ngircd_configuration(ip: &str, port: &str) -> String {
    format!(
        "[Global]\nName = irc.test\nInfo = bench\nListen = {ip}\nPorts = {port}\nMotdPhrase = hello\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\n\
         PingTimeout = 600\nPongTimeout = 600\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\n\
         [Channel]\nName = #room\nMaxUsers = 0\n"
    )
}

/// Without limits, and without DNS or ident lookups.
fn inspircd_configuration(ip: &str, port: &str, directory: &Path) -> String {
    format!(
        "<config format=\"xml\">\n<server name=\"irc.test\" description=\"bench\" network=\"bench\">\n\
         <admin name=\"bench\" nick=\"bench\" email=\"bench@irc.test\">\n\
         <bind address=\"{ip}\" port=\"{port}\" type=\"clients\">\n\
         <connect name=\"main\" allow=\"*\" maxchans=\"1\" timeout=\"60\" pingfreq=\"600\" resolvehostnames=\"no\" \
         localmax=\"20000\" globalmax=\"20000\" threshold=\"1000000\" commandrate=\"100000000\" fakelag=\"no\" \
         hardsendq=\"100M\" softsendq=\"100M\" recvq=\"10M\">\n\
         <performance softlimit=\"20000\" somaxconn=\"4096\" quietbursts=\"yes\">\n\
         <pid file=\"{}/pid\">\n",
        directory.display()
    )
}
