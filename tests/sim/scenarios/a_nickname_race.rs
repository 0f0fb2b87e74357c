//! Several members want the same nickname at the same moment.

use commonroom::server::Config;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn of_many_that_want_one_nickname_exactly_one_gets_it_and_the_others_choose_again() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    let hosts = ["first", "second", "third"];
    for (host, wanted) in hosts.into_iter().zip(["Alex", "ALEX", "A1ex"]) {
        world.add(Member::new(wanted).on_host(host));
    }
    world.run_until(seconds(1));
    let log = world.server_log();
    // A simulated member that is refused tries its nickname with a number.
    let (joined, refused) =
        (log.matches(" connected from ").count(), log.matches("somebody here has").count());
    assert_eq!((joined, refused), (3, 3), "{log}");
    for host in hosts {
        let seen = world.screen(host);
        assert!(seen.contains(&"Connected to server!".to_owned()), "{seen:?}");
    }
    scenario::end(&world);
}
