//! A session on a stream: connects again, reads, writes, and keeps the time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep_until};

use super::dialer::Dialer;
use super::session::{Config, Event, LEAVE_TIMEOUT, SayError, Session};
use crate::net::Stream;
use crate::protocol::{Nickname, Password, Text};

/// The most that is read at once.
pub const READ_BYTES: usize = 16 * 1_024;

/// A [`Session`] and the stream that it is attached to, one after the other if it outlives them.
///
/// All work happens in [`next`](Self::next): said lines are queued, and written there.
#[derive(Debug)]
pub struct Connection<S> {
    session: Session,
    /// Gone when the session has no use for it any more.
    stream: Option<S>,
    /// The way to the next one.
    dialer: Option<Dialer<S>>,
    /// The moment from which the session's time is counted.
    begin: Instant,
    buffer: Box<[u8]>,
    writing: Writing,
}

/// The next step of the writing side, apart from writing the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// Nothing.
    Idle,
    /// Written bytes may still wait in a buffer of the stream.
    Flush,
    /// The server knows that nothing more will come, or takes nothing more.
    Ended,
}

impl<S: Stream> Connection<S> {
    /// Attaches a new session to a stream. It ends with the stream, whatever the configuration: there is no way
    /// to another one.
    #[must_use]
    pub fn new(stream: S, config: Config) -> Self {
        Self::begin(stream, None, Config { reconnect: None, ..config })
    }

    /// The same with a way to the next stream.
    pub(super) fn with_dialer(stream: S, dialer: Dialer<S>, config: Config) -> Self {
        Self::begin(stream, Some(dialer), config)
    }

    fn begin(stream: S, dialer: Option<Dialer<S>>, config: Config) -> Self {
        let mut session = Session::new(config);
        session.connected(Duration::ZERO);
        Self {
            session,
            stream: Some(stream),
            dialer,
            begin: Instant::now(),
            buffer: vec![0; READ_BYTES].into(),
            writing: Writing::Idle,
        }
    }

    /// Waits for the next thing that happens, and meanwhile writes the queue; `None` after
    /// [`Event::Disconnected`].
    ///
    /// Can be cancelled without losing anything.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            self.let_go();
            if let Some(event) = self.session.poll_event() {
                return Some(event);
            }
            let due = self.session.next_timeout();
            if self.stream.is_none() && due.is_none() && !self.session.wants_connection() {
                return None;
            }
            let due_at = self.begin + due.unwrap_or_default();
            tokio::select! {
                biased;
                () = poll_fn(|context| self.poll_network(context)) => {}
                () = sleep_until(due_at), if due.is_some() => {
                    self.session.handle_timeout(self.begin.elapsed());
                }
            }
        }
    }

    /// The next thing that has happened already.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// Writes the queue and reads nothing meanwhile. A caller that goes on with [`next`](Self::next) does not
    /// need it.
    ///
    /// Can be cancelled and called again.
    ///
    /// # Errors
    ///
    /// If the connection broke. [`next`](Self::next) still returns everything that came before that.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_write(context)).await
    }

    /// See [`Session::say`].
    ///
    /// # Errors
    ///
    /// See [`SayError`].
    pub fn say(&mut self, text: Text<'_>) -> Result<(), SayError> {
        self.session.say(text, self.begin.elapsed())
    }

    /// See [`Session::send_line`].
    ///
    /// # Errors
    ///
    /// See [`SayError`].
    pub fn send_line(&mut self, line: &str) -> Result<(), SayError> {
        self.session.send_line(line, self.begin.elapsed())
    }

    /// Answers [`Event::NicknameWanted`].
    pub fn choose_nickname(&mut self, nickname: Nickname) {
        self.session.choose_nickname(nickname, self.begin.elapsed());
    }

    /// Answers [`Event::PasswordWanted`].
    pub fn give_password(&mut self, password: Password) {
        self.session.give_password(password, self.begin.elapsed());
    }

    /// Leaves in order and ignores everything that still comes. Takes at most [`LEAVE_TIMEOUT`].
    pub async fn leave(mut self) {
        self.begin_leaving(LEAVE_TIMEOUT);
        while self.next().await.is_some() {}
    }

    /// Begins to leave in order, see [`Session::leave`]. [`next`](Self::next) still returns everything that
    /// comes.
    pub fn begin_leaving(&mut self, at_most: Duration) {
        self.session.leave(at_most, self.begin.elapsed());
    }

    /// See [`Session::silent_since`].
    #[must_use]
    pub fn silent_since(&self) -> Option<Instant> {
        self.session.silent_since().map(|since| self.begin + since)
    }

    /// See [`Session::tries_again_at`].
    #[must_use]
    pub fn tries_again_at(&self) -> Option<Instant> {
        self.session.tries_again_at().map(|at| self.begin + at)
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Hands these events out before any others.
    pub(super) fn put_back(&mut self, events: VecDeque<Event>) {
        self.session.put_back(events);
    }

    /// Drops what the session has no use for any more: a stream, or an attempt to connect.
    fn let_go(&mut self) {
        if !self.session.is_connected() {
            self.stream = None;
            self.writing = Writing::Idle;
        }
        if let Some(dialer) = self.dialer.as_mut().filter(|_| !self.session.wants_connection()) {
            dialer.cancel();
        }
    }

    /// Completes when something has come, or an attempt to connect or the connection has ended.
    fn poll_network(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.session.wants_connection() {
            return self.poll_stream(context);
        }
        let connected = match &mut self.dialer {
            Some(dialer) => ready!(dialer.poll(context)),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let now = self.begin.elapsed();
        match connected {
            Ok(stream) => {
                self.stream = Some(stream);
                self.session.connected(now);
            }
            Err(_) => self.session.connection_failed(now),
        }
        Poll::Ready(())
    }

    /// Completes when something has been read, or the connection has ended; writes meanwhile.
    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Before anything is read, so that a server that never pauses cannot keep us from answering.
        // If nothing more is taken, the bytes that have come already can still be read.
        let _ = self.poll_write(context);
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let read = ready!(Pin::new(stream).poll_read(context, &mut buffer));
        let now = self.begin.elapsed();
        match read {
            Ok(()) if !buffer.filled().is_empty() => self.session.receive(buffer.filled(), now),
            Ok(()) => self.session.connection_closed(now),
            Err(_) => self.session.connection_broken(now),
        }
        Poll::Ready(())
    }

    /// Completes when the whole queue has been written, and the shutdown as well if it is due.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.poll_write_queued(context);
        if let Poll::Ready(Err(_)) = written {
            self.writing = Writing::Ended;
            self.session.cannot_send(self.begin.elapsed());
        }
        written
    }

    fn poll_write_queued(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        if self.writing == Writing::Ended {
            return Poll::Ready(Ok(()));
        }
        while !self.session.transmit().is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, self.session.transmit()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.session.sent(written),
            }
            self.writing = Writing::Flush;
        }
        if self.writing == Writing::Flush {
            ready!(Pin::new(&mut *stream).poll_flush(context))?;
            self.writing = Writing::Idle;
        }
        if self.session.wants_shutdown() {
            ready!(Pin::new(stream).poll_shutdown(context))?;
            self.writing = Writing::Ended;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::client::{Disconnected, PING_INTERVAL};

    /// A server that says this, and then goes on saying the last of it for ever; and takes this much, or
    /// breaks.
    struct Scripted {
        says: Vec<&'static str>,
        repeats: bool,
        takes: usize,
        heard: Vec<u8>,
    }

    impl AsyncRead for Scripted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let says = match &self.says[..] {
                [last] if self.repeats => *last,
                [] => "",
                _ => self.says.remove(0),
            };
            buffer.put_slice(says.as_bytes());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Scripted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.heard.len() + bytes.len() > self.takes {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            self.heard.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn dinesh() -> Config {
        Config::new(Nickname::parse("Dinesh").unwrap())
    }

    fn simulate<T>(test: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    #[test]
    fn a_server_that_never_pauses_is_answered() {
        simulate(async {
            let says = vec!["NICK", "Connected to server!\n", "-- pong chat-client-1\n", "Alex: blah\n"];
            let stream = Scripted { says, repeats: true, takes: usize::MAX, heard: Vec::new() };
            let mut connection = Connection::new(stream, dinesh());
            for _ in 0..10 {
                connection.next().await.expect("it goes on");
            }
            tokio::time::advance(PING_INTERVAL).await;
            for _ in 0..10 {
                connection.next().await.expect("it goes on");
            }
            let heard = String::from_utf8(connection.stream.unwrap().heard).unwrap();
            assert_eq!(heard, "Dinesh\nDinesh: /ping chat-client-1\nDinesh: /ping chat-client-2\n");
        });
    }

    #[test]
    fn the_last_words_of_a_server_that_takes_nothing_more_are_heard() {
        simulate(async {
            let says = vec!["NICK", "-- Not connected: the room is full.\n"];
            let stream = Scripted { says, repeats: false, takes: 0, heard: Vec::new() };
            let mut connection = Connection::new(stream, dinesh());
            let words = Event::Line("-- Not connected: the room is full.".to_owned());
            assert_eq!(connection.next().await, Some(words));
            assert_eq!(connection.next().await, Some(Event::Disconnected(Disconnected::Broken)));
            assert_eq!(connection.next().await, None);
        });
    }

    #[test]
    fn cancelling_loses_nothing_that_comes_or_goes() {
        simulate(async {
            // One byte at a time goes through, and a wait for more is cancelled.
            let (stream, server) = duplex(1);
            let (mut reader, mut writer) = tokio::io::split(server);
            let mut connection = Connection::new(stream, dinesh());
            let client = async {
                let mut heard = Vec::new();
                while heard.len() < 4 || !connection.session().transmit().is_empty() {
                    heard.extend(timeout(Duration::ZERO, connection.next()).await.ok().flatten());
                    tokio::task::yield_now().await;
                }
                heard
            };
            let wanted_sent = "Dinesh\nDinesh: /ping chat-client-1\n";
            let mut sent = vec![0; wanted_sent.len()];
            let (heard, written, read) = tokio::join!(
                client,
                writer.write_all(b"NICKConnected to server!\nAlex: hi\nAlex: there\n"),
                reader.read_exact(&mut sent),
            );
            written.and(read).unwrap();
            let line = |text: &str| Event::Line(text.to_owned());
            let wanted = [line("Connected to server!"), Event::Joined, line("Alex: hi"), line("Alex: there")];
            assert_eq!(heard, wanted);
            assert_eq!(String::from_utf8(sent).unwrap(), wanted_sent);
        });
    }
}
