//! The client without a terminal: each input line is a message, in a script that wants to know.

mod input;

use std::io::{self, Write};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until, timeout};

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
    connection: Connection<S>,
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
        streams,
        input: Input::default(),
        joined: false,
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
    streams: Streams<I, O, E>,
    input: Input,
    joined: bool,
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
            if self.joined && self.input.ended && owed == 0 {
                return Ended::Done;
            }
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
                () = sleep_until(answer_due), if owed > 0 => return Ended::NotAnswered,
            }
        }
    }

    /// Leaves in order if there is somebody to leave, and reports the fate of the input.
    async fn see_off(&mut self, ended: Ended) -> Result<(), Failure> {
        if matches!(ended, Ended::Done | Ended::Interrupted) {
            self.connection.begin_leaving(LEAVE_TIMEOUT);
            // The lines on their way may still be answered.
            while let Some(event) = self.connection.next().await {
                if let Event::NotSent(text) = event {
                    self.refuse(&format!("Refused: {text}"));
                }
            }
        }
        match ended {
            Ended::Failed(failure) => return Err(failure),
            Ended::Lost => return Err(Failure::ConnectionLost(self.shortfall().await)),
            Ended::NotAnswered => return Err(Failure::NotAnswered(self.shortfall().await)),
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

    /// How many lines are on their way.
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
        match event {
            Event::Joined => self.joined = true,
            Event::NotJoined(reason) => {
                return Some(Ended::Failed(Failure::NotJoined(Sanitized(&reason).to_string())));
            }
            Event::PasswordWanted => return Some(Ended::Failed(Failure::NoPassword)),
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
        Shortfall { unconfirmed: self.owed(), unsent, or_more: !self.input.ended }
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
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;
    use crate::client::{Config, HANDSHAKE_TIMEOUT};
    use crate::protocol::Nickname;

    /// How much an unread socket takes.
    const SOCKET_BYTES: usize = 64;

    const INTERRUPTED_AFTER: Duration = Duration::from_secs(5);

    const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

    /// Runs a client in virtual time with this input, against a server that has said this and then neither
    /// reads nor says anything. Returns the client's result, and how long it took.
    fn run_against(
        server_says: &str,
        input: impl AsyncRead + Unpin,
        interrupt_after: Duration,
    ) -> (Result<(), Failure>, Duration) {
        simulate(async {
            let (stream, mut server) = duplex(SOCKET_BYTES);
            server.write_all(server_says.as_bytes()).await.unwrap();
            say(stream, input, interrupt_after).await
        })
    }

    fn simulate<T>(test: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    async fn say(
        stream: DuplexStream,
        input: impl AsyncRead + Unpin,
        interrupt_after: Duration,
    ) -> (Result<(), Failure>, Duration) {
        let streams = Streams { input, output: Vec::new(), errors: Vec::new(), leave_when_unheard: false };
        let connection = Connection::new(stream, Config::new(Nickname::parse("bot").unwrap()));
        let begin = Instant::now();
        let ended = timeout(FOR_EVER, run(connection, streams, sleep(interrupt_after))).await;
        (ended.expect("it ends"), begin.elapsed())
    }

    #[track_caller]
    fn assert_fails(ended: Result<(), Failure>, with: &str) {
        assert_eq!(ended.unwrap_err().to_string(), with);
    }

    /// An input from which this comes, and then nothing for ever.
    fn open_input(text: &str) -> (DuplexStream, impl AsyncRead + Unpin) {
        let (keyboard, input) = duplex(1);
        (keyboard, std::io::Cursor::new(text.as_bytes().to_vec()).chain(input))
    }

    #[test]
    fn leaving_does_not_wait_for_a_socket_that_takes_nothing() {
        let input = "more than the socket takes\n".repeat(SOCKET_BYTES);
        let (ended, took) = run_against("NICKConnected to server!\n", input.as_bytes(), INTERRUPTED_AFTER);
        assert_fails(ended, "Interrupted; 64 lines were not confirmed.");
        assert_eq!(took, INTERRUPTED_AFTER + LEAVE_TIMEOUT);
    }

    #[test]
    fn a_server_that_never_asks_for_a_nickname_is_given_up_and_no_line_is_passed_over() {
        let (ended, took) = run_against("", &b"hello\n"[..], FOR_EVER);
        assert_fails(ended, "The server does not answer; 1 line was not sent.");
        assert_eq!(took, HANDSHAKE_TIMEOUT);
    }

    #[test]
    fn a_server_that_does_not_let_the_client_in_is_given_up() {
        let (_keyboard, input) = open_input("one\ntwo\nhalf");
        let (ended, took) = run_against("NICK", input, FOR_EVER);
        assert_fails(ended, "The server does not answer; 2 or more lines were not sent.");
        assert_eq!(took, HANDSHAKE_TIMEOUT + COUNT_TIMEOUT);
    }

    #[test]
    fn a_server_that_never_confirms_is_given_up() {
        let (ended, took) = run_against("NICKConnected to server!\n", &b"one\ntwo\n"[..], FOR_EVER);
        assert_fails(ended, "The server does not answer; 2 lines were not confirmed.");
        assert_eq!(took, ANSWER_TIMEOUT);
    }

    #[test]
    fn a_server_that_answers_pings_and_never_confirms_is_given_up() {
        simulate(async {
            let (stream, server) = duplex(SOCKET_BYTES);
            let (reader, mut writer) = tokio::io::split(server);
            writer.write_all(b"NICKConnected to server!\n").await.unwrap();
            let answer_pings = async {
                let mut lines = tokio::io::BufReader::new(reader).lines();
                while let Some(line) = lines.next_line().await.unwrap() {
                    if let Some(token) = line.strip_prefix("bot: /ping ") {
                        writer.write_all(format!("-- pong {token}\n").as_bytes()).await.unwrap();
                    }
                }
            };
            let client = say(stream, &b"one\n"[..], FOR_EVER);
            let ((ended, took), ()) = tokio::join!(client, answer_pings);
            assert_fails(ended, "The server does not answer; 1 line was not confirmed.");
            assert_eq!(took, ANSWER_TIMEOUT);
        });
    }

    #[test]
    fn an_input_that_says_nothing_is_waited_for() {
        let (_keyboard, input) = open_input("");
        let (ended, took) = run_against("NICKConnected to server!\n", input, FOR_EVER / 2);
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(took, FOR_EVER / 2 + LEAVE_TIMEOUT);
    }
}
