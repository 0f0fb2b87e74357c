//! One member floods the room and is slowed down; nothing is lost, and the others hear at once.

use std::time::Duration;

use commonroom::server::{Config, Limits, Rate};

use crate::member::{Act, Member};
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_flood_from_one_member_is_slowed_down_and_nothing_is_lost_and_the_others_hear_at_once() {
    const LINES: usize = 30;
    let mut world = scenario::begin();
    let rate = Rate { burst_messages: 10, messages_per_second: 10 };
    world.start_server(Config { limits: Limits { rate, ..Limits::default() }, ..Config::default() });
    world.add(Member::new("Flooder").then(seconds(1), Act::TalkAndLeave(LINES)));
    world.add(Member::new("Dinesh").says(Duration::from_millis(1_500), "who shouts here?"));

    // 10 at once, and then 1 every 100 ms.
    world.run_until(Duration::from_millis(1_050));
    let flood = |line: &&String| line.starts_with("Flooder: ");
    assert_eq!(world.screen("Dinesh").iter().filter(flood).count(), 10);
    world.run_until(Duration::from_millis(1_550));
    assert!(world.screen("Dinesh").iter().any(|line| line == "Dinesh: who shouts here?"), "said at once");
    assert_eq!(world.screen("Flooder").iter().filter(flood).count(), 15, "its own deliveries go on");

    // Its leaving is noticed after its messages, and it is still sent everything.
    world.run_until(seconds(4));
    for host in ["Dinesh", "Flooder"] {
        let screen = world.screen(host);
        let said: Vec<&String> = screen.iter().filter(flood).collect();
        let wanted: Vec<_> = (1..=LINES).map(|number| format!("Flooder: {number} of Flooder")).collect();
        assert_eq!(said, wanted.iter().collect::<Vec<_>>(), "{host} heard each once, in order");
    }
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Flooder left the chat."));
    scenario::end(&world);
}
