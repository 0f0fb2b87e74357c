//! A machine with a network of its own: a network namespace.
//!
//! It has no name, and lives as long as the process that holds it. That one ends with this process, and takes
//! all others on the machine with it. So nothing is left over, not even if this process is killed.

use std::ffi::OsStr;
use std::process::Command;

use super::support::process::{Running, command};

/// The address of the machine with the server.
pub const NEAR_ADDRESS: &str = "10.0.0.1";

/// The address of the other machine.
pub const FAR_ADDRESS: &str = "10.0.0.2";

/// The name of the link between them, on both.
const LINK: &str = "wire";

/// The options with which a process gets a network and processes of its own.
const OWN_NAMESPACES: [&str; 4] = ["--net", "--pid", "--fork", "--kill-child"];

pub struct Machine {
    /// The process in whose namespaces the others run. It ends at the end of its input.
    holder: Running,
}

impl Machine {
    /// Why no machine can be started here.
    pub fn cannot_start() -> Option<String> {
        said(Command::new("unshare").args(OWN_NAMESPACES).arg("true")).err()
    }

    pub fn start() -> Self {
        let mut command = Command::new("unshare");
        let mut holder =
            Running::start(command.args(OWN_NAMESPACES).args(["sh", "-c", "echo ready; exec cat"]));
        holder.stdout.expect("ready");
        Self { holder }
    }

    /// A program that is to run on this machine.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command("nsenter");
        command.args([self.namespace("--net", "net"), self.namespace("--pid", "pid_for_children")]);
        command.arg("--").arg(program);
        command
    }

    /// Turns the link `up` or `down`.
    pub fn set_link(&self, state: &str) -> Result<(), String> {
        self.run(&["ip", "link", "set", LINK, state]).map(drop)
    }

    /// Begins (`--append`) or ends (`--delete`) to lose packets that come, with this probability.
    pub fn set_loss(&self, change: &str, probability: &str) -> Result<(), String> {
        let random = ["--match", "statistic", "--mode", "random", "--probability", probability];
        self.run(&[&["iptables", change, "INPUT"], &random[..], &["--jump", "DROP"]].concat()).map(drop)
    }

    /// Resets all connections to the other machine, and returns whether there were any.
    pub fn reset_connections_to(&self, address: &str) -> Result<bool, String> {
        let said = self.run(&["ss", "--no-header", "--tcp", "--numeric", "--kill", "dst", address])?;
        Ok(said.contains(address))
    }

    /// Runs a program that changes the network of this machine.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        said(Command::new("nsenter").arg(self.namespace("--net", "net")).arg("--").args(arguments))
    }

    fn namespace(&self, option: &str, kind: &str) -> String {
        format!("{option}=/proc/{}/ns/{kind}", self.holder.child.id())
    }
}

/// Connects two machines by a link, and gives them their addresses.
pub fn connect(near: &Machine, far: &Machine) -> Result<(), String> {
    let other = far.holder.child.id().to_string();
    let peer = ["type", "veth", "peer", "name", LINK, "netns", &other];
    near.run(&[&["ip", "link", "add", "name", LINK], &peer[..]].concat())?;
    for (machine, address) in [(near, NEAR_ADDRESS), (far, FAR_ADDRESS)] {
        machine.run(&["ip", "address", "add", &format!("{address}/30"), "dev", LINK])?;
        machine.run(&["ip", "link", "set", "lo", "up"])?;
        machine.set_link("up")?;
    }
    Ok(())
}

/// What a program has said. Fails with its complaint.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
