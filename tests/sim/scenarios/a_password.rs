//! Somebody guesses the password, and waits longer after each guess.
//!
//! The same on the real binaries is in `tests/cli/password.rs`.

use std::time::Duration;

use commonroom::protocol::Password;
use commonroom::server::Config;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn who_guesses_the_password_waits_longer_each_time_and_nobody_else_notices() {
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
        "who does not know the password is never in the room"
    );
    let heard: Vec<Duration> = world
        .memberships()
        .iter()
        .filter(|membership| membership.host == "Mallory")
        .filter_map(|membership| membership.heard.first().map(|&(at, _)| at))
        .collect();
    let pauses: Vec<u64> = heard.windows(2).map(|pair| pair[1].as_secs() - pair[0].as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 8]);
    scenario::end(&world);
}
