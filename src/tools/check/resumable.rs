//! A client with a session, which counts its lines as the protocol has it.

use std::time::Duration;

use super::peer::{AT_ONCE, Client, Peer, quote_end};
use super::subject::{Connection, Observation, Subject};
use crate::net::Stream;
use crate::protocol::{NICKNAME_REQUEST, Resume, SessionNotice};

/// How a line for one member alone begins.
const PRIVATE: &str = "-- ";

/// The token of a ping that is not numbered. Its pong does not count as a private line.
pub const UNNUMBERED: &str = "unnumbered";

/// How long an answer to /resume may take: as long as a server takes that slows down those who guess.
const PATIENCE_WITH_GUESSES: Duration = Duration::from_secs(10);

/// How many lines are read in vain for the one that is expected.
const LINES_IN_VAIN: usize = 10_000;

/// A client of a subject that has a session.
pub type Member<S> = Resumable<Connection<S>>;

/// A client with a session.
pub struct Resumable<T> {
    pub peer: Peer<T>,
    /// The request to resume it in another connection.
    pub resume: Resume,
}

/// Why a server gives no sessions, if so.
pub async fn why_there_are_no_sessions<S: Subject>(
    subject: &mut S,
) -> Result<Option<Observation>, Observation> {
    let mut asking = Peer::join(subject, "SessionAsker").await?;
    asking.send_message(b"/session").await?;
    let mut reason = "it does not answer to /session".to_owned();
    for _ in 0..LINES_IN_VAIN {
        let Ok(line) = asking.line("an answer to /session").await else { break };
        if line.starts_with("-- Session ") {
            asking.send_message(b"/quit").await?;
            asking.listen().await;
            return Ok(None);
        }
        if line.starts_with("-- Not sent: ") || line.ends_with(": /session") {
            reason = quote_end(line.as_bytes());
            break;
        }
    }
    Ok(Some(format!("the server gives no sessions: {reason}")))
}

/// Asks to go on with a session in a new connection. Returns the connection and the answer.
pub async fn ask_to_resume<S: Subject>(
    subject: &mut S,
    nickname: &str,
    resume: &Resume,
) -> Result<(Client<S>, SessionNotice), Observation> {
    let mut peer = Peer::open(subject, nickname).await?;
    peer.patience = PATIENCE_WITH_GUESSES;
    peer.expect(NICKNAME_REQUEST).await?;
    peer.send_message(resume.to_string().as_bytes()).await?;
    let line = peer.line("an answer to /resume").await?;
    peer.patience = AT_ONCE;
    let notice = line.strip_prefix(PRIVATE).and_then(SessionNotice::parse);
    let notice =
        notice.ok_or_else(|| format!("{nickname} was answered {} to /resume", quote_end(line.as_bytes())))?;
    Ok((peer, notice))
}

impl<T: Stream> Resumable<T> {
    /// Joins, and asks for a session.
    pub async fn join<S>(subject: &mut S, nickname: &str) -> Result<Member<S>, Observation>
    where
        S: Subject,
        S::Network: crate::net::Connect<Stream = T>,
    {
        let mut peer = Peer::join(subject, nickname).await?;
        peer.send_message(b"/session").await?;
        let answer = answer(&mut peer).await?;
        match answer.strip_prefix(PRIVATE).and_then(SessionNotice::parse) {
            Some(SessionNotice::Begun { token, epoch, public_lines }) => {
                Ok(Resumable { peer, resume: Resume { token, epoch, public_lines, private_lines: 0 } })
            }
            _ => Err(format!("{nickname} was answered {} to /session", quote_end(answer.as_bytes()))),
        }
    }

    /// Goes on with a session in a new connection. Returns the number of the last line that was taken, too.
    pub async fn resume<S>(
        subject: &mut S,
        nickname: &str,
        resume: &Resume,
    ) -> Result<(Member<S>, u64), Observation>
    where
        S: Subject,
        S::Network: crate::net::Connect<Stream = T>,
    {
        let (peer, answer) = ask_to_resume(subject, nickname, resume).await?;
        match answer {
            SessionNotice::Resumed { nickname: same, taken, .. } if same == nickname => {
                Ok((Resumable { peer, resume: resume.clone() }, taken))
            }
            answer => Err(format!("{nickname} was answered “{PRIVATE}{answer}” to /resume")),
        }
    }

    /// Sends a numbered line.
    pub async fn send(&mut self, number: u64, line: &str) -> Result<(), Observation> {
        self.peer.send_message(format!("/n {number} {line}").as_bytes()).await
    }

    /// The next line, counted.
    pub async fn line(&mut self) -> Result<String, Observation> {
        let line = self.peer.line("a line").await?;
        match line.strip_prefix(PRIVATE) {
            None => self.resume.public_lines += 1,
            Some(told) if SessionNotice::parse(told).is_some() || is_heartbeat(told) => {}
            Some(_) => self.resume.private_lines += 1,
        }
        Ok(line)
    }

    /// Reads up to a line that begins with `last`. Returns all lines until then that contain `about`.
    pub async fn lines_until(&mut self, last: &str, about: &str) -> Result<Vec<String>, Observation> {
        let mut lines = Vec::new();
        for _ in 0..LINES_IN_VAIN {
            let line = self.line().await.map_err(|missed| format!("waiting for “{last}”, {missed}"))?;
            let is_last = line.starts_with(last);
            if line.contains(about) {
                lines.push(line);
            }
            if is_last {
                return Ok(lines);
            }
        }
        Err(format!("{} did not get “{last}” in {LINES_IN_VAIN} lines", self.peer.nickname))
    }
}

fn is_heartbeat(told: &str) -> bool {
    told.strip_prefix("pong ").is_some_and(|rest| rest.starts_with(UNNUMBERED))
}

/// The next line for this member alone.
async fn answer<T: Stream>(peer: &mut Peer<T>) -> Result<String, Observation> {
    for _ in 0..LINES_IN_VAIN {
        let line = peer.line("an answer to /session").await?;
        if line.starts_with(PRIVATE) {
            return Ok(line);
        }
    }
    Err(format!("{} got no answer in {LINES_IN_VAIN} lines", peer.nickname))
}
