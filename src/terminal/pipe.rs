//! The client without a terminal: each input line is a message, in a script that wants to know.

mod input;

use std::io::{self, Write};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::outage::{self, Presence};
use super::token_file::TokenFile;
use super::{Failure, Shortfall};
use crate::client::{Connection, Disconnected, Event, LEAVE_TIMEOUT, READ_BYTES};
use crate::net::Stream;
use crate::protocol::{Framing, Heard, Sanitized, Text};
use input::Input;

/// How many lines may be on their way without a receipt. With that, a burst never outruns its own echo.
pub const WINDOW_LINES: usize = 256;

/// How long the server may owe an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the input is read on when talking has failed, to tell how many lines were not said.
const COUNT_TIMEOUT: Duration = Duration::from_millis(100);

/// The source of the lines, and the destinations of everything that comes.
pub struct Streams<I, O, E> {
    /// Each line of it is a message.
    pub input: I,
    /// The lines from the room.
    pub output: O,
    /// Everything else.
    pub errors: E,
    /// Leave when the output cannot be written any more; otherwise the input is sent all the same.
    pub leave_when_unheard: bool,
}

/// Says every line of the input, and leaves when all of them have come back; or when `interrupt`
/// completes.
///
/// It is no failure if nobody reads the output any more, as in `chat-client | head -1`; it is one if the
/// output cannot be written, as to a file on a full disk.
///
/// # Errors
///
/// If a line was not taken, or could not be written: see [`Failure`].
pub async fn run<S, I, O, E>(
    (connection, tokens): (Connection<S>, TokenFile),
    streams: Streams<I, O, E>,
    interrupt: impl Future<Output = ()>,
) -> Result<(), Failure>
where
    S: Stream,
    I: AsyncRead + Unpin,
    O: Write,
    E: Write,
{
    let mut pipe = Pipe {
        connection,
        tokens,
        streams,
        input: Input::default(),
        joined: false,
        presence: Presence::default(),
        unknown: 0,
        unheard: false,
        unwritten: None,
        refused: 0,
    };
    let ended = pipe.talk(interrupt).await;
    let ended = pipe.see_off(ended).await;
    match (ended, pipe.unwritten.take()) {
        (ended, None) => ended,
        (Ok(()), Some(error)) => Err(Failure::NotWritten(error)),
        (Err(failure), Some(error)) => {
            pipe.complain(&Failure::NotWritten(error).to_string());
            Err(failure)
        }
    }
}

struct Pipe<S, I, O, E> {
    connection: Connection<S>,
    tokens: TokenFile,
    streams: Streams<I, O, E>,
    input: Input,
    joined: bool,
    presence: Presence,
    /// How many lines may have been taken or not, of which nothing more will be heard.
    unknown: usize,
    /// Nobody reads the output any more.
    unheard: bool,
    /// Why some of the output could not be written.
    unwritten: Option<io::Error>,
    /// How many lines were refused.
    refused: usize,
}

/// How talking ended.
enum Ended {
    /// All of the input has been said and answered.
    Done,
    /// Somebody wants to leave before that.
    Interrupted,
    Lost,
    NotAnswered,
    Failed(Failure),
}

impl<S, I, O, E> Pipe<S, I, O, E>
where
    S: Stream,
    I: AsyncRead + Unpin,
    O: Write,
    E: Write,
{
    async fn talk(&mut self, interrupt: impl Future<Output = ()>) -> Ended {
        tokio::pin!(interrupt);
        let mut buffer = vec![0; READ_BYTES];
        let mut answer_due = Instant::now();
        loop {
            if self.owed() == 0 {
                answer_due = Instant::now() + ANSWER_TIMEOUT;
            }
            self.say_lines();
            let owed = self.owed();
            if self.joined && self.input.is_done() && owed == 0 {
                return Ended::Done;
            }
            let session = self.connection.session();
            let keep_again = self.tokens.keep(session.nickname(), session.saved());
            if self.streams.leave_when_unheard && (self.unheard || self.unwritten.is_some()) {
                return Ended::Interrupted;
            }
            tokio::select! {
                biased;
                () = &mut interrupt => return Ended::Interrupted,
                mut event = self.connection.next() => {
                    // All events, since the receipts have counted them already.
                    while let Some(happened) = event {
                        // A server that only answers pings still owes the receipts.
                        if happened != Event::Pong {
                            answer_due = Instant::now() + ANSWER_TIMEOUT;
                        }
                        if let Some(ended) = self.hear(happened) {
                            return ended;
                        }
                        event = self.connection.poll_event();
                    }
                }
                read = self.streams.input.read(&mut buffer), if self.input.wants_more() => {
                    if let Err(failure) = self.input.take(read, &buffer) {
                        return Ended::Failed(failure);
                    }
                }
                () = sleep_until(answer_due), if owed > 0 && self.presence != Presence::Away => return Ended::NotAnswered,
                () = sleep_until(keep_again.unwrap_or(answer_due)), if keep_again.is_some() => {}
            }
        }
    }

    /// Leaves in order if there is somebody to leave, and reports the fate of the input.
    async fn see_off(&mut self, ended: Ended) -> Result<(), Failure> {
        if matches!(ended, Ended::Done | Ended::Interrupted) {
            self.leave().await;
        }
        match ended {
            Ended::Failed(failure) => return Err(failure),
            Ended::Lost if self.presence == Presence::Elsewhere => {
                return Err(Failure::TakenOver(self.shortfall().await));
            }
            Ended::Lost => return Err(Failure::ConnectionLost(self.shortfall().await)),
            Ended::NotAnswered => return Err(Failure::NotAnswered(self.shortfall().await)),
            Ended::Done if self.unknown > 0 => return Err(Failure::Unconfirmed(self.shortfall().await)),
            Ended::Done => {}
            Ended::Interrupted => {
                let shortfall = self.shortfall().await;
                if !shortfall.is_none() {
                    return Err(Failure::Interrupted(shortfall));
                }
            }
        }
        if self.refused == 0 { Ok(()) } else { Err(Failure::Refused(self.refused)) }
    }

    /// A server that cannot be told keeps the session, and so does the file: whoever comes back soon goes on
    /// with it.
    async fn leave(&mut self) {
        let can_be_told = self.presence == Presence::Here;
        self.connection.begin_leaving(LEAVE_TIMEOUT);
        // The lines on their way may still be answered.
        while let Some(event) = self.connection.next().await {
            match event {
                Event::NotSent(text) => self.refuse(&format!("Refused: {text}")),
                Event::Disconnected(Disconnected::Left) if can_be_told => self.tokens.forget(),
                _ => {}
            }
        }
    }

    /// Says as many of the lines that have been read as the window allows.
    fn say_lines(&mut self) {
        while self.connection.session().is_joined() && self.owed() < self.window() {
            let Some((number, line)) = self.input.next_line() else { return };
            let said = match line.as_deref().map_err(|refusal| *refusal).and_then(Text::parse) {
                Ok(text) => self.connection.say(text).map_err(|error| error.to_string()),
                Err(refusal) => Err(refusal.to_string()),
            };
            if let Err(reason) = said {
                self.refuse(&format!("Line {number} was not sent: {reason}."));
            }
        }
    }

    /// How many lines are on their way, or wait for a connection.
    fn owed(&self) -> usize {
        self.connection.session().unconfirmed().len()
    }

    /// In the report's framing messages must not share a read, so each waits for the one before.
    fn window(&self) -> usize {
        match self.connection.session().framing() {
            Framing::Lines => WINDOW_LINES,
            Framing::Report => 1,
        }
    }

    fn hear(&mut self, event: Event) -> Option<Ended> {
        self.presence = self.presence.after(&event);
        if let Some(news) = outage::news(&event) {
            self.complain(&news);
        }
        match event {
            Event::Joined | Event::Resumed { .. } => self.joined = true,
            Event::NotJoined(_) | Event::PasswordWanted => return Some(self.not_let_in(&event)),
            Event::Unconfirmed(lines) => self.unknown += lines.len(),
            Event::Disconnected(Disconnected::NotAnswered) => return Some(Ended::NotAnswered),
            Event::Disconnected(_) => return Some(Ended::Lost),
            Event::NotSent(text) => self.refuse(&format!("Refused: {text}")),
            Event::Unreadable(refusal) => {
                self.complain(&format!("Something came that cannot be shown: {refusal}."));
            }
            Event::Line(line) => match Heard::parse(&line) {
                Heard::Everyone(line) | Heard::Whisper(line) => self.show(line),
                Heard::NotSent(_) | Heard::Told(_) => self.complain(&line),
                Heard::Connected | Heard::NotJoined(_) => {}
            },
            // Another nickname is asked for only after a refusal, and the prefix of our lines stays the same.
            _ => {}
        }
        None
    }

    /// The server does not let the client in. If it had before, lines may be lost by that.
    fn not_let_in(&mut self, event: &Event) -> Ended {
        let failure = match event {
            Event::NotJoined(reason) => Failure::NotJoined(Sanitized(reason).to_string()),
            _ => Failure::NoPassword,
        };
        if self.joined {
            self.complain(&failure.to_string());
            return Ended::Lost;
        }
        Ended::Failed(failure)
    }

    fn show(&mut self, line: &str) {
        match writeln!(self.streams.output, "{}", Sanitized(line)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.unheard = true,
            Err(error) => {
                self.unwritten.get_or_insert(error);
            }
        }
    }

    /// A line was not sent, or not taken.
    fn refuse(&mut self, complaint: &str) {
        self.refused += 1;
        self.complain(complaint);
    }

    fn complain(&mut self, line: &str) {
        // A closed stderr means that nobody reads the complaint.
        let _ = writeln!(self.streams.errors, "{}", Sanitized(line));
    }

    /// The input that the server has not taken.
    async fn shortfall(&mut self) -> Shortfall {
        // The input may not have had the time to bring everything that it has, or its end.
        if !self.joined || self.owed() > 0 || !self.input.is_empty() {
            let _ = timeout(COUNT_TIMEOUT, self.read_ahead()).await;
        }
        let unsent = std::iter::from_fn(|| self.input.next_line()).count();
        let waiting = self.connection.session().waiting();
        Shortfall {
            unconfirmed: self.owed() - waiting + self.unknown,
            unsent: unsent + waiting,
            or_more: !self.input.ended,
        }
    }

    async fn read_ahead(&mut self) {
        let mut buffer = vec![0; READ_BYTES];
        while self.input.wants_more() {
            let read = self.streams.input.read(&mut buffer).await;
            if self.input.take(read, &buffer).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
