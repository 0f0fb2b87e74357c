//! A member is cut off by a partition, dropped as stalled, and comes back.

use commonroom::server::Config;
use commonroom::server::limits::WRITE_TIMEOUT;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

/// How many writes the simulated network takes on a connection before the writer has to wait.
const IN_FLIGHT: u64 = 64;

#[test]
fn a_member_behind_a_partition_holds_nobody_up_is_dropped_and_may_come_back() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    let mut dinesh = Member::new("Dinesh");
    // A few more than the network takes, so that one must wait.
    let talk_ends = 10 + IN_FLIGHT + 6;
    for second in 10..talk_ends {
        dinesh = dinesh.says(seconds(second), "can you hear me?");
    }
    world.add(dinesh);
    world.add(Member::new("Max"));
    world.add(Member::new("Alex").connects(seconds(1)).says(seconds(9), "into the void"));
    world.run_until(seconds(5));
    world.partition("Alex");

    let dropped = seconds(talk_ends) + WRITE_TIMEOUT;
    world.run_until(dropped);
    world.repair("Alex");
    world.add(Member::new("Alex").on_host("Alex again").says(seconds(1), "back"));
    world.run_until(dropped + seconds(5));

    let questions = usize::try_from(talk_ends - 10).unwrap();
    for host in ["Dinesh", "Max"] {
        let screen = world.screen(host);
        let heard = screen.iter().filter(|line| *line == "Dinesh: can you hear me?").count();
        assert_eq!(heard, questions, "{screen:#?}");
        assert_eq!(screen.iter().filter(|line| *line == "Alex left the chat.").count(), 1);
        assert!(!screen.iter().any(|line| line.contains("void")), "it was lost in transit");
        assert_eq!(screen.last().map(String::as_str), Some("Alex: back"));
    }
    assert_eq!(
        world.screen("Alex").last().map(String::as_str),
        Some("Connected to server!"),
        "Alex hears nothing more, not even that it is over"
    );
    scenario::end(&world);
}
