//! Two clients have one session: the later one wins, and the other is told.

use commonroom::server::Config;
use commonroom::server::limits::RESUME_GRACE;

use crate::chat_client::{ChatClient, Stored};
use crate::member::Member;
use crate::scenario;
use crate::tokens::sessions;
use crate::world::seconds;

#[test]
fn the_later_of_two_clients_of_one_session_wins_and_the_other_is_told_and_stays_away() {
    let mut world = scenario::begin();
    world.start_server(Config { sessions: Some(sessions(0, RESUME_GRACE)), ..Config::default() });
    let stored = Stored::default();
    let client = |host, connects, says| ChatClient {
        host,
        nickname: "Dinesh",
        connects: seconds(connects),
        says,
        stored: stored.clone(),
    };
    let first = client("Dinesh", 1, vec![(seconds(2), "hello"), (seconds(8), "is this on?")]);
    let again = client("Dinesh again", 5, vec![(seconds(7), "I am over here now")]);
    world.add_program("Dinesh", move |witness| first.clone().run(witness));
    world.add(Member::new("Max").says(seconds(3), "hi"));
    world.add_program("Dinesh again", move |witness| again.clone().run(witness));
    world.run_until(seconds(12));

    let memberships = world.memberships();
    let told = memberships.iter().find(|membership| membership.host == "Dinesh");
    let session = told.and_then(|membership| membership.session.as_ref()).expect("it had a session");
    assert!(session.taken_over.is_some());
    assert_eq!(session.dialled.all().len(), 1, "it does not come back");
    assert_eq!(world.screen("Dinesh").last().map(String::as_str), Some("Connection lost!"));
    assert_eq!(world.screen("Dinesh again").last().map(String::as_str), Some("Dinesh: I am over here now"));
    let heard = world.screen("Max");
    assert_eq!(heard[heard.len() - 3..], ["Dinesh: hello", "Max: hi", "Dinesh: I am over here now"]);
    scenario::end(&world);
}
