//! Bursts that outrun healthy receivers slow their sender down and lose nobody. The same on the real
//! binary is in `tests/cli/rapid.rs`.

use std::io;
use std::time::Duration;

use commonroom::protocol::NICKNAME_CHARACTERS;
use commonroom::server::{Config, Limits, Rate};
use tokio::io::AsyncWriteExt as _;

use super::member::Member;
use super::network::{Pieces, Simulated};
use super::store::SimulatedStore;
use super::stranger::Stranger;
use super::world::{Physics, World, seconds};

#[test]
fn a_burst_that_outruns_healthy_receivers_slows_its_sender_and_loses_nobody() {
    const LINES: usize = 2_000;
    let retention_bytes = 128 * 1_024;
    let rate = Rate { burst_messages: 1, messages_per_second: 0 };
    let limits = Limits { retention_bytes, rate, ..Limits::default() };
    let mut world = World::with(Physics::default());
    // Deliveries are cut into small pieces, so that hearing takes longer than speaking.
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
        assert!(bytes > 4 * retention_bytes, "that is more than is kept for members that are behind");
    }
    assert!(world.server_log().ends_with("Talker disconnected\n"), "and nobody else has left");
}

#[test]
fn short_messages_that_become_long_lines_lose_nobody() {
    const LINES: usize = 30_000;
    let retention_bytes = 128 * 1_024;
    let rate = Rate { burst_messages: 1, messages_per_second: 0 };
    let limits = Limits { retention_bytes, rate, ..Limits::default() };
    let mut world = World::with(Physics::default());
    world.start_server(Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh"));
    world.add(Member::new("Alex"));
    // Two bytes that are sent become a line with the longest nickname: one read exceeds the retention.
    let nickname = "\u{20000}".repeat(NICKNAME_CHARACTERS);
    add_talker(&mut world, &nickname, &"x\n".repeat(LINES));
    world.run_until(seconds(20));
    for host in ["Dinesh", "Alex"] {
        let said = format!("{nickname}: x");
        assert_eq!(world.screen(host).iter().filter(|line| **line == said).count(), LINES, "{host}");
    }
    assert_eq!(world.server_log().matches(" disconnected").count(), 1, "only the talker has left");
}

#[test]
fn a_burst_that_outruns_the_store_slows_its_sender_and_loses_nobody() {
    const LINES: usize = 2_000;
    let retention_bytes = 128 * 1_024;
    let rate = Rate { burst_messages: 1, messages_per_second: 0 };
    let limits = Limits { retention_bytes, rate, ..Limits::default() };
    let mut world = World::with(Physics::default());
    let store = SimulatedStore::new(0, Duration::from_millis(100));
    world.start_service(Simulated::default(), Config { limits, ..Config::default() }, Some(store));
    world.run_until(seconds(1));
    world.add(Member::new("Dinesh"));
    world.add(Member::new("Alex"));
    let line = format!("{}\n", "x".repeat(500));
    add_talker(&mut world, "Talker", &line.repeat(LINES));
    world.run_until(seconds(20));
    for host in ["Dinesh", "Alex"] {
        let screen = world.screen(host);
        assert_eq!(screen.iter().filter(|line| line.starts_with("Talker: ")).count(), LINES, "{host}");
    }
    assert_eq!(world.server_log().matches(" disconnected").count(), 1, "only the talker has left");
}

/// Adds somebody who says all of `talk` at once, and leaves in order.
fn add_talker(world: &mut World, nickname: &str, talk: &str) {
    let (nickname, talk) = (format!("{nickname}\n"), talk.to_owned());
    world.add_strangers("Talker", move || speak_and_hear_at_once(nickname.clone(), talk.clone()));
}

async fn speak_and_hear_at_once(nickname: String, talk: String) -> io::Result<()> {
    let (mut hearing, mut speaking) = Stranger::connect().await?.split();
    let speak = async {
        speaking.write_all(nickname.as_bytes()).await?;
        tokio::time::sleep(seconds(1)).await;
        speaking.write_all(talk.as_bytes()).await?;
        speaking.shutdown().await
    };
    let hear = async { tokio::io::copy(&mut hearing, &mut tokio::io::sink()).await };
    tokio::try_join!(speak, hear).map(|_| ())
}
