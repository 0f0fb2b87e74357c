//! Somebody guesses the password, and waits longer after each guess.
//!
//! The same on the real binaries is in `tests/cli/password.rs`.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::net::Connect as _;
use commonroom::protocol::Password;
use commonroom::server::limits::{
    PASSWORD_WAIT_LONGEST, WRONG_PASSWORDS_AT_ONCE, WRONG_PASSWORDS_PER_SECOND,
};
use commonroom::server::{Config, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::member::Member;
use crate::network::Simulated;
use crate::scenario;
use crate::world::{Physics, World, address, seconds};

#[test]
fn a_guesser_waits_longer_each_time_and_nobody_else_notices() {
    let mut world = scenario::begin();
    let password = Password::parse("open sesame").ok();
    world.start_server(Config { password, ..Config::default() });
    world.add(Member::new("Dinesh").knows("open sesame").says(seconds(5), "just us"));
    world.add(Member::new("Alex").report_framed().knows("open sesame").connects(seconds(1)));
    let guesser = Member::new("Mallory").knows("open barley").connects(seconds(2));
    world.add(Member { returns: true, ..guesser });
    world.add(Member::new("Latecomer").knows("open sesame").connects(seconds(12)));
    world.run_until(seconds(30));
    assert_eq!(
        world.screen("Dinesh")[2..],
        ["Alex joined the chat!", "Dinesh: just us", "Latecomer joined the chat!"],
        "a client that does not know the password never joins"
    );
    // The fourth answer takes 8 s, and it does not wait that long.
    let pauses: Vec<u64> = world
        .memberships()
        .iter()
        .filter(|membership| membership.host == "Mallory")
        .filter_map(|membership| Some(membership.heard.first()?.0.saturating_sub(membership.since).as_secs()))
        .collect();
    assert_eq!(pauses, [1, 2, 4]);
    scenario::end(&world);
}

/// As in a school, where everyone shares one address.
#[test]
fn the_right_password_gets_in_within_two_seconds_among_eight_endless_guessers() {
    for stays in [seconds(10), Duration::from_millis(20)] {
        join_among_guessers(8, stays, seconds(2));
    }
}

#[test]
fn the_right_password_gets_in_within_its_bound_among_as_many_guessers_as_an_address_may_have() {
    let guessers = Limits::default().connections_per_address - 1;
    join_among_guessers(guessers, seconds(10), PASSWORD_WAIT_LONGEST + seconds(1));
}

/// How long they guess.
const GUESSING: Duration = seconds(60);

/// Guessers open one connection after the other, and close it if there is no answer for a while. A client at
/// the same address knows the password, and joins again and again, each time within `bound`.
#[track_caller]
fn join_among_guessers(guessers: usize, stays: Duration, bound: Duration) {
    let mut world = World::with(Physics::default());
    let password = Password::parse("open sesame").ok();
    // Shorter than some waits, since time that a password waits to be checked does not count.
    let limits = Limits { registration_timeout: seconds(2), ..Limits::default() };
    world.start_server(Config { password, limits, ..Config::default() });
    let joinings = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&joinings);
    world.within(|sim| {
        sim.host("School", move || {
            let told = Arc::clone(&told);
            async move {
                let mut tasks = JoinSet::new();
                for _ in 0..guessers {
                    tasks.spawn_local(async move {
                        loop {
                            // Refused or not, it comes again.
                            let _ = timeout(stays, converse("Mallory", "open barley")).await;
                            sleep(Duration::from_millis(5)).await;
                        }
                    });
                }
                loop {
                    sleep(seconds(3)).await;
                    let begun = Instant::now();
                    let heard = converse("Dinesh", "open sesame").await?;
                    told.lock().unwrap().push((heard, begun.elapsed()));
                }
            }
        });
    });
    world.run_until(GUESSING);
    let joinings = joinings.lock().unwrap();
    assert!(joinings.len() > 4, "{joinings:?}");
    for (heard, waited) in &*joinings {
        assert!(heard.ends_with("Connected to server!\n"), "{heard}");
        assert!(*waited < bound, "{joinings:?}");
    }
    let log = world.server_log();
    let checked = log.matches("the password is wrong").count();
    let most =
        u64::from(WRONG_PASSWORDS_AT_ONCE) + u64::from(WRONG_PASSWORDS_PER_SECOND) * GUESSING.as_secs();
    assert!(checked as u64 <= most, "{checked} guesses were checked");
    assert!(!log.contains("no password in time"), "every client gave a password in time");
}

/// Gives a nickname and a password. Returns what the server sends until the client has joined, or the end.
async fn converse(nickname: &str, password: &str) -> io::Result<String> {
    let mut stream = Simulated::default().connect(&address()).await?;
    stream.write_all(format!("{nickname}\n{password}\n").as_bytes()).await?;
    let (mut heard, mut buffer) = (String::new(), [0; 1_024]);
    while !heard.ends_with("Connected to server!\n") {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => heard.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    Ok(heard)
}
