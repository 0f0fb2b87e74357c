//! A member whose session outlives its connections: what it does beyond any other, and what it notes of
//! its session.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use commonroom::client::{Connection, Event, Reconnect, SayError};
use commonroom::net::Stream;
use commonroom::protocol::{Heard, Nickname, Resume};
use tokio::time::Instant;

use super::actor::{Actor, DEAD_AFTER};
use super::witness::{Dialled, Ending, Membership, Session};

/// How long a client that goes on with the session of an earlier one waits until it is a member.
const RESUMED_WITHIN: Duration = Duration::from_secs(30);

/// For how long such a client looks for another connection.
const HEIR_TRIES: Duration = Duration::from_secs(10);

/// The pause between the lines of a client while another one goes on with its session.
const BETWEEN_LINES: Duration = Duration::from_millis(20);

/// How many lines of a member may be open over a slow connection.
const OPEN_LINES: usize = 100;

/// One of so many lines is private.
const WHISPERS_AMONG: usize = 4;

/// The pause between private lines.
const BETWEEN_WHISPERS: Duration = Duration::from_millis(100);

/// What a client leaves to the next one: what it has stored of its session, and what its user knows.
#[derive(Clone, Debug)]
pub struct Inheritance {
    pub resume: Resume,
    pub nickname: Nickname,
    membership: Membership,
}

impl Actor {
    /// How it outlives its connections, if it does.
    pub fn reconnect(&self) -> Option<Reconnect> {
        let resume = self.inheritance.as_ref().map(|inheritance| inheritance.resume.clone());
        // Each client of one member draws other pauses.
        let seed = self.member.keeps? ^ ((self.witness.memberships().len() as u64) << 32);
        // An heir is not told how long the server keeps the session.
        let for_at_most = resume.as_ref().map(|_| HEIR_TRIES);
        Some(Reconnect { resume, for_at_most, ..Reconnect::new(seed) })
    }

    /// How long it waits until it is a member.
    pub fn patience(&self) -> Duration {
        let is_heir = self.membership.is_some_and(|index| {
            self.witness.at(index, |membership| {
                membership.session.as_ref().is_some_and(|session| session.inherited > 0)
            })
        });
        if is_heir { RESUMED_WITHIN } else { DEAD_AFTER }
    }

    /// The record of a membership that begins, or goes on in another client.
    pub fn with_session(&self, new: Membership, dialled: &Dialled) -> Membership {
        let session = self.member.keeps.map(|_| Session { dialled: dialled.clone(), ..Session::default() });
        let Some(Inheritance { membership: before, .. }) = &self.inheritance else {
            return Membership { session, ..new };
        };
        let inherited = before.heard.len();
        let session = session.map(|session| {
            let kept = before.session.as_ref().and_then(|session| session.kept);
            let missing = before.session.as_ref().map(|session| session.missing.clone()).unwrap_or_default();
            Session { kept, inherited, missing, ..session }
        });
        Membership {
            from: before.from,
            nicknames: before.nicknames.clone(),
            heard: before.heard.clone(),
            session,
            ..new
        }
    }

    /// How many of so many lines it says at once. It gives up none of them, so over a slow connection they must
    /// not be too many to get through before the end.
    pub fn bearable<S: Stream>(&self, lines: usize, connection: &Connection<S>) -> usize {
        if self.member.keeps.is_none() || self.member.pieces.is_none() {
            return lines;
        }
        lines.min(OPEN_LINES.saturating_sub(connection.session().unconfirmed().len()))
    }

    /// Says numbered lines to another member alone, one after the other.
    pub async fn whisper<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        to: usize,
        lines: usize,
    ) -> io::Result<()> {
        let to = self.member.contacts[to % self.member.contacts.len()].clone();
        for _ in 0..lines {
            self.lines_said += 1;
            let line = format!("/msg {to} {} of {}", self.lines_said, self.speaker);
            self.give(connection, &line).await?;
            // So that some of them meet a member that is away.
            self.hear_until(connection, Instant::now() + BETWEEN_WHISPERS).await?;
        }
        Ok(())
    }

    /// Says something to each other member in turn, besides what it says to all.
    pub async fn whisper_now_and_then<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
    ) -> io::Result<()> {
        if self.lines_said.is_multiple_of(WHISPERS_AMONG) {
            self.whisper(connection, self.lines_said / WHISPERS_AMONG, 1).await?;
        }
        Ok(())
    }

    pub async fn rename<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        shared: bool,
    ) -> io::Result<()> {
        self.names_tried += 1;
        let name =
            if shared { "Shared".to_owned() } else { format!("{}r{}", self.member.host, self.names_tried) };
        self.give(connection, &format!("/nick {name}")).await.map(|_| ())
    }

    /// Leaves its session to the next client, but goes on.
    pub fn duplicate<S: Stream>(&mut self, mut connection: Connection<S>, lines: usize) {
        self.bequeath(&mut connection);
        let membership = self.membership.unwrap_or_default();
        let mut former = self.clone();
        former.speaker = format!("{} formerly {membership}", self.speaker);
        tokio::spawn(former.go_on(connection, lines));
    }

    /// Leaves its session to the next client.
    pub fn bequeath<S: Stream>(&mut self, connection: &mut Connection<S>) {
        // What has come is heard, so that what is stored says how much.
        while let Some(event) = connection.poll_event() {
            if self.hear(Some(event), connection).is_err() {
                return;
            }
        }
        let (Some(resume), Some(index)) = (connection.session().saved(), self.membership) else { return };
        let membership = self.witness.at(index, |membership| membership.clone());
        let nickname = connection.session().nickname().clone();
        self.inheritance = Some(Inheritance { resume, nickname, membership });
    }

    /// Says some more lines, and leaves, whatever the next client does meanwhile.
    async fn go_on<S: Stream>(mut self, mut connection: Connection<S>, lines: usize) {
        self.inheritance = None;
        for _ in 0..lines {
            let next = Instant::now() + BETWEEN_LINES;
            let said = match self.talk(&mut connection, 1, 0).await {
                Ok(()) => self.hear_until(&mut connection, next).await,
                Err(error) => Err(error),
            };
            if said.is_err() || !connection.session().is_connected() {
                return self.has_ended(Ending::Lost);
            }
        }
        let ending = self.leave(connection).await;
        self.has_ended(ending.unwrap_or(Ending::Lost));
    }

    /// Gives a line to the connection, as soon as that takes it. Returns when that was.
    pub async fn give<S: Stream>(
        &mut self,
        connection: &mut Connection<S>,
        line: &str,
    ) -> io::Result<Duration> {
        self.gives_up(connection)?;
        loop {
            let at = self.elapsed();
            match connection.send_line(line) {
                Ok(()) => {
                    self.note_session(|session| {
                        session.typed.push((at, line.to_owned()));
                        session.open.push((at, line.to_owned()));
                    });
                    return Ok(at);
                }
                // It is joining again.
                Err(SayError::NotJoined) => {
                    let event = connection.next().await;
                    self.hear(event, connection)?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Asks whether the server is still there, unless more waits already.
    pub fn ping<S: Stream>(&self, connection: &mut Connection<S>) -> io::Result<()> {
        if connection.session().waiting() == 0 {
            // If it cannot be sent, that is known without it.
            let _ = connection.send_line("/ping still there?");
        }
        self.gives_up(connection)
    }

    /// Without a session it gives a silent connection up as early as any other member. With one, its client
    /// knows best.
    fn gives_up<S: Stream>(&self, connection: &Connection<S>) -> io::Result<()> {
        if connection.session().saved().is_none() && self.last_heard.elapsed() > DEAD_AFTER {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    pub fn has_begun_to_leave(&self) {
        let at = self.elapsed();
        self.note_session(|session| session.quits = Some(at));
    }

    /// Notes what has happened to the session.
    pub fn hear_of_session(&mut self, event: &Event) {
        let at = self.elapsed();
        if *event == Event::Joined {
            self.has_joined();
        }
        self.note(|membership| {
            let heard = membership.heard.len();
            let Some(session) = &mut membership.session else { return };
            match event {
                Event::TryingAgain(_) => session.heard_before = heard,
                Event::SessionKept => {
                    session.kept.get_or_insert(at);
                }
                Event::ConnectionLost(_) => session.lost.push(at),
                Event::Resumed { .. } => session.resumed.push(at),
                &Event::Missing { public_lines, private_lines } => {
                    session.missing.push((heard, public_lines, private_lines));
                }
                Event::NotResumed(reason) => session.not_resumed = Some((at, reason.clone())),
                Event::NotSent(line) => {
                    session.take_open(line);
                    session.refused.push(line.clone());
                }
                Event::Unconfirmed(lines) => {
                    for line in lines {
                        session.take_open(line);
                    }
                    session.unconfirmed.extend_from_slice(lines);
                }
                Event::TakenOver => session.taken_over = Some(at),
                _ => {}
            }
        });
    }

    /// Notes which lines were taken, once everything that came with the news is heard; and begins another
    /// membership if the session was not resumed.
    pub fn settle<S: Stream>(&mut self, connection: &Connection<S>) {
        let at = self.elapsed();
        let unconfirmed: Vec<&str> = connection.session().unconfirmed().collect();
        self.note_session(|session| session.confirm_all_but(&unconfirmed, at));
        let Some(index) = self.membership else { return };
        let over = self.witness.at(index, |membership| {
            let session = membership.session.as_ref()?;
            (session.not_resumed.is_some() && membership.ended.is_none()).then(|| session.clone())
        });
        if let Some(session) = over {
            self.begin_anew(connection.session().nickname().as_str(), session, Vec::new());
        }
    }

    /// A newcomer may need several connections until there is a place. What it has heard in those before is not
    /// of this membership; if it had joined, that was another one.
    fn has_joined(&mut self) {
        let Some(index) = self.membership else { return };
        let before = self.witness.at(index, |membership| {
            let session = membership.session.clone()?;
            let from = session.dialled.last().filter(|from| *from != membership.from)?;
            let heard = membership.heard.split_off(session.heard_before);
            if membership.heard.iter().any(|(_, line)| Heard::parse(line) == Heard::Connected) {
                return Some((session, heard));
            }
            (membership.from, membership.heard) = (from, heard);
            None
        });
        if let Some((session, heard)) = before {
            let nickname = self.witness.at(index, |membership| membership.nicknames.last().cloned());
            self.begin_anew(&nickname.unwrap_or_default(), session, heard);
        }
    }

    /// The client joins as a newcomer, and says there what was certainly not taken.
    fn begin_anew(&mut self, nickname: &str, before: Session, heard: Vec<(Duration, String)>) {
        let Some(from) = before.dialled.last() else { return };
        let host = &self.member.host;
        let new = Membership::new(host, self.member.framing, from, self.elapsed(), nickname);
        let mut new = Membership { heard, ..new };
        let open = before.open;
        self.note(|membership| {
            new.attentive = membership.attentive;
            let is_open = |text: &String| open.iter().any(|(_, line)| line == text);
            new.said.extend(membership.said.extract_if(.., |(_, text)| is_open(text)));
            if let Some(session) = &mut membership.session {
                session.open.clear();
            }
        });
        new.session = Some(Session { dialled: before.dialled, open, ..Session::default() });
        self.has_ended(Ending::Lost);
        self.membership = Some(self.witness.connected(new));
    }

    fn note_session(&self, change: impl FnOnce(&mut Session)) {
        self.note(|membership| {
            if let Some(session) = &mut membership.session {
                change(session);
            }
        });
    }
}

impl Session {
    /// Its client knows of a line that it has typed.
    fn take_open(&mut self, line: &str) {
        if let Some(index) = self.open.iter().position(|(_, open)| open == line) {
            self.open.remove(index);
        }
    }

    /// Of these lines the client knows nothing yet; all others were taken.
    fn confirm_all_but(&mut self, unconfirmed: &[&str], at: Duration) {
        let mut counts = BTreeMap::<&str, usize>::new();
        for line in unconfirmed {
            *counts.entry(line).or_default() += 1;
        }
        let mut open = Vec::new();
        // Of lines that are alike, the latest are unconfirmed.
        for (typed, line) in self.open.drain(..).rev() {
            match counts.get_mut(line.as_str()).filter(|count| **count > 0) {
                Some(count) => {
                    *count -= 1;
                    open.push((typed, line));
                }
                None => self.confirmed.push((at, line)),
            }
        }
        open.reverse();
        self.open = open;
    }
}
