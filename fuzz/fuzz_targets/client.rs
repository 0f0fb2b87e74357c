//! A server sends the client any bytes at all, cut anywhere, over one connection after another: nothing in them acts
//! on a terminal, and no line is sent twice in a connection.
#![no_main]

mod cuts;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use commonroom::client::{Config, Event, Reconnect, Session, connect};
use commonroom::net::Connect;
use commonroom::protocol::{Framing, Nickname, Sanitized, Text};
use commonroom::terminal::pipe::{self, Streams};
use commonroom::terminal::token_file::TokenFile;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of a long line. A line too long for a client would take most of the time; the other target
/// tests the decoder with those.
const LONG_BYTES: usize = 2_000;

/// For how long the client looks for another connection, in virtual time.
const RECONNECT_FOR: Duration = Duration::from_secs(4);

fuzz_target!(|input: &[u8]| {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
    }
    let steps = cuts::steps(input, LONG_BYTES);
    let framing = match steps.first() {
        Some(first) if first.connection == 1 => Framing::Report,
        _ => Framing::Lines,
    };
    let connections = connections(steps);
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            the_output_is_harmless(&connections, framing).await;
        });
    });
    let (cut_events, cut_sent) = conversation(&connections, framing);
    // Lines are the same lines however they arrive.
    if framing == Framing::Lines {
        let whole: Vec<_> = connections.iter().map(|pieces| vec![pieces.concat()]).collect();
        let (events, sent) = conversation(&whole, framing);
        assert!(cut_events == events, "{cut_events:?}\nis not\n{events:?}");
        // A client that gives a connection up sends nothing more there.
        let begins = |(cut, whole): (&Vec<u8>, &Vec<u8>)| cut.starts_with(whole);
        assert!(cut_sent.iter().zip(&sent).all(begins), "{cut_sent:?}\ndoes not begin with\n{sent:?}");
    }
});

/// The pieces of one connection after another.
fn connections(steps: Vec<cuts::Step>) -> Vec<Vec<Vec<u8>>> {
    let mut connections = vec![Vec::new()];
    for step in steps {
        match step.event {
            cuts::Event::Bytes(bytes) => connections.last_mut().expect("one at least").push(bytes),
            cuts::Event::Lost => connections.push(Vec::new()),
            cuts::Event::Slow | cuts::Event::Later => {}
        }
    }
    connections
}

/// Runs the client of scripts, which says a line and prints the lines that it hears.
async fn the_output_is_harmless(connections: &[Vec<Vec<u8>>], framing: Framing) {
    let network =
        Scripts(Arc::new(Mutex::new(connections.iter().map(|pieces| Scripted::of(pieces)).collect())));
    let connection = connect(&network, "server:1", bot(framing)).await.expect("the first connection");
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams {
        input: &b"hello\n"[..],
        output: &mut output,
        errors: &mut errors,
        leave_when_unheard: false,
    };
    let ended = pipe::run((connection, TokenFile::none()), streams, std::future::pending()).await;
    let failure = ended.err().map(|failure| failure.to_string()).unwrap_or_default();
    for text in [String::from_utf8(output), String::from_utf8(errors), Ok(failure)] {
        for line in text.expect("the output is UTF-8").lines() {
            assert_eq!(Sanitized(line).to_string(), line);
        }
    }
}

/// All events of a session that receives these pieces, in one connection after another, and all bytes that it
/// sends. It says something whenever it has lost a connection.
fn conversation(connections: &[Vec<Vec<u8>>], framing: Framing) -> (Vec<Event>, Vec<Vec<u8>>) {
    let mut now = Duration::ZERO;
    let mut session = Session::new(bot(framing));
    let (mut events, mut all_sent) = (Vec::new(), Vec::new());
    for pieces in connections {
        session.connected(now);
        let mut sent = Vec::new();
        for piece in pieces {
            session.receive(piece, now);
            events.extend(std::iter::from_fn(|| session.poll_event()));
            sent.extend_from_slice(session.transmit());
            session.sent(session.transmit().len());
        }
        no_line_is_sent_twice(&sent);
        all_sent.push(sent);
        session.connection_broken(now);
        events.extend(std::iter::from_fn(|| session.poll_event()));
        let text = Text::parse("are you still there?").expect("a text");
        // Without a session nothing can be said any more.
        let _ = session.say(text, now);
        now = session.tries_again_at().unwrap_or(now);
        session.handle_timeout(now);
        if !session.wants_connection() {
            break;
        }
    }
    events.extend(std::iter::from_fn(|| session.poll_event()));
    (events, all_sent)
}

/// The numbers of the lines that are sent in one connection rise.
fn no_line_is_sent_twice(sent: &[u8]) {
    let sent = std::str::from_utf8(sent).expect("what is sent is UTF-8");
    let numbers =
        sent.lines().filter_map(|line| line.strip_prefix("/n ")?.split(' ').next()?.parse::<u64>().ok());
    assert!(numbers.is_sorted_by(|one, next| one < next), "{sent}");
}

fn bot(framing: Framing) -> Config {
    let reconnect = Reconnect { for_at_most: Some(RECONNECT_FOR), ..Reconnect::new(0) };
    Config::new(Nickname::parse("bot").expect("a nickname")).with_framing(framing).with_reconnect(reconnect)
}

/// A network with one server, which has a script for each connection.
#[derive(Clone)]
struct Scripts(Arc<Mutex<VecDeque<Scripted>>>);

impl Connect for Scripts {
    type Stream = Scripted;

    async fn connect(&self, _: &str) -> io::Result<Scripted> {
        let next = self.0.lock().expect("no panic").pop_front();
        next.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

/// A connection on which a server sends the pieces of a script, and hears nothing.
struct Scripted(VecDeque<Vec<u8>>);

impl Scripted {
    fn of(pieces: &[Vec<u8>]) -> Self {
        // An empty read would be the end.
        Self(pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect())
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buffer.remaining()));
            buffer.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
