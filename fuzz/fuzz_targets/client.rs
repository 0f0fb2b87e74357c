//! A server sends the client any bytes at all, cut anywhere: nothing in them acts on a terminal.
#![no_main]

mod cuts;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use commonroom::client::{Config, Connection, Event, Session};
use commonroom::protocol::{Framing, Nickname, Sanitized};
use commonroom::terminal::pipe::{self, Streams};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of a long line. A line too long for a client would take most of the time; the other target
/// tests the decoder with those.
const LONG_BYTES: usize = 2_000;

fuzz_target!(|input: &[u8]| {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let pieces = cuts::pieces(input, LONG_BYTES);
    let framing = match pieces.first() {
        Some(first) if first.connection == 1 => Framing::Report,
        _ => Framing::Lines,
    };
    let pieces: Vec<Vec<u8>> = pieces.into_iter().map(|piece| piece.bytes).collect();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            the_output_is_harmless(&pieces, framing).await;
        });
    });
    let cut = conversation(&pieces, framing);
    // Lines are the same lines however they arrive.
    if framing == Framing::Lines {
        let whole = conversation(&[pieces.concat()], framing);
        assert!(cut == whole, "{cut:?}\nis not\n{whole:?}");
    }
});

/// Runs the client of scripts, which says a line and prints the lines that it hears.
async fn the_output_is_harmless(pieces: &[Vec<u8>], framing: Framing) {
    let connection = Connection::new(Scripted::of(pieces), bot(framing));
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams {
        input: &b"hello\n"[..],
        output: &mut output,
        errors: &mut errors,
        leave_when_unheard: false,
    };
    let ended = pipe::run(connection, streams, std::future::pending()).await;
    let failure = ended.err().map(|failure| failure.to_string()).unwrap_or_default();
    for text in [String::from_utf8(output), String::from_utf8(errors), Ok(failure)] {
        for line in text.expect("the output is UTF-8").lines() {
            assert_eq!(Sanitized(line).to_string(), line);
        }
    }
}

/// All events of a session that receives these pieces, and all bytes that it sends.
fn conversation(pieces: &[Vec<u8>], framing: Framing) -> (Vec<Event>, Vec<u8>) {
    let now = Duration::ZERO;
    let mut session = Session::new(bot(framing));
    session.connected(now);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for piece in pieces {
        session.receive(piece, now);
        events.extend(std::iter::from_fn(|| session.poll_event()));
        sent.extend_from_slice(session.transmit());
        session.sent(session.transmit().len());
    }
    session.connection_closed(now);
    events.extend(std::iter::from_fn(|| session.poll_event()));
    (events, sent)
}

fn bot(framing: Framing) -> Config {
    Config::new(Nickname::parse("bot").expect("a nickname")).with_framing(framing)
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
