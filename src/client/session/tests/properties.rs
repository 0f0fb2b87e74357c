//! Properties of a session that hold no matter what the server says.

use proptest::prelude::*;

use super::resume::{begun, config, saved};
use super::*;

/// A line that a server may send, more or less sensible.
fn server_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("NICK".to_owned()),
        Just("PASS".to_owned()),
        Just("Connected to server!".to_owned()),
        Just("-- Not joined: because.".to_owned()),
        Just("-- Not sent: because.".to_owned()),
        Just("Dinesh is now known as Robot.".to_owned()),
        (1..4_u8).prop_map(|number| format!("-- pong chat-client-{number}")),
        (1..4_u8).prop_map(|number| format!("-- pong chat-client-{number} at 9, {number} taken.")),
        Just(begun(7).trim_end().to_owned()),
        Just("-- Resumed as Robot at 9, 1 taken.".to_owned()),
        Just("-- Not resumed: because, 1 taken.".to_owned()),
        Just("-- 2 lines are missing: no longer kept.".to_owned()),
        Just("-- Your session goes on in another connection. Goodbye.".to_owned()),
        (0..4_u8).prop_map(|number| format!("Dinesh: {number}")),
        (0..4_u8).prop_map(|number| format!("Robot: {number}")),
        "[^\n\r]{0,8}",
    ]
}

fn before_joining() -> impl Strategy<Value = String> {
    server_line().prop_filter("it lets nobody in", |line| line != "Connected to server!")
}

proptest! {
    #[test]
    fn any_cutting_of_the_servers_bytes_gives_the_same_events_and_answers(
        greeting in prop_oneof![4 => Just("NICK"), 1 => Just(""), 1 => Just("NI")],
        lines in proptest::collection::vec(server_line(), 0..12),
        cuts in proptest::collection::vec(1..20_usize, 0..60),
        has_session in any::<Option<bool>>(),
    ) {
        let config = match has_session {
            None => dinesh(),
            Some(false) => config(),
            Some(true) => dinesh().with_reconnect(Reconnect { resume: Some(saved(7, 3)), ..Reconnect::new(1) }),
        };
        let bytes = [greeting, &lines.join("\n"), "\n"].concat();
        let run = |cuts: &[usize]| {
            let mut tested = Tested::connected(config.clone().with_password(Some(password("sesame"))));
            let mut rest = bytes.as_bytes();
            for cut in cuts {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                tested.receive_bytes(piece);
                rest = more;
            }
            tested.receive_bytes(rest);
            tested.session.connection_closed(tested.now);
            tested.collect();
            (tested.take_events(), tested.take_sent())
        };
        let ((events, sent), (events_whole, sent_whole)) = (run(&cuts), run(&[]));
        prop_assert_eq!(events, events_whole);
        // A connection that is given up while its server's words are heard takes what is queued with it.
        if has_session != Some(true) {
            prop_assert_eq!(sent, sent_whole);
        }
    }

    #[test]
    fn never_more_is_unconfirmed_than_was_said(
        acts in proptest::collection::vec(prop_oneof![(0..4_u8).prop_map(Ok), server_line().prop_map(Err)], 0..60),
    ) {
        let mut tested = Tested::joined();
        let mut said: Vec<String> = Vec::new();
        let mut refused = 0;
        for act in acts {
            match act {
                Ok(number) => {
                    tested.say(&number.to_string()).unwrap();
                    said.push(number.to_string());
                }
                Err(line) => tested.receive(&format!("{line}\n")),
            }
            refused += tested.take_events().iter().filter(|event| matches!(event, Event::NotSent(_))).count();
            // The unconfirmed lines are the last of those that were said, in their order.
            prop_assert!(tested.unconfirmed().len() + refused <= said.len());
            let open = &said[said.len() - tested.unconfirmed().len()..];
            prop_assert_eq!(tested.unconfirmed(), open);
        }
    }

    #[test]
    fn a_server_that_answers_is_lost_exactly_when_it_has_been_silent_for_long_enough(
        pauses in proptest::collection::vec((0..84_999_u64, any::<bool>()), 0..20),
    ) {
        let mut tested = Tested::joined();
        for (pause, says) in pauses {
            let end = tested.now + Duration::from_millis(pause);
            tested.wait(Duration::from_millis(pause));
            prop_assert_eq!((tested.now, tested.take_events()), (end, vec![]));
            if says {
                tested.say("hello").unwrap();
            }
            tested.receive("Alex: hi\n");
            tested.events.clear();
        }
        let heard = tested.now;
        tested.wait(FOR_EVER);
        prop_assert_eq!(tested.take_events(), disconnected(Disconnected::Silent));
        prop_assert_eq!(tested.now, heard + SILENCE_TIMEOUT);
    }

    #[test]
    fn nothing_is_sent_before_joining_but_nicknames_and_passwords_when_they_are_asked_for(
        acts in proptest::collection::vec((before_joining(), 0..5_u8), 0..30),
        knows in any::<bool>(),
    ) {
        let mut tested = Tested::connected(dinesh().with_password(knows.then(|| password("sesame"))));
        let mut requests = 1;
        tested.receive("NICK");
        for (line, act) in acts {
            requests += usize::from(line == "NICK" || line == "PASS");
            tested.receive(&format!("{line}\n"));
            match act {
                0 => tested.session.choose_nickname(nickname("Robot"), tested.now),
                1 => tested.session.give_password(password("barley"), tested.now),
                2 => prop_assert_eq!(tested.say("hello"), Err(SayError::NotJoined)),
                3 => prop_assert_eq!(tested.send_line("/who"), Err(SayError::NotJoined)),
                _ => tested.wait(HANDSHAKE_TIMEOUT / 2),
            }
            tested.collect();
        }
        let sent: Vec<&str> = tested.sent.lines().collect();
        prop_assert!(sent.len() <= requests, "{:?}", sent);
        prop_assert!(sent.iter().all(|line| ["Dinesh", "Robot", "sesame", "barley"].contains(line)), "{:?}", sent);
    }
}
