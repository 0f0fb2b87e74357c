//! Lines of a store, the last first.

use rusqlite::{Connection, Row};

use crate::commit_log::Line;
use crate::protocol::Timestamp;

/// The last public lines up to the entry `to` that `is_wanted` until it says no, in order. Reads no more than
/// these, and what is not indexed.
pub(super) fn last_lines(
    connection: &Connection,
    indexed: u64,
    to: u64,
    mut is_wanted: impl FnMut(&Line) -> bool,
) -> rusqlite::Result<Vec<Line>> {
    let mut query = connection.prepare(
        "SELECT id, at, text FROM entry WHERE id > ?1 AND id <= ?2 AND line IS NOT NULL
         UNION ALL
         SELECT id, at, text FROM public JOIN entry USING (id) WHERE id <= min(?1, ?2)
         ORDER BY id DESC",
    )?;
    let mut rows = query.query((indexed.cast_signed(), to.cast_signed()))?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let line = line_of(row)?;
        if !is_wanted(&line) {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    Ok(lines)
}

/// The line of a row whose second and third columns are `at` and `text`.
pub(super) fn line_of(row: &Row<'_>) -> rusqlite::Result<Line> {
    let at = Timestamp(row.get::<_, i64>(1)?.cast_unsigned());
    Ok(Line { at, text: row.get::<_, Option<Box<str>>>(2)?.unwrap_or_default() })
}
