//! A member reads too slowly and falls off the end of the log.

use commonroom::server::{Config, Limits};

use crate::member::{Act, Member};
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_member_that_reads_too_slowly_falls_off_the_end_of_the_log() {
    let mut world = scenario::begin();
    let limits = Limits { retention_bytes: 4_096, write_timeout: seconds(600), ..Limits::default() };
    world.start_server(Config { limits, ..Config::default() });
    // First the network takes no more for Alex; then more is said than the log retains.
    let mut dinesh = Member::new("Dinesh");
    for second in 2..200 {
        dinesh = dinesh.says(seconds(second), TALK);
    }
    world.add(dinesh);
    world.add(Member::new("Alex").then(seconds(1), Act::Ignore(seconds(300))));
    world.run_until(seconds(310));
    assert_eq!(world.screen("Dinesh").iter().filter(|line| line.ends_with(TALK)).count(), 198);
    scenario::end(&world);
}

const TALK: &str = "some hundred bytes of talk, so that the log grows as a log does when people really \
                    have something to say to each other, which they sometimes do";
