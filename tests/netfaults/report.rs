//! What a fault has cost, one way.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::Fault;
use super::member::Member;

/// Two lines that begin a table of reports.
pub const HEADING: &str = "\
| fault                      | way        | said | seen | lost | doubled | longest silence | went on after | left | exit |
|----------------------------|------------|------|------|------|---------|-----------------|---------------|------|------|";

/// What one member has seen of the lines of another.
#[derive(Debug)]
pub struct Report {
    fault: Fault,
    way: String,
    said: u32,
    seen: u32,
    doubled: u32,
    in_order: bool,
    /// The longest time between two lines.
    silence: Duration,
    /// The time from the end of the fault to the next line, if there was one.
    went_on_after: Option<Duration>,
    /// How often the sender was said to have left.
    left: usize,
    /// The exit code of the sender, if it has ended in time.
    pub exit: Option<i32>,
}

impl Report {
    /// A report without the exit code. The fault was over at `over`.
    pub fn new(fault: Fault, from: &Member, to: &Member, over: Instant) -> Self {
        let heard = to.heard_of(from);
        let different: BTreeSet<u32> = heard.iter().map(|(_, number)| *number).collect();
        let count = |length: usize| u32::try_from(length).expect("a few hundred lines");
        let left = format!("{} left the chat.", from.name());
        Self {
            fault,
            way: format!("{} → {}", from.name(), to.name()),
            said: from.said(),
            seen: count(different.len()),
            doubled: count(heard.len() - different.len()),
            in_order: heard.is_sorted_by_key(|(_, number)| *number),
            silence: heard.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default(),
            went_on_after: heard.iter().find(|(at, _)| *at >= over).map(|(at, _)| *at - over),
            left: to.heard().iter().filter(|(_, line)| *line == left).count(),
            exit: None,
        }
    }

    /// Whether nobody has noticed more than a pause.
    pub fn is_good(&self) -> bool {
        self.seen == self.said && self.doubled == 0 && self.in_order && self.left == 0 && self.exit == Some(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let went_on = self.went_on_after.map_or_else(|| "never".into(), seconds);
        let exit = self.exit.map_or_else(|| "none".into(), |code| code.to_string());
        let Self { fault, way, said, seen, doubled, left, .. } = self;
        let (lost, silence) = (said - seen, seconds(self.silence));
        write!(
            formatter,
            "| {fault:26} | {way:10} | {said:4} | {seen:4} | {lost:4} | {doubled:7} | {silence:>15} | {went_on:>13} | {left:4} | {exit:>4} |"
        )
    }
}
