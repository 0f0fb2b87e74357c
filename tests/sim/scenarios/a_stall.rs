//! The network stands still for a while, and then delivers everything at once.

use commonroom::server::Config;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_member_whose_network_stalls_misses_nothing_and_delays_nobody() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    world.add(Member::new("Dinesh").says(seconds(3), "one").says(seconds(4), "two"));
    world.add(Member::new("Alex").says(seconds(3), "from the train"));
    world.add(Member::new("Max"));
    world.run_until(seconds(2));
    world.hold("Alex");
    world.run_until(seconds(5));
    assert_eq!(world.screen("Max")[2..], ["Dinesh: one", "Dinesh: two"], "nobody waits for Alex");
    world.release("Alex");
    world.run_until(seconds(6));
    for host in ["Alex", "Max"] {
        let screen = world.screen(host);
        let talk: Vec<&String> = screen.iter().filter(|line| line.contains(": ")).collect();
        assert_eq!(talk, ["Dinesh: one", "Dinesh: two", "Alex: from the train"]);
    }
    scenario::end(&world);
}
