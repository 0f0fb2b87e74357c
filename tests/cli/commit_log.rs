//! The commit log in a real file.

use std::time::Duration;

use commonroom::commit_log::{Keep, Sqlite};
use commonroom::protocol::Timestamp;

use crate::support::commit_log::commit_log_tests;
use crate::support::wait_for;

commit_log_tests!(run, {
    let directory = tempfile::tempdir().expect("a directory");
    move || open(directory.path())
});

const KEEP: Keep = Keep { bytes: 100_000_000, age: Some(Duration::from_secs(1)) };

fn open(directory: &std::path::Path) -> Sqlite {
    let mut opened = None;
    // On a slow disk, the log before it is left to itself after a while, and may not have ended yet.
    wait_for("the store to be free", || {
        opened = Sqlite::open(&directory.join("room.db"), KEEP, || Timestamp(1_500)).ok();
        opened.is_some()
    });
    opened.expect("a store")
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test);
}
