//! A session panics; the others go on.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use commonroom::net::{Bind, Listener};
use commonroom::server::Config;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::member::Member;
use crate::network::Simulated;
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_session_that_panics_leaves_the_room_and_the_others_go_on() {
    let mut world = scenario::begin();
    world.start_server_on(Panicking(Simulated::default()), Config::default());
    world.add(Member::new("Dinesh").says(seconds(3), "still here"));
    world.add(Member::new("Alex").says(seconds(2), "please panic"));
    world.run_until(seconds(4));
    assert_eq!(
        world.screen("Dinesh")[2..],
        ["Alex joined the chat!", "Alex left the chat.", "Dinesh: still here"]
    );
    assert_eq!(world.screen("Alex").last().map(String::as_str), Some("Connection lost!"));
    scenario::end(&world);
}

/// A network whose connections panic when they are asked to.
#[derive(Clone)]
struct Panicking<T>(T);

impl<N: Bind> Bind for Panicking<N> {
    type Listener = Panicking<N::Listener>;

    async fn bind(&self, address: &str) -> io::Result<Self::Listener> {
        self.0.bind(address).await.map(Panicking)
    }
}

impl<L: Listener> Listener for Panicking<L> {
    type Stream = Panicking<L::Stream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        self.0.accept().await.map(|(stream, peer)| (Panicking(stream), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_address()
    }

    fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Panicking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        assert!(!buffer.filled().ends_with(b"please panic\n"), "as you wish");
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Panicking<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
