//! People talk: each sees the right lines, and the log has them.

#[cfg(unix)]
use super::support::snapshot;
use super::support::{Server, UNLIMITED};

#[test]
fn three_clients_chat_and_the_log_has_it_line_by_line() {
    let server = Server::start();
    let mut dinesh = server.client(&["--nickname", "Dinesh"]);
    dinesh.stdout.expect("Dinesh joined the chat!");
    let mut alex = server.client(&["--nickname", "Alex"]);
    alex.stdout.expect("Alex joined the chat!");
    let mut max = server.client(&["--nickname", "Max"]);
    max.stdout.expect("Max joined the chat!");

    alex.type_line("Hello everyone");
    max.stdout.expect("Alex: Hello everyone");
    max.type_line("hi");
    dinesh.stdout.expect("Max: hi");
    dinesh.type_line("exit");
    max.stdout.expect("Dinesh: exit");
    assert_eq!(dinesh.wait().code(), Some(0));
    max.stdout.expect("Dinesh left the chat.");
    assert_eq!(alex.wait().code(), Some(0));
    max.stdout.expect("Alex left the chat.");
    assert_eq!(max.wait().code(), Some(0));

    let talk =
        ["Alex: Hello everyone", "Max: hi", "Dinesh: exit", "Dinesh left the chat.", "Alex left the chat."];
    assert_eq!(max.stdout.seen[1..], talk, "the last one saw everything, in order");
    assert_eq!(alex.stdout.seen[2..], talk[..4]);
    assert_eq!(dinesh.stdout.seen[3..], talk[..3]);
    #[cfg(unix)]
    snapshot("server_log_of_three_clients", &{ server }.stop());
}

#[test]
fn with_nc_a_nickname_and_lines_are_all_it_takes() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut nc = server.connect();
    nc.expect_bytes("NICK");
    nc.send("Alex\r\n");
    nc.expect_next("Alex joined the chat!");
    nc.expect_next("Connected to server!");
    nc.send("hello from telnet\r\nAlex: as the report's client would say it\n");
    dinesh.expect_next("Alex joined the chat!");
    dinesh.expect_next("Alex: hello from telnet");
    dinesh.expect_next("Alex: as the report's client would say it");
    drop(nc);
    dinesh.expect_next("Alex left the chat.");
}

#[test]
fn the_reports_client_may_choose_a_nickname_that_is_normalised() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    for (typed, nickname) in [("Zoe\u{308}", "Zoë"), ("Alex ", "Alex"), ("\u{ff2d}ax", "Max")] {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        // It ends nothing with a newline, and puts the nickname in front of each message as it was typed.
        peer.send(typed);
        peer.expect_bytes(&format!("{nickname} joined the chat!\nConnected to server!"));
        peer.send(&format!("{typed}: hello{typed}: /me waves"));
        for line in [" joined the chat!", ": hello"] {
            dinesh.expect_next(&format!("{nickname}{line}"));
        }
        dinesh.expect_next(&format!("* {nickname} waves"));
        drop(peer);
        dinesh.expect_next(&format!("{nickname} left the chat."));
    }
}

#[test]
fn nobody_can_speak_under_anothers_name() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut mallory = server.join("Mallory");
    mallory.send("Dinesh: I owe you money\n");
    dinesh.expect("Mallory: Dinesh: I owe you money");
}

#[test]
fn the_answer_to_a_command_is_for_its_sender_alone() {
    let server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut alex = server.join("Alex");
    dinesh.expect("Alex joined the chat!");

    alex.send("/who\n/me waves\n//shrug\n/msg dinesh psst\n/ping 42\n/nick Sascha\nit is me\n/frobnicate\n");
    alex.expect_next("-- Here now (2): Dinesh, Alex");
    alex.expect_next("* Alex waves");
    alex.expect_next("Alex: /shrug");
    alex.expect_next("-- You to Dinesh: psst");
    alex.expect_next("-- pong 42");
    alex.expect_next("Alex is now known as Sascha.");
    alex.expect_next("Sascha: it is me");
    alex.expect_next("-- Not sent: no such command; /help lists them.");

    dinesh.expect_next("* Alex waves");
    dinesh.expect_next("Alex: /shrug");
    dinesh.expect_next("-- Alex to you: psst");
    dinesh.expect_next("Alex is now known as Sascha.");
    dinesh.expect_next("Sascha: it is me");

    alex.send("/quit\n");
    dinesh.expect_next("Sascha left the chat.");
    alex.expect_end();
}

#[cfg(unix)]
#[test]
fn a_private_message_is_not_logged() {
    let mut server = Server::start();
    let mut dinesh = server.join("Dinesh");
    let mut alex = server.join("Alex");
    alex.send("/msg Dinesh the secret\n/me waves\n/nick Sascha\n");
    dinesh.expect("Alex is now known as Sascha.");
    let log = server.stop();
    assert!(!log.contains("secret"), "{log}");
    snapshot("server_log_of_commands", &log);
}

#[test]
fn a_newcomer_is_shown_the_history() {
    let server = Server::start_with(&["--history", "2"]);
    let mut dinesh = server.join("Dinesh");
    dinesh.send("one\ntwo\n");
    dinesh.expect("Dinesh: two");
    let mut alex = server.connect();
    alex.expect_bytes("NICK");
    alex.send("Alex\n");
    alex.expect_next("Dinesh: one");
    alex.expect_next("Dinesh: two");
    alex.expect_next("Alex joined the chat!");
    alex.expect_next("Connected to server!");
}

#[test]
fn five_clients_under_stress_lose_nothing_and_see_one_order() {
    const MESSAGES: usize = 2_000;
    let server = Server::start_with(&UNLIMITED);
    let mut members: Vec<_> = (0..5).map(|index| server.join(&format!("member{index}"))).collect();
    let screens: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = members
            .iter_mut()
            .map(|member| {
                let mut writer = member.stream.get_ref().try_clone().unwrap();
                scope.spawn(move || {
                    use std::io::Write;
                    for number in 0..MESSAGES {
                        writeln!(writer, "{number}").unwrap();
                    }
                });
                scope.spawn(move || {
                    let talk = |line: &String| line.contains(": ");
                    std::iter::from_fn(|| member.line()).filter(talk).take(5 * MESSAGES).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for screen in &screens {
        assert_eq!(screen, &screens[0], "one order for everyone");
    }
    for index in 0..5 {
        let prefix = format!("member{index}: ");
        let own: Vec<usize> =
            screens[0].iter().filter_map(|line| line.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(
            own.iter().copied().eq(0..MESSAGES),
            "all of each sender's messages, in its order, none twice"
        );
    }
}
