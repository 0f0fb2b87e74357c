//! The server is asked to end while a member takes nothing.

use commonroom::net::Bind as _;
use commonroom::server::limits::SHUTDOWN_GRACE;
use commonroom::server::{Config, Limits, Server};
use tokio::time::sleep;

use crate::member::{Act, Member};
use crate::network::Simulated;
use crate::scenario;
use crate::world::{SERVER, listen_address, seconds};

/// More writes than the simulated network takes on a connection before the writer has to wait.
const LINES: u64 = 70;

#[test]
fn a_stalled_member_does_not_hold_up_the_end_of_the_others_beyond_the_grace() {
    let mut world = scenario::begin();
    let asked = seconds(LINES + 5);
    world.within(|sim| {
        sim.host(SERVER, move || async move {
            // Only the grace may end it.
            let limits = Limits { write_timeout: seconds(600), ..Limits::default() };
            let listener = Simulated::default().bind(&listen_address()).await?;
            Server::new(Config { limits, ..Config::default() }).run(listener, sleep(asked)).await;
            Ok(())
        });
    });
    let talk = (2..LINES + 2).fold(Member::new("Dinesh"), |dinesh, at| dinesh.says(seconds(at), "talk"));
    world.add(talk);
    world.add(Member::new("Alex").then(seconds(1), Act::Ignore(seconds(600))));
    world.run_until(asked + seconds(1));
    assert_eq!(
        world.screen("Dinesh").iter().rev().take(2).collect::<Vec<_>>(),
        ["Connection lost!", "-- The server is shutting down."],
        "it is told, and closed, at once"
    );
    assert!(!world.server_log().contains("Server stopped"), "the server waits for the stalled member");
    world.run_until(asked + SHUTDOWN_GRACE + seconds(1));
    assert!(world.server_log().ends_with("Server stopped\n"), "{}", world.server_log());
    scenario::end(&world);
}
