//! A member of the simulated room: it does what its plan says, and keeps what it saw.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::client::{Event, Receiver, Sender, connect};
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
    /// Where it connected from, as `server.log` has it.
    pub from: SocketAddr,
    pub since: Duration,
    /// It reads at once whatever comes, for as long as it lives.
    pub attentive: bool,
    /// The nicknames it tried; the last one is the one it has.
    pub nicknames: Vec<String>,
    /// What it heard, line by line (in the report's framing, read by read).
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

/// What a member has seen; shared between its host and the test.
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

    /// The process of the member was killed: it ends as far as it ever will.
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

    /// The same over the simulated network, or another one that is over it.
    async fn visit_over<N: Connect>(&mut self, network: &N, simulated: &Simulated) -> io::Result<Ending> {
        let (mut receiver, mut sender) = connect(network, &address(), self.member.framing).await?;
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
            nicknames: Vec::new(),
            heard: Vec::new(),
            said: Vec::new(),
            ended: None,
        });
        self.hear_until_joined(&mut receiver, &mut sender).await?;
        while let Some((at, act)) = self.member.acts.get(self.acts_done).cloned() {
            self.hear_until(&mut receiver, &mut sender, self.begin + at).await?;
            self.acts_done += 1;
            match act {
                Act::Say(text) => self.say(&mut sender, text).await?,
                Act::Talk { lines, padding } => self.talk(&mut sender, lines, padding).await?,
                Act::TalkAndLeave(lines) => {
                    self.talk(&mut sender, lines, 0).await?;
                    timeout(DEAD_AFTER, sender.end()).await??;
                    return self.hear_the_rest(&mut receiver, &mut sender).await;
                }
                Act::Ignore(duration) => sleep(duration).await,
                Act::Probe(bytes) => probe(bytes).await,
                Act::IgnoreAndLeave(duration) => {
                    sleep(duration).await;
                    timeout(DEAD_AFTER, sender.end()).await??;
                    return self.hear_the_rest(&mut receiver, &mut sender).await;
                }
                Act::Leave => {
                    timeout(DEAD_AFTER, sender.end()).await??;
                    return self.hear_the_rest(&mut receiver, &mut sender).await;
                }
                Act::Vanish => return Ok(Ending::Vanished),
            }
        }
        let fresh = self.member.fresh.unwrap_or(Fresh { begin: FOR_EVER, every: FOR_EVER });
        let mut next = (self.begin + fresh.begin).max(Instant::now());
        loop {
            self.hear_until(&mut receiver, &mut sender, next).await?;
            self.lines_said += 1;
            let text = format!("fresh {} of {}", self.lines_said, self.member.host);
            self.say(&mut sender, text).await?;
            next += fresh.every;
        }
    }

    /// Who leaves in order is still sent what was said before.
    async fn hear_the_rest<S: Stream>(
        &mut self,
        receiver: &mut Receiver<S>,
        sender: &mut Sender<S>,
    ) -> io::Result<Ending> {
        let rest = async {
            while let Some(event) = receiver.next().await? {
                self.hear(event, sender).await?;
            }
            Ok(Ending::Left)
        };
        timeout(DEAD_AFTER, rest).await?
    }

    /// Nothing is said before the member has been let in: in the report's framing it would become
    /// part of the nickname.
    async fn hear_until_joined<S: Stream>(
        &mut self,
        receiver: &mut Receiver<S>,
        sender: &mut Sender<S>,
    ) -> io::Result<()> {
        let deadline = Instant::now() + DEAD_AFTER;
        loop {
            let event = tokio::select! {
                biased;
                event = receiver.next() => event?.ok_or(io::ErrorKind::UnexpectedEof)?,
                () = sleep_until(deadline) => return Err(io::ErrorKind::TimedOut.into()),
            };
            let joined = matches!(&event, Event::Line(line) if line.contains("Connected to server!"));
            self.hear(event, sender).await?;
            if joined {
                return Ok(());
            }
        }
    }

    async fn talk<S: Stream>(
        &mut self,
        sender: &mut Sender<S>,
        lines: usize,
        padding: usize,
    ) -> io::Result<()> {
        for _ in 0..lines {
            self.lines_said += 1;
            let text = format!("{} of {} {}", self.lines_said, self.member.host, "é".repeat(padding));
            self.say(sender, text.trim_end().to_owned()).await?;
        }
        Ok(())
    }

    async fn say<S: Stream>(&mut self, sender: &mut Sender<S>, text: String) -> io::Result<()> {
        sender.line(&text);
        let at = self.elapsed();
        self.witness.now(|membership| membership.said.push((at, text)));
        match timeout(DEAD_AFTER, sender.flush()).await {
            Ok(flushed) => flushed,
            Err(_) if self.member.returns => Err(io::ErrorKind::TimedOut.into()),
            Err(_) => sender.flush().await,
        }
    }

    /// Keeps what comes until it is time for something else.
    async fn hear_until<S: Stream>(
        &mut self,
        receiver: &mut Receiver<S>,
        sender: &mut Sender<S>,
        until: Instant,
    ) -> io::Result<()> {
        let mut last_heard = Instant::now();
        let mut next_ping = last_heard + PING_EVERY;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(until) => return Ok(()),
                event = receiver.next() => {
                    last_heard = Instant::now();
                    match event? {
                        Some(event) => self.hear(event, sender).await?,
                        None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    }
                }
                () = sleep_until(next_ping), if self.member.returns => {
                    if last_heard.elapsed() > DEAD_AFTER {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    next_ping += PING_EVERY;
                    if self.member.framing == Framing::Lines {
                        sender.line("/ping still there?");
                    }
                }
                flushed = sender.flush(), if !sender.is_flushed() => flushed?,
            }
        }
    }

    async fn hear<S: Stream>(&mut self, event: Event, sender: &mut Sender<S>) -> io::Result<()> {
        match event {
            Event::NicknameRequest => {
                self.names_tried += 1;
                let name = match self.names_tried {
                    1 => self.member.nickname.clone(),
                    again => format!("{}{again}", self.member.nickname),
                };
                sender.name(&Nickname::parse(&name).expect("the plan has valid nicknames"));
                self.witness.now(|membership| membership.nicknames.push(name));
                sender.flush().await
            }
            Event::PasswordRequest => {
                sender.password(self.member.password.as_ref().ok_or(io::ErrorKind::PermissionDenied)?);
                sender.flush().await
            }
            Event::Line(line) => {
                let at = self.elapsed();
                if !matches!(Heard::parse(&line), Heard::Told(pong) if pong.starts_with("-- pong")) {
                    self.witness.now(|membership| membership.heard.push((at, line)));
                }
                Ok(())
            }
            Event::Unreadable(refusal) => panic!("the server sent what cannot be shown: {refusal}"),
        }
    }

    fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }
}

/// Somebody who does not speak the protocol; what becomes of the connection is the server's business.
async fn probe(bytes: Vec<u8>) {
    let sent = async {
        let mut stream = Simulated::default().connect(&address()).await?;
        stream.write_all(&bytes).await?;
        let mut answer = [0; 64];
        stream.read(&mut answer).await
    };
    let _ = timeout(Duration::from_secs(1), sent).await;
}
