//! A member of the simulated room: it follows its plan, and keeps a record of what it saw.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::client::{Config, Connection, Disconnected, Event, connect};
use commonroom::net::{Connect, Stream, TlsClient};
use commonroom::protocol::{Framing, Heard, Nickname};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::member::{Act, Fresh, Member};
use super::network::Simulated;
use super::world::address;

/// How often a member that comes back by itself asks whether the server is still there.
const PING_EVERY: Duration = Duration::from_secs(2);

/// How long it hears nothing before it takes the connection for dead.
const DEAD_AFTER: Duration = Duration::from_secs(8);

/// How long it waits before it connects again.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// One connection of a member, as the member knows it.
#[derive(Clone, Debug)]
pub struct Membership {
    pub host: String,
    pub framing: Framing,
    /// The address that it connected from, as `server.log` has it.
    pub from: SocketAddr,
    pub since: Duration,
    /// It reads everything as soon as it comes, for as long as it lives.
    pub attentive: bool,
    /// The nicknames it tried; the last one is the one it has.
    pub nicknames: Vec<String>,
    /// The lines that it heard (in the report's framing, the reads).
    pub heard: Vec<(Duration, String)>,
    /// The texts that it has given to its connection, in order.
    pub said: Vec<(Duration, String)>,
    /// When and how it ended; `None` while it lives.
    pub ended: Option<(Duration, Ending)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the member's own wish, in order.
    Left,
    /// By the member, without a word.
    Vanished,
    /// By the server or the network.
    Lost,
}

/// The record of a member; shared between its host and the test.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Vec<Membership>>>);

impl Witness {
    pub fn memberships(&self) -> Vec<Membership> {
        self.0.lock().unwrap().clone()
    }

    /// A connection has been made.
    pub fn connected(&self, membership: Membership) {
        self.0.lock().unwrap().push(membership);
    }

    /// The process of the member was killed: its connection vanishes, unless it has ended already.
    pub fn killed(&self, at: Duration) {
        self.now(|membership| {
            membership.ended.get_or_insert((at, Ending::Vanished));
        });
    }

    pub fn now(&self, change: impl FnOnce(&mut Membership)) {
        if let Some(current) = self.0.lock().unwrap().last_mut() {
            change(current);
        }
    }
}

/// The life of a member, on its host, which was there from the beginning of the world.
pub async fn live(member: Member, witness: Witness) -> io::Result<()> {
    let begin = Instant::now();
    sleep_until(begin + member.connects).await;
    let mut actor = Actor { member, witness, begin, acts_done: 0, lines_said: 0, names_tried: 0 };
    loop {
        let ending = actor.visit().await;
        let at = actor.elapsed();
        actor.witness.now(|membership| {
            // A connection that could not be made is no membership.
            membership.ended.get_or_insert((at, ending.unwrap_or(Ending::Lost)));
        });
        if !actor.member.returns {
            return Ok(());
        }
        sleep(RECONNECT_AFTER).await;
    }
}

struct Actor {
    member: Member,
    witness: Witness,
    begin: Instant,
    acts_done: usize,
    lines_said: usize,
    names_tried: usize,
}

impl Actor {
    /// One connection, from its beginning to its end.
    async fn visit(&mut self) -> io::Result<Ending> {
        let network = Simulated::cut_into(self.member.pieces);
        match self.member.tls.clone() {
            None => self.visit_over(&network, &network).await,
            Some(trust) => self.visit_over(&TlsClient::new(network.clone(), trust), &network).await,
        }
    }

    /// The same over the simulated network, or over another one on top of it.
    async fn visit_over<N: Connect>(&mut self, network: &N, simulated: &Simulated) -> io::Result<Ending> {
        let nickname = self.next_nickname();
        // The plan alone decides what is said, and when.
        let config = Config::new(nickname.clone())
            .with_framing(self.member.framing)
            .with_password(self.member.password.clone())
            .without_heartbeat();
        let mut connection = connect(network, &address(), config).await?;
        self.names_tried += 1;
        let from = simulated.last_local.lock().unwrap().expect("it has just connected");
        self.witness.connected(Membership {
            host: self.member.host.clone(),
            framing: self.member.framing,
            from,
            since: self.elapsed(),
            attentive: !self
                .member
                .acts
                .iter()
                .any(|(_, act)| matches!(act, Act::Ignore(_) | Act::IgnoreAndLeave(_))),
            nicknames: vec![nickname.to_string()],
            heard: Vec::new(),
            said: Vec::new(),
            ended: None,
        });
        self.hear_until_joined(&mut connection).await?;
        while let Some((at, act)) = self.member.acts.get(self.acts_done).cloned() {
            self.hear_until(&mut connection, self.begin + at).await?;
            self.acts_done += 1;
            match act {
                Act::Say(text) => self.say(&mut connection, text).await?,
                Act::Talk { lines, padding } => self.talk(&mut connection, lines, padding).await?,
                Act::TalkAndLeave(lines) => {
                    self.talk(&mut connection, lines, 0).await?;
                    return self.leave(connection).await;
                }
                Act::Ignore(duration) => sleep(duration).await,
                Act::Probe(bytes) => probe(bytes).await,
                Act::IgnoreAndLeave(duration) => {
                    sleep(duration).await;
                    return self.leave(connection).await;
                }
                Act::Leave => return self.leave(connection).await,
                Act::Vanish => return Ok(Ending::Vanished),
            }
        }
        let fresh = self.member.fresh.unwrap_or(Fresh { begin: FOR_EVER, every: FOR_EVER });
        let mut next = (self.begin + fresh.begin).max(Instant::now());
        loop {
            self.hear_until(&mut connection, next).await?;
            self.lines_said += 1;
            let text = format!("fresh {} of {}", self.lines_said, self.member.host);
            self.say(&mut connection, text).await?;
            next += fresh.every;
        }
    }

    /// Leaves in order, and still receives the lines that were said before.
    async fn leave<S: Stream>(&mut self, mut connection: Connection<S>) -> io::Result<Ending> {
        connection.begin_leaving(DEAD_AFTER);
        loop {
            match connection.next().await {
                Some(Event::Disconnected(Disconnected::Left)) => return Ok(Ending::Left),
                event => self.hear(event, &mut connection)?,
            }
        }
    }

    async fn hear_until_joined<S: Stream>(&mut self, connection: &mut Connection<S>) -> io::Result<()> {
        let deadline = Instant::now() + DEAD_AFTER;
        loop {
            let event = tokio::select! {
                biased;
                event = connection.next() => event,
                () = sleep_until(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            };
            if event == Some(Event::Joined) {
                return Ok(());
            }
            self.hear(event, connection)?;
        }
    }

    async fn talk<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        lines: usize,
        padding: usize,
    ) -> io::Result<()> {
        for _ in 0..lines {
            self.lines_said += 1;
            let text = format!("{} of {} {}", self.lines_said, self.member.host, "é".repeat(padding));
            self.say(connection, text.trim_end().to_owned()).await?;
        }
        Ok(())
    }

    /// Says something, and does nothing else until the connection has taken it.
    async fn say<S: Stream>(&mut self, connection: &mut Connection<S>, text: String) -> io::Result<()> {
        connection.send_line(&text).map_err(io::Error::other)?;
        let at = self.elapsed();
        self.witness.now(|membership| membership.said.push((at, text)));
        match timeout(DEAD_AFTER, connection.flush()).await {
            Ok(flushed) => flushed,
            Err(_) if self.member.returns => Err(io::ErrorKind::TimedOut.into()),
            Err(_) => connection.flush().await,
        }
    }

    /// Records everything that comes until it is time for something else.
    async fn hear_until<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        until: Instant,
    ) -> io::Result<()> {
        let mut last_heard = Instant::now();
        let mut next_ping = last_heard + PING_EVERY;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(until) => return Ok(()),
                event = connection.next() => {
                    last_heard = Instant::now();
                    self.hear(event, connection)?;
                }
                () = sleep_until(next_ping), if self.member.returns => {
                    if last_heard.elapsed() > DEAD_AFTER {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    next_ping += PING_EVERY;
                    if self.member.framing == Framing::Lines {
                        connection.send_line("/ping still there?").map_err(io::Error::other)?;
                    }
                }
            }
        }
    }

    fn hear<S: Stream>(&mut self, event: Option<Event>, connection: &mut Connection<S>) -> io::Result<()> {
        match event {
            Some(Event::NicknameWanted) => {
                let nickname = self.next_nickname();
                self.names_tried += 1;
                self.witness.now(|membership| membership.nicknames.push(nickname.to_string()));
                connection.choose_nickname(nickname);
            }
            Some(Event::PasswordWanted) => return Err(io::ErrorKind::PermissionDenied.into()),
            Some(Event::Line(line)) => {
                let at = self.elapsed();
                if !matches!(Heard::parse(&line), Heard::Told(pong) if pong.starts_with("-- pong")) {
                    self.witness.now(|membership| membership.heard.push((at, line)));
                }
            }
            Some(Event::Unreadable(refusal)) => panic!("the server sent what cannot be shown: {refusal}"),
            Some(Event::Disconnected(_)) | None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(_) => {}
        }
        Ok(())
    }

    /// Another one each time.
    fn next_nickname(&self) -> Nickname {
        let name = match self.names_tried {
            0 => self.member.nickname.clone(),
            before => format!("{}{}", self.member.nickname, before + 1),
        };
        Nickname::parse(&name).expect("the plan has valid nicknames")
    }

    fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }
}

/// Somebody who does not speak the protocol; the fate of the connection is the server's business.
async fn probe(bytes: Vec<u8>) {
    let sent = async {
        let mut stream = Simulated::default().connect(&address()).await?;
        stream.write_all(&bytes).await?;
        let mut answer = [0; 64];
        stream.read(&mut answer).await
    };
    let _ = timeout(Duration::from_secs(1), sent).await;
}
