//! Input that no client should send: each gets the answer that `docs/protocol.md` names, and the rest of
//! the room notices nothing.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use super::support::{DEADLINE, Peer, Server};

/// Asserts that a member that was here before was told nothing, and is still served.
#[track_caller]
fn notices_nothing(bystander: &mut Peer) {
    bystander.send("all well?\n");
    bystander.expect_next("Bystander: all well?");
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_and_the_connection_lives_on() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let mut alex = server.join("Alex");
    bystander.expect("Alex joined the chat!");
    let too_long = "-- Not sent: a message has at most 1024 bytes.";
    let not_utf8 = "-- Not sent: it is not valid UTF-8.";
    let control = |code| format!("-- Not sent: a message cannot contain the control character {code}.");
    let cases: [(Vec<u8>, String); 8] = [
        (vec![b'x'; 1_025], too_long.into()),
        (vec![b'x'; 100_000], too_long.into()),
        (b"caf\xc3".to_vec(), not_utf8.into()),
        (b"\xff".to_vec(), not_utf8.into()),
        (b"a\x1b[31mb".to_vec(), control("U+001B")),
        (b"a\x00b".to_vec(), control("U+0000")),
        ("a\u{9b}b".into(), control("U+009B")),
        ("a\u{202e}b".into(), control("U+202E")),
    ];
    for (message, answer) in cases {
        alex.send_bytes(&message);
        alex.send("\n");
        alex.expect_next(&answer);
    }
    notices_nothing(&mut bystander);
    alex.send("and yet\n");
    bystander.expect_next("Alex: and yet");
}

#[test]
fn a_nickname_that_looks_like_anothers_or_hides_something_is_refused() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let like_another = "somebody here has that nickname, or one like it";
    for (wanted, reason) in [
        // The first letter is wide, all are in another case, some are Cyrillic, one is a blank of
        // music, one is Coptic.
        ("\u{ff22}ystander", like_another),
        ("BYSTANDER", like_another),
        ("Вystаndеr", "a nickname is written in one script, not in both Cyrillic and Latin"),
        ("Bystander\u{1d159}", "a nickname cannot contain “\u{1d159}” (U+1D159)"),
        ("\u{2c82}ystander", "a nickname cannot contain “\u{2c82}” (U+2C82)"),
        ("By\u{200b}stander", "a nickname cannot contain U+200B"),
        ("\u{202e}rednatsyB", "a nickname cannot contain U+202E"),
    ] {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        peer.send(&format!("{wanted}\n"));
        peer.expect_next(&format!("-- Not joined: {reason}."));
    }
    notices_nothing(&mut bystander);
}

#[test]
fn a_bad_or_taken_nickname_can_be_tried_three_times() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    for (wanted, answer) in [
        ("bystander\n", "somebody here has that nickname, or one like it"),
        ("two words\n", "a nickname cannot contain a space"),
    ] {
        peer.send(wanted);
        peer.expect_next(&format!("-- Not joined: {answer}."));
        peer.expect_next("NICK");
    }
    peer.send("\u{1b}[2J\n");
    peer.expect_next("-- Not joined: a nickname cannot contain U+001B.");
    peer.expect_end();
    notices_nothing(&mut bystander);
    #[cfg(unix)]
    super::support::snapshot("server_log_of_refused_nicknames", &{ server }.stop());
}

/// As happens to somebody who comes back while the room still takes the old connection for alive.
#[test]
#[cfg(unix)]
fn a_client_that_is_refused_and_leaves_is_one_warning() {
    let mut server = Server::start();
    let _ghost = server.join("Dinesh");
    for _ in 0..2 {
        let mut client = server.client(&["--nickname", "Dinesh"]);
        client.stderr.expect("somebody here has that nickname, or one like it");
        assert_eq!(client.wait().code(), Some(1));
    }
    let log = server.stop();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARNING")).collect();
    assert_eq!(warnings.len(), 2, "{log}");
    assert!(warnings.iter().all(|line| line.contains("the nickname \"Dinesh\": somebody here has")), "{log}");
}

#[test]
fn a_report_framed_client_with_a_taken_nickname_is_told_and_closed() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    peer.send("Bystander");
    assert_eq!(peer.read(), "-- Not joined: somebody here has that nickname, or one like it.");
    peer.expect_end();
    notices_nothing(&mut bystander);
}

#[test]
fn an_over_long_nickname_is_refused() {
    let server = Server::start();
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    peer.send(&format!("{}\n", "x".repeat(100_000)));
    peer.expect_next("-- Not joined: a nickname has at most 32 characters.");
    peer.expect_next("NICK");
    peer.send("Alex\n");
    peer.expect("Connected to server!");
}

#[test]
fn a_client_that_never_names_itself_holds_nobody_up() {
    let server = Server::start();
    let _silent: Vec<Peer> = (0..50).map(|_| server.connect()).collect();
    let mut alex = server.join("Alex");
    alex.send("hello\n");
    alex.expect_next("Alex: hello");
}

#[test]
fn a_nickname_that_comes_byte_by_byte_is_one_nickname() {
    let server = Server::start();
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    for byte in "Zoë\n".bytes() {
        peer.send_bytes(&[byte]);
    }
    peer.expect_next("Zoë joined the chat!");
}

#[test]
fn a_nickname_that_somebody_types_slowly_is_one_nickname() {
    let server = Server::start();
    for nickname in ["Alexander", "Łukasz"] {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        for key in nickname.chars() {
            peer.send(&key.to_string());
            hears_nothing(&mut peer, KEY_PAUSE);
        }
        peer.send("\n");
        peer.expect_next(&format!("{nickname} joined the chat!"));
        peer.expect("Connected to server!");
        peer.send("/quit\n");
        peer.expect_end();
    }
}

#[test]
fn a_nickname_of_one_letter_needs_no_newline() {
    let server = Server::start();
    let mut peer = server.connect();
    peer.expect_bytes("NICK");
    peer.send("A");
    peer.expect_bytes("A joined the chat!\nConnected to server!");
    peer.send("A: hello");
    peer.expect_bytes("A: hello");
}

/// The pause between two keystrokes of somebody who types slowly.
const KEY_PAUSE: Duration = Duration::from_millis(300);

/// Asserts that nothing comes for this long.
#[track_caller]
fn hears_nothing(peer: &mut Peer, pause: Duration) {
    let stream = peer.stream.get_ref();
    stream.set_read_timeout(Some(pause)).unwrap();
    // A signal to this process ends a call.
    let heard = std::iter::repeat_with(|| stream.peek(&mut [0]).map_err(|error| error.kind()))
        .find(|heard| *heard != Err(ErrorKind::Interrupted))
        .expect("it goes on for ever");
    assert!(matches!(heard, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{heard:?}");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
}

#[test]
fn a_client_that_closes_half_way_never_was_here() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    for part in ["", "Al"] {
        let mut peer = server.connect();
        peer.expect_bytes("NICK");
        peer.send(part);
        peer.stream.get_ref().shutdown(Shutdown::Write).unwrap();
        peer.expect_end();
    }
    notices_nothing(&mut bystander);
    #[cfg(unix)]
    assert_eq!({ server }.stop().matches("left without a nickname").count(), 2);
}

#[test]
fn half_a_message_is_never_said() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let mut alex = server.join("Alex");
    alex.send("whole\nhal");
    drop(alex);
    bystander.expect_next("Alex joined the chat!");
    bystander.expect_next("Alex: whole");
    bystander.expect_next("Alex left the chat.");
}

#[test]
fn a_client_that_sends_everything_and_then_closes_its_side_still_gets_its_answers() {
    let server = Server::start();
    let mut peer = server.connect();
    peer.send("Alex\none\ntwo\n");
    peer.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    peer.expect_bytes("NICK");
    peer.expect_next("Alex joined the chat!");
    peer.expect_next("Connected to server!");
    peer.expect_next("Alex: one");
    peer.expect_next("Alex: two");
    peer.expect_end();
}

#[test]
fn a_flood_without_a_newline_leaves_the_room_as_it_was() {
    const FLOOD_BYTES: usize = 64 << 20;
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    let alex = server.join("Alex");
    bystander.expect("Alex joined the chat!");
    let before = resident_bytes(&server);
    let mut flood = alex.stream.get_ref();
    let chunk = vec![b'x'; 65_536];
    for _ in 0..(FLOOD_BYTES / chunk.len()) {
        flood.write_all(&chunk).unwrap();
    }
    notices_nothing(&mut bystander);
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < FLOOD_BYTES / 16, "{grown} bytes more after a flood of {FLOOD_BYTES}");
}

/// 200 clients that connect and vanish, with resets, while two people talk.
#[test]
fn clients_that_connect_and_vanish_disturb_nobody() {
    let server = Server::start();
    let mut bystander = server.join("Bystander");
    for index in 0..200 {
        let mut peer = server.connect();
        match index % 3 {
            0 => {}
            1 => peer.send("Ghos"),
            _ => peer.send(&format!("Ghost{index}\nboo\n")),
        }
    }
    bystander.send("still here\n");
    bystander.expect("Bystander: still here");
    let mut last = server.join("Last");
    last.send("/who\n");
    last.expect("-- Here now (2): Bystander, Last");
    #[cfg(unix)]
    {
        // Every ghost that has joined has left, too.
        let log = { server }.stop();
        let count =
            |what: &str| log.lines().filter(|line| line.contains("Ghost") && line.contains(what)).count();
        assert_eq!(count(" connected from"), count(" disconnected"), "{log}");
    }
}

/// 0 where the system does not tell, so that the comparison above cannot fail.
fn resident_bytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.running.id())).unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kibibytes.unwrap_or(0) * 1_024
}
