//! The chat over TLS over the simulated network. TLS draws its randomness from the operating system, so
//! these runs differ in their bytes, but keep the same promises.

use std::time::Duration;

use commonroom::net::{Identity, TlsServer, Trust};
use commonroom::server::Config;
use commonroom::server::limits::REGISTRATION_TIMEOUT;
use tokio::time::Instant;

use super::member::{Act, Member};
use super::network::Simulated;
use super::plan::Plan;
use super::stranger::Stranger;
use super::support::certificates::{Authority, FAR_AWAY};
use super::sweep::{plan_of, run_in};
use super::world::{Physics, SERVER, World, seconds};

/// How many seeds of the sweep are run over TLS.
const SEEDS: usize = 50;

fn certified() -> (Identity, Trust) {
    let authority = Authority::new("simulation");
    let issued = authority.issue(SERVER, FAR_AWAY);
    let identity = Identity::load(&issued.certificate, &issued.key).expect("a good certificate");
    (identity, Trust::load(&authority.file()).expect("a good authority"))
}

/// A world whose server speaks TLS, with two members who talk, one of them until the end.
fn talking_world() -> World {
    let (identity, trust) = certified();
    let mut world = World::with(Physics::default());
    world.start_server_on(TlsServer::new(Simulated::default(), identity), Config::default());
    let dinesh = Member::new("Dinesh").says(seconds(2), "hello").says(seconds(25), "still here");
    world.add(dinesh.trusts(trust.clone()));
    world.add(Member::new("Alex").connects(seconds(1)).then(seconds(3), Act::Leave).trusts(trust));
    world
}

/// The lines that Dinesh sees in it.
const TALK: [&str; 6] = [
    "Dinesh joined the chat!",
    "Connected to server!",
    "Alex joined the chat!",
    "Dinesh: hello",
    "Alex left the chat.",
    "Dinesh: still here",
];

/// Adds somebody who connects, sends `bytes`, and must be closed within a time.
fn add_stranger(world: &mut World, bytes: &'static [u8], closed_within: Duration) {
    world.add_strangers("Stranger", move || async move {
        let begun = Instant::now();
        let mut stranger = Stranger::connect().await?;
        stranger.send(bytes).await?;
        stranger.outlast().await;
        assert!(begun.elapsed() <= closed_within, "{:?}", begun.elapsed());
        Ok(())
    });
}

#[test]
fn members_chat_over_tls() {
    let mut world = talking_world();
    world.run_until(seconds(30));
    assert_eq!(world.screen("Dinesh"), TALK);
    let log = world.server_log();
    assert!(log.contains("INFO - Alex disconnected\n"), "{log}");
    assert!(!log.contains("WARNING"), "{log}");
}

#[test]
fn a_client_that_never_finishes_its_handshake_is_closed_after_the_registration_timeout() {
    let mut world = talking_world();
    // The head of a handshake message, which never comes.
    add_stranger(&mut world, b"\x16\x03\x01\x02\x00", REGISTRATION_TIMEOUT + seconds(1));
    world.run_until(seconds(30));
    assert_eq!(world.screen("Dinesh"), TALK);
    let log = world.server_log();
    assert!(log.contains("): no nickname in time\n"), "{log}");
}

#[test]
fn a_client_without_tls_is_closed_at_once_and_the_room_goes_on() {
    let mut world = talking_world();
    add_stranger(&mut world, b"Mallory\nhello\n", seconds(1));
    world.run_until(seconds(30));
    assert_eq!(world.screen("Dinesh"), TALK);
    let log = world.server_log();
    assert!(log.contains("): it does not speak TLS\n"), "{log}");
}

#[test]
fn every_promise_holds_over_tls() {
    let (identity, trust) = certified();
    // TLS does not preserve the boundaries of writes, by which the report's framing tells messages apart.
    let in_lines = |(_, plan): &(u64, Plan)| plan.members.iter().all(|member| !member.report_framed);
    for (seed, plan) in (0..).map(|seed| (seed, plan_of(seed))).filter(in_lines).take(SEEDS) {
        let mut world = plan.encrypted_world(identity.clone(), &trust);
        if let Err(broken) = run_in(&mut world, &plan) {
            panic!("seed {seed} over TLS: {broken}\n{plan:#?}");
        }
    }
}
