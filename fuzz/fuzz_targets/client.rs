//! A server that sends anything at all, cut anywhere, to the client: nothing of it acts on a terminal.
#![no_main]

mod cuts;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use commonroom::client::{Event, connect};
use commonroom::net::Connect;
use commonroom::protocol::{Framing, Sanitized, Nickname};
use commonroom::terminal::pipe::{self, Streams};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A long line. One that is too long for a client would take most of the time; how the decoder does
/// with those is the business of the other target.
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
            what_is_printed_is_harmless(&pieces, framing).await;
            let cut = events(&pieces, framing).await;
            // Lines are the same lines however they arrive.
            if framing == Framing::Lines {
                let whole = events(&[pieces.concat()], framing).await;
                assert!(cut == whole, "{cut:?}\nis not\n{whole:?}");
            }
        });
    });
});

/// Runs the client of scripts, which says a line and shows what it hears.
async fn what_is_printed_is_harmless(pieces: &[Vec<u8>], framing: Framing) {
    let connection = connect(&Scripted::of(pieces), "server:1", framing).await.expect("it always connects");
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let streams = Streams {
        input: &b"hello\n"[..],
        output: &mut output,
        errors: &mut errors,
        leave_when_unheard: false,
    };
    let nickname = Nickname::parse("bot").expect("a nickname");
    let ended = pipe::run(connection, &nickname, None, framing, streams, std::future::pending()).await;
    let failure = ended.err().map(|failure| failure.to_string()).unwrap_or_default();
    for text in [String::from_utf8(output), String::from_utf8(errors), Ok(failure)] {
        for line in text.expect("what is printed is UTF-8").lines() {
            assert_eq!(Sanitized(line).to_string(), line);
        }
    }
}

/// Everything that the client makes of what comes.
async fn events(pieces: &[Vec<u8>], framing: Framing) -> Vec<Event> {
    let (mut receiver, _sender) =
        connect(&Scripted::of(pieces), "server:1", framing).await.expect("it always connects");
    let mut events = Vec::new();
    while let Some(event) = receiver.next().await.expect("the connection does not break") {
        events.push(event);
    }
    events
}

/// A network on which a server says what the script has, and hears nothing.
#[derive(Clone)]
struct Scripted(VecDeque<Vec<u8>>);

impl Scripted {
    fn of(pieces: &[Vec<u8>]) -> Self {
        // An empty read would be the end.
        Self(pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect())
    }
}

impl Connect for Scripted {
    type Stream = Scripted;

    async fn connect(&self, _: &str) -> io::Result<Scripted> {
        Ok(self.clone())
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
