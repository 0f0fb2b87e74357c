//! What members are told while the log has not caught up.

use std::time::Duration;

use super::*;
use crate::room::Bounds;
use crate::server::Limits;
use crate::server::ask::tests::World;
use crate::server::limits::SNAPSHOT_RECORDS;

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

/// Whether the next batch has a snapshot, after records like these, and this much later.
fn has_snapshot(records: u64, millis_later: u64) -> bool {
    let mut room = Room::new(Bounds { retention_bytes: 1_000, kept_private_bytes: 1_000 });
    let record = |id| Record {
        id,
        at: Timestamp(0),
        kind: "start".into(),
        nickname: None,
        text: None,
        line: None,
        head: Entry::Start.encode().0,
    };
    let records: Vec<_> = (1..=records).map(record).collect();
    let mut unstored = Unstored::after(records.len() as u64, 0, &records, Limits::default().of_the_store());
    let outcome = room.apply(Timestamp(millis_later), &Entry::Start);
    unstored.push(Timestamp(millis_later), &room, 0, &Entry::Start, outcome);
    unstored.take(&room).expect("there is a record").snapshot.is_some()
}

#[test]
fn what_a_start_had_to_read_counts_for_the_next_snapshot() {
    assert!(!has_snapshot(SNAPSHOT_RECORDS - 2, 0));
    assert!(has_snapshot(SNAPSHOT_RECORDS - 1, 0), "however often the server is started");
}

#[test]
fn a_room_in_which_little_is_said_has_snapshots_too() {
    assert!(!has_snapshot(1, SNAPSHOT_AGE_MILLIS - 1));
    assert!(has_snapshot(1, SNAPSHOT_AGE_MILLIS), "or nothing could ever be deleted");
    assert!(!has_snapshot(0, SNAPSHOT_AGE_MILLIS), "it is as old as its records");
}
