//! `chat-client` in scripts: its exit code can be trusted.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;

use commonroom::terminal::pipe::WINDOW_LINES;

use super::support::{Running, Server, UNLIMITED, assert, command};

#[test]
fn piped_lines_are_said_and_the_exit_code_is_the_receipt() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    assert("chat-client")
        .args([&server.address.to_string(), "--nickname", "bot"])
        .write_stdin("hello\n\nlast line without its newline")
        .assert()
        .code(0)
        .stdout("bot joined the chat!\nbot: hello\nbot: last line without its newline\n")
        .stderr("");
    dinesh.expect_next("bot joined the chat!");
    dinesh.expect_next("bot: hello");
    dinesh.expect_next("bot: last line without its newline");
    dinesh.expect_next("bot left the chat.");
}

#[test]
fn without_a_nickname_the_first_line_is_the_nickname() {
    let server = Server::start();
    assert("chat-client")
        .arg(server.address.to_string())
        .write_stdin("bot\nhello\n")
        .assert()
        .code(0)
        .stdout("bot joined the chat!\nbot: hello\n")
        .stderr("Choose your nickname: ");
}

#[test]
fn a_line_that_is_refused_is_reported_and_makes_it_fail() {
    let server = Server::start();
    let long = "x".repeat(1_025);
    assert("chat-client")
        .args([&server.address.to_string(), "--nickname", "bot"])
        .write_stdin(format!("one\ntab\there\n{long}\ntwo\n"))
        .assert()
        .code(1)
        .stdout("bot joined the chat!\nbot: one\nbot: two\n")
        .stderr(
            "Line 2 was not sent: a message cannot contain the control character U+0009.\n\
             Line 3 was not sent: a message has at most 1024 bytes.\n\
             chat-client: 2 lines were not sent.\n",
        );
}

#[test]
fn a_line_that_begins_with_a_slash_is_said_as_it_is() {
    let server = Server::start();
    assert("chat-client")
        .args([&server.address.to_string(), "--nickname", "bot"])
        .write_stdin("/quit\n//two\n")
        .assert()
        .code(0)
        .stdout("bot joined the chat!\nbot: /quit\nbot: //two\n");
}

#[test]
fn a_nickname_that_is_taken_is_a_failure() {
    let server = Server::start();
    let _bot = server.join("bot");
    assert("chat-client")
        .args([&server.address.to_string(), "--nickname", "bot"])
        .write_stdin("hello\n")
        .assert()
        .code(1)
        .stdout("")
        .stderr("chat-client: Not joined: somebody here has that nickname, or one like it.\n");
}

#[test]
fn many_lines_all_come_back_in_order() {
    let server = Server::start_with(&UNLIMITED);
    let lines: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    assert("chat-client")
        .args([&server.address.to_string(), "--nickname", "bot"])
        .write_stdin(lines.join("\n"))
        .assert()
        .code(0)
        .stdout(format!("bot joined the chat!\nbot: {}\n", lines.join("\nbot: ")));
}

#[test]
fn a_connection_lost_before_the_last_echo_tells_how_many_lines_are_open() {
    // A server that takes three lines, answers one, and breaks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut bot = super::support::Peer { stream: std::io::BufReader::new(listener.accept().unwrap().0) };
        bot.send("NICK");
        assert_eq!(bot.line().as_deref(), Some("bot"));
        bot.send("bot joined the chat!\nConnected to server!\n");
        // A server that does not know pings gets only one.
        assert!(bot.line().unwrap().starts_with("bot: /ping "));
        for text in ["one", "two", "three"] {
            assert_eq!(bot.line().unwrap(), format!("bot: {text}"));
        }
        bot.send("bot: one\n");
    });
    assert("chat-client")
        .args([&address, "--nickname", "bot"])
        .write_stdin("one\ntwo\nthree\n")
        .assert()
        .code(1)
        .stdout("bot joined the chat!\nbot: one\n")
        .stderr("chat-client: Connection lost! 2 lines were not confirmed.\n");
    server.join().unwrap();
}

#[test]
fn a_connection_lost_before_joining_tells_how_many_lines_were_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        // One that is closed at once, and one that is closed when it has named itself.
        drop(listener.accept().unwrap());
        let mut bot = super::support::Peer { stream: std::io::BufReader::new(listener.accept().unwrap().0) };
        bot.send("NICK");
        assert_eq!(bot.line().as_deref(), Some("bot"));
    });
    for (input, said) in [("hello\n", "1 line was not sent"), ("one\n\ntwo\nthree", "3 lines were not sent")]
    {
        assert("chat-client")
            .args([&address, "--nickname", "bot"])
            .write_stdin(input)
            .assert()
            .code(1)
            .stdout("")
            .stderr(format!("chat-client: Connection lost! {said}.\n"));
    }
    server.join().unwrap();
}

#[test]
fn a_connection_lost_in_the_middle_counts_unconfirmed_and_unsent_lines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut bot = super::support::Peer { stream: std::io::BufReader::new(listener.accept().unwrap().0) };
        bot.send("NICK");
        assert_eq!(bot.line().as_deref(), Some("bot"));
        bot.send("Connected to server!\n");
        assert!(bot.line().unwrap().starts_with("bot: /ping "));
        for number in 1..=WINDOW_LINES {
            assert_eq!(bot.line().unwrap(), format!("bot: {number}"));
        }
    });
    let lines: Vec<String> = (1..=1_000).map(|number| number.to_string()).collect();
    assert("chat-client")
        .args([&address, "--nickname", "bot"])
        .write_stdin(lines.join("\n"))
        .assert()
        .code(1)
        .stderr("chat-client: Connection lost! 256 lines were not confirmed, and 744 were not sent.\n");
    server.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn an_echo_that_cannot_be_written_is_a_failure_after_everything_was_sent() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut bot = command("chat-client");
    bot.args([&server.address.to_string(), "--nickname", "bot"]);
    bot.stdin(Stdio::piped()).stderr(Stdio::piped());
    bot.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut bot = bot.spawn().unwrap();
    bot.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    dinesh.expect("bot: one");
    dinesh.expect("bot: two");
    let ended = bot.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(ended.stderr).unwrap(),
        "chat-client: What was said could not be written: no space left on device.\n"
    );
}

#[test]
fn an_output_that_nobody_reads_any_more_is_no_failure() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut bot = command("chat-client");
    bot.args([&server.address.to_string(), "--nickname", "bot"]);
    let mut bot = bot.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(bot.stdout.take());
    bot.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    dinesh.expect("bot: one");
    dinesh.expect("bot: two");
    let ended = bot.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[test]
fn a_server_that_goes_away_is_a_lost_connection() {
    let mut server = Server::start();
    let mut bot = server.client(&["--nickname", "bot", "--no-reconnect"]);
    bot.stdout.expect("bot joined the chat!");
    server.running.kill();
    bot.stderr.expect("chat-client: Connection lost!");
    assert_eq!(bot.wait().code(), Some(1));
}

#[cfg(unix)]
#[test]
fn a_client_that_is_told_to_end_leaves_in_order() {
    use rustix::process::Signal;
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut bot = server.client(&["--nickname", "bot"]);
        bot.type_line("one");
        bot.stdout.expect("bot: one");
        bot.signal(signal);
        // Long before the server would give it up.
        for wanted in ["bot joined the chat!", "bot: one", "bot left the chat."] {
            dinesh.expect_next(wanted);
        }
        assert_eq!(bot.wait().code(), Some(0), "{:#?}", bot.stderr.seen);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_started_to_outlive_its_terminal_does_so() {
    let server = Server::start();
    let mut bot = std::process::Command::new("sh");
    bot.env("XDG_RUNTIME_DIR", "/dev/null");
    bot.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(command("chat-client").get_program());
    bot.args([&server.address.to_string(), "--nickname", "bot"]);
    let mut bot = Running::start(&mut bot);
    bot.type_line("one");
    bot.stdout.expect("bot: one");
    bot.signal(rustix::process::Signal::HUP);
    bot.type_line("two");
    bot.stdout.expect("bot: two");
    assert_eq!(bot.wait().code(), Some(0), "{:#?}", bot.stderr.seen);
}

#[test]
fn lines_of_a_foreign_server_cannot_act_on_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut bot = Running::start(command("chat-client").args([&address, "--nickname", "bot"]));
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all("NICKConnected to server!\nAlex: \u{1b}[2Jboo\u{202e}\n".as_bytes()).unwrap();
    bot.stdout.expect("Alex: \\u{1b}[2Jboo\\u{202e}");
}
