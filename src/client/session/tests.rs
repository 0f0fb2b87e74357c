mod model;
mod opening;
mod properties;
mod resume;
mod search;

use super::*;
use crate::protocol::{Refusal, Text};

const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A session whose server is the test.
struct Tested {
    session: Session,
    now: Duration,
    /// The events that have not been looked at yet.
    events: Vec<Event>,
    /// The sent bytes that have not been looked at yet.
    sent: String,
}

impl Tested {
    fn connected(config: Config) -> Self {
        let mut session = Session::new(config);
        session.connected(Duration::ZERO);
        Self { session, now: Duration::ZERO, events: Vec::new(), sent: String::new() }
    }

    /// One that is a member of a server that answers pings.
    fn joined() -> Self {
        let mut tested = Self::connected(dinesh());
        tested.receive("NICKDinesh joined the chat!\nConnected to server!\n-- pong chat-client-1\n");
        assert_eq!(tested.take_sent(), "Dinesh\nDinesh: /ping chat-client-1\n");
        tested.events.clear();
        tested
    }

    fn receive(&mut self, text: &str) {
        self.receive_bytes(text.as_bytes());
    }

    fn receive_bytes(&mut self, bytes: &[u8]) {
        self.session.receive(bytes, self.now);
        self.collect();
    }

    fn send_line(&mut self, line: &str) -> Result<(), SayError> {
        let sent = self.session.send_line(line, self.now);
        self.collect();
        sent
    }

    fn say(&mut self, text: &str) -> Result<(), SayError> {
        self.session.say(Text::parse(text).expect("a text"), self.now)
    }

    /// Lets time pass, at most this much, until something has happened.
    fn wait(&mut self, at_most: Duration) {
        let end = self.now + at_most;
        while let Some(due) = self.session.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.collect();
            if !self.events.is_empty() {
                return;
            }
        }
        self.now = end;
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.session.poll_event()));
        self.sent.push_str(std::str::from_utf8(self.session.transmit()).expect("text is sent"));
        self.session.sent(usize::MAX);
    }

    fn take_sent(&mut self) -> String {
        self.collect();
        std::mem::take(&mut self.sent)
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn unconfirmed(&self) -> Vec<&str> {
        self.session.unconfirmed().collect()
    }
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).expect("a nickname")
}

fn password(text: &str) -> Password {
    Password::parse(text).expect("a password")
}

fn dinesh() -> Config {
    Config::new(nickname("Dinesh"))
}

fn line(text: &str) -> Event {
    Event::Line(text.to_owned())
}

fn disconnected(how: Disconnected) -> Vec<Event> {
    vec![Event::Disconnected(how)]
}

#[test]
fn a_client_names_itself_and_pings_as_soon_as_it_has_joined() {
    let mut tested = Tested::connected(dinesh());
    tested.receive("NIC");
    assert_eq!(tested.take_sent(), "", "only the whole request is one");
    tested.receive("K");
    assert_eq!(tested.take_sent(), "Dinesh\n");
    assert!(!tested.session.is_joined());
    tested.receive("Dinesh joined the chat!\nConnected to server!\n");
    let heard = [line("Dinesh joined the chat!"), line("Connected to server!"), Event::Joined];
    assert_eq!(tested.take_events(), heard);
    assert_eq!(tested.take_sent(), "Dinesh: /ping chat-client-1\n");
    assert!(tested.session.is_joined());
    tested.receive("-- pong chat-client-1\n");
    assert_eq!(tested.take_events(), [Event::Pong]);
}

#[test]
fn without_a_heartbeat_nothing_is_sent_by_itself() {
    for config in [dinesh().without_heartbeat(), dinesh().with_framing(Framing::Report)] {
        let mut tested = Tested::connected(config);
        tested.receive("NICK");
        tested.receive("Connected to server!\n");
        assert_eq!(tested.take_events().last(), Some(&Event::Joined));
        tested.wait(FOR_EVER);
        assert_eq!(tested.take_sent().trim_end(), "Dinesh");
        assert!(tested.session.is_connected());
    }
}

#[test]
fn a_refused_nickname_can_be_retried() {
    let mut tested = Tested::connected(dinesh());
    tested.receive("NICK");
    tested.receive("-- Not joined: somebody here has that nickname.\nNICK\n");
    let reason = "somebody here has that nickname.".to_owned();
    let refused = line("-- Not joined: somebody here has that nickname.");
    assert_eq!(tested.take_events(), [refused, Event::NotJoined(reason), Event::NicknameWanted]);
    assert_eq!(tested.take_sent(), "Dinesh\n", "it is not tried again by itself");
    tested.wait(FOR_EVER);
    assert_eq!(tested.take_events(), [], "a person may think about it");

    tested.session.choose_nickname(nickname("Robot"), tested.now);
    tested.session.choose_nickname(nickname("Robot"), tested.now);
    assert_eq!(tested.take_sent(), "Robot\n", "once");
    tested.receive("Connected to server!\n");
    assert_eq!(tested.session.nickname().as_str(), "Robot");
    tested.say("hello").unwrap();
    assert!(tested.take_sent().ends_with("\nRobot: hello\n"));
}

#[test]
fn a_server_that_asks_again_without_a_reason_has_refused() {
    let mut tested = Tested::connected(dinesh().with_password(Some(password("sesame"))));
    tested.receive("NICKPASS\nPASS\n");
    assert!(matches!(&tested.take_events()[..], [Event::NotJoined(_), Event::PasswordWanted]));
    assert_eq!(tested.take_sent(), "Dinesh\nsesame\n", "a password is given once");
    tested.receive("NICK\n");
    assert_eq!(tested.take_events(), [Event::NicknameWanted]);
    tested.session.give_password(password("barley"), tested.now);
    assert_eq!(tested.take_sent(), "", "a password is never sent for a nickname");
    tested.session.choose_nickname(nickname("Robot"), tested.now);
    assert_eq!(tested.take_sent(), "Robot\n");
}

#[test]
fn a_password_that_is_not_there_is_asked_for() {
    let mut tested = Tested::connected(dinesh());
    tested.receive("NICK");
    tested.receive("PASS\n");
    assert_eq!(tested.take_events(), [Event::PasswordWanted]);
    tested.session.give_password(password("sesame"), tested.now);
    assert_eq!(tested.take_sent(), "Dinesh\nsesame\n");
    tested.receive("-- Not joined: the password is wrong.\n");
    tested.session.connection_closed(tested.now);
    tested.collect();
    let refused = [
        line("-- Not joined: the password is wrong."),
        Event::NotJoined("the password is wrong.".to_owned()),
        Event::Disconnected(Disconnected::Closed),
    ];
    assert_eq!(tested.take_events(), refused);
}

#[test]
fn in_the_reports_framing_one_has_joined_when_the_room_is_heard() {
    let mut tested = Tested::connected(dinesh().with_framing(Framing::Report));
    tested.receive("NICK");
    tested.receive("PASS");
    assert_eq!(tested.take_events(), [Event::PasswordWanted]);
    tested.session.give_password(password("sesame"), tested.now);
    tested.receive("Dinesh joined the chat!Connected to server!");
    assert_eq!(tested.take_events(), [line("Dinesh joined the chat!Connected to server!"), Event::Joined]);
    tested.receive("PASS");
    assert_eq!(tested.take_events(), [line("PASS")], "anybody can say that");
    tested.say("/hello").unwrap();
    assert_eq!(tested.take_sent(), "DineshsesameDinesh: /hello");
    tested.receive("Dinesh is now known as Robot.");
    assert_eq!(tested.session.nickname().as_str(), "Dinesh", "anybody can say that too");
}

#[test]
fn a_server_that_lets_nobody_in_is_given_up() {
    for answers in [&[][..], &["NICK"], &["NICK", "-- patience\n"]] {
        let mut tested = Tested::connected(dinesh());
        for answer in answers {
            tested.now += HANDSHAKE_TIMEOUT / 2;
            tested.receive(answer);
        }
        tested.events.clear();
        let begin = tested.now;
        tested.wait(FOR_EVER);
        assert_eq!(tested.take_events(), disconnected(Disconnected::NotAnswered));
        assert_eq!(tested.now, begin + HANDSHAKE_TIMEOUT);
    }
}

#[test]
fn a_client_that_talks_does_not_ping() {
    let mut tested = Tested::joined();
    for _ in 0..10 {
        tested.wait(PING_INTERVAL / 2);
        tested.send_line("hello").unwrap();
        tested.receive("Dinesh: hello\n");
        tested.events.clear();
    }
    assert_eq!(tested.take_sent(), "Dinesh: hello\n".repeat(10));
    tested.wait(PING_INTERVAL);
    assert_eq!(tested.take_sent(), "Dinesh: /ping chat-client-2\n");
}

#[test]
fn a_text_is_said_verbatim_and_a_line_as_it_was_typed() {
    let mut tested = Tested::joined();
    tested.say("/quit").unwrap();
    tested.send_line("/who").unwrap();
    assert_eq!(tested.take_sent(), "Dinesh: //quit\nDinesh: /who\n");
    assert_eq!(tested.unconfirmed(), ["/quit", "/who"]);
    tested.receive("Dinesh: /quit\n-- Not sent: no such command.\n");
    let refused = line("-- Not sent: no such command.");
    assert_eq!(tested.take_events(), [line("Dinesh: /quit"), Event::NotSent("/who".to_owned()), refused]);
    assert_eq!(tested.unconfirmed(), [""; 0]);
}

#[test]
fn a_new_nickname_is_noticed_and_its_echoes_are_receipts() {
    let mut tested = Tested::joined();
    tested.send_line("/nick Robot").unwrap();
    tested.say("hello").unwrap();
    tested.receive("Alex: Dinesh is now known as Mallory.\nAlex is now known as Al.\n");
    assert_eq!(tested.session.nickname().as_str(), "Dinesh");
    tested.receive("Dinesh is now known as Robot.\n");
    assert_eq!(tested.take_events().last(), Some(&Event::Renamed(nickname("Robot"))));
    assert_eq!(tested.unconfirmed(), ["hello"]);
    tested.receive("Robot: hello\n");
    assert_eq!(tested.unconfirmed(), [""; 0]);
}

#[test]
fn a_server_owes_only_answers_of_a_kind_that_it_has_given_before() {
    let mut tested = Tested::connected(dinesh());
    tested.receive("NICKConnected to server!\n");
    tested.now += Duration::from_secs(1);
    tested.say("hello").unwrap();
    tested.send_line("/who").unwrap();
    assert_eq!(tested.session.silent_since(), None, "it may be one that answers nothing");
    assert!(!tested.session.is_answered());
    tested.receive("Dinesh: hello\n");
    assert!(tested.session.is_answered());
    assert_eq!(tested.session.silent_since(), None, "it may know no commands");
    tested.now += Duration::from_secs(1);
    tested.say("again").unwrap();
    let said = tested.now;
    tested.now += Duration::from_secs(1);
    assert_eq!(tested.session.silent_since(), Some(said));
    tested.receive("Alex: hi\n");
    assert_eq!(tested.session.silent_since(), Some(tested.now), "it is not silent");
    tested.receive("Dinesh: again\n-- pong chat-client-1\n");
    assert_eq!(tested.session.silent_since(), None);
    tested.send_line("/who").unwrap();
    assert_eq!(tested.session.silent_since(), Some(tested.now), "it knows pings, and so commands");
    tested.receive("-- Here now (1): Dinesh\n");
    assert_eq!(tested.session.silent_since(), None);
    tested.wait(PING_INTERVAL);
    assert_eq!(tested.session.silent_since(), Some(tested.now), "it owes a pong");
}

#[test]
fn a_server_that_does_not_send_ones_own_lines_back_owes_nothing_after_a_pong() {
    let mut tested = Tested::joined();
    tested.say("hello").unwrap();
    assert_eq!(tested.take_sent(), "Dinesh: hello\n");
    assert_eq!((tested.session.in_flight(), tested.session.silent_since()), (1, Some(tested.now)));
    tested.wait(PING_INTERVAL);
    tested.receive("-- pong chat-client-2\n");
    assert_eq!((tested.session.in_flight(), tested.session.silent_since()), (0, None));
    assert_eq!(tested.unconfirmed(), ["hello"]);
}

#[test]
fn an_unreadable_message_is_reported() {
    let mut tested = Tested::joined();
    tested.receive_bytes(b"Alex: \xff\nAlex: hi\n");
    assert_eq!(tested.take_events(), [Event::Unreadable(Refusal::NotUtf8), line("Alex: hi")]);
}

#[test]
fn a_client_that_leaves_says_so_when_everything_is_sent_and_hears_the_rest() {
    let mut tested = Tested::joined();
    tested.say("goodbye").unwrap();
    tested.session.leave(LEAVE_TIMEOUT, tested.now);
    assert_eq!(tested.say("too late"), Err(SayError::NotJoined));
    assert!(!tested.session.wants_shutdown(), "not before everything is sent");
    assert_eq!(tested.take_sent(), "Dinesh: goodbye\n");
    assert!(tested.session.wants_shutdown());
    tested.receive("Dinesh: goodbye\n");
    tested.session.connection_closed(tested.now);
    tested.collect();
    assert_eq!(tested.take_events(), [line("Dinesh: goodbye"), Event::Disconnected(Disconnected::Left)]);
    assert_eq!(tested.unconfirmed(), [""; 0]);
}

#[test]
fn a_server_that_does_not_close_is_not_waited_for_for_ever() {
    for quits in [true, false] {
        let mut tested = Tested::joined();
        if quits {
            tested.send_line("/quit").unwrap();
            assert!(!tested.session.wants_shutdown(), "the server closes the connection");
        } else {
            tested.session.leave(LEAVE_TIMEOUT, tested.now);
        }
        let begin = tested.now;
        tested.wait(FOR_EVER);
        assert_eq!(tested.take_events(), disconnected(Disconnected::Silent));
        assert_eq!(tested.now, begin + LEAVE_TIMEOUT);
    }
}

#[test]
fn the_end_after_quit_is_by_the_clients_own_wish_and_a_broken_connection_is_not() {
    let mut tested = Tested::joined();
    tested.send_line("/quit").unwrap();
    tested.session.connection_closed(tested.now);
    tested.collect();
    assert_eq!(tested.take_events(), disconnected(Disconnected::Left));

    let mut tested = Tested::joined();
    tested.session.leave(LEAVE_TIMEOUT, tested.now);
    tested.session.connection_broken(tested.now);
    tested.collect();
    assert_eq!(tested.take_events(), disconnected(Disconnected::Broken));
}

#[test]
fn the_last_words_of_a_server_are_heard_when_nothing_can_be_sent_any_more() {
    for ends in [true, false] {
        let mut tested = Tested::joined();
        tested.say("hello").unwrap();
        tested.session.cannot_send(tested.now);
        assert_eq!(tested.take_sent(), "");
        assert_eq!(tested.say("again"), Err(SayError::NotJoined));
        // Leaving changes nothing: the said lines are lost.
        tested.session.leave(FOR_EVER, tested.now);
        assert!(!tested.session.wants_shutdown());
        tested.receive("-- The server is shutting down.\n");
        assert_eq!(tested.take_events(), [line("-- The server is shutting down.")]);
        if ends {
            tested.session.connection_closed(tested.now);
            tested.collect();
        }
        tested.wait(LEAVE_TIMEOUT);
        assert_eq!(tested.take_events(), disconnected(Disconnected::Broken));
        assert_eq!(tested.unconfirmed(), ["hello"]);
    }
}

#[test]
fn a_session_survives_its_connection_and_shakes_hands_on_the_next_one() {
    let mut tested = Tested::joined();
    tested.receive("Dinesh is now known as Robot.\nAlex: half a li");
    tested.say("hello").unwrap();
    tested.session.connection_broken(tested.now);
    tested.collect();
    assert_eq!(tested.take_events().last(), Some(&Event::Disconnected(Disconnected::Broken)));
    assert_eq!(tested.unconfirmed(), ["hello"]);
    assert_eq!((tested.session.next_timeout(), tested.session.transmit()), (None, &[][..]));
    assert_eq!(tested.say("nobody is there"), Err(SayError::NotJoined));

    tested.take_sent();
    tested.session.connected(tested.now);
    assert_eq!(tested.unconfirmed(), [""; 0]);
    tested.receive("NICKConnected to server!\n");
    assert_eq!(tested.take_sent(), "Robot\nRobot: /ping chat-client-1\n");
    assert_eq!(tested.take_events(), [line("Connected to server!"), Event::Joined]);
}

#[test]
fn everything_that_a_session_holds_is_bounded() {
    let mut tested = Tested::joined();
    let long = "x".repeat(SENT_LINE_BYTES);
    assert_eq!(tested.send_line(&format!("{long}x")), Err(SayError::NotALine));
    assert_eq!(tested.send_line("one\ntwo"), Err(SayError::NotALine));
    let unsent = (0..1_000).take_while(|_| tested.session.send_line(&long, tested.now).is_ok()).count();
    assert!((UNSENT_BYTES / SENT_LINE_BYTES).abs_diff(unsent) <= 1, "{unsent}");
    // A full socket takes no pings either, so none is queued.
    let waiting = tested.session.transmit().len();
    tested.session.handle_timeout(tested.now + PING_INTERVAL);
    assert_eq!(tested.session.transmit().len(), waiting);

    tested.take_sent();
    let unconfirmed = (0..1_000).take_while(|_| tested.send_line(&long).is_ok()).count() + unsent;
    assert!((UNCONFIRMED_BYTES / SENT_LINE_BYTES).abs_diff(unconfirmed) <= 1, "{unconfirmed}");
    assert_eq!(tested.session.unconfirmed().len(), unconfirmed);
}
