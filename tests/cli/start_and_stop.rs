//! Starting, stopping and restarting, and the message when that fails.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use predicates::prelude::*;

use super::support::{Peer, Running, Server, assert, command, snapshot, wait_for};

fn help(name: &str) -> String {
    let output = assert(name).arg("--help").env("COLUMNS", "100").assert().success();
    String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8")
}

#[test]
fn the_server_explains_itself() {
    snapshot("chat-server_help", &help("chat-server"));
}

#[test]
fn the_client_explains_itself() {
    snapshot("chat-client_help", &help("chat-client"));
}

#[test]
fn the_server_prints_its_address_and_each_connection_and_nothing_else_on_stdout() {
    let mut server = Server::start();
    let member = server.join("Dinesh");
    let port = member.stream.get_ref().local_addr().unwrap().port();
    assert_eq!(server.running.stdout.next(), Some(format!("Connected with ('127.0.0.1', {port})")));
    assert_ne!(server.address.port(), 0, "the real port is said");
    server.running.kill();
    server.running.wait();
    assert_eq!(server.running.stdout.seen.len(), 2);
    assert_eq!(server.running.stderr.seen, [""; 0]);
}

#[test]
fn a_quiet_server_prints_only_its_address() {
    let mut server = Server::start_with(&["--quiet"]);
    server.join("Dinesh");
    server.running.kill();
    server.running.wait();
    assert_eq!(server.running.stdout.seen.len(), 1);
}

#[test]
fn a_verbose_server_tells_on_stderr_what_happens_inside() {
    let mut server = Server::start_with(&["-v"]);
    server.join("Dinesh");
    server.running.stderr.expect("registered");
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("chat.log");
    let mut running = Running::start(
        command("chat-server")
            .env("CHAT_LISTEN", "127.0.0.1:0")
            .env("CHAT_LOG", &log)
            .env("CHAT_LOG_FORMAT", "json")
            .env("CHAT_HISTORY", "1")
            .env("CHAT_QUIET", "true")
            .env("CHAT_METRICS", "127.0.0.1:0")
            .env("CHAT_REGISTRATION_TIMEOUT", "21")
            .env("CHAT_WRITE_TIMEOUT", "11")
            .env("CHAT_PING_TIMEOUT", "61")
            .env("CHAT_RETENTION", "9")
            .env("CHAT_SHUTDOWN_GRACE", "6"),
    );
    let line = running.stdout.expect("Server running on ");
    let address = line.trim_start_matches("Server running on ");
    let bot = |name: &str| {
        assert("chat-client")
            .env("CHAT_ADDRESS", address)
            .env("CHAT_NICKNAME", name)
            .env("CHAT_FRAMING", "lines")
            .write_stdin("hello\n")
            .assert()
            .success()
    };
    bot("one");
    bot("two").stdout("one left the chat.\ntwo joined the chat!\ntwo: hello\n");
    let message = r#""message":"Message: two: hello","event":"message","nickname":"two","text":"hello""#;
    wait_for(message, || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(message)));
    running.kill();
    running.wait();
    assert!(running.stderr.seen[0].starts_with("chat-server: metrics on http://127.0.0.1:"));
    assert_eq!(running.stdout.seen.len(), 1);
}

#[test]
fn a_limit_that_makes_no_sense_is_a_usage_error() {
    for (flag, value) in [
        ("--ping-timeout", "0"),
        ("--retention", "0"),
        ("--write-timeout", "-1"),
        ("--shutdown-grace", "ten"),
    ] {
        assert("chat-server").args([flag, value]).assert().code(2).stdout("");
    }
}

#[test]
fn a_port_in_use_is_reported_in_one_line() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let address = server.address.to_string();
    assert("chat-server")
        .current_dir(&directory)
        .args(["--listen", &address])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::eq(format!(
            "chat-server: cannot listen on {address}: the port is in use; \
             stop the program that has it, or choose another with --listen\n"
        )));
    server.join("Dinesh");
}

#[test]
fn a_log_that_cannot_be_opened_is_reported_in_one_line() {
    assert("chat-server")
        .args(["--listen", "127.0.0.1:0", "--log", "/nowhere/at/all/server.log"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::starts_with("chat-server: cannot open the log /nowhere/at/all/server.log: "));
}

#[test]
fn an_unknown_host_is_reported_in_one_line() {
    assert("chat-client")
        .args(["no-such-host.invalid:5555", "--nickname", "Dinesh"])
        .assert()
        .code(1)
        .stdout("")
        .stderr("chat-client: Cannot connect to no-such-host.invalid:5555: unknown host\n");
    assert("chat-server")
        .args(["--listen", "no-such-host.invalid:5555"])
        .assert()
        .code(1)
        .stderr("chat-server: cannot listen on no-such-host.invalid:5555: unknown host\n");
}

#[test]
fn a_port_where_nobody_listens_is_reported_in_one_line() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert("chat-client").args([&free, "--nickname", "Dinesh"]).assert().code(1).stderr(format!(
        "chat-client: Cannot connect to {free}: connection refused; is the server running there?\n"
    ));
}

#[test]
fn an_invalid_address_or_nickname_is_a_usage_error() {
    for arguments in [["127.0.0.1:99999", "--nickname", "Dinesh"], ["127.0.0.1", "--nickname", "two words"]] {
        assert("chat-client").args(arguments).assert().code(2).stdout("");
    }
    assert("chat-server").args(["--listen", "127.0.0.1:port"]).assert().code(2).stdout("");
    assert("chat-server").arg("--nonsense").assert().code(2).stdout("");
}

#[test]
fn a_closed_stdout_does_not_end_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = command("chat-server")
        .current_dir(&directory)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
    // The pipe is closed now, and the server prints a line for each of these.
    let address = first_line.trim_start_matches("Server running on ").trim_end().parse().unwrap();
    let mut dinesh = Peer::connect(address);
    dinesh.join("Dinesh");
    for name in ["Alex", "Max"] {
        Peer::connect(address).join(name);
        dinesh.expect(&format!("{name} left the chat."));
    }
    child.kill().unwrap();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap(), "");
}

#[cfg(unix)]
mod signals {
    use std::time::Instant;

    use commonroom::server::limits::SHUTDOWN_GRACE;
    use rustix::process::Signal;

    use super::super::support::{DEADLINE, read_log};
    use super::*;

    #[test]
    fn sigterm_and_ctrl_c_tell_the_members_and_end_with_0() {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = Server::start();
            let mut dinesh = server.join("Dinesh");
            let mut alex = server.join("Alex");
            alex.send("bye\n");
            dinesh.expect("Alex: bye");
            server.running.signal(signal);
            // The server waits until they have closed their ends, too.
            for mut member in [dinesh, alex] {
                member.expect("-- The server is shutting down.");
                member.expect_end();
            }
            assert_eq!(server.running.wait().code(), Some(0));
            snapshot("server_log_of_an_orderly_stop", &read_log(&server.log_path()));
        }
    }

    #[test]
    fn a_client_that_chooses_a_nickname_does_not_hold_up_the_end() {
        let mut server = Server::start();
        let mut silent = server.connect();
        silent.expect_bytes("NICK");
        let started = Instant::now();
        server.stop();
        assert!(started.elapsed() < SHUTDOWN_GRACE);
        silent.expect_next("-- The server is shutting down.");
        silent.expect_end();
    }

    #[test]
    fn a_restarted_server_has_its_port_at_once_and_goes_on_with_its_log() {
        for signal in [Signal::TERM, Signal::KILL] {
            let server = Server::start();
            let mut dinesh = server.join("Dinesh");
            server.wait_for_log("Dinesh connected from");
            let mut server = server.restart(signal);
            while dinesh.line().is_some() {}
            server.join("Dinesh");
            let log = server.stop();
            assert_eq!(log.matches("Server started").count(), 2, "{log}");
            assert_eq!(log.matches("Dinesh connected from").count(), 2, "{log}");
        }
    }

    #[test]
    fn killing_a_client_is_noticed_and_announced_once() {
        let mut server = Server::start();
        let mut dinesh = server.join("Dinesh");
        // A member with a session would not be missed before its grace is over.
        let mut alex = server.client(&["--nickname", "Alex", "--no-reconnect"]);
        alex.type_line("here");
        dinesh.expect("Alex: here");
        alex.kill();
        dinesh.expect("Alex left the chat.");
        dinesh.send("still here\n");
        dinesh.expect_next("Dinesh: still here");
        let log = server.stop();
        assert_eq!(log.matches("Alex disconnected").count(), 1, "{log}");
    }

    #[test]
    fn ctrl_c_on_a_client_leaves_with_0_and_the_others_are_told() {
        let server = Server::start();
        let mut dinesh = server.join("Dinesh");
        let mut alex = server.client(&["--nickname", "Alex"]);
        alex.type_line("here");
        alex.stdout.expect("Alex: here");
        alex.signal(Signal::INT);
        dinesh.expect("Alex left the chat.");
        assert_eq!(alex.wait().code(), Some(0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn systemd_is_told_when_the_server_listens_and_when_it_stops() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        systemd.set_read_timeout(Some(DEADLINE)).unwrap();
        let heard = || {
            let mut buffer = [0; 64];
            let length = systemd.recv(&mut buffer).expect("a message before the deadline");
            String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
        };
        let mut running = Running::start(
            command("chat-server")
                .current_dir(&directory)
                .args(["--listen", "127.0.0.1:0"])
                .env("NOTIFY_SOCKET", &path),
        );
        let line = running.stdout.expect("Server running on ");
        assert_eq!(heard(), "READY=1");
        let address = line.trim_start_matches("Server running on ").parse().unwrap();
        Peer::connect(address).join("Dinesh");
        running.signal(Signal::TERM);
        assert_eq!(heard(), "STOPPING=1");
        assert_eq!(running.wait().code(), Some(0));
    }
}
