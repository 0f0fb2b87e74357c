//! Looks for lines in a store, on a connection of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::Name;
use super::lines::{last_lines, line_of};
use super::schema;
use super::worker::{Queue, Refused};
use crate::commit_log::{Find, Finding, Line, LogError, Query};

/// How long the store is searched for one question.
const FIND_TIME: Duration = Duration::from_secs(2);

/// How many steps of SQLite's virtual machine there are between two looks at the clock: some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// How many lines are found for one question.
const LINES_AT_MOST: usize = 10_000;

/// How many entries without an index are searched at once.
const UNINDEXED_AT_ONCE: u64 = 16_384;

/// A query, and who wants to know.
pub(super) struct Question {
    query: Query,
    answer: oneshot::Sender<Result<Vec<Line>, LogError>>,
}

/// The way to the thread that answers. It may outlive the store.
pub(super) struct Finder(Arc<Queue<Question>>);

impl Finder {
    pub(super) fn new(queue: Arc<Queue<Question>>) -> Self {
        Self(queue)
    }
}

impl Find for Finder {
    fn find(&self, query: Query) -> Finding {
        let (answer, answered) = oneshot::channel();
        let offered = self.0.offer(Question { query, answer });
        Box::pin(async move {
            let is_closed = || LogError("the store is closed".to_owned());
            match offered {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(is_closed())),
                Err(Refused::Ended) => Err(is_closed()),
                Err(Refused::Full) => Err(LogError("too many searches at once; try again".to_owned())),
            }
        })
    }
}

/// Opens a store that is open already, to search it while it is written to.
///
/// # Errors
///
/// If it cannot be opened.
pub(super) fn open(path: &Path, name: &Name) -> Result<Connection, LogError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags)?;
        reader.busy_timeout(schema::BUSY_TIMEOUT)?;
        // An index in memory for what the store has not indexed yet.
        reader.execute_batch(
            "PRAGMA temp_store = MEMORY;
             CREATE VIRTUAL TABLE temp.tail USING fts5 (
                 text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
             );",
        )?;
        Ok(reader)
    };
    open().map_err(|error| name.cannot("open", &error))
}

/// Answers questions until nobody can ask any more.
pub(super) fn answer(
    mut reader: Connection,
    name: &Name,
    questions: &Receiver<Question>,
    queue: &Arc<Queue<Question>>,
) {
    while let Ok(Question { query, answer }) = questions.recv() {
        if answer.is_closed() || queue.is_closed() {
            continue;
        }
        let (deadline, closed) = (Instant::now() + FIND_TIME, Arc::clone(queue));
        let is_over = move || Instant::now() >= deadline || closed.is_closed();
        let found = answer_one(&mut reader, name, &query, is_over);
        // Whoever asked may be gone.
        let _ = answer.send(found);
    }
}

/// Answers one question. It is given up when it `is_over`, which is asked again and again.
pub(super) fn answer_one(
    reader: &mut Connection,
    name: &Name,
    query: &Query,
    is_over: impl FnMut() -> bool + Send + 'static,
) -> Result<Vec<Line>, LogError> {
    let found =
        reader.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over)).and_then(|()| find(reader, query));
    found.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => {
            LogError(format!("the search took more than {} seconds; try other words", FIND_TIME.as_secs()))
        }
        _ => name.cannot("search", &error),
    })
}

fn find(reader: &Connection, query: &Query) -> rusqlite::Result<Vec<Line>> {
    // All statements see the same state. It ends with a rollback: there is nothing to keep.
    let reader = reader.unchecked_transaction()?;
    let indexed = schema::indexed(&reader)?;
    let at_most = query.at_most.min(LINES_AT_MOST);
    if query.words.is_empty() {
        let mut left = at_most;
        return last_lines(&reader, indexed, MOST, |_| {
            let is_wanted = left > 0;
            left = left.saturating_sub(1);
            is_wanted
        });
    }
    let search = Search::of(&query.words, at_most);
    let mut lines =
        if search.words.is_empty() { search.all(&reader)? } else { search.indices(&reader, indexed)? };
    lines.reverse();
    Ok(lines)
}

/// More than any entry's number.
const MOST: u64 = i64::MAX.cast_unsigned();

/// A search for words.
struct Search {
    /// Words, as a query of FTS5.
    words: String,
    /// What has no letter and no digit, such as an emoji: no index has it.
    signs: Vec<Box<str>>,
    at_most: usize,
}

impl Search {
    fn of(words: &[Box<str>], at_most: usize) -> Self {
        let mut search = Self { words: String::new(), signs: Vec::new(), at_most };
        for word in words {
            if word.chars().any(char::is_alphanumeric) {
                // In quotes, it is a phrase, whatever is in it.
                let _ = write!(search.words, "\"{}\" ", word.replace('"', "\"\"").replace('\0', " "));
            } else {
                search.signs.push(word.clone());
            }
        }
        search
    }

    /// Searches everything, the last lines first.
    fn all(&self, reader: &Connection) -> rusqlite::Result<Vec<Line>> {
        self.select(reader, "entry", "entry.id", self.at_most)
    }

    /// Searches what is not indexed, a part at a time and the last part first, and then the rest.
    fn indices(&self, reader: &Connection, indexed: u64) -> rusqlite::Result<Vec<Line>> {
        let last =
            reader.query_row("SELECT coalesce(max(id), 0) FROM entry", (), |row| row.get::<_, i64>(0))?;
        let mut to = last.cast_unsigned();
        let mut lines = Vec::new();
        while to > indexed && lines.len() < self.at_most {
            let from = to.saturating_sub(UNINDEXED_AT_ONCE).max(indexed);
            let fill =
                "INSERT INTO temp.tail (rowid, text) SELECT id, text FROM spoken WHERE id > ?1 AND id <= ?2";
            reader.execute(fill, (from.cast_signed(), to.cast_signed()))?;
            lines.extend(self.matches(reader, "tail", self.at_most - lines.len())?);
            reader.execute("INSERT INTO temp.tail (tail) VALUES ('delete-all')", ())?;
            to = from;
        }
        if lines.len() < self.at_most {
            lines.extend(self.matches(reader, "said", self.at_most - lines.len())?);
        }
        Ok(lines)
    }

    /// The last lines that this index has for the words.
    fn matches(&self, reader: &Connection, index: &str, at_most: usize) -> rusqlite::Result<Vec<Line>> {
        let from = format!("{index} CROSS JOIN entry ON entry.id = {index}.rowid AND {index} MATCH ?1");
        self.select(reader, &from, &format!("{index}.rowid"), at_most)
    }

    /// The last lines in these tables that have all the signs. They are read in the order of `id`, as far as it takes.
    fn select(
        &self,
        reader: &Connection,
        from: &str,
        id: &str,
        at_most: usize,
    ) -> rusqlite::Result<Vec<Line>> {
        // An index might know of more than what everyone was told.
        let mut sql = format!(
            "SELECT entry.id, entry.at, entry.text FROM {from} WHERE line IS NOT NULL AND kind IN ('say', 'act')"
        );
        let first_sign = usize::from(!self.words.is_empty()) + 1;
        for number in (first_sign..).take(self.signs.len()) {
            let _ = write!(sql, " AND instr(entry.text, ?{number}) > 0");
        }
        let _ = write!(sql, " ORDER BY {id} DESC LIMIT {at_most}");
        let words = Some(self.words.as_str()).filter(|words| !words.is_empty());
        let parameters = words.into_iter().chain(self.signs.iter().map(AsRef::as_ref));
        let mut query = reader.prepare(&sql)?;
        query.query_map(params_from_iter(parameters), line_of)?.collect()
    }
}
