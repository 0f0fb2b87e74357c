//! Members that take too long, or take nothing, are dropped, and the others notice nothing: each row of
//! the table in `docs/operations.md`, on the real server, with limits short enough to wait for.

use std::net::TcpStream;

use socket2::{Domain, Socket, Type};

use super::support::{Peer, Server};

/// The length of each line, so that buffers are full soon.
const TALK_BYTES: usize = 1_000;

#[test]
fn a_client_without_a_nickname_in_time_is_closed_and_logged_with_its_address() {
    let server = Server::start_with(&["--registration-timeout", "1"]);
    let mut dinesh = server.join("Dinesh");
    let mut silent = server.connect();
    let port = silent.stream.get_ref().local_addr().unwrap().port();
    silent.expect_bytes("NICK");
    silent.expect_next("-- No nickname has come in time. Goodbye.");
    silent.expect_end();
    server.wait_for_log(&format!("WARNING - Closed ('127.0.0.1', {port}): no nickname in time\n"));
    dinesh.send("all well?\n");
    dinesh.expect_next("Dinesh: all well?");
}

#[test]
fn a_silent_member_is_dropped_only_if_it_has_ever_pinged() {
    let server = Server::start_with(&["--ping-timeout", "1"]);
    let mut silent = server.join("Silent");
    let mut gone = server.join("Gone");
    gone.send("/ping 42\n");
    gone.expect("-- pong 42");
    silent.expect("Gone joined the chat!");
    silent.expect_next("Gone left the chat.");
    server.wait_for_log("INFO - Gone disconnected (timed out)\n");
    silent.send("still here\n");
    silent.expect_next("Silent: still here");
}

#[test]
fn a_member_that_takes_nothing_is_dropped_as_stalled_while_the_others_talk() {
    let server = Server::start_with(&["--rate", "0", "--write-timeout", "1", "--retention", "64"]);
    let mut talkers = talkers(&server);
    let _stalled = join_and_read_nothing(&server, "Stalled");
    talk_until_it_leaves(&mut talkers, "Stalled");
    server.wait_for_log("INFO - Stalled disconnected (stalled)\n");
}

#[test]
fn a_member_that_the_log_has_passed_is_dropped_as_too_slow_while_the_others_talk() {
    let server = Server::start_with(&["--rate", "0", "--write-timeout", "600", "--retention", "1"]);
    let mut talkers = talkers(&server);
    let _slow = join_and_read_nothing(&server, "Slow");
    talk_until_it_leaves(&mut talkers, "Slow");
    server.wait_for_log("INFO - Slow disconnected (too slow)\n");
}

#[test]
#[cfg(unix)]
fn a_stalled_member_does_not_hold_up_the_end_beyond_the_grace() {
    use std::time::{Duration, Instant};
    let mut server = Server::start_with(&[
        "--rate",
        "0",
        "--write-timeout",
        "600",
        "--shutdown-grace",
        "1",
        "--retention",
        "64",
    ]);
    let mut talkers = talkers(&server);
    let _stalled = join_and_read_nothing(&server, "Stalled");
    for _ in 0..LINES_TO_FILL_ITS_BUFFERS {
        say_and_hear(&mut talkers, "Stalled left the chat.");
    }
    let begin = Instant::now();
    let log = server.stop();
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(1), "it was waited for, {took:?}");
    assert!(took < Duration::from_secs(4), "the grace is a second, and the end took {took:?}");
    for mut talker in talkers {
        talker.expect_next("-- The server is shutting down.");
        talker.expect_end();
    }
    assert!(log.ends_with("INFO - Server stopped\n"), "{log}");
}

/// Far more than the sockets below hold.
#[cfg(unix)]
const LINES_TO_FILL_ITS_BUFFERS: usize = 10_000;

/// Two who talk and listen.
fn talkers(server: &Server) -> [Peer; 2] {
    let mut dinesh = server.join("Dinesh");
    let alex = server.join("Alex");
    dinesh.expect("Alex joined the chat!");
    [dinesh, alex]
}

/// A member whose socket takes little, and which never reads it.
fn join_and_read_nothing(server: &Server, nickname: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&server.address.into()).unwrap();
    let mut peer = Peer { stream: std::io::BufReader::new(socket.into()) };
    peer.join(nickname);
    peer.stream.into_inner()
}

/// Nobody waits for a member that takes nothing: each line comes back to both talkers, and nothing else
/// comes until that member is gone.
fn talk_until_it_leaves(talkers: &mut [Peer; 2], nickname: &str) {
    let gone = format!("{nickname} left the chat.");
    while !say_and_hear(talkers, &gone) {}
}

/// One says a line, and both hear it. Returns whether they heard instead that somebody is gone.
fn say_and_hear([dinesh, alex]: &mut [Peer; 2], gone: &str) -> bool {
    let talk = "x".repeat(TALK_BYTES);
    dinesh.send(&format!("{talk}\n"));
    [dinesh, alex].into_iter().any(|talker| {
        loop {
            let heard = talker.line().expect("the connection lives");
            if heard == gone || heard == format!("Dinesh: {talk}") {
                break heard == gone;
            }
            assert!(heard.ends_with(" joined the chat!"), "{heard}");
        }
    })
}
