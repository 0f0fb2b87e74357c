//! The client without a terminal: each input line is a message, in a script that wants to know.

use std::io::{self, Write};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until};

use super::{Failure, Progress};
use crate::client::{Beat, Event, Heartbeat, READ_BYTES, Receipt, Receipts, Receiver, Sender, leave};
use crate::net::Stream;
use crate::protocol::{Decoder, Framing, Heard, Nickname, Password, Sanitized, Text};

/// How many lines may be on their way without a receipt. So a burst never outruns its own echo.
pub const WINDOW_LINES: usize = 256;

/// How long the server may owe an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the lines come from and what comes goes to.
pub struct Streams<I, O, E> {
    /// Each line of it is a message.
    pub input: I,
    /// What is said in the room.
    pub output: O,
    /// Everything else.
    pub errors: E,
    /// Leave when nobody reads the output any more; otherwise the input is sent all the same.
    pub leave_when_unheard: bool,
}

/// Says every line of the input, and leaves when all of them have come back; or when `interrupt`
/// completes.
///
/// # Errors
///
/// Whatever kept a line from being taken: see [`Failure`].
pub async fn run<S, I, O, E>(
    (receiver, sender): (Receiver<S>, Sender<S>),
    nickname: &Nickname,
    password: Option<&Password>,
    framing: Framing,
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
        receiver,
        sender,
        nickname,
        password,
        framing,
        streams,
        receipts: Receipts::new(nickname, framing),
        heartbeat: Heartbeat::new(framing),
        lines: Decoder::with_framing(Framing::Lines),
        line_number: 0,
        progress: Progress::Connected,
        input_ended: false,
        unheard: false,
        refused: 0,
    };
    let ended = pipe.talk(interrupt).await;
    let unconfirmed = pipe.receipts.unconfirmed();
    match ended {
        Ok(()) => {}
        Err(Ended::Failed(failure)) => return Err(failure),
        Err(Ended::Lost) => return Err(Failure::ConnectionLost { unconfirmed }),
    }
    leave(pipe.receiver, pipe.sender).await;
    match (unconfirmed, pipe.refused) {
        (0, 0) => Ok(()),
        (0, refused) => Err(Failure::Refused(refused)),
        (unconfirmed, _) => Err(Failure::NotConfirmed(unconfirmed)),
    }
}

struct Pipe<'a, S, I, O, E> {
    receiver: Receiver<S>,
    sender: Sender<S>,
    nickname: &'a Nickname,
    password: Option<&'a Password>,
    framing: Framing,
    streams: Streams<I, O, E>,
    receipts: Receipts,
    heartbeat: Heartbeat,
    /// Cuts the input into lines.
    lines: Decoder,
    line_number: u64,
    progress: Progress,
    input_ended: bool,
    /// Nobody reads the output any more.
    unheard: bool,
    refused: usize,
}

/// Why talking ended before the input did.
enum Ended {
    Lost,
    Failed(Failure),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl<S, I, O, E> Pipe<'_, S, I, O, E>
where
    S: Stream,
    I: AsyncRead + Unpin,
    O: Write,
    E: Write,
{
    async fn talk(&mut self, interrupt: impl Future<Output = ()>) -> Result<(), Ended> {
        tokio::pin!(interrupt);
        let mut buffer = vec![0; READ_BYTES];
        let mut answer_due = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let joined = self.progress == Progress::Joined;
            if joined {
                self.say_lines();
            }
            let owed = self.receipts.unconfirmed();
            if (self.input_ended && owed == 0) || (self.unheard && self.streams.leave_when_unheard) {
                return Ok(());
            }
            let may_read = joined && !self.input_ended && owed < self.window();
            tokio::select! {
                biased;
                () = &mut interrupt => return Ok(()),
                event = self.receiver.next() => {
                    let Some(event) = event? else { return Err(Ended::Lost) };
                    self.hear(event)?;
                    answer_due = Instant::now() + ANSWER_TIMEOUT;
                }
                // Before any of the input is said, so that the first answer is the one to the ping.
                // While an answer is due there is a shorter deadline, which pongs must not put off.
                beat = self.heartbeat.beat(), if owed == 0 => match beat {
                    Beat::Ping(line) => self.sender.line(&line),
                    Beat::Lost => return Err(Ended::Lost),
                },
                flushed = self.sender.flush(), if !self.sender.is_flushed() => flushed?,
                read = self.streams.input.read(&mut buffer), if may_read => {
                    self.take_input(read, &buffer)?;
                    answer_due = Instant::now() + ANSWER_TIMEOUT;
                }
                () = sleep_until(answer_due), if owed > 0 || !joined => {
                    return Err(Ended::Failed(Failure::NotConfirmed(owed)));
                }
            }
        }
    }

    /// In the report's framing messages must not share a read, so each waits for the one before.
    fn window(&self) -> usize {
        match self.framing {
            Framing::Lines => WINDOW_LINES,
            Framing::Report => 1,
        }
    }

    fn take_input(&mut self, read: io::Result<usize>, buffer: &[u8]) -> Result<(), Ended> {
        match read {
            Ok(0) => {
                self.input_ended = true;
                // The last line of a file may lack its newline.
                self.lines.push(b"\n");
                Ok(())
            }
            Ok(length) => {
                self.lines.push(&buffer[..length]);
                Ok(())
            }
            Err(error) => {
                let reason = format!("Cannot read the input: {}", crate::net::explain(&error));
                Err(Ended::Failed(Failure::Input(reason)))
            }
        }
    }

    /// Says as many of the lines that have been read as the window allows.
    fn say_lines(&mut self) {
        while self.receipts.unconfirmed() < self.window() {
            let message = self.lines.next_message();
            self.line_number += u64::from(message.is_some());
            let refusal = match message {
                None => return,
                Some(Ok(line)) if line.trim().is_empty() => continue,
                Some(Ok(line)) => match Text::parse(line) {
                    Ok(text) => {
                        self.receipts.expect(text.as_str());
                        self.sender.text(text.as_str());
                        self.heartbeat.said();
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                Some(Err(refusal)) => refusal,
            };
            self.refused += 1;
            self.complain(&format!("Line {} was not sent: {refusal}.", self.line_number));
        }
    }

    fn hear(&mut self, event: Event) -> Result<(), Ended> {
        let line = match event {
            Event::NicknameRequest if self.progress != Progress::Connected => return Ok(()),
            Event::NicknameRequest => {
                self.progress = Progress::Named;
                self.sender.name(self.nickname);
                return Ok(());
            }
            Event::PasswordRequest if self.progress == Progress::Joined => return Ok(()),
            Event::PasswordRequest => {
                let password = self.password.ok_or(Ended::Failed(Failure::NoPassword))?;
                self.sender.password(password);
                return Ok(());
            }
            Event::Unreadable(refusal) => {
                self.complain(&format!("Something came that cannot be shown: {refusal}."));
                return Ok(());
            }
            Event::Line(line) => line,
        };
        if self.heartbeat.hear(&line) {
            return Ok(());
        }
        if let Receipt::Refused(text) = self.receipts.hear(&line) {
            self.refused += 1;
            self.complain(&format!("Refused: {text}"));
        }
        let heard = Heard::parse(&line);
        self.progress.hear(&heard, self.framing);
        match heard {
            Heard::NotJoined(reason) => {
                return Err(Ended::Failed(Failure::NotJoined(Sanitized(reason).to_string())));
            }
            Heard::Connected => self.heartbeat.begin(),
            Heard::Everyone(line) | Heard::Whisper(line) => self.show(line),
            Heard::NotSent(_) | Heard::Told(_) => self.complain(&line),
        }
        Ok(())
    }

    fn show(&mut self, line: &str) {
        self.unheard |= writeln!(self.streams.output, "{}", Sanitized(line)).is_err();
    }

    fn complain(&mut self, line: &str) {
        // Where stderr is closed, nobody wants to know.
        let _ = writeln!(self.streams.errors, "{}", Sanitized(line));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::client::{LEAVE_TIMEOUT, halves};

    /// How much a socket takes that nobody reads.
    const SOCKET_BYTES: usize = 64;

    const INTERRUPTED_AFTER: Duration = Duration::from_secs(5);

    const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn who_leaves_does_not_wait_for_a_socket_that_takes_nothing() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
            let (stream, mut server) = duplex(SOCKET_BYTES);
            server.write_all(b"NICKConnected to server!\n").await.unwrap();
            let input = "more than the socket takes\n".repeat(SOCKET_BYTES);
            let streams = Streams {
                input: input.as_bytes(),
                output: Vec::new(),
                errors: Vec::new(),
                leave_when_unheard: false,
            };
            let nickname = Nickname::parse("bot").unwrap();
            let (begin, interrupt) = (Instant::now(), sleep(INTERRUPTED_AFTER));
            let halves = halves(stream, Framing::Lines);
            let run = run(halves, &nickname, None, Framing::Lines, streams, interrupt);
            let ended = timeout(FOR_EVER, run).await.expect("it leaves");
            assert!(matches!(ended, Err(Failure::NotConfirmed(SOCKET_BYTES))), "{ended:?}");
            assert_eq!(begin.elapsed(), INTERRUPTED_AFTER + LEAVE_TIMEOUT);
        });
    }
}
