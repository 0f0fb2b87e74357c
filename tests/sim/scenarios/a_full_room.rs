//! The room is full; there is a place again when somebody leaves.

use commonroom::server::{Config, Limits};

use crate::member::{Act, Member};
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_newcomer_to_a_full_room_is_told_so_and_there_is_a_place_when_somebody_leaves() {
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
    scenario::end(&world);
}
