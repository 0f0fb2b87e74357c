//! A member of the simulated room: it follows its plan, and keeps a record of what it saw.

use std::io;
use std::time::Duration;

use commonroom::client::{Config, Connection, Disconnected, Event, connect};
use commonroom::net::{Connect, Stream, TlsClient};
use commonroom::protocol::{Framing, Heard, Nickname};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cut::Scissors;
use super::keeper::Inheritance;
use super::member::{Act, Fresh, Member};
use super::network::Simulated;
use super::witness::{Ending, Membership, Witness};
use super::world::address;

/// How often a member that comes back by itself asks whether the server is still there.
const PING_EVERY: Duration = Duration::from_secs(2);

/// How long it hears nothing before it takes the connection for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(8);

/// How long it waits before it connects again.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The life of a member, on its host, which was there from the beginning of the world.
pub async fn live(member: Member, witness: Witness, scissors: Scissors) -> io::Result<()> {
    let begin = Instant::now();
    sleep_until(begin + member.connects).await;
    let mut actor = Actor::new(member, witness, scissors, begin);
    loop {
        let ending = actor.visit().await.unwrap_or(Some(Ending::Lost));
        if let Some(ending) = ending {
            actor.has_ended(ending);
        }
        if !actor.member.returns {
            return Ok(());
        }
        sleep(RECONNECT_AFTER).await;
    }
}

/// The process of a member.
#[derive(Clone)]
pub struct Actor {
    pub member: Member,
    pub witness: Witness,
    scissors: Scissors,
    begin: Instant,
    acts_done: usize,
    pub lines_said: usize,
    pub names_tried: usize,
    /// The index of its membership, if it has had one.
    pub membership: Option<usize>,
    /// When it last heard anything.
    pub last_heard: Instant,
    /// What is left of the client before, if that had a session.
    pub inheritance: Option<Inheritance>,
    /// Who says its lines, in their texts.
    pub speaker: String,
}

impl Actor {
    fn new(member: Member, witness: Witness, scissors: Scissors, begin: Instant) -> Self {
        let speaker = member.host.clone();
        Self {
            member,
            witness,
            scissors,
            begin,
            acts_done: 0,
            lines_said: 0,
            names_tried: 0,
            membership: None,
            last_heard: begin,
            inheritance: None,
            speaker,
        }
    }

    /// One connection, from its beginning to its end; or several, if it has a session. Returns how it ended,
    /// unless it goes on without this actor.
    async fn visit(&mut self) -> io::Result<Option<Ending>> {
        let network =
            Simulated { scissors: self.scissors.clone(), ..Simulated::cut_into(self.member.pieces) };
        match self.member.tls.clone() {
            None => self.visit_over(&network, &network).await,
            Some(trust) => self.visit_over(&TlsClient::new(network.clone(), trust), &network).await,
        }
    }

    /// The same over the simulated network, or over another one on top of it.
    async fn visit_over<N: Connect>(
        &mut self,
        network: &N,
        simulated: &Simulated,
    ) -> io::Result<Option<Ending>> {
        let mut connection = connect(network, &address(), self.config()).await?;
        self.has_connected(&connection, simulated);
        self.hear_until_joined(&mut connection).await?;
        while let Some((at, act)) = self.member.acts.get(self.acts_done).cloned() {
            self.hear_until(&mut connection, self.begin + at).await?;
            self.acts_done += 1;
            if act.needs_session() && self.member.keeps.is_none() {
                continue;
            }
            let now = self.elapsed();
            self.note(|membership| membership.acts.push((now, act.name())));
            match act {
                Act::Say(text) => self.say(&mut connection, text).await?,
                Act::Talk { lines, padding } => self.talk(&mut connection, lines, padding).await?,
                Act::TalkAndLeave(lines) => {
                    self.talk(&mut connection, lines, 0).await?;
                    return self.leave(connection).await.map(Some);
                }
                Act::Ignore(duration) => sleep(duration).await,
                Act::Probe(bytes) => probe(bytes).await,
                Act::IgnoreAndLeave(duration) => {
                    sleep(duration).await;
                    return self.leave(connection).await.map(Some);
                }
                Act::Leave => return self.leave(connection).await.map(Some),
                Act::Vanish => return Ok(Some(Ending::Vanished)),
                Act::Whisper { to, lines } => self.whisper(&mut connection, to, lines).await?,
                Act::Rename { shared } => self.rename(&mut connection, shared).await?,
                Act::Restart => {
                    self.bequeath(&mut connection);
                    return Ok(Some(Ending::Vanished));
                }
                Act::Duplicate(lines) => {
                    self.duplicate(connection, lines);
                    return Ok(None);
                }
            }
        }
        let fresh = self.member.fresh.unwrap_or(Fresh { begin: FOR_EVER, every: FOR_EVER });
        let mut next = (self.begin + fresh.begin).max(Instant::now());
        loop {
            self.hear_until(&mut connection, next).await?;
            self.lines_said += 1;
            let text = format!("fresh {} of {}", self.lines_said, self.speaker);
            self.say(&mut connection, text).await?;
            if self.member.keeps.is_some() {
                self.whisper_now_and_then(&mut connection).await?;
            }
            next += fresh.every;
        }
    }

    /// What it shows its connection of itself.
    fn config(&self) -> Config {
        let config = Config::new(self.next_nickname())
            .with_framing(self.member.framing)
            .with_password(self.member.password.clone());
        match self.reconnect() {
            Some(reconnect) => config.with_reconnect(reconnect),
            // The plan alone decides what is said, and when.
            None => config.without_heartbeat(),
        }
    }

    fn has_connected<S: Stream>(&mut self, connection: &Connection<S>, simulated: &Simulated) {
        let from = simulated.dialled.last().expect("it has just connected");
        let nickname = connection.session().nickname().as_str();
        let ignores = |(_, act): &(_, Act)| matches!(act, Act::Ignore(_) | Act::IgnoreAndLeave(_));
        let new = Membership {
            attentive: !self.member.acts.iter().any(ignores),
            ..Membership::new(&self.member.host, self.member.framing, from, self.elapsed(), nickname)
        };
        let membership = self.with_session(new, &simulated.dialled);
        self.membership = Some(self.witness.connected(membership));
        self.last_heard = Instant::now();
        if self.inheritance.take().is_none() {
            self.names_tried += 1;
        }
    }

    /// Leaves in order, and still receives the lines that were said before.
    pub async fn leave<S: Stream>(&mut self, mut connection: Connection<S>) -> io::Result<Ending> {
        connection.begin_leaving(DEAD_AFTER);
        self.has_begun_to_leave();
        loop {
            match connection.next().await {
                Some(Event::Disconnected(Disconnected::Left)) => return Ok(Ending::Left),
                event => self.hear(event, &mut connection)?,
            }
        }
    }

    async fn hear_until_joined<S: Stream>(&mut self, connection: &mut Connection<S>) -> io::Result<()> {
        let deadline = Instant::now() + self.patience();
        loop {
            let event = tokio::select! {
                biased;
                event = connection.next() => event,
                () = sleep_until(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            };
            if event == Some(Event::Joined) && self.member.keeps.is_none() {
                return Ok(());
            }
            self.hear(event, connection)?;
            if self.member.keeps.is_some() && connection.session().is_joined() {
                return Ok(());
            }
        }
    }

    pub async fn talk<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        lines: usize,
        padding: usize,
    ) -> io::Result<()> {
        for _ in 0..self.bearable(lines, connection) {
            self.lines_said += 1;
            let text = format!("{} of {} {}", self.lines_said, self.speaker, "é".repeat(padding));
            self.say(connection, text.trim_end().to_owned()).await?;
        }
        Ok(())
    }

    /// Says something, and does nothing else until the connection has taken it.
    async fn say<S: Stream>(&mut self, connection: &mut Connection<S>, text: String) -> io::Result<()> {
        if self.member.keeps.is_some() {
            let at = self.give(connection, &text).await?;
            self.note(|membership| membership.said.push((at, text)));
            return Ok(());
        }
        connection.send_line(&text).map_err(io::Error::other)?;
        let at = self.elapsed();
        self.note(|membership| membership.said.push((at, text)));
        match timeout(DEAD_AFTER, connection.flush()).await {
            Ok(flushed) => flushed,
            Err(_) if self.member.returns => Err(io::ErrorKind::TimedOut.into()),
            Err(_) => connection.flush().await,
        }
    }

    /// Records everything that comes until it is time for something else.
    pub async fn hear_until<S: Stream>(
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
                () = sleep_until(next_ping), if self.member.keeps.is_some() => {
                    next_ping += PING_EVERY;
                    self.ping(connection)?;
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

    pub fn hear<S: Stream>(
        &mut self,
        event: Option<Event>,
        connection: &mut Connection<S>,
    ) -> io::Result<()> {
        self.last_heard = Instant::now();
        self.hear_one(event, connection)?;
        if self.member.keeps.is_some() {
            while let Some(event) = connection.poll_event() {
                self.hear_one(Some(event), connection)?;
            }
            self.settle(connection);
        }
        Ok(())
    }

    fn hear_one<S: Stream>(
        &mut self,
        event: Option<Event>,
        connection: &mut Connection<S>,
    ) -> io::Result<()> {
        match event {
            Some(Event::NicknameWanted) => {
                let nickname = self.next_nickname();
                self.names_tried += 1;
                self.note(|membership| membership.nicknames.push(nickname.to_string()));
                connection.choose_nickname(nickname);
            }
            Some(Event::PasswordWanted) => return Err(io::ErrorKind::PermissionDenied.into()),
            Some(Event::Line(line)) => {
                let at = self.elapsed();
                if !matches!(Heard::parse(&line), Heard::Told(pong) if pong.starts_with("-- pong")) {
                    self.note(|membership| membership.heard.push((at, line)));
                }
            }
            Some(Event::Unreadable(refusal)) => panic!("the server sent what cannot be shown: {refusal}"),
            Some(Event::Disconnected(_)) | None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(event) => self.hear_of_session(&event),
        }
        Ok(())
    }

    /// Another one each time, unless it goes on as the client before.
    fn next_nickname(&self) -> Nickname {
        if let Some(inheritance) = &self.inheritance {
            return inheritance.nickname.clone();
        }
        let name = match self.names_tried {
            0 => self.member.nickname.clone(),
            before => format!("{}{}", self.member.nickname, before + 1),
        };
        Nickname::parse(&name).expect("the plan has valid nicknames")
    }

    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Changes the record of its membership.
    pub fn note(&self, change: impl FnOnce(&mut Membership)) {
        if let Some(index) = self.membership {
            self.witness.at(index, change);
        }
    }

    /// A connection that could not be made is no membership, so the one before may have ended already.
    pub fn has_ended(&self, ending: Ending) {
        let at = self.elapsed();
        self.note(|membership| {
            membership.ended.get_or_insert((at, ending));
        });
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
