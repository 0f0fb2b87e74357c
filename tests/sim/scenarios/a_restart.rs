//! The server crashes in the middle of the talk, and is started again.

use commonroom::server::Config;

use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn members_that_come_back_find_a_new_room_and_their_nicknames_free() {
    let mut world = scenario::begin();
    world.start_server(Config::default());
    for nickname in ["Dinesh", "Alex"] {
        world.add(Member::new(nickname).says(seconds(1), "hello"));
        // The same person, who starts the client again when the connection is lost.
        world.add(
            Member::new(nickname)
                .on_host(&format!("{nickname} again"))
                .connects(seconds(5))
                .says(seconds(6), "back"),
        );
    }
    world.run_until(seconds(2));
    world.crash_server();
    world.run_until(seconds(4));
    world.restart_server();
    world.run_until(seconds(7));
    for host in ["Dinesh", "Alex"] {
        assert_eq!(world.screen(host).last().map(String::as_str), Some("Connection lost!"));
        let talk = world.screen(&format!("{host} again"));
        assert!(talk.ends_with(&["Dinesh: back".to_owned(), "Alex: back".to_owned()]), "{talk:?}");
    }
    scenario::end(&world);
}
