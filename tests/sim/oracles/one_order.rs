//! Everyone present sees one and the same order, which is that of `server.log`, without a gap.

use commonroom::protocol::{Framing, Heard};

use crate::actor::Membership;
use crate::history::{History, LogEvent};

/// What a member heard of what everyone is told must be one unbroken stretch of what the log says,
/// from its own joining on. That is at once: one order for all, nothing invented, nothing twice,
/// no gap.
pub fn everyone_sees_the_log(history: &History) -> Result<(), String> {
    for membership in &history.memberships {
        let Some((epoch, joining)) = history.joining(membership) else {
            heard_nothing(membership)?;
            continue;
        };
        let told = view(&history.epochs[epoch].events, joining, history.terms.history_lines);
        match membership.framing {
            Framing::Lines => compare_lines(membership, &told)?,
            Framing::Report => compare_merged(membership, &told)?,
        }
    }
    Ok(())
}

/// All that somebody who joined by a certain event is to be told, the history first.
fn view(events: &[LogEvent], joining: usize, history_lines: usize) -> Vec<String> {
    let before: Vec<String> = events[..joining].iter().filter_map(LogEvent::told).collect();
    let shown = before[before.len().saturating_sub(history_lines)..].iter().cloned();
    shown.chain(events[joining..].iter().filter_map(LogEvent::told)).collect()
}

/// Who is not in the log was never let in.
fn heard_nothing(membership: &Membership) -> Result<(), String> {
    match membership.heard.iter().find(|(_, line)| matches!(Heard::parse(line), Heard::Everyone(_))) {
        Some((at, line)) => {
            Err(format!("{} heard {line:?} at {at:?} without having joined", membership.host))
        }
        None => Ok(()),
    }
}

fn compare_lines(membership: &Membership, told: &[String]) -> Result<(), String> {
    let mut told = told.iter();
    for (at, line) in &membership.heard {
        let Heard::Everyone(line) = Heard::parse(line) else { continue };
        let expected = told.next();
        if expected.map(String::as_str) != Some(line) {
            return Err(format!(
                "{} heard {line:?} at {at:?}, where server.log has {expected:?}",
                membership.host
            ));
        }
    }
    Ok(())
}

/// In the report's framing lines are merged and cut, so all that was heard is compared in one
/// piece with all that the log says.
fn compare_merged(membership: &Membership, told: &[String]) -> Result<(), String> {
    let mut told = told.iter();
    let heard: String = membership.heard.iter().map(|(_, read)| read.as_str()).collect();
    let mut rest = heard.as_str();
    while !rest.is_empty() {
        // What is for this member alone stands between what everyone is told.
        rest = rest.trim_start_matches("Connected to server!");
        if rest.is_empty() || rest.starts_with("-- ") {
            return Ok(());
        }
        let expected = told.next().map_or("", String::as_str);
        let common = expected.len().min(rest.len());
        if expected.is_empty() || expected.as_bytes()[..common] != rest.as_bytes()[..common] {
            return Err(format!("{} heard {rest:?}, where server.log has {expected:?}", membership.host));
        }
        rest = &rest[common..];
    }
    Ok(())
}
