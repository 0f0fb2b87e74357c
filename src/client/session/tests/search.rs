//! The search for another connection: how long, how often, and how it ends.

use super::resume::*;
use super::*;

/// A client with a session whose connection has just been lost.
fn searching(config: Config) -> Tested {
    let mut tested = Tested::connected(config);
    tested.receive("NICKConnected to server!\n-- pong chat-client-1\n");
    tested.receive(&format!("{}-- Kept for 90 s after a lost connection.\n", begun(7)));
    tested.say("one").unwrap();
    tested.now += Duration::from_secs(1_000);
    lose(&mut tested);
    tested.take_sent();
    tested
}

/// Fails every attempt until the session gives up. Returns when they began.
fn fail(tested: &mut Tested) -> Vec<Duration> {
    let mut attempts = Vec::new();
    while tested.events.last() != Some(&Event::Disconnected(Disconnected::Broken)) {
        if tested.session.wants_connection() {
            attempts.push(tested.now);
            tested.session.connection_failed(tested.now);
            tested.collect();
        } else {
            let due = tested.session.tries_again_at().expect("it tries again");
            assert_eq!(tested.session.next_timeout(), Some(due));
            tested.now = due;
            tested.session.handle_timeout(due);
        }
    }
    attempts
}

#[test]
fn attempts_go_on_with_pauses_until_the_server_keeps_the_session_no_longer() {
    for at_most in [None, Some(Duration::from_secs(7)), Some(Duration::from_secs(700)), Some(Duration::ZERO)]
    {
        let mut tested =
            searching(dinesh().with_reconnect(Reconnect { for_at_most: at_most, ..Reconnect::new(42) }));
        let lost = tested.now;
        let attempts = fail(&mut tested);
        assert_eq!(attempts[0], lost, "the first at once");
        let patience = at_most.unwrap_or(Duration::from_secs(90));
        assert_eq!(attempts.last(), Some(&(lost + patience)), "the last at the very end");
        let mut bound = BACKOFF_MIN;
        for pair in attempts.windows(2) {
            assert!(pair[1] <= pair[0] + bound, "{attempts:?}");
            bound = (2 * bound).min(BACKOFF_MAX);
        }
        let pauses = |event: &&Event| matches!(event, Event::TryingAgain(_));
        assert_eq!(tested.events.iter().filter(pauses).count(), attempts.len());
        assert_eq!((tested.unconfirmed(), tested.session.is_joined()), (vec!["one"], false));
        assert_eq!((tested.session.next_timeout(), tested.session.wants_connection()), (None, false));
    }
}

#[test]
fn two_clients_that_lose_their_connections_together_do_not_come_back_together() {
    let attempts = |seed| fail(&mut searching(dinesh().with_reconnect(Reconnect::new(seed))));
    assert_eq!(attempts(1), attempts(1));
    assert_ne!(attempts(1)[1..5], attempts(2)[1..5]);
}

#[test]
fn an_attempt_that_leads_to_no_resume_is_one_that_failed_and_its_lines_are_not_shown() {
    for (says, closes) in [
        ("-- Not connected: too many connections from this address.\n", true),
        ("NICK", true),
        ("NICK-- The server is shutting down.\n", true),
        ("NICK", false),
    ] {
        let mut tested = searching(config());
        tested.take_events();
        tested.session.connected(tested.now);
        tested.receive(says);
        if closes {
            tested.session.connection_closed(tested.now);
            tested.collect();
        } else {
            tested.wait(HANDSHAKE_TIMEOUT);
        }
        assert!(matches!(&tested.take_events()[..], [Event::TryingAgain(_)]), "{says}");
        assert!(tested.session.saved().is_some());
        reconnect(&mut tested);
        tested.receive("-- Resumed as Dinesh at 7, 0 taken.\n");
        assert!(tested.take_sent().ends_with("/n 1 one\n"));
    }
}

#[test]
fn what_is_said_meanwhile_is_bounded() {
    let mut tested = searching(config());
    let long = "x".repeat(SENT_LINE_BYTES);
    let waiting = (0..1_000).take_while(|_| tested.session.send_line(&long, tested.now).is_ok()).count();
    assert!((UNCONFIRMED_BYTES / SENT_LINE_BYTES).abs_diff(waiting) <= 1, "{waiting}");
    assert_eq!(tested.send_line(&long), Err(SayError::Full));
    reconnect(&mut tested);
    tested.session.receive(b"-- Resumed as Dinesh at 7, 0 taken.\n", tested.now);
    let mut sent = String::new();
    while !tested.session.transmit().is_empty() {
        let queued = tested.session.transmit();
        assert!(queued.len() < UNSENT_BYTES + 2 * SENT_LINE_BYTES, "not all at once: {}", queued.len());
        sent.push_str(std::str::from_utf8(queued).unwrap());
        tested.session.sent(usize::MAX);
    }
    let number = |line: &str| line.strip_prefix("/n ")?.split_once(' ')?.0.parse::<u64>().ok();
    let numbers: Vec<u64> = sent.lines().filter_map(number).collect();
    assert_eq!(numbers, (1..=waiting as u64 + 1).collect::<Vec<_>>());
}

#[test]
fn a_client_that_was_killed_goes_on_with_its_session() {
    let resume = Some(saved(7, 3));
    let mut tested = Tested::connected(dinesh().with_reconnect(Reconnect { resume, ..Reconnect::new(42) }));
    tested.receive("NICK");
    assert_eq!(tested.take_sent(), format!("{}\n", saved(7, 3)));
    assert_eq!(tested.say("too early"), Err(SayError::NotJoined));
    tested.receive("-- Resumed as Robot at 12, 4 taken.\n");
    let resumed = Event::Resumed { away: None, missed_lines: 5 };
    assert_eq!(tested.take_events(), [resumed, Event::SessionKept]);
    assert_eq!(tested.session.nickname().as_str(), "Robot");
    tested.say("one").unwrap();
    assert_eq!(tested.take_sent(), "/ping chat-client-1\n/n 5 one\n");
    // These are about what its predecessor said.
    tested.receive("-- Not sent: no such command.\nRobot: one\nRobot is now known as Bo.\n");
    assert_eq!(tested.unconfirmed(), ["one"]);
    assert!(tested.take_events().iter().all(|event| matches!(event, Event::Line(_))));
    tested.receive("-- pong chat-client-1 at 12, 4 taken.\nRobot: one\n");
    assert_eq!(tested.unconfirmed(), [""; 0]);
}

#[test]
fn a_client_that_was_killed_joins_if_its_session_is_gone() {
    let resume = Some(saved(7, 3));
    let mut tested = Tested::connected(dinesh().with_reconnect(Reconnect { resume, ..Reconnect::new(42) }));
    tested.receive("NICK-- Not resumed: there is no such session.\nNICK\nConnected to server!\n");
    let gone = Event::NotResumed("there is no such session".to_owned());
    assert_eq!(tested.take_events(), [gone, line("Connected to server!"), Event::Joined]);
    tested.receive("-- pong chat-client-1\n");
    assert!(tested.take_sent().ends_with("\nDinesh\nDinesh: /ping chat-client-1\nDinesh: /session\n"));
}

#[test]
fn a_client_that_leaves_says_so_in_words_for_otherwise_its_session_would_be_kept() {
    for quits in [true, false] {
        let mut tested = asking();
        tested.receive(&begun(7));
        tested.say("one").unwrap();
        tested.take_events();
        if quits {
            tested.send_line("/quit").unwrap();
        } else {
            tested.session.leave(LEAVE_TIMEOUT, tested.now);
        }
        assert_eq!(tested.take_sent(), "/n 1 one\nDinesh: /quit\n");
        assert_eq!(tested.session.wants_shutdown(), !quits);
        assert_eq!(tested.say("too late"), Err(SayError::NotJoined));
        lose(&mut tested);
        assert_eq!(tested.take_events(), disconnected(Disconnected::Broken), "and it does not come back");
    }
    // What is held goes out first, and a session that is on its way is ended too.
    let mut tested = asking();
    tested.say("one").unwrap();
    tested.session.leave(LEAVE_TIMEOUT, tested.now);
    assert_eq!(tested.take_sent(), "Dinesh: one\nDinesh: /quit\n");
}

#[test]
fn a_client_without_a_connection_leaves_at_once() {
    for quits in [true, false] {
        let mut tested = searching(config());
        tested.take_events();
        if quits {
            tested.send_line("/quit").unwrap();
        } else {
            tested.session.leave(LEAVE_TIMEOUT, tested.now);
        }
        tested.collect();
        assert_eq!(tested.take_events(), disconnected(Disconnected::Left));
        assert_eq!((tested.session.next_timeout(), tested.session.wants_connection()), (None, false));
        assert_eq!(tested.unconfirmed(), ["one"]);
    }
}

#[test]
fn a_client_that_leaves_while_nothing_can_be_sent_does_not_come_back() {
    for leaves in [true, false] {
        let mut tested = asking();
        tested.receive(&begun(7));
        tested.take_events();
        tested.session.cannot_send(tested.now);
        tested.say("one").expect("it waits");
        if leaves {
            tested.session.leave(LEAVE_TIMEOUT, tested.now);
        }
        tested.wait(LEAVE_TIMEOUT);
        let how = Disconnected::Broken;
        let end = if leaves { Event::Disconnected(how) } else { Event::ConnectionLost(how) };
        assert_eq!(tested.take_events()[0], end);
    }
}
