//! Hashes by which a record that has changed on the disk is told from one that has not.

use sha2::{Digest as _, Sha256};

use crate::commit_log::{Record, Snapshot};

/// Of all columns of a record. `buffer` is only to save allocations.
pub(super) fn of_record(record: &Record, buffer: &mut Vec<u8>) -> i64 {
    let Record { id, at, kind, nickname, text, line, head } = record;
    let columns = [
        Some(kind.as_bytes()),
        nickname.as_ref().map(|nickname| nickname.as_bytes()),
        text.as_ref().map(|text| text.as_bytes()),
        Some(head.as_slice()),
    ];
    buffer.clear();
    // There is no line of the greatest number, and no column of the greatest length.
    for number in [*id, at.0, line.unwrap_or(u64::MAX)] {
        buffer.extend(number.to_le_bytes());
    }
    for column in columns {
        // The length goes first, so that nothing can move from one column to the next.
        buffer.extend(column.map_or(u32::MAX, length).to_le_bytes());
        buffer.extend(column.unwrap_or_default());
    }
    truncated(Sha256::new().chain_update(&buffer))
}

/// Of a snapshot.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> i64 {
    truncated(Sha256::new().chain_update(snapshot.id.to_le_bytes()).chain_update(&snapshot.state))
}

/// SQLite takes no value of 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The first eight bytes.
fn truncated(hash: Sha256) -> i64 {
    i64::from_le_bytes(hash.finalize().0.first_chunk().copied().unwrap_or_default())
}
