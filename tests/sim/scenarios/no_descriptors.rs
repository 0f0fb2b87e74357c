//! The server is out of file descriptors: accepting pauses, and the members notice nothing.

use std::time::Duration;

use commonroom::server::Config;

use crate::member::Member;
use crate::network::Simulated;
use crate::scenario;
use crate::world::seconds;

#[test]
fn accepting_pauses_without_descriptors_and_goes_on_and_members_notice_nothing() {
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
    scenario::end(&world);
}
