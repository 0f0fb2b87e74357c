//! `just netfaults`: the real binaries on two machines, with real faults of the network between them.
//!
//! Each fault has two machines of its own, which are network namespaces, and all faults run at once.
#![cfg(target_os = "linux")]

mod machine;
mod member;
mod report;
#[path = "../support"]
mod support {
    #[expect(dead_code, reason = "others need more of it")]
    pub mod process;
    pub mod wait;
}

use std::fmt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use machine::{FAR_ADDRESS, Machine, NEAR_ADDRESS};
use member::Member;
use report::Report;
use support::process::Running;

/// How long the members talk before the fault, and after they have heard each other again.
const CALM: Duration = Duration::from_secs(3);

/// How often each member says a line.
const TALK_INTERVAL: Duration = Duration::from_millis(500);

/// How long the first line may take when the network works again. TCP may pause for a minute, and a client
/// that tries again pauses for up to 30 s.
const RECOVERY: Duration = Duration::from_secs(75);

/// How long the last line may take on a network that works.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The probability with which a packet is lost, on each side.
const LOSS: &str = "0.2";

/// The programs that make the machines and the faults.
const TOOLS: [&str; 5] = ["unshare", "nsenter", "ip", "ss", "iptables"];

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The far machine's link is down for this long.
    LinkDown(Duration),
    /// Packets are lost at random for this long.
    Loss(Duration),
    /// The connection is reset this many times at this interval, by either side in turn.
    Resets(u32, Duration),
}

const FAULTS: [Fault; 5] = [
    Fault::LinkDown(Duration::from_secs(5)),
    Fault::LinkDown(Duration::from_secs(30)),
    Fault::LinkDown(Duration::from_secs(90)),
    Fault::Loss(Duration::from_secs(30)),
    Fault::Resets(5, Duration::from_secs(5)),
];

#[test]
fn a_bad_network_loses_nothing_doubles_nothing_and_takes_nobody_away() {
    if let Some(reason) = cannot_run() {
        println!("skipped: faults of a real network, because {reason}");
        return;
    }
    println!("{}", report::HEADING);
    let bad: usize = thread::scope(|scope| {
        let running = FAULTS.map(|fault| (fault, scope.spawn(move || run(fault))));
        running.into_iter().map(|(fault, reports)| show(fault, reports.join().expect("it ran"))).sum()
    });
    assert_eq!(bad, 0, "lines were lost, doubled or out of order, or somebody left: see the table");
}

fn cannot_run() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make network namespaces".into());
    }
    let is_missing = |tool: &&str| Command::new(tool).arg("--version").output().is_err();
    if let Some(tool) = TOOLS.into_iter().find(is_missing) {
        return Some(format!("the program {tool} is missing"));
    }
    Machine::cannot_start()
}

/// Prints the rows of a fault, and returns how many are bad.
fn show(fault: Fault, reports: Result<[Report; 2], String>) -> usize {
    match reports {
        Ok(reports) => {
            for report in &reports {
                println!("{report}");
            }
            reports.iter().filter(|report| !report.is_good()).count()
        }
        Err(reason) => {
            println!("skipped: {fault}, because {reason}");
            0
        }
    }
}

/// Two machines, a server and a member on one, a member on the other, and a fault between them. Fails if this
/// system cannot have that fault.
fn run(fault: Fault) -> Result<[Report; 2], String> {
    let (near, far) = (Machine::start(), Machine::start());
    machine::connect(&near, &far)?;
    let (_server, address) = serve(&near);
    let mut members = [Member::join(&near, "near", &address), Member::join(&far, "far", &address)];
    talk(&mut members, CALM, |_| false);
    inflict(fault, &near, &far, &mut members)?;
    let over = Instant::now();
    talk(&mut members, RECOVERY, |[near, far]| {
        far.has_ended() || near.has_heard_since(over, far) && far.has_heard_since(over, near)
    });
    talk(&mut members, CALM, |_| false);
    let [near, mut far] = members;
    let arrived = Instant::now() + ARRIVAL;
    while Instant::now() < arrived
        && !far.has_ended()
        && !(near.has_heard_all_of(&far) && far.has_heard_all_of(&near))
    {
        pause(TALK_INTERVAL);
    }
    let mut reports = [Report::new(fault, &far, &near, over), Report::new(fault, &near, &far, over)];
    for (report, member) in reports.iter_mut().zip([far, near]) {
        report.exit = member.leave();
    }
    Ok(reports)
}

/// Starts a server that offers sessions to the other machine, and returns its address.
fn serve(near: &Machine) -> (Running, String) {
    let mut command = near.command(cargo_bin!("chat-server"));
    command.args(["--listen", &format!("{NEAR_ADDRESS}:0"), "--log", "/dev/null", "--resume-plaintext"]);
    let mut server = Running::start(&mut command);
    let address =
        server.stdout.expect("Server running on ").trim_start_matches("Server running on ").to_owned();
    (server, address)
}

/// Lets both members talk for this long, or until something is so.
fn talk(members: &mut [Member; 2], time: Duration, is_enough: impl Fn(&mut [Member; 2]) -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end && !is_enough(members) {
        members.iter_mut().for_each(Member::say);
        pause(TALK_INTERVAL);
    }
}

fn inflict(fault: Fault, near: &Machine, far: &Machine, members: &mut [Member; 2]) -> Result<(), String> {
    match fault {
        Fault::LinkDown(time) => {
            far.set_link("down")?;
            talk(members, time, |_| false);
            far.set_link("up")
        }
        Fault::Loss(time) => {
            for machine in [near, far] {
                machine.set_loss("--append", LOSS)?;
            }
            talk(members, time, |_| false);
            [near, far].into_iter().try_for_each(|machine| machine.set_loss("--delete", LOSS))
        }
        Fault::Resets(count, interval) => {
            for number in 0..count {
                let (machine, other) =
                    if number % 2 == 0 { (near, FAR_ADDRESS) } else { (far, NEAR_ADDRESS) };
                let was_reset = machine.reset_connections_to(other)?;
                if number == 0 && !was_reset {
                    return Err("this kernel does not reset connections for `ss -K`".into());
                }
                talk(members, interval, |_| false);
            }
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what happens is measured in real time")]
fn pause(time: Duration) {
    thread::sleep(time);
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::LinkDown(time) => format!("link down, {} s", time.as_secs()),
            Self::Loss(time) => format!("packets lost at {LOSS}, {} s", time.as_secs()),
            Self::Resets(count, interval) => format!("{count} resets, one in {} s", interval.as_secs()),
        };
        formatter.pad(&text)
    }
}
