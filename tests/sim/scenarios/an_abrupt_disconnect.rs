//! A connection is reset in the middle of the talk; its member is announced as gone, and comes back.

use commonroom::server::Config;

use crate::member::{Act, Member};
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_member_that_vanishes_is_announced_once_and_the_talk_goes_on() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(
        Member::new("Dinesh").connects(seconds(1)).says(seconds(4), "what?").says(seconds(7), "hello again"),
    );
    world.add(
        Member::new("Alex")
            .connects(seconds(2))
            .says(seconds(3), "I will be right")
            // The question arrives and is not read, so the end is a reset, as when a process is killed.
            .then(seconds(3), Act::Ignore(seconds(2)))
            .then(seconds(5), Act::Vanish),
    );
    // The nickname is free at once.
    world.add(
        Member::new("Alex")
            .on_host("Alex on another machine")
            .connects(seconds(6))
            .then(seconds(8), Act::Leave),
    );
    world.run_until(seconds(10));

    assert_eq!(
        world.screen("Dinesh"),
        [
            "Dinesh joined the chat!",
            "Connected to server!",
            "Alex joined the chat!",
            "Alex: I will be right",
            "Dinesh: what?",
            "Alex left the chat.",
            "Alex joined the chat!",
            "Dinesh: hello again",
            "Alex left the chat."
        ]
    );
    scenario::end(&world);
}
