//! One address opens more connections than it may have: the others are refused, with a reason.

use commonroom::server::{Config, Limits};
use tokio::time::sleep;

use crate::member::Member;
use crate::scenario;
use crate::stranger::Stranger;
use crate::world::seconds;

#[test]
fn many_connections_from_one_address_are_refused_beyond_the_limit_with_a_reason_and_logged() {
    let mut world = scenario::begin();
    let limits = Limits { connections_per_address: 3, ..Limits::default() };
    world.start_server(Config { limits, ..Config::default() });
    world.add(Member::new("Dinesh").says(seconds(2), "who is that?"));
    world.add_strangers("Greedy", async || {
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(Stranger::connect().await?);
        }
        let refused = Stranger::connect().await?.hear_all().await?;
        assert_eq!(refused, "-- Not connected: too many connections from this address.\n");
        sleep(seconds(3)).await;
        drop(open);
        sleep(seconds(1)).await;
        // A place is free as soon as one is given up.
        Stranger::connect().await?.expect("NICK").await
    });
    world.add(Member::new("Alex").connects(seconds(1)));
    world.run_until(seconds(6));
    assert_eq!(world.screen("Alex").last().map(String::as_str), Some("Dinesh: who is that?"));
    scenario::end(&world);
}
