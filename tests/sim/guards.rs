//! Nobody gets in the way: what the server does about those who connect too often, or send too fast,
//! in virtual time. The same on the real binary is in `tests/cli/guards.rs`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use commonroom::net::{Bind, Connect as _, Listener};
use commonroom::protocol::NICKNAME_CHARACTERS;
use commonroom::server::{Config, Limits, Rate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::member::{Act, Member};
use super::network::{Pieces, Simulated, SimulatedListener, SimulatedStream};
use super::scenario;
use super::world::{Physics, World, address, seconds};

#[test]
fn many_connections_from_one_address_are_refused_beyond_the_limit_with_a_reason_and_logged() {
    let mut world = scenario::begin();
    let limits = Limits { connections_per_address: 3, ..Limits::default() };
    world.start_server(Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh").says(seconds(2), "who is that?"));
    world.within(|sim| {
        sim.host("Greedy", || async {
            let mut open = Vec::new();
            for _ in 0..3 {
                open.push(Simulated::default().connect(&address()).await?);
            }
            let refused = heard_by_one_more().await?;
            assert_eq!(refused, "-- Not connected: too many connections from this address.\n");
            tokio::time::sleep(seconds(3)).await;
            drop(open);
            tokio::time::sleep(seconds(1)).await;
            let mut asked = [0; 4];
            Simulated::default().connect(&address()).await?.read_exact(&mut asked).await?;
            assert_eq!(&asked, b"NICK", "there is a place as soon as one is left");
            Ok(())
        });
    });
    world.add(Member::new("Alex").connects(seconds(1)));
    world.run_until(seconds(6));
    assert_eq!(world.screen("Alex").last().map(String::as_str), Some("Dinesh: who is that?"));
    scenario::end(&world, "too_many_connections");
}

async fn heard_by_one_more() -> io::Result<String> {
    let mut heard = String::new();
    Simulated::default().connect(&address()).await?.read_to_string(&mut heard).await?;
    Ok(heard)
}

#[test]
fn in_a_full_room_whoever_comes_is_told_so_and_there_is_a_place_when_somebody_leaves() {
    let mut world = scenario::begin();
    let limits = Limits { connections: 2, ..Limits::default() };
    world.start_server(Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh").says(seconds(2), "nobody else?"));
    world.add(Member::new("Alex").then(seconds(3), Act::Leave));
    world.add(Member::new("Early").connects(seconds(1)));
    world.add(Member::new("Late").connects(seconds(4)).says(seconds(5), "here I am"));
    world.run_until(seconds(6));
    assert_eq!(world.screen("Early"), ["-- Not connected: the room is full.", "Connection lost!"]);
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Late: here I am"));
    scenario::end(&world, "a_full_room");
}

#[test]
fn out_of_file_descriptors_accepting_pauses_and_goes_on_and_members_notice_nothing() {
    let mut world = scenario::begin();
    let descriptors = world.descriptors();
    world.start_server_on(
        Simulated { descriptors: descriptors.clone(), ..Simulated::default() },
        Config::default(),
    );
    world.add(Member::new("Dinesh").says(seconds(3), "anybody else?"));
    world.add(Member::new("Alex").connects(seconds(1)).says(seconds(4), "not yet"));
    world.add(Member::new("Patience").connects(seconds(2)).says(seconds(7), "at last"));
    world.run_until(Duration::from_millis(1_500));
    descriptors.exhaust(true);
    world.run_until(seconds(5));
    assert!(world.screen("Patience").is_empty(), "it waits");
    descriptors.exhaust(false);
    world.run_until(seconds(8));
    assert_eq!(
        world.screen("Alex")[2..],
        ["Dinesh: anybody else?", "Alex: not yet", "Patience joined the chat!", "Patience: at last"]
    );
    scenario::end(&world, "no_descriptors");
}

#[test]
fn connections_that_are_gone_before_they_are_accepted_keep_nobody_waiting() {
    let mut world = World::with(Physics::default());
    world.start_server_on(Vanishing { errors: 200 }, Config::default());
    world.add(Member::new("Dinesh"));
    world.run_until(Duration::from_millis(500));
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Connected to server!"));
    let log = world.server_log();
    assert!(!log.contains("Cannot accept"), "{log}");
}

#[test]
fn a_listener_that_is_broken_is_tried_again_with_pauses() {
    let mut world = World::with(Physics::default());
    world.start_server_on(Vanishing { errors: usize::MAX }, Config::default());
    world.run_until(seconds(10));
    let warnings = world.server_log().matches("Cannot accept connections at the moment: ").count();
    assert!((10..20).contains(&warnings), "{warnings} warnings");
}

/// A network on which so many connections are gone before they can be accepted.
#[derive(Clone, Copy)]
struct Vanishing {
    errors: usize,
}

/// How often a server may ask for the next connection in a simulation, so that one that never pauses fails
/// instead of going on for ever.
const ASKED_AT_MOST: usize = 1_000_000;

struct VanishingListener {
    listener: SimulatedListener,
    errors: usize,
    asked: usize,
}

impl Bind for Vanishing {
    type Listener = VanishingListener;

    async fn bind(&self, address: &str) -> io::Result<VanishingListener> {
        let listener = Simulated::default().bind(address).await?;
        Ok(VanishingListener { listener, errors: self.errors, asked: 0 })
    }
}

impl Listener for VanishingListener {
    type Stream = SimulatedStream;

    async fn accept(&mut self) -> io::Result<(SimulatedStream, SocketAddr)> {
        use io::ErrorKind::{ConnectionReset, InvalidInput, NotConnected};
        if self.asked < self.errors {
            self.asked += 1;
            assert!(self.asked < ASKED_AT_MOST, "the server never pauses");
            return Err([NotConnected, ConnectionReset, InvalidInput][self.asked % 3].into());
        }
        self.listener.accept().await
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }
}

#[test]
fn a_flood_from_one_member_is_slowed_down_and_nothing_is_lost_and_the_others_hear_at_once() {
    const LINES: usize = 30;
    let mut world = scenario::begin();
    let rate = Rate { burst_messages: 10, messages_per_second: 10 };
    world.start_server(Config { limits: Limits { rate, ..Limits::default() }, ..Config::default() });
    world.add(Member::new("Flooder").then(seconds(1), Act::TalkAndLeave(LINES)));
    world.add(Member::new("Dinesh").says(Duration::from_millis(1_500), "who shouts here?"));

    // 10 at once, and 1 each 100 ms behind that.
    world.run_until(Duration::from_millis(1_050));
    let flood = |line: &&String| line.starts_with("Flooder: ");
    assert_eq!(world.screen("Dinesh").iter().filter(flood).count(), 10);
    world.run_until(Duration::from_millis(1_550));
    assert!(world.screen("Dinesh").iter().any(|line| line == "Dinesh: who shouts here?"), "said at once");
    assert_eq!(world.screen("Flooder").iter().filter(flood).count(), 15, "its own deliveries go on");

    // That it leaves is noticed when it is its turn, and it is still sent everything.
    world.run_until(seconds(4));
    for host in ["Dinesh", "Flooder"] {
        let screen = world.screen(host);
        let said: Vec<&String> = screen.iter().filter(flood).collect();
        let wanted: Vec<_> = (1..=LINES).map(|number| format!("Flooder: {number} of Flooder")).collect();
        assert_eq!(said, wanted.iter().collect::<Vec<_>>(), "{host} heard each once, in order");
    }
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Flooder left the chat."));
    scenario::end(&world, "a_flood");
}

#[test]
fn a_burst_that_outruns_healthy_receivers_slows_its_sender_and_loses_nobody() {
    const LINES: usize = 2_000;
    let retention_bytes = 128 * 1_024;
    let rate = Rate { burst_messages: 1, messages_per_second: 0 };
    let limits = Limits { retention_bytes, rate, ..Limits::default() };
    let mut world = scenario::begin();
    // What goes to each goes in such small pieces that it takes longer to hear than to speak.
    let slow = Simulated::cut_into(Some(Pieces { seed: 0, largest: 300 }));
    world.start_server_on(slow, Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh"));
    world.add(Member::new("Alex"));
    let line = format!("{}\n", "x".repeat(500));
    add_talker(&mut world, "Talker", &line.repeat(LINES));
    world.run_until(seconds(10));

    for host in ["Dinesh", "Alex"] {
        let screen = world.screen(host);
        let talk: Vec<&String> = screen.iter().filter(|line| line.starts_with("Talker: ")).collect();
        assert_eq!(talk.len(), LINES, "{host} has heard everything");
        let bytes: usize = talk.iter().map(|line| line.len()).sum();
        assert!(bytes > 4 * retention_bytes, "that is more than is kept for who is behind");
    }
    assert!(world.server_log().ends_with("Talker disconnected\n"), "and nobody else has left");
}

#[test]
fn short_messages_that_become_long_lines_lose_nobody() {
    const LINES: usize = 30_000;
    let retention_bytes = 128 * 1_024;
    let rate = Rate { burst_messages: 1, messages_per_second: 0 };
    let limits = Limits { retention_bytes, rate, ..Limits::default() };
    let mut world = scenario::begin();
    world.start_server(Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh"));
    world.add(Member::new("Alex"));
    // Two bytes that are said become the longest nickname and two more: one read of them, more than is kept.
    let nickname = "\u{20000}".repeat(NICKNAME_CHARACTERS);
    add_talker(&mut world, &nickname, &"x\n".repeat(LINES));
    world.run_until(seconds(20));
    for host in ["Dinesh", "Alex"] {
        let said = format!("{nickname}: x");
        assert_eq!(world.screen(host).iter().filter(|line| **line == said).count(), LINES, "{host}");
    }
    assert_eq!(world.server_log().matches(" disconnected").count(), 1, "nobody has left but the talker");
}

/// Puts somebody into the world who says all of it at once, and leaves in order.
fn add_talker(world: &mut World, nickname: &str, talk: &str) {
    let (nickname, talk) = (format!("{nickname}\n"), talk.to_owned());
    world.within(|sim| {
        sim.host("Talker", move || {
            let (nickname, talk) = (nickname.clone(), talk.clone());
            async move { Ok(speak_and_hear_at_once(&nickname, &talk).await?) }
        });
    });
}

async fn speak_and_hear_at_once(nickname: &str, talk: &str) -> io::Result<()> {
    let (mut hearing, mut speaking) = tokio::io::split(Simulated::default().connect(&address()).await?);
    let speak = async {
        speaking.write_all(nickname.as_bytes()).await?;
        tokio::time::sleep(seconds(1)).await;
        speaking.write_all(talk.as_bytes()).await?;
        speaking.shutdown().await
    };
    let hear = async { tokio::io::copy(&mut hearing, &mut tokio::io::sink()).await };
    tokio::try_join!(speak, hear).map(|_| ())
}
