//! `chat-check`: the report's table against the real server, and against a server as the report
//! describes it, whose faults it must find. The commands in here are for a Unix shell.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use predicates::prelude::*;

use super::support::{Server, assert, command, snapshot};

/// How long all cases may take together. Several times what they do.
const CHECK_DEADLINE: Duration = Duration::from_secs(180);

/// What the report's server fails every time. Whether a leave during a broadcast costs somebody a
/// message, and which reads begin in the middle of one, differs from run to run.
#[cfg(target_os = "linux")]
const FAULTS_OF_THE_REPORT: [&str; 14] = [
    "graceful-disconnection",
    "server-restart",
    "client-forced-shutdown",
    "silent-client",
    "stalled-reader",
    "orderly-close",
    "vanishing-clients",
    "nickname-taken",
    "nickname-newline",
    "nickname-control-characters",
    "nickname-not-utf8",
    "message-not-utf8",
    "cut-character",
    "foreign-name",
];

/// What it passes: the faults are found one by one, and one does not make the next case fail.
#[cfg(target_os = "linux")]
const PASSED_BY_THE_REPORT: [&str; 12] = [
    "server-startup",
    "single-client-connection",
    "multiple-clients",
    "message-broadcast",
    "abrupt-termination",
    "logging-verification",
    "stress-test",
    "rapid-message-sending",
    "invalid-port-connection",
    "port-conflict",
    "message-1025-bytes",
    "two-messages-one-segment",
];

#[test]
fn the_real_server_passes_every_case_in_lines() {
    every_case_passes("lines");
}

#[test]
fn the_real_server_passes_every_case_in_the_reports_framing() {
    every_case_passes("report");
}

#[track_caller]
fn every_case_passes(framing: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (address, log) = (free_address(), directory.path().join("server.log"));
    // The checker looks only at what is added.
    std::fs::write(&log, "what was there before\n").unwrap();
    let program = command("chat-server");
    let server =
        format!("'{}' --listen {address} --log '{}'", program.get_program().display(), log.display());
    // Only Linux tells how much of the processor a process has used.
    let skipped = u32::from(!cfg!(target_os = "linux"));
    check(&server, address, &log)
        .args(["--framing", framing])
        .assert()
        .stdout(predicate::str::contains(format!("{} passed, 0 failed, {skipped} skipped", 29 - skipped)))
        .stderr("")
        .code(0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_faults_of_the_reports_server_are_found_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (address, log) = (free_address(), directory.path().join("server.log"));
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/peers/server.py");
    let server = format!("python3 '{}' {} '{}'", script.display(), address.port(), log.display());
    let checked = check(&server, address, &log).args(["--format", "json"]).assert().code(1).stderr("");
    let results: serde_json::Value = serde_json::from_slice(&checked.get_output().stdout).unwrap();
    let status = |name: &str| {
        let cases = results["cases"].as_array().expect("the cases");
        let case = cases.iter().find(|case| case["name"] == name).expect("the case was run");
        (case["status"].as_str().unwrap().to_owned(), case["observed"].to_string())
    };
    for name in FAULTS_OF_THE_REPORT {
        assert_eq!(status(name).0, "fail", "{name}");
    }
    for name in PASSED_BY_THE_REPORT {
        assert_eq!(status(name).0, "pass", "{name}: {}", status(name).1);
    }
    let (_, observed) = status("server-restart");
    assert!(observed.contains("Address already in use"), "what the server said last is told: {observed}");
}

#[test]
fn a_server_that_is_running_already_is_checked_without_control_over_it() {
    let server = Server::start();
    let skipped = ["logging-verification", "port-conflict", "server-restart", "orderly-close"];
    let mut expected = predicate::str::contains("25 passed, 0 failed, 4 skipped").boxed();
    for name in skipped {
        expected = expected.and(predicate::str::contains(format!("    {name}: it needs"))).boxed();
    }
    assert("chat-check")
        .arg(server.address.to_string())
        .args(["--framing", "lines"])
        .timeout(CHECK_DEADLINE)
        .assert()
        .stdout(expected)
        .code(0);
}

#[test]
fn the_cases_are_listed_with_what_they_need() {
    let output = assert("chat-check").arg("--list").assert().code(0);
    snapshot("chat-check_list", &String::from_utf8(output.get_output().stdout.clone()).unwrap());
}

#[test]
fn the_checker_explains_itself() {
    let output = assert("chat-check").arg("--help").env("COLUMNS", "100").assert().code(0);
    snapshot("chat-check_help", &String::from_utf8(output.get_output().stdout.clone()).unwrap());
}

#[test]
fn the_table_of_a_run_is_the_reports() {
    let server = Server::start();
    let output = assert("chat-check")
        .arg(server.address.to_string())
        .args(["--case", "message-broadcast,port-conflict", "--case", "silent-client", "--framing", "lines"])
        .assert()
        .code(0);
    snapshot("chat-check_table", &String::from_utf8(output.get_output().stdout.clone()).unwrap());
}

#[test]
fn what_cannot_be_checked_is_said_in_one_line() {
    let address = free_address().to_string();
    for (arguments, message) in [
        (vec![address.as_str()], format!("chat-check: cannot connect to {address}: connection refused\n")),
        (
            vec!["--server", "true", "--address", "203.0.113.1:5555"],
            "chat-check: cannot check a server on 203.0.113.1:5555: this machine does not have that address\n"
                .to_owned(),
        ),
    ] {
        assert("chat-check").args(arguments).assert().code(1).stdout("").stderr(message);
    }
    let server = Server::start();
    let in_use = server.address.to_string();
    assert("chat-check")
        .args(["--server", "true", "--address", &in_use])
        .assert()
        .code(1)
        .stderr(format!("chat-check: cannot check a server on {in_use}: the port is in use\n"));
}

#[test]
fn a_server_that_does_not_start_is_said_with_its_last_words() {
    let address = free_address().to_string();
    assert("chat-check")
        .args(["--server", "sh -c 'echo no module named chat >&2; exit 3'"])
        .args(["--address", &address])
        .assert()
        .code(1)
        .stdout("")
        .stderr(format!(
            "chat-check: cannot check a server on {address}: \
             the server ended before it accepted (exit status: 3): no module named chat\n"
        ));
}

#[test]
fn a_command_that_ends_and_leaves_its_server_running_does_not_pass_for_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let [script, ids] = ["start", "ids"].map(|name| directory.path().join(name));
    let address = free_address();
    let program = command("chat-server");
    // In the background of a shell a program does not notice Ctrl-C.
    let start = format!(
        "sh -c 'echo $$ >> \"$0\"; exec \"$@\"' '{ids}' '{server}' --listen {address} --log /dev/null &\nwait\n",
        ids = ids.display(),
        server = program.get_program().display()
    );
    std::fs::write(&script, start).unwrap();
    let checked = check(&format!("sh '{}'", script.display()), address, &directory.path().join("server.log"))
        .args(["--case", "server-restart", "--framing", "lines"])
        .assert();
    for id in std::fs::read_to_string(&ids).unwrap().lines() {
        let orphan = rustix::process::Pid::from_raw(id.parse().unwrap()).unwrap();
        // All but the one that has the port have ended.
        let _ = rustix::process::kill_process(orphan, rustix::process::Signal::KILL);
    }
    let expected = format!("the command has ended, but {address} is still in use");
    checked.code(1).stdout(predicate::str::contains(expected));
}

#[test]
fn a_checker_without_a_server_or_with_a_case_that_is_none_is_a_usage_error() {
    for arguments in
        [vec![], vec!["127.0.0.1:1", "--case", "no-such-case"], vec!["127.0.0.1:1", "--server", "true"]]
    {
        assert("chat-check").args(arguments).assert().code(2).stdout("");
    }
}

fn check(server: &str, address: SocketAddr, log: &Path) -> assert_cmd::Command {
    let mut command = assert("chat-check");
    command.args(["--server", server, "--address", &address.to_string(), "--log"]).arg(log);
    command.timeout(CHECK_DEADLINE);
    command
}

/// An address where nobody listens now: for a server that cannot choose one by itself.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
