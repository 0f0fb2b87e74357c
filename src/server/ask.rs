//! Questions about what was said: `/search` and `/history`.
//!
//! They are looked up in the commit log, or without one in what the transcript retains. The room goes on meanwhile,
//! and only the next messages of the member that has asked wait.

use std::fmt;
use std::net::SocketAddr;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::clock::Clock;
use super::hub::Hub;
use super::limits::{ANSWER_BYTES, ANSWER_TIMEOUT, QUESTION_MESSAGES, SEARCHED_AT_ONCE_BYTES};
use super::member::Member;
use super::search::Search;
use crate::commit_log::{Line, LogError, Query};
use crate::net::Stream;
use crate::protocol::{Found, Notice, Refusal};
use crate::room::Origin;

/// A question that is not answered yet.
pub(super) struct Question {
    pub(super) by: Origin,
    pub(super) query: Query,
}

impl<S: Stream> Hub<S> {
    /// Answers a question, or says that it cannot be answered now. If the session of the member goes on in another
    /// connection meanwhile, the question comes again from there, and nothing is answered here.
    pub(super) async fn answer(&self, question: Question, member: &mut Member, peer: SocketAddr) {
        let Question { by, query } = question;
        // One was taken for the message itself.
        member.rate_limiter.take(QUESTION_MESSAGES - 1, self.limits().rate, Instant::now());
        let found = timeout(ANSWER_TIMEOUT, self.look_up(query)).await;
        let answer = match &found {
            Ok(Ok(lines)) => Some(newest_that_fit(lines, self.clock()).to_string()),
            Ok(Err(error)) => {
                warn!(event = "store", "A question about what was said was not answered: {error}");
                None
            }
            Err(_) => None,
        };
        self.change(|state| match answer {
            Some(answer) => state.answer(by, &answer),
            None => state.refuse(by, peer, Refusal::NotLookedUp),
        });
    }

    /// Waits for a turn, and looks.
    async fn look_up(&self, query: Query) -> Result<Vec<Line>, LogError> {
        // The log is to have what the member itself has just said.
        self.settled().await;
        let _turn = self.questions.acquire().await;
        match &self.finder {
            Some(finder) => finder.find(query).await,
            None => Ok(self.search(query).await),
        }
    }

    async fn search(&self, query: Query) -> Vec<Line> {
        let mut search = Search::new(query, self.lock().room.transcript());
        while !search.go_on(self.lock().room.transcript(), SEARCHED_AT_ONCE_BYTES) {
            yield_now().await;
        }
        search.into_lines()
    }
}

/// The answer: the newest of these lines that fit into [`ANSWER_BYTES`], in order.
fn newest_that_fit<'a>(lines: &'a [Line], clock: &Clock) -> Notice<'a> {
    let mut left_bytes = ANSWER_BYTES - HEADING_BYTES;
    let timed = lines.iter().rev().map(|line| (clock.show(line.at), &*line.text));
    let fitting = timed.map_while(|(time, line)| {
        left_bytes = left_bytes.checked_sub(FURNITURE_BYTES + time.len() + line.len())?;
        Some((time, line))
    });
    let mut shown: Vec<_> = fitting.collect();
    shown.reverse();
    Notice::Found(Found(shown))
}

/// What the first line of an answer takes.
const HEADING_BYTES: usize = "-- Found 50 lines:\n".len();

/// What a line takes besides itself and its time.
const FURNITURE_BYTES: usize = "--  \n".len();

impl fmt::Debug for Question {
    /// What somebody looks for is nobody's business.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Question")
    }
}

#[cfg(test)]
pub(super) mod tests;
