//! The heartbeat of a connection: pings that keep it alive, and the silence by which it is known to be dead.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::protocol::{Framing, Heard};

/// How long the client says nothing before it pings. A third of what the server waits for, so that
/// one ping or two that come late cost nothing.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long nothing at all may come from a server that answers pings.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a ping asks for beside its number: nothing that a person would type.
const TOKEN: &str = "chat-client-";

/// When to ping, and when the connection is lost.
///
/// The first ping goes out right after joining. A server that does not answer it with its pong does
/// not know pings: it gets no more, and its silence means nothing. Should the pong come all the same,
/// the server does know them, and nothing that is said later can make the client forget that.
///
/// A refusal that comes behind the first ping is taken for the answer to it, so nothing else may be
/// sent between joining and that ping.
#[derive(Debug)]
pub struct Heartbeat {
    server: Server,
    pings: u64,
    pongs: u64,
    ping_due: Instant,
    last_heard: Instant,
}

/// What is known about the server's answer to pings.
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

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Send this line.
    Ping(String),
    /// Nothing has come for [`SILENCE_TIMEOUT`]: there is nobody there any more.
    Lost,
}

impl Heartbeat {
    /// The heartbeat of a connection that has not joined yet. In the report's framing there is none: the
    /// report's own server would take a ping for talk.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let server = match framing {
            Framing::Lines => Server::NotJoined,
            Framing::Report => Server::DoesNotAnswer,
        };
        let now = Instant::now();
        Self { server, pings: 0, pongs: 0, ping_due: now, last_heard: now }
    }

    /// The client has joined.
    pub fn begin(&mut self) {
        if self.server == Server::NotJoined {
            self.server = Server::Asked;
            self.ping_due = Instant::now();
        }
    }

    /// The client has said something itself.
    pub fn said(&mut self) {
        // The first ping is not put off: it has to find out whether there is an answer.
        if self.server == Server::Answers {
            self.ping_due = Instant::now() + PING_INTERVAL;
        }
    }

    /// A line has come. Returns whether it is about a ping of the client's own, and so nobody's
    /// business.
    pub fn hear(&mut self, line: &str) -> bool {
        self.last_heard = Instant::now();
        if self.pongs == self.pings {
            return false;
        }
        match Heard::parse(line) {
            Heard::Told(told) if self.is_own_pong(told) => {
                self.pongs += 1;
                self.server = Server::Answers;
                true
            }
            // Either is believed only of a server that has never answered, and only until it does:
            // whatever looks like an echo may be what another member has said.
            Heard::NotSent(_) if self.server == Server::Asked => self.is_not_understood(),
            Heard::Everyone(said) if self.server == Server::Asked && self.is_own_echo(said) => {
                self.is_not_understood()
            }
            _ => false,
        }
    }

    /// Waits until something is to be done. Can be cancelled and called again.
    pub async fn beat(&mut self) -> Beat {
        let lost_at = self.last_heard + SILENCE_TIMEOUT;
        match self.server {
            // What is due is not left to a timer, which would let something else come before it.
            Server::Asked if self.pings == 0 => {}
            Server::Asked => {
                sleep_until(self.ping_due).await;
                self.server = Server::DoesNotAnswer;
            }
            Server::Answers => sleep_until(self.ping_due.min(lost_at)).await,
            Server::NotJoined | Server::DoesNotAnswer => {}
        }
        if matches!(self.server, Server::NotJoined | Server::DoesNotAnswer) {
            return pending().await;
        }
        let now = Instant::now();
        if self.server == Server::Answers && now >= lost_at {
            return Beat::Lost;
        }
        self.pings += 1;
        self.ping_due = now + PING_INTERVAL;
        Beat::Ping(format!("/ping {TOKEN}{}", self.pings))
    }

    fn is_own_pong(&self, told: &str) -> bool {
        let number = told.strip_prefix("-- pong ").and_then(|token| token.strip_prefix(TOKEN));
        number == Some((self.pongs + 1).to_string().as_str())
    }

    fn is_own_echo(&self, said: &str) -> bool {
        said.ends_with(&format!("/ping {TOKEN}{}", self.pings))
    }

    fn is_not_understood(&mut self) -> bool {
        self.server = Server::DoesNotAnswer;
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

    /// Runs a test in virtual time.
    fn simulate(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    async fn joined() -> Heartbeat {
        let mut heartbeat = Heartbeat::new(Framing::Lines);
        heartbeat.begin();
        assert_eq!(heartbeat.beat().await, Beat::Ping("/ping chat-client-1".to_owned()));
        heartbeat
    }

    #[test]
    fn the_first_ping_goes_out_at_once_and_the_next_after_a_silence_of_ones_own() {
        simulate(async {
            let mut heartbeat = joined().await;
            assert!(heartbeat.hear("-- pong chat-client-1"), "nobody is shown it");
            let begin = Instant::now();
            assert!(timeout(PING_INTERVAL / 2, heartbeat.beat()).await.is_err());
            heartbeat.said();
            assert_eq!(heartbeat.beat().await, Beat::Ping("/ping chat-client-2".to_owned()));
            assert_eq!(begin.elapsed(), PING_INTERVAL / 2 + PING_INTERVAL);
        });
    }

    #[test]
    fn a_silent_server_that_has_answered_before_is_lost() {
        simulate(async {
            let mut heartbeat = joined().await;
            assert!(heartbeat.hear("-- pong chat-client-1"));
            let begin = Instant::now();
            while heartbeat.beat().await != Beat::Lost {}
            assert_eq!(begin.elapsed(), SILENCE_TIMEOUT);
        });
    }

    #[test]
    fn a_server_that_does_not_answer_the_first_ping_is_not_asked_again_and_never_lost() {
        for answer in [None, Some("bot: /ping chat-client-1"), Some("-- Not sent: no such command.")] {
            simulate(async {
                let mut heartbeat = joined().await;
                if let Some(answer) = answer {
                    assert!(heartbeat.hear(answer), "{answer}");
                    assert!(!heartbeat.hear(answer), "only one of them is about the ping: {answer}");
                }
                assert!(timeout(FOR_EVER, heartbeat.beat()).await.is_err());
            });
        }
    }

    #[test]
    fn a_member_that_says_what_an_echo_looks_like_does_not_stop_the_pulse() {
        simulate(async {
            let mut heartbeat = joined().await;
            heartbeat.hear("Mallory: /ping chat-client-1");
            assert!(heartbeat.hear("-- pong chat-client-1"), "the server answers all the same");
            assert_eq!(heartbeat.beat().await, Beat::Ping("/ping chat-client-2".to_owned()));
        });
    }

    #[test]
    fn a_server_that_has_answered_once_is_pinged_whatever_anybody_says() {
        simulate(async {
            let mut heartbeat = joined().await;
            assert!(heartbeat.hear("-- pong chat-client-1"));
            assert_eq!(heartbeat.beat().await, Beat::Ping("/ping chat-client-2".to_owned()));
            for line in ["Mallory: /ping chat-client-2", "-- Not sent: no such command."] {
                assert!(!heartbeat.hear(line), "this is shown: {line}");
            }
            assert!(heartbeat.hear("-- pong chat-client-2"));
            assert_eq!(heartbeat.beat().await, Beat::Ping("/ping chat-client-3".to_owned()));
        });
    }

    #[test]
    fn the_pong_that_a_person_asks_for_is_shown() {
        simulate(async {
            let mut heartbeat = joined().await;
            assert!(!heartbeat.hear("-- pong hello"));
            assert!(!heartbeat.hear("Alex: -- pong chat-client-1"));
            assert!(heartbeat.hear("-- pong chat-client-1"));
            assert!(!heartbeat.hear("-- pong chat-client-1"));
            assert!(!heartbeat.hear("-- Not sent: the message is empty."));
        });
    }

    #[test]
    fn in_the_reports_framing_there_is_no_pulse() {
        simulate(async {
            let mut heartbeat = Heartbeat::new(Framing::Report);
            heartbeat.begin();
            assert!(timeout(FOR_EVER, heartbeat.beat()).await.is_err());
        });
    }
}
