//! How a client asks for a session, and what it does until it knows whether there is one.

use super::resume::*;
use super::*;

#[test]
fn a_client_asks_for_a_session_once_the_server_has_answered_and_then_numbers_its_lines() {
    let mut tested = Tested::connected(config());
    tested.receive("NICKConnected to server!\n");
    assert_eq!(tested.take_sent(), "Dinesh\nDinesh: /ping chat-client-1\n");
    tested.say("one").unwrap();
    assert_eq!((tested.take_sent(), tested.session.waiting()), (String::new(), 1), "it is held");
    tested.receive("-- pong chat-client-1\n");
    assert_eq!(tested.take_sent(), "Dinesh: /session\n");
    tested.take_events();
    tested.receive(&format!("Alex: hi\n{}-- Kept for 120 s after a lost connection.\n", begun(7)));
    assert_eq!(tested.take_events(), [line("Alex: hi"), Event::SessionKept], "the rest is nobody's business");
    assert_eq!(tested.take_sent(), "/n 1 one\n");
    tested.say("/two").unwrap();
    tested.send_line("/who").unwrap();
    tested.say("Dinesh: I").unwrap();
    tested.send_line(" ").unwrap();
    assert_eq!(tested.take_sent(), "/n 2 //two\n/n 3 /who\n/n 4 Dinesh: I\n", "a blank one is none");
    tested.receive("Dinesh: one\nDinesh: /two\n-- Here now (1): Dinesh\nDinesh: Dinesh: I\n");
    assert_eq!(tested.unconfirmed(), [""; 0]);
    assert_eq!(tested.session.saved(), Some(saved(10, 1)), "the line before the session does not count");
}

#[test]
fn a_refused_session_is_not_shown_and_lines_go_out_as_ever() {
    for refusal in ["-- Not sent: no such command; /help lists them.\n", "Dinesh: /session\n"] {
        let mut tested = asking();
        tested.say("one").unwrap();
        tested.send_line("/bogus").unwrap();
        tested.receive(refusal);
        assert_eq!(tested.take_events(), [], "{refusal}");
        assert_eq!(tested.take_sent(), "Dinesh: one\nDinesh: /bogus\n");
        tested.receive("Dinesh: one\n-- Not sent: no such command.\n");
        let refused = Event::NotSent("/bogus".to_owned());
        assert_eq!(
            tested.take_events(),
            [line("Dinesh: one"), refused, line("-- Not sent: no such command.")]
        );

        tested.say("two").unwrap();
        tested.session.connection_broken(tested.now);
        tested.collect();
        assert_eq!(
            tested.take_events(),
            disconnected(Disconnected::Broken),
            "there is nothing to go on with"
        );
        assert_eq!(tested.unconfirmed(), ["two"]);
        assert!(!tested.session.wants_connection());
    }
}

#[test]
fn lines_go_out_as_ever_as_soon_as_the_server_is_known_not_to_know_pings() {
    for answer in ["-- Not sent: no such command.\n", "Dinesh: /ping chat-client-1\n"] {
        let mut tested = Tested::connected(config());
        tested.receive("NICKConnected to server!\n");
        tested.say("one").unwrap();
        tested.take_sent();
        tested.receive(answer);
        assert_eq!(tested.take_sent(), "Dinesh: one\n");
    }
}

#[test]
fn a_server_that_does_not_answer_holds_no_line_for_longer_than_the_wait() {
    for answers_ping in [true, false] {
        let mut tested = if answers_ping { asking() } else { Tested::connected(config()) };
        tested.receive("NICKConnected to server!\n");
        tested.take_sent();
        tested.take_events();
        tested.say("one").unwrap();
        tested.wait(SESSION_WAIT / 2);
        assert_eq!(tested.take_sent(), "");
        tested.wait(SESSION_WAIT / 2);
        assert_eq!(tested.take_sent(), "Dinesh: one\n");
    }
}

#[test]
fn a_session_that_comes_late_is_taken_and_what_was_said_before_stays_unnumbered() {
    let mut tested = asking();
    tested.wait(SESSION_WAIT);
    tested.say("one").unwrap();
    tested.say("two").unwrap();
    tested.receive(&begun(7));
    tested.say("three").unwrap();
    assert_eq!(tested.take_sent(), "Dinesh: one\nDinesh: two\n/n 1 three\n");
    tested.receive("Dinesh: one\n");

    // The second has arrived, or it never will: both are known at the end of what was missed.
    lose(&mut tested);
    reconnect(&mut tested);
    tested.receive("-- Resumed as Dinesh at 8, 0 taken.\n");
    assert_eq!(
        tested.take_sent(),
        "/ping chat-client-2\n/n 1 three\n",
        "without a number, it may not be said again"
    );
    tested.take_events();
    tested.receive("-- pong chat-client-2 at 8, 0 taken.\n");
    assert_eq!(tested.take_events(), [Event::Unconfirmed(vec!["two".to_owned()]), Event::Pong]);
    assert_eq!(tested.unconfirmed(), ["three"]);
}

#[test]
fn a_refusal_of_a_line_that_was_sent_before_is_not_taken_for_that_of_the_session() {
    let mut tested = Tested::connected(config());
    tested.receive("NICKConnected to server!\n");
    tested.wait(SESSION_WAIT);
    tested.send_line("/bogus").unwrap();
    tested.receive("-- pong chat-client-1\n");
    tested.take_events();
    tested.receive("-- Not sent: no such command.\n");
    assert_eq!(tested.take_events()[0], Event::NotSent("/bogus".to_owned()));
    tested.receive("-- Not sent: no such command.\n");
    assert_eq!(tested.take_events(), [], "this one is");
}

#[test]
fn without_the_wish_for_a_session_nothing_is_asked_and_its_answers_are_lines_like_others() {
    for config in [dinesh(), config().with_framing(Framing::Report), config().without_heartbeat()] {
        let mut tested = Tested::connected(config);
        tested.receive("NICK");
        tested.receive("Connected to server!\n");
        tested.receive("-- pong chat-client-1\n");
        tested.say("one").unwrap();
        assert!(!tested.take_sent().contains("/session"));
        tested.take_events();
        tested.receive(&begun(7));
        assert!(matches!(&tested.take_events()[..], [Event::Line(_)]));
        tested.session.connection_broken(tested.now);
        tested.collect();
        assert_eq!(tested.take_events(), disconnected(Disconnected::Broken));
    }
}
