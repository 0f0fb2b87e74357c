//! What members are told while the log has not caught up.

use std::time::Duration;

use crate::server::ask::tests::World;

#[tokio::test(start_paused = true)]
async fn an_answer_comes_when_what_was_said_before_it_is_durable_even_if_nothing_is_recorded_after_it() {
    World::run(async |world| {
        let mut dinesh = world.join("Dinesh").await;
        let mut alex = world.join("Alex").await;
        dinesh.expect("Alex joined the chat!").await;
        dinesh.begin_session().await;
        world.appends.forget_permits(1_000);
        // An entry that everyone else notices nothing of: no walk over all readers follows it.
        dinesh.send("/n 1 /ping one").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        alex.send("/ping two").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.appends.add_permits(1_000);
        dinesh.expect("-- pong one at 2, 1 taken.").await;
        let soon = Duration::from_secs(1);
        tokio::time::timeout(soon, alex.expect("-- pong two")).await.expect("it waits for nothing else");
    })
    .await;
}
