//! One connection misbehaves, or its session does, and nobody else notices.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use commonroom::net::{Bind, Connect as _, Listener};
use commonroom::server::limits::REGISTRATION_TIMEOUT;
use commonroom::server::{Config, Limits};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::member::{Act, Member};
use super::network::Simulated;
use super::scenario;
use super::world::{address, seconds};

#[test]
fn who_never_names_itself_is_closed_after_the_registration_timeout() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(Member::new("Dinesh"));
    world.within(|sim| {
        sim.host("Mute", || async {
            let mut stream = Simulated::default().connect(&address()).await?;
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await?;
            assert_eq!(heard, "NICK-- No nickname has come in time. Goodbye.\n");
            Ok(())
        });
    });
    world.run_until(REGISTRATION_TIMEOUT + seconds(1));
    assert_eq!(world.screen("Dinesh").len(), 2, "nobody else is told");
    scenario::end(&world, "a_client_that_never_names_itself");
}

#[test]
fn a_member_that_reads_too_slowly_falls_off_the_end_of_the_log() {
    let mut world = scenario::begin();
    let limits = Limits { retention_bytes: 4_096, write_timeout: seconds(600), ..Limits::default() };
    world.start_server(Config { limits, ..Config::default() });
    // So much is on its way to Alex that nothing more is taken, and so much more is said that the
    // log no longer holds what comes next for it.
    let mut dinesh = Member::new("Dinesh");
    for second in 2..200 {
        dinesh = dinesh.says(seconds(second), TALK);
    }
    world.add(dinesh);
    world.add(Member::new("Alex").then(seconds(1), Act::Ignore(seconds(300))));
    world.run_until(seconds(310));
    assert_eq!(world.screen("Dinesh").iter().filter(|line| line.ends_with(TALK)).count(), 198);
    scenario::end(&world, "a_slow_reader");
}

const TALK: &str = "some hundred bytes of talk, so that the log grows as a log does when people really \
                    have something to say to each other, which they sometimes do";

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
    scenario::end(&world, "a_panic");
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
