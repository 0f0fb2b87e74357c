//! A member's process is killed while nobody talks; it is noticed at once.

use commonroom::server::Config;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_killed_member_is_noticed_at_once_even_while_nobody_talks() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(Member::new("Dinesh"));
    world.add(Member::new("Alex"));
    world.run_until(seconds(3));
    // The operating system of a killed process closes its connections.
    world.kill("Alex");
    world.run_until(seconds(4));
    assert_eq!(world.screen("Dinesh")[2..], ["Alex joined the chat!", "Alex left the chat."]);
    scenario::end(&world);
}
