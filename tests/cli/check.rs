//! `chat-check`: the report's table against the real server, and against a server as the report
//! describes it, whose faults it must find. The commands are for a Unix shell.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use predicates::prelude::*;

use super::support::{Server, assert, command, snapshot};

/// How long all cases may take together: several times as long as they do.
const CHECK_DEADLINE: Duration = Duration::from_secs(180);

/// The cases that the report's server fails every time. Whether a leave during a broadcast costs somebody a
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

/// The cases that it passes: each fault is found by itself, and does not make the next case fail.
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
    let program = command("chat-server");
    let start = |address: SocketAddr, log: &Path| {
        // The checker looks only at the lines that are added.
        std::fs::write(log, "what was there before\n").unwrap();
        format!("'{}' --listen {address} --log '{}'", program.get_program().display(), log.display())
    };
    let results = check_in_shares(start, &["--framing", framing]);
    assert_eq!(results.len(), 37);
    for case in results {
        let is_of_a_session = case.name.starts_with("session-");
        let is_skipped = match case.name.as_str() {
            // Only Linux tells how much of the processor a process has used.
            MEASURING => !cfg!(target_os = "linux"),
            _ => is_of_a_session && framing == "report",
        };
        let wanted = if is_skipped { "skip" } else { "pass" };
        assert_eq!(case.status, wanted, "{}: {}", case.name, case.observed);
    }
}

/// How many checkers share the cases, each with a server of its own. A case mostly waits for lines that must
/// not come.
const SHARES: usize = 6;

struct CaseResult {
    name: String,
    status: String,
    observed: String,
}

/// The case that measures how much of the processor the server uses: it runs alone.
const MEASURING: &str = "orderly-close";

/// Runs every case, on servers started by the command that `start` returns for an address and a log.
fn check_in_shares(
    start: impl Fn(SocketAddr, &Path) -> String + Sync,
    arguments: &[&str],
) -> Vec<CaseResult> {
    let check = |cases: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let (address, log) = (free_address(), directory.path().join("server.log"));
        let server = start(address, &log);
        let checked = check(&server, address, &log)
            .args(["--format", "json", "--case", &cases.join(",")])
            .args(arguments)
            .assert()
            .stderr("");
        let results = results(&checked.get_output().stdout);
        checked.code(i32::from(results.iter().any(|case| case.status == "fail")));
        results
    };
    let names = case_names();
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != MEASURING).collect();
    let mut results = check(&[MEASURING]);
    std::thread::scope(|scope| {
        let share = |first| others.iter().copied().skip(first).step_by(SHARES).collect::<Vec<_>>();
        let check = &check;
        let shares: Vec<_> = (0..SHARES).map(share).map(|cases| scope.spawn(move || check(&cases))).collect();
        results.extend(shares.into_iter().flat_map(|share| share.join().expect("the checker runs")));
    });
    results
}

fn case_names() -> Vec<String> {
    let output = assert("chat-check").arg("--list").assert().code(0);
    let list = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn results(json: &[u8]) -> Vec<CaseResult> {
    let results: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    let cases = results["cases"].as_array().expect("the cases");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let result = |case: &serde_json::Value| CaseResult {
        name: text(&case["name"]),
        status: text(&case["status"]),
        observed: case["observed"].to_string(),
    };
    cases.iter().map(result).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_faults_of_the_reports_server_are_found_and_nothing_else() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/peers/server.py");
    let start = |address: SocketAddr, log: &Path| {
        format!("python3 '{}' {} '{}'", script.display(), address.port(), log.display())
    };
    let results = check_in_shares(start, &[]);
    let result = |name: &str| results.iter().find(|case| case.name == name).expect("the case was run");
    for name in FAULTS_OF_THE_REPORT {
        assert_eq!(result(name).status, "fail", "{name}");
    }
    for name in PASSED_BY_THE_REPORT {
        assert_eq!(result(name).status, "pass", "{name}: {}", result(name).observed);
    }
    let observed = &result("server-restart").observed;
    assert!(observed.contains("Address already in use"), "the last words of the server are told: {observed}");
}

#[test]
fn a_server_that_runs_already_is_checked_without_control_over_it() {
    let server = Server::start();
    let skipped = ["logging-verification", "port-conflict", "server-restart", "orderly-close"];
    let mut expected = predicate::str::contains("33 passed, 0 failed, 4 skipped").boxed();
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
fn a_server_without_sessions_is_not_blamed_for_it_and_its_reason_is_told() {
    let server = Server::start_with(&["--resume-grace", "0"]);
    assert("chat-check")
        .arg(server.address.to_string())
        .args(["--framing", "lines", "--case", "session-begins,session-quit"])
        .timeout(CHECK_DEADLINE)
        .assert()
        .stdout(predicate::str::contains("0 passed, 0 failed, 2 skipped"))
        .stdout(predicate::str::contains(
            "session-quit: the server gives no sessions: “-- Not sent: this server keeps no sessions.”",
        ))
        .code(0);
}

#[test]
fn sessions_are_no_part_of_the_table_in_the_reports_framing() {
    let server = Server::start();
    assert("chat-check")
        .arg(server.address.to_string())
        .args(["--case", "session-begins"])
        .timeout(CHECK_DEADLINE)
        .assert()
        .stdout(predicate::str::contains("session-begins: sessions are for lines: --framing lines"))
        .code(0);
    assert("chat-check")
        .arg(server.address.to_string())
        .timeout(CHECK_DEADLINE)
        .assert()
        .stdout(predicate::str::contains("25 passed, 0 failed, 4 skipped"))
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
fn a_server_that_cannot_be_checked_is_reported_in_one_line() {
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
fn a_server_that_does_not_start_is_reported_with_its_last_words() {
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
        // Only the one that has the port is still running.
        let _ = rustix::process::kill_process(orphan, rustix::process::Signal::KILL);
    }
    let expected = format!("the command has ended, but {address} is still in use");
    checked.code(1).stdout(predicate::str::contains(expected));
}

#[test]
fn a_checker_without_a_server_or_with_an_unknown_case_is_a_usage_error() {
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

/// An address where nobody listens now, for a server that cannot choose one itself.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
