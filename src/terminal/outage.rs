//! A lost connection, in words: for a person and for a script.

use std::time::Duration;

use super::lines;
use crate::client::Event;

/// How many of the lines that wait for a connection are shown: the newest.
const SHOWN_LINES: usize = 3;

const SECOND: Duration = Duration::from_secs(1);

/// How long an absence is told in seconds rather than in minutes.
const LONG_ABSENCE: Duration = Duration::from_secs(120);

/// Where a client is, as far as its connections go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has a connection, and speaks to the server.
    #[default]
    Here,
    /// It has lost its connection, and looks for another one.
    Away,
    /// Another client goes on with its session.
    Elsewhere,
}

impl Presence {
    /// Where it is after this has happened.
    pub(super) fn after(self, event: &Event) -> Self {
        match event {
            // Some people have to answer first.
            Event::NicknameWanted | Event::PasswordWanted | Event::Joined | Event::Resumed { .. } => {
                Self::Here
            }
            Event::TryingAgain(_) => Self::Away,
            Event::TakenOver => Self::Elsewhere,
            _ => self,
        }
    }
}

/// The sentence about something that has happened to a connection or a session, if it is to be told.
pub(super) fn news(event: &Event) -> Option<String> {
    Some(match event {
        Event::ConnectionLost(_) => "Connection lost; trying again…".to_owned(),
        Event::Resumed { away: Some(away), missed_lines } => {
            format!("Connected again {}{}.", after(*away), missed(*missed_lines))
        }
        Event::Resumed { away: None, missed_lines } => {
            let missed = missed(*missed_lines);
            format!("Your earlier session goes on, without what it had not sent{missed}.")
        }
        Event::Missing { public_lines, private_lines: 0 } => no_longer_kept(*public_lines, "line"),
        Event::Missing { private_lines, .. } => no_longer_kept(*private_lines, "private line"),
        Event::NotResumed(reason) => {
            format!("Your session is over, and you join as a newcomer: {}.", reason.trim_end_matches('.'))
        }
        _ => return None,
    })
}

/// The rows that show what a person waits for: the next attempt, in this time or at the moment; and the lines
/// that wait for it as well.
pub(super) fn status(next_attempt: Option<Duration>, waiting: &[&str]) -> Vec<String> {
    let shown = waiting.iter().skip(waiting.len().saturating_sub(SHOWN_LINES));
    let mut rows: Vec<String> = shown.map(|line| format!("Not sent yet: {line}")).collect();
    let attempt = match next_attempt.map(seconds).filter(|seconds| *seconds > 0) {
        Some(seconds) => format!("Trying again in {seconds} s…"),
        None => "Trying again now…".to_owned(),
    };
    rows.push(match waiting.len() {
        0..=SHOWN_LINES => attempt,
        count => format!("{attempt} {count} lines are not sent yet."),
    });
    rows
}

/// How long the rows stay as they are, if nothing happens.
pub(super) fn status_holds_for(next_attempt: Duration) -> Duration {
    next_attempt
        .saturating_sub(SECOND * u32::try_from(seconds(next_attempt).saturating_sub(1)).unwrap_or(u32::MAX))
}

/// In whole seconds, rounded up: a countdown ends at 0.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn after(away: Duration) -> String {
    match away {
        _ if away < SECOND => "at once".to_owned(),
        _ if away < LONG_ABSENCE => format!("after {} s", away.as_secs()),
        _ => format!("after {} min", away.as_secs() / 60),
    }
}

fn missed(missed_lines: u64) -> String {
    match missed_lines {
        0 => String::new(),
        count => format!("; {} missed", lines(usize::try_from(count).unwrap_or(usize::MAX), "")),
    }
}

fn no_longer_kept(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 missed {what} is no longer kept."),
        count => format!("{count} missed {what}s are no longer kept."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Disconnected;

    #[test]
    fn each_turn_of_a_connection_is_told_in_one_sentence() {
        let resumed = |away: Option<u64>, missed_lines| Event::Resumed {
            away: away.map(Duration::from_millis),
            missed_lines,
        };
        for (event, sentence) in [
            (Event::ConnectionLost(Disconnected::Broken), "Connection lost; trying again…"),
            (resumed(Some(999), 0), "Connected again at once."),
            (resumed(Some(12_999), 1), "Connected again after 12 s; 1 line was missed."),
            (resumed(Some(119_999), 0), "Connected again after 119 s."),
            (resumed(Some(150_000), 34), "Connected again after 2 min; 34 lines were missed."),
            (resumed(None, 0), "Your earlier session goes on, without what it had not sent."),
            (
                resumed(None, 2),
                "Your earlier session goes on, without what it had not sent; 2 lines were missed.",
            ),
            (Event::Missing { public_lines: 12, private_lines: 0 }, "12 missed lines are no longer kept."),
            (
                Event::Missing { public_lines: 0, private_lines: 1 },
                "1 missed private line is no longer kept.",
            ),
            (
                Event::NotResumed("there is no such session".to_owned()),
                "Your session is over, and you join as a newcomer: there is no such session.",
            ),
        ] {
            assert_eq!(news(&event).as_deref(), Some(sentence));
        }
        assert_eq!(news(&Event::TryingAgain(SECOND)), None, "there would be one for each attempt");
    }

    #[test]
    fn a_client_is_away_from_the_first_attempt_until_it_speaks_to_the_server_again() {
        let again = Event::TryingAgain(Duration::ZERO);
        let is_here = |event| Presence::Away.after(&event) == Presence::Here;
        assert_eq!(Presence::Here.after(&again), Presence::Away);
        assert!(!is_here(again));
        assert!(!is_here(Event::NotResumed(String::new())), "it has to join first");
        let resumed = Event::Resumed { away: None, missed_lines: 0 };
        for event in [Event::Joined, resumed, Event::NicknameWanted, Event::PasswordWanted] {
            assert!(is_here(event));
        }
        assert_eq!(Presence::Here.after(&Event::TakenOver), Presence::Elsewhere);
    }

    #[test]
    fn the_status_counts_down_and_shows_the_newest_lines_that_wait() {
        let in_ms = |milliseconds| Some(Duration::from_millis(milliseconds));
        assert_eq!(status(in_ms(2_001), &[]), ["Trying again in 3 s…"]);
        assert_eq!(status(in_ms(0), &[]), ["Trying again now…"]);
        assert_eq!(status(None, &["hello"]), ["Not sent yet: hello", "Trying again now…"]);
        assert_eq!(
            status(in_ms(1_000), &["one", "two", "three", "four"]),
            [
                "Not sent yet: two",
                "Not sent yet: three",
                "Not sent yet: four",
                "Trying again in 1 s… 4 lines are not sent yet.",
            ]
        );
    }

    #[test]
    fn the_status_is_looked_at_again_when_its_second_is_over() {
        let holds = |milliseconds| status_holds_for(Duration::from_millis(milliseconds)).as_millis();
        assert_eq!([holds(0), holds(1), holds(1_000), holds(1_001), holds(7_500)], [0, 1, 1_000, 1, 500]);
    }
}
