//! Each way in which a connection can be lost, and how its session goes on.

use super::*;
use crate::protocol::{LogEpoch, Resume, SessionId, SessionNotice, Token};

/// How long the server of these tests keeps a session.
const GRACE: Duration = Duration::from_secs(120);

pub(super) fn config() -> Config {
    dinesh().with_reconnect(Reconnect::new(42))
}

pub(super) fn saved(public_lines: u64, private_lines: u64) -> Resume {
    let token = Token::new(SessionId(0x6f3a), [0x5e; 32]);
    Resume { token, epoch: LogEpoch(0x5c1e), public_lines, private_lines }
}

/// The line that tells of a new session.
pub(super) fn begun(public_lines: u64) -> String {
    let Resume { token, epoch, .. } = saved(0, 0);
    format!("-- {}\n", SessionNotice::Begun { token, epoch, public_lines })
}

/// A client that has asked for a session.
pub(super) fn asking() -> Tested {
    let mut tested = Tested::connected(config());
    tested.receive("NICKConnected to server!\n-- pong chat-client-1\n");
    tested.take_sent();
    tested.take_events();
    tested
}

/// A client that has a session, which has begun at line 7 of the log.
fn kept() -> Tested {
    let mut tested = asking();
    tested.receive(&format!("{}-- Kept for {} s after a lost connection.\n", begun(7), GRACE.as_secs()));
    tested.take_events();
    tested
}

pub(super) fn lose(tested: &mut Tested) {
    tested.session.connection_broken(tested.now);
    tested.collect();
}

/// Connects as soon as the session wants to; the server asks who is there. Returns the answer.
pub(super) fn reconnect(tested: &mut Tested) -> String {
    while !tested.session.wants_connection() {
        tested.wait(BACKOFF_MAX);
    }
    tested.sent.clear();
    tested.session.connected(tested.now);
    tested.receive("NICK");
    tested.take_sent()
}

/// One whose connection was lost, and that is connected again.
fn lost_and_reconnected(mut tested: Tested) -> Tested {
    lose(&mut tested);
    reconnect(&mut tested);
    tested.take_events();
    tested
}

#[test]
fn what_was_lost_before_the_server_took_it_is_sent_again_with_its_number() {
    let mut tested = kept();
    tested.say("one").unwrap();
    tested.now += Duration::from_secs(5);
    lose(&mut tested);
    let lost = [Event::ConnectionLost(Disconnected::Broken), Event::TryingAgain(Duration::ZERO)];
    assert_eq!(tested.take_events(), lost);
    assert!(tested.session.wants_connection(), "at once");
    assert!(tested.session.is_joined());
    tested.say("two").unwrap();
    assert_eq!((tested.unconfirmed(), tested.session.waiting()), (vec!["one", "two"], 1));

    tested.now += Duration::from_secs(3);
    assert_eq!(reconnect(&mut tested), format!("{}\n", saved(7, 0)));
    tested.receive("-- Resumed as Dinesh at 9, 0 taken.\n");
    let resumed = Event::Resumed { away: Some(Duration::from_secs(3)), missed_lines: 2 };
    assert_eq!(tested.take_events(), [resumed, Event::SessionKept]);
    assert_eq!(tested.take_sent(), "/ping chat-client-2\n/n 1 one\n/n 2 two\n");
    tested.receive("Alex: hi\nBo: ho\n-- pong chat-client-2 at 9, 0 taken.\nDinesh: one\nDinesh: two\n");
    let heard = [line("Alex: hi"), line("Bo: ho"), Event::Pong, line("Dinesh: one"), line("Dinesh: two")];
    assert_eq!(tested.take_events(), heard);
    assert_eq!((tested.unconfirmed(), tested.session.saved()), (vec![], Some(saved(11, 0))));
}

#[test]
fn what_was_taken_is_not_sent_again_and_its_answer_comes_with_what_was_missed() {
    let mut tested = kept();
    for line in ["one", "/bogus", "/nick Robot", "three", "four"] {
        tested.send_line(line).unwrap();
    }
    let mut tested = lost_and_reconnected(tested);
    tested.receive("-- Resumed as Robot at 10, 4 taken.\n");
    assert_eq!(tested.take_sent(), "/ping chat-client-2\n/n 5 four\n");
    tested.take_events();
    tested.receive("Dinesh: one\n-- Not sent: no such command.\n");
    let refused = Event::NotSent("/bogus".to_owned());
    assert_eq!(tested.take_events(), [line("Dinesh: one"), refused, line("-- Not sent: no such command.")]);
    tested.receive("Dinesh is now known as Robot.\nRobot: three\n");
    let renamed = Event::Renamed(nickname("Robot"));
    assert_eq!(tested.take_events(), [line("Dinesh is now known as Robot."), renamed, line("Robot: three")]);
    assert_eq!(tested.unconfirmed(), ["four"]);
    tested.receive("-- pong chat-client-2 at 10, 4 taken.\nRobot: four\n");
    assert_eq!(tested.unconfirmed(), [""; 0]);
}

#[test]
fn a_pong_settles_what_the_server_has_taken_without_an_answer_of_its_own() {
    let mut tested = kept();
    tested.send_line("/nick Dinesh").unwrap();
    tested.say("one").unwrap();
    tested.take_sent();
    tested.wait(PING_INTERVAL);
    tested.receive("-- pong chat-client-2 at 7, 1 taken.\n");
    assert_eq!(tested.unconfirmed(), ["one"]);
}

#[test]
fn a_line_that_was_cut_is_heard_once_and_whole() {
    let mut tested = kept();
    tested.receive("Alex: one\nAlex: tw");
    let mut tested = {
        lose(&mut tested);
        assert_eq!(tested.take_events()[0], line("Alex: one"));
        assert_eq!(reconnect(&mut tested), format!("{}\n", saved(8, 0)));
        tested
    };
    tested.receive("-- Resumed as Dinesh at 9, 0 taken.\nAlex: two\n");
    assert_eq!(tested.take_events().last(), Some(&line("Alex: two")));
}

#[test]
fn private_lines_are_counted_but_not_those_about_the_session_or_about_pings_of_the_clients_own() {
    let mut tested = kept();
    tested.send_line("/ping chat").unwrap();
    tested.wait(PING_INTERVAL);
    for (said, counts) in [
        ("-- Alex to you: psst", true),
        ("-- /who  who is here\n-- /quit  leave", true),
        ("-- pong chat at 7, 1 taken.", true),
        ("-- pong chat-client-2 at 7, 1 taken.", false),
        ("-- Kept for 60 s after a lost connection.", false),
        ("-- The server is shutting down.", false),
    ] {
        let before = tested.session.saved().unwrap().private_lines;
        tested.receive(&format!("{said}\n"));
        let after = tested.session.saved().unwrap();
        let lines = said.lines().count() as u64;
        assert_eq!(after.private_lines, before + if counts { lines } else { 0 }, "{said}");
        assert_eq!(after.public_lines, 7);
    }
    assert_eq!(tested.unconfirmed(), [""; 0], "the pong was for the user");
}

#[test]
fn what_is_no_longer_kept_is_reported_and_counted() {
    let mut tested = kept();
    for line in ["/bogus", "one", "/crazy"] {
        tested.send_line(line).unwrap();
    }
    let mut tested = lost_and_reconnected(tested);
    tested.receive("-- Resumed as Robot at 107, 2 taken.\n-- 99 lines are missing: no longer kept.\n");
    tested.receive("-- 1 private line is missing: no longer kept.\n");
    let resumed = Event::Resumed { away: Some(Duration::ZERO), missed_lines: 100 };
    let missing = |public_lines, private_lines| Event::Missing { public_lines, private_lines };
    assert_eq!(tested.take_events(), [resumed, Event::SessionKept, missing(99, 0), missing(0, 1)]);
    assert_eq!(tested.session.saved(), Some(saved(106, 1)));
    // It may be the answer to any of them, so it is taken for that of none.
    tested.receive("-- Not sent: no such command.\nRobot: hi\n");
    assert_eq!(tested.take_events(), [line("-- Not sent: no such command."), line("Robot: hi")]);
    assert_eq!(tested.unconfirmed(), ["/crazy"]);
    // The line that told of the new nickname is among those that are missing.
    tested.receive("-- pong chat-client-2 at 107, 2 taken.\n-- Not sent: no such command.\n");
    let refused = Event::NotSent("/crazy".to_owned());
    assert_eq!(tested.take_events()[..3], [Event::Renamed(nickname("Robot")), Event::Pong, refused]);
}

#[test]
fn without_word_of_what_was_taken_nothing_is_sent_again_but_what_was_never_sent() {
    let mut tested = kept();
    tested.say("one").unwrap();
    lose(&mut tested);
    tested.say("two").unwrap();
    reconnect(&mut tested);
    tested.take_events();
    tested.receive("-- Not resumed: there is no such session.\nNICK\n");
    let reason = Event::NotResumed("there is no such session".to_owned());
    assert_eq!(tested.take_events(), [reason, Event::Unconfirmed(vec!["one".to_owned()])]);
    assert!(!tested.session.is_joined());
    assert_eq!(tested.session.saved(), None);
    assert_eq!((tested.take_sent(), tested.unconfirmed()), ("Dinesh\n".to_owned(), vec!["two"]));

    tested.receive("Dinesh joined the chat!\nConnected to server!\n-- pong chat-client-2\n");
    assert_eq!(tested.take_events()[2], Event::Joined);
    assert_eq!(tested.take_sent(), "Dinesh: /ping chat-client-2\nDinesh: /session\n");
    tested.receive(&begun(0));
    assert_eq!(tested.take_sent(), "/n 1 two\n");
    assert_eq!(tested.session.saved(), Some(saved(0, 0)));
}

#[test]
fn what_was_certainly_not_taken_is_sent_again_by_the_newcomer() {
    for gives_sessions in [true, false] {
        let mut tested = kept();
        for text in ["one", "two", "three"] {
            tested.say(text).unwrap();
        }
        let mut tested = lost_and_reconnected(tested);
        tested.receive("-- Not resumed: the log is another one, 2 taken.\nNICK\n");
        assert_eq!(tested.take_events(), [Event::NotResumed("the log is another one".to_owned())]);
        tested.receive("Connected to server!\n-- pong chat-client-2\n");
        tested.take_sent();
        if gives_sessions {
            tested.receive(&begun(3));
            assert_eq!(tested.take_sent(), "/n 1 three\n");
        } else {
            tested.receive("-- Not sent: there are no sessions here.\n");
            assert_eq!(tested.take_sent(), "Dinesh: three\n");
        }
        tested.take_events();
        lose(&mut tested);
        assert_eq!(tested.take_events()[0] == Event::ConnectionLost(Disconnected::Broken), gives_sessions);
    }
}

#[test]
fn a_newcomer_whose_nickname_is_taken_is_asked_for_another_one() {
    let mut tested = lost_and_reconnected(kept());
    tested.receive("-- Not resumed: the session has ended, 0 taken.\nNICK\n");
    tested.receive("-- Not joined: somebody here has that nickname.\nNICK\n");
    let events = tested.take_events();
    assert_eq!(events.last(), Some(&Event::NicknameWanted));
    tested.session.choose_nickname(nickname("Robot"), tested.now);
    assert_eq!(tested.take_sent(), "Dinesh\nRobot\n");
}

#[test]
fn a_server_that_takes_the_request_for_a_nickname_is_given_a_nickname() {
    let mut tested = lost_and_reconnected(kept());
    tested.receive("-- Not joined: a nickname has no slashes.\nNICK\n");
    assert!(matches!(&tested.take_events()[..], [Event::NotResumed(_)]), "the refusal is not for the user");
    assert_eq!(tested.take_sent(), "Dinesh\n");

    let mut tested = lost_and_reconnected(kept());
    tested.receive("Connected to server!\n");
    assert!(!tested.session.is_connected(), "its name would be a token");
    assert_eq!(reconnect(&mut tested), "Dinesh\n");
}

#[test]
fn a_client_whose_session_goes_on_elsewhere_does_not_come_back() {
    for comes_to_an_end in [true, false] {
        let mut tested = kept();
        tested.say("one").unwrap();
        tested.receive("-- Your session goes on in another connection. Goodbye.\n");
        assert_eq!((tested.take_events(), tested.session.saved()), (vec![Event::TakenOver], None));
        assert_eq!(tested.say("two"), Err(SayError::NotJoined));
        if comes_to_an_end {
            tested.session.connection_closed(tested.now);
            tested.collect();
        } else {
            tested.wait(LEAVE_TIMEOUT);
        }
        assert_eq!(tested.take_events(), disconnected(Disconnected::Closed));
        assert_eq!(tested.unconfirmed(), ["one"]);
        assert_eq!((tested.session.wants_connection(), tested.session.next_timeout()), (false, None));
    }
}

#[test]
fn silence_ends_a_connection_with_a_session_sooner() {
    let mut tested = kept();
    tested.wait(FOR_EVER);
    assert_eq!(tested.take_events()[0], Event::ConnectionLost(Disconnected::Silent));
    assert_eq!(tested.now, SESSION_SILENCE_TIMEOUT);

    let mut tested = lost_and_reconnected(kept());
    tested.receive("-- Resumed as Dinesh at 7, 0 taken.\n");
    tested.take_events();
    tested.wait(FOR_EVER);
    assert_eq!(tested.take_events()[0], Event::ConnectionLost(Disconnected::Silent), "even before a pong");
}

#[test]
fn numbers_that_no_server_can_mean_make_nothing_overflow() {
    let mut tested = asking();
    tested.receive(&begun(u64::MAX));
    tested.receive("Alex: one\n");
    assert_eq!(tested.session.saved().unwrap().public_lines, u64::MAX);
    tested.receive(&format!("-- {} private lines are missing: no longer kept.\n", u64::MAX));
    tested.receive("-- Alex to you: psst\n");
    assert_eq!(tested.session.saved().unwrap().private_lines, u64::MAX);
    let mut tested = lost_and_reconnected(tested);
    tested.receive(&format!("-- Resumed as Dinesh at 8, {} taken.\n", u64::MAX));
    tested.take_sent();
    tested.say("one").unwrap();
    tested.say("two").unwrap();
    let sent = format!("/n {0} one\n/n {0} two\n", u64::MAX);
    assert_eq!(tested.take_sent(), sent);
}

#[test]
fn what_the_server_says_of_itself_is_shown_and_does_not_count() {
    let mut tested = kept();
    for notice in [SessionNotice::Held, SessionNotice::ShuttingDown] {
        let line = format!("-- {notice}");
        tested.receive(&format!("{line}\n"));
        assert_eq!(tested.take_events(), [Event::Line(line)]);
        assert_eq!(tested.session.saved(), Some(saved(7, 0)));
    }
}
