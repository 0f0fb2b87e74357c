//! A client with a session, as a program: it pings as `chat-client` does, and says its lines when they are due.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::client::{Config, Connection, Event, Reconnect, connect};
use commonroom::net::Stream;
use commonroom::protocol::{Framing, Nickname, Resume};
use tokio::time::{Instant, sleep_until};

use super::network::Simulated;
use super::witness::{Ending, Membership, Session, Witness};
use super::world::address;

/// What is stored of a session, for another client.
pub type Stored = Arc<Mutex<Option<Resume>>>;

/// A client and what it says, in chronological order. Times are since the beginning of the world.
#[derive(Clone)]
pub struct ChatClient {
    pub host: &'static str,
    pub nickname: &'static str,
    pub connects: Duration,
    pub says: Vec<(Duration, &'static str)>,
    /// It goes on with the session that is stored here, or stores its own.
    pub stored: Stored,
}

impl ChatClient {
    /// Runs until its connection has ended for good.
    pub async fn run(self, witness: Witness) -> io::Result<()> {
        let begin = Instant::now();
        sleep_until(begin + self.connects).await;
        let network = Simulated::default();
        let resume = self.stored.lock().unwrap().clone();
        let nickname = Nickname::parse(self.nickname).expect("a valid nickname");
        let reconnect = Reconnect { resume, ..Reconnect::new(0) };
        let config = Config::new(nickname).with_reconnect(reconnect);
        let mut connection = connect(&network, &address(), config).await?;
        let from = network.dialled.last().expect("it has just connected");
        let new = Membership::new(self.host, Framing::Lines, from, begin.elapsed(), self.nickname);
        let session = Some(Session { dialled: network.dialled.clone(), ..Session::default() });
        witness.connected(Membership { session, ..new });
        let mut says = self.says.iter().peekable();
        loop {
            let due = says.peek().map(|(at, _)| begin + *at);
            tokio::select! {
                biased;
                event = connection.next() => match event {
                    Some(event) => self.hear(event, &connection, &witness, begin),
                    None => return Ok(()),
                },
                () = sleep_until(due.unwrap_or(begin)), if due.is_some() => {
                    let (_, line) = says.next().expect("something is due");
                    // A client whose session goes on elsewhere says nothing any more.
                    let _ = connection.send_line(line);
                }
            }
        }
    }

    fn hear<S: Stream>(&self, event: Event, connection: &Connection<S>, witness: &Witness, begin: Instant) {
        let at = begin.elapsed();
        match event {
            Event::Line(line) => witness.now(|membership| membership.heard.push((at, line))),
            Event::SessionKept => *self.stored.lock().unwrap() = connection.session().saved(),
            Event::TakenOver => witness.now(|membership| {
                if let Some(session) = &mut membership.session {
                    session.taken_over = Some(at);
                }
            }),
            Event::Disconnected(_) => witness.now(|membership| membership.ended = Some((at, Ending::Lost))),
            _ => {}
        }
    }
}
