//! The heartbeat of a connection: pings that keep it alive, and the silence by which it is known to be dead.

use std::time::Duration;

use super::answer::pong;
use crate::protocol::{Heard, Progress};

/// How long the client says nothing before it pings. A third of the server's own timeout, so that
/// one or two late pings do no harm.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long nothing at all may come from a server that answers pings. The server drops a silent member 60 s
/// after its last ping, and that is at most [`PING_INTERVAL`] old when the silence begins. So a client that
/// gives up after this long has been given up by the server before, and finds its nickname free when it comes
/// back.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(85);

/// The same for a client that has a session. It can try another connection much earlier, since its nickname stays
/// its own. One ping, and ten seconds for its pong.
pub const SESSION_SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// The same while the server has said that it holds what it is sent, because it cannot store it: pings, too.
pub const HELD_SILENCE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The text of a ping, apart from its number: nothing that a person would type.
const TOKEN: &str = "chat-client-";

/// When to ping, and when the connection is lost.
///
/// The first ping goes out right after joining. A server that does not answer it with its pong does
/// not know pings: it gets no more, and its silence means nothing. If the pong comes later all the same,
/// the server does know them, and nothing that is said later can make the client forget that.
///
/// A refusal that comes after the first ping is taken for the answer to it, so nothing else may be
/// sent between joining and that ping.
#[derive(Debug)]
pub(super) struct Heartbeat {
    server: Server,
    pings: u64,
    pongs: u64,
    pinged: Duration,
    ping_due: Duration,
    last_heard: Duration,
    silence_timeout: Duration,
    /// The server holds what it is sent, pings included.
    held: bool,
}

/// Whether the server answers pings, as known so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// It has not let the client in yet.
    NotJoined,
    /// The first ping is due, or on its way.
    Asked,
    /// It answers them.
    Answers,
    /// It does not, or is not to be asked.
    DoesNotAnswer,
}

/// The step that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send this line.
    Ping(String),
    /// Nothing has come for too long: there is nobody there any more.
    Lost,
}

/// The meaning of a line that is about a ping of the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The server answers it, and says how far the session is if there is one.
    Pong(Option<Progress>),
    /// The server does not know pings.
    NotUnderstood,
}

impl Heartbeat {
    /// The heartbeat of a connection that has not joined yet, after this many pings in earlier ones.
    pub(super) fn new(pings: u64) -> Self {
        Self {
            server: Server::NotJoined,
            pings,
            pongs: pings,
            pinged: Duration::ZERO,
            ping_due: Duration::ZERO,
            last_heard: Duration::ZERO,
            silence_timeout: SILENCE_TIMEOUT,
            held: false,
        }
    }

    /// No heartbeat: nothing is sent, and silence means nothing.
    pub(super) fn none() -> Self {
        Self { server: Server::DoesNotAnswer, ..Self::new(0) }
    }

    /// The client has joined.
    pub(super) fn begin(&mut self, now: Duration) {
        if self.server == Server::NotJoined {
            self.server = Server::Asked;
            self.ping_due = now;
        }
    }

    /// A session goes on in this connection. Its server is known to answer pings.
    pub(super) fn resume(&mut self, now: Duration) {
        if self.server == Server::NotJoined {
            self.server = Server::Answers;
            self.ping_due = now;
        }
        self.has_session();
    }

    /// The server keeps a session for the client.
    pub(super) fn has_session(&mut self) {
        self.silence_timeout = SESSION_SILENCE_TIMEOUT;
    }

    /// The server has said that it holds what it is sent. It is patience that is asked for, until the next pong.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// The client has said something itself.
    pub(super) fn said(&mut self, now: Duration) {
        // The first ping is not put off: it has to find out whether there is an answer.
        if self.server == Server::Answers {
            self.ping_due = now + PING_INTERVAL;
        }
    }

    /// Something has come, of any kind.
    pub(super) fn received(&mut self, now: Duration) {
        self.last_heard = now;
    }

    /// A line has come. Returns its meaning if it is about a ping of the client's own, and so nobody's
    /// business.
    pub(super) fn hear(&mut self, line: &str) -> Option<Reply> {
        if self.pongs == self.pings {
            return None;
        }
        match Heard::parse(line) {
            Heard::Told(told) => {
                let reply = self.own_pong(told)?;
                self.pongs += 1;
                self.server = Server::Answers;
                self.held = false;
                Some(reply)
            }
            // Either is believed only of a server that has never answered, and only until it does:
            // another member's words may look like an echo.
            Heard::NotSent(_) if self.server == Server::Asked => Some(self.is_not_understood()),
            Heard::Everyone(said) if self.server == Server::Asked && self.is_own_echo(said) => {
                Some(self.is_not_understood())
            }
            _ => None,
        }
    }

    /// The step that is due by now, if there is one.
    pub(super) fn beat(&mut self, now: Duration) -> Option<Beat> {
        if now < self.next_timeout()? {
            return None;
        }
        match self.server {
            Server::Asked if self.pongs < self.pings => {
                self.server = Server::DoesNotAnswer;
                return None;
            }
            Server::Answers if now >= self.silent_until() => return Some(Beat::Lost),
            _ => {}
        }
        self.pings += 1;
        self.pinged = now;
        self.ping_due = now + PING_INTERVAL;
        Some(Beat::Ping(format!("/ping {TOKEN}{}", self.pings)))
    }

    /// How many pings have been sent.
    pub(super) fn pings(&self) -> u64 {
        self.pings
    }

    /// Whether the server is known to answer pings.
    pub(super) fn is_answered(&self) -> bool {
        self.server == Server::Answers
    }

    /// When the last ping was sent, if a server that answers pings owes the answer to one.
    pub(super) fn owed_since(&self) -> Option<Duration> {
        (self.is_answered() && self.pongs < self.pings).then_some(self.pinged)
    }

    /// When [`beat`](Self::beat) is to be asked next.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        match self.server {
            Server::NotJoined | Server::DoesNotAnswer => None,
            Server::Asked => Some(self.ping_due),
            Server::Answers => Some(self.ping_due.min(self.silent_until())),
        }
    }

    /// When a server from which nothing comes is given up.
    fn silent_until(&self) -> Duration {
        self.last_heard + if self.held { HELD_SILENCE_TIMEOUT } else { self.silence_timeout }
    }

    fn own_pong(&self, told: &str) -> Option<Reply> {
        let (token, progress) = pong(told)?;
        let number = token.strip_prefix(TOKEN)?;
        (number == (self.pongs + 1).to_string()).then_some(Reply::Pong(progress))
    }

    fn is_own_echo(&self, said: &str) -> bool {
        said.ends_with(&format!("/ping {TOKEN}{}", self.pings))
    }

    fn is_not_understood(&mut self) -> Reply {
        self.server = Server::DoesNotAnswer;
        Reply::NotUnderstood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

    /// A heartbeat and its time.
    struct Patient {
        heartbeat: Heartbeat,
        now: Duration,
    }

    impl Patient {
        /// One that has joined some time ago, and sent its first ping.
        fn joined() -> Self {
            let mut patient = Self { heartbeat: Heartbeat::new(0), now: Duration::from_secs(5) };
            assert_eq!(patient.next_within(FOR_EVER), None, "nothing is sent before it has joined");
            patient.heartbeat.begin(patient.now);
            assert_eq!(patient.next_within(Duration::ZERO), Some(ping(1)), "at once");
            patient
        }

        fn hear(&mut self, line: &str) -> bool {
            self.heartbeat.received(self.now);
            self.heartbeat.hear(line).is_some()
        }

        /// Waits until something is to be done, but no longer than this.
        fn next_within(&mut self, wait: Duration) -> Option<Beat> {
            let end = self.now + wait;
            while let Some(due) = self.heartbeat.next_timeout().filter(|due| *due <= end) {
                self.now = self.now.max(due);
                if let Some(beat) = self.heartbeat.beat(self.now) {
                    return Some(beat);
                }
            }
            self.now = end;
            None
        }
    }

    fn ping(number: u64) -> Beat {
        Beat::Ping(format!("/ping chat-client-{number}"))
    }

    #[test]
    fn the_first_ping_goes_out_at_once_and_the_next_after_a_silence_of_ones_own() {
        let mut patient = Patient::joined();
        assert!(patient.hear("-- pong chat-client-1"), "nobody is shown it");
        let said_at = patient.now + PING_INTERVAL / 2;
        assert_eq!(patient.next_within(PING_INTERVAL / 2), None);
        patient.heartbeat.said(patient.now);
        assert_eq!(patient.next_within(FOR_EVER), Some(ping(2)));
        assert_eq!(patient.now, said_at + PING_INTERVAL);
    }

    #[test]
    fn nothing_is_done_before_it_is_due() {
        let mut patient = Patient::joined();
        assert!(patient.hear("-- pong chat-client-1"));
        let due = patient.heartbeat.next_timeout().unwrap();
        let early = due.saturating_sub(Duration::from_nanos(1));
        assert_eq!(patient.heartbeat.beat(early), None);
        assert_eq!(patient.heartbeat.beat(due), Some(ping(2)));
        assert_eq!(patient.heartbeat.beat(due), None, "and then only once");
    }

    #[test]
    fn a_silent_server_that_has_answered_before_is_lost() {
        let mut patient = Patient::joined();
        assert!(patient.hear("-- pong chat-client-1"));
        let lost_at = patient.now + SILENCE_TIMEOUT;
        while patient.next_within(FOR_EVER) != Some(Beat::Lost) {}
        assert_eq!(patient.now, lost_at);
    }

    #[test]
    fn a_server_that_holds_what_it_is_sent_is_not_lost_until_it_is_silent_for_much_longer() {
        let mut patient = Patient::joined();
        assert!(patient.hear("-- pong chat-client-1"));
        patient.heartbeat.hold();
        let held_until = patient.now + HELD_SILENCE_TIMEOUT / 2;
        while patient.now < held_until {
            assert!(matches!(patient.next_within(PING_INTERVAL), Some(Beat::Ping(_))));
        }
        assert!(patient.hear("-- pong chat-client-2"));
        let lost_at = patient.now + SILENCE_TIMEOUT;
        while patient.next_within(FOR_EVER) != Some(Beat::Lost) {}
        assert_eq!(patient.now, lost_at);
    }

    #[test]
    fn a_server_that_does_not_answer_the_first_ping_is_not_asked_again_and_never_lost() {
        for answer in [None, Some("bot: /ping chat-client-1"), Some("-- Not sent: no such command.")] {
            let mut patient = Patient::joined();
            if let Some(answer) = answer {
                assert!(patient.hear(answer), "{answer}");
                assert!(!patient.hear(answer), "only one of them is about the ping: {answer}");
            }
            assert_eq!(patient.next_within(FOR_EVER), None, "{answer:?}");
        }
    }

    #[test]
    fn a_pong_that_comes_too_late_shows_all_the_same_that_the_server_answers() {
        let mut patient = Patient::joined();
        assert_eq!(patient.next_within(2 * PING_INTERVAL), None);
        assert!(patient.hear("-- pong chat-client-1"));
        assert_eq!(patient.next_within(FOR_EVER), Some(ping(2)));
    }

    #[test]
    fn a_member_that_imitates_an_echo_does_not_stop_the_heartbeat() {
        let mut patient = Patient::joined();
        patient.hear("Mallory: /ping chat-client-1");
        assert!(patient.hear("-- pong chat-client-1"), "the server answers all the same");
        assert_eq!(patient.next_within(FOR_EVER), Some(ping(2)));
    }

    #[test]
    fn a_server_that_has_answered_once_is_pinged_no_matter_what_is_said() {
        let mut patient = Patient::joined();
        assert!(patient.hear("-- pong chat-client-1"));
        assert_eq!(patient.next_within(FOR_EVER), Some(ping(2)));
        for line in ["Mallory: /ping chat-client-2", "-- Not sent: no such command."] {
            assert!(!patient.hear(line), "this is shown: {line}");
        }
        assert!(patient.hear("-- pong chat-client-2"));
        assert_eq!(patient.next_within(FOR_EVER), Some(ping(3)));
    }

    #[test]
    fn the_pong_that_a_person_asks_for_is_shown() {
        let mut patient = Patient::joined();
        assert!(!patient.hear("-- pong hello"));
        assert!(!patient.hear("Alex: -- pong chat-client-1"));
        assert!(patient.hear("-- pong chat-client-1"));
        assert!(!patient.hear("-- pong chat-client-1"));
        assert!(!patient.hear("-- Not sent: the message is empty."));
    }

    #[test]
    fn without_a_heartbeat_nothing_is_sent_and_silence_means_nothing() {
        let mut patient = Patient { heartbeat: Heartbeat::none(), now: Duration::ZERO };
        patient.heartbeat.begin(patient.now);
        assert_eq!(patient.next_within(FOR_EVER), None);
        assert!(!patient.hear("-- pong chat-client-1"));
        assert_eq!(patient.next_within(FOR_EVER), None);
    }
}
