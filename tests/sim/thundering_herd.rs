//! A whole school connects in the same moment, talks, and leaves in the same moment.

use commonroom::server::Config;

use super::member::{Act, Member};
use super::world::{Physics, World, seconds};

const HERD: usize = 200;

#[test]
fn two_hundred_that_join_talk_and_leave_at_once_see_one_order_and_leave_nothing_behind() {
    // The simulated network has no accept queue of its own: this is how many may wait.
    let mut world = World::with(Physics {
        segments: 4 * HERD,
        tick: std::time::Duration::from_millis(10),
        ..Physics::default()
    });
    world.start_server(Config::default());
    let witness = Member::new("Witness").connects(seconds(1));
    world.add(witness);
    for index in 0..HERD {
        let member = Member::new(&format!("Member{index}")).connects(seconds(2));
        world.add(member.says(seconds(3), "here").then(seconds(4), Act::Leave));
    }
    world.run_until(seconds(5));
    let seen = world.screen("Witness");
    for (what, wanted) in [("joined the chat!", HERD + 1), (": here", HERD), ("left the chat.", HERD)] {
        assert_eq!(seen.iter().filter(|line| line.ends_with(what)).count(), wanted, "{what}");
    }
    let herd = |line: &&String| line.starts_with("Member");
    let order: Vec<&String> = seen.iter().filter(herd).collect();
    for index in 0..HERD {
        let screen = world.screen(&format!("Member{index}"));
        let own: Vec<&String> = screen.iter().filter(herd).collect();
        let begin = order.iter().position(|line| *line == own[0]).expect("the same line");
        assert_eq!(own, order[begin..begin + own.len()], "Member{index} sees the order of all");
    }
}
