//! A partition costs a member its connection, but not its session: it comes back with everything that it has
//! missed, and nobody else notices.

use commonroom::server::Config;
use commonroom::server::limits::{PING_TIMEOUT, RESUME_GRACE};

use crate::chat_client::{ChatClient, Stored};
use crate::member::Member;
use crate::scenario;
use crate::tokens::sessions;
use crate::world::seconds;

#[test]
fn a_lost_connection_costs_nobody_a_line_and_nobody_else_notices() {
    let mut world = scenario::begin();
    world.start_server(Config { sessions: Some(sessions(0, RESUME_GRACE)), ..Config::default() });
    let dinesh = ChatClient {
        host: "Dinesh",
        nickname: "Dinesh",
        connects: seconds(1),
        says: vec![(seconds(2), "hello"), (seconds(7), "are you there?")],
        stored: Stored::default(),
    };
    world.add_program("Dinesh", move |witness| dinesh.clone().run(witness));
    world.add(Member::new("Max").says(seconds(6), "I am").says(seconds(90), "back already?"));
    world.run_until(seconds(5));
    world.partition("Dinesh");
    // Long enough for both sides to notice.
    world.run_until(seconds(5) + PING_TIMEOUT);
    world.repair("Dinesh");
    world.run_until(seconds(92));

    let talk = ["Dinesh: hello", "Max: I am", "Dinesh: are you there?", "Max: back already?"];
    let joining = ["Max joined the chat!", "Dinesh joined the chat!"];
    assert_eq!(
        world.screen("Max"),
        [&joining[..1], &["Connected to server!"], &joining[1..], &talk].concat()
    );
    assert_eq!(world.screen("Dinesh"), [&joining[1..], &["Connected to server!"], &talk].concat());
    scenario::end(&world);
}
