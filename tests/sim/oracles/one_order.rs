//! Everyone present sees one and the same order, which is that of `server.log`, without a gap.

use std::time::Duration;

use commonroom::protocol::{Framing, Heard, NICKNAME_REQUEST};

use crate::history::{Epoch, History, LogEvent, Terms};
use crate::witness::{Ending, Membership};
use crate::world::SKEW;

/// The lines for everyone that a member heard must be one unbroken range of those in the log, from its own
/// joining on. That implies one order for all, nothing invented, nothing twice, and no gap.
pub fn everyone_sees_the_log(history: &History) -> Result<(), String> {
    for membership in &history.memberships {
        let Some((epoch, joining)) = history.joining(membership) else {
            heard_nothing(history, membership)?;
            continue;
        };
        let told = view(&history.epochs[epoch].events, joining, &history.terms);
        match membership.framing {
            Framing::Lines => compare_lines(membership, &told)?,
            Framing::Report => compare_merged(membership, &told)?,
        }
    }
    Ok(())
}

/// Nobody hears a public line before it is known to be stored.
pub fn nobody_hears_what_is_not_stored(history: &History) -> Result<(), String> {
    let in_lines = |membership: &&Membership| membership.framing == Framing::Lines;
    for membership in history.memberships.iter().filter(in_lines).filter(|_| history.stored.is_some()) {
        let Some((epoch, joining)) = history.joining(membership) else { continue };
        let epoch = &history.epochs[epoch];
        let told = view(&epoch.events, joining, &history.terms);
        for ((at, line), place) in membership.heard.iter().zip(places(membership)) {
            let Some(place) = place else { continue };
            let stored = told.get(place).map(|(event, _)| epoch.stored[*event].1);
            if stored.is_none_or(|stored| *at + SKEW < stored) {
                return Err(format!(
                    "{} heard {line:?} at {at:?}, and it was stored at {stored:?}",
                    membership.host
                ));
            }
        }
    }
    Ok(())
}

/// Everything that a member is to be told who joined by the event `joining`, the history first; and the events that
/// it is told of.
fn view(events: &[LogEvent], joining: usize, terms: &Terms) -> Vec<(usize, String)> {
    let told = |(index, event): (usize, &LogEvent)| Some((index, event.told()?));
    // No more of the history than a quarter of the retention.
    let mut room_bytes = terms.retention_bytes / 4;
    let fits = |(_, line): &(usize, String)| {
        let rest = room_bytes.checked_sub(line.len() + 1);
        room_bytes = rest.unwrap_or_default();
        rest.is_some()
    };
    let before = events.iter().enumerate().take(joining).rev().filter_map(told);
    let mut view: Vec<_> = before.take(terms.history_lines).take_while(fits).collect();
    view.reverse();
    view.extend(events.iter().enumerate().skip(joining).filter_map(told));
    view
}

/// A membership that the log does not have was never let in. If there is a store, the server may have ended before
/// that had it, and after it was shown the history.
fn heard_nothing(history: &History, membership: &Membership) -> Result<(), String> {
    // In the report's framing, a part of the request for a nickname or of a private line looks like a line.
    let is_part = |line: &str| NICKNAME_REQUEST.starts_with(line) || PRIVATE.starts_with(line);
    let is_line = |line: &str| membership.framing == Framing::Lines || !is_part(line);
    let is_heard = |line: &str| matches!(Heard::parse(line), Heard::Everyone(_)) && is_line(line);
    let heard: Vec<_> = membership.heard.iter().filter(|(_, line)| is_heard(line)).collect();
    let Some((at, line)) = heard.first() else { return Ok(()) };
    let is_connected = membership.heard.iter().any(|(_, line)| line.contains(CONNECTED));
    let is_history = heard.len() <= history.terms.history_lines
        && history.stored.is_some()
        && history.epochs.iter().any(|epoch| has_told(epoch, &heard, membership.framing));
    if is_connected || !is_history {
        return Err(format!("{} heard {line:?} at {at:?} without having joined", membership.host));
    }
    Ok(())
}

/// Whether these lines were told one after the other.
fn has_told(epoch: &Epoch, heard: &[&(Duration, String)], framing: Framing) -> bool {
    let told: Vec<String> = epoch.events.iter().filter_map(LogEvent::told).collect();
    match framing {
        Framing::Lines => {
            let same = |told: &[String]| told.iter().eq(heard.iter().map(|(_, line)| line));
            told.windows(heard.len()).any(same)
        }
        Framing::Report => {
            let heard: String = heard.iter().map(|(_, read)| read.as_str()).collect();
            told.concat().contains(&heard)
        }
    }
}

fn compare_lines(membership: &Membership, told: &[(usize, String)]) -> Result<(), String> {
    let mut last = None;
    for ((at, line), place) in membership.heard.iter().zip(places(membership)) {
        let Some(place) = place else {
            if Heard::parse(line) == Heard::Connected && last != own_joining(membership).as_deref() {
                return Err(format!("{} is connected at {at:?} after {last:?}", membership.host));
            }
            continue;
        };
        last = told.get(place).map(|(_, line)| line.as_str());
        if last != Some(line) {
            return Err(format!(
                "{} heard {line:?} at {at:?}, where server.log has {last:?}",
                membership.host
            ));
        }
    }
    Ok(())
}

/// The place of each line that a member heard among those that it is to be told, if it is one for everyone.
fn places(membership: &Membership) -> impl Iterator<Item = Option<usize>> {
    let mut next = 0;
    membership.heard.iter().enumerate().map(move |(index, (_, line))| {
        next += missing_before(membership, index);
        let is_public = matches!(Heard::parse(line), Heard::Everyone(_));
        next += usize::from(is_public);
        is_public.then(|| next - 1)
    })
}

/// How many lines are no longer kept that come before this one in what a member heard.
fn missing_before(membership: &Membership, index: usize) -> usize {
    let missing = membership.session.iter().flat_map(|session| &session.missing);
    let public_lines =
        missing.filter(|(before, ..)| *before == index).map(|(_, public_lines, _)| public_lines);
    usize::try_from(public_lines.sum::<u64>()).unwrap_or(usize::MAX)
}

fn own_joining(membership: &Membership) -> Option<String> {
    membership.nicknames.last().map(|nickname| format!("{nickname} joined the chat!"))
}

/// In a calm run, a member that leaves in order has heard everything that precedes its leaving in the log.
pub fn members_who_leave_hear_the_rest(history: &History) -> Result<(), String> {
    let left = |membership: &&Membership| {
        membership.framing == Framing::Lines && matches!(membership.ended, Some((_, Ending::Left)))
    };
    for membership in history.memberships.iter().filter(left).filter(|_| history.terms.calm) {
        let (Some((epoch, joining)), Some(life)) = (history.joining(membership), history.life(membership))
        else {
            continue;
        };
        let leaves = life.events.iter().find(|(_, event)| matches!(event, LogEvent::Left { .. }));
        // A session whose connection was lost just before is kept for a while.
        let expired = |(_, event): &&(usize, &LogEvent)| matches!(event, LogEvent::Left { reason, .. } if !reason.is_empty());
        if membership.session.is_some() && leaves.is_none_or(|leaves| expired(&leaves)) {
            continue;
        }
        // One client leaves, and another one has heard more.
        if history.memberships.iter().filter(|other| other.from == membership.from).count() > 1 {
            continue;
        }
        let events = &history.epochs[epoch].events;
        let here = events[joining..leaves.map_or(events.len(), |(index, _)| *index)].iter();
        let last = here.rev().find_map(LogEvent::told);
        let mut heard = membership.heard.iter().rev().map(|(_, line)| line);
        let heard = heard.find(|line| matches!(Heard::parse(line), Heard::Everyone(_)));
        if heard != last.as_ref() {
            return Err(format!(
                "{} heard {heard:?} last, but {last:?} was said before it left",
                membership.host
            ));
        }
    }
    Ok(())
}

/// In the report's framing lines are merged and cut, so everything that was heard is compared as one text
/// with all lines of the log.
fn compare_merged(membership: &Membership, told: &[(usize, String)]) -> Result<(), String> {
    let mut told = told.iter().map(|(_, line)| line.as_str());
    let heard: String = membership.heard.iter().map(|(_, read)| read.as_str()).collect();
    let mut rest = heard.as_str();
    while let Some(next) = skip_private(rest, told.clone()) {
        let expected = told.next().unwrap_or_default();
        let common = expected.len().min(next.len());
        if expected.is_empty() || expected.as_bytes()[..common] != next.as_bytes()[..common] {
            return Err(format!("{} heard {next:?}, where server.log has {expected:?}", membership.host));
        }
        rest = &next[common..];
    }
    Ok(())
}

const CONNECTED: &str = "Connected to server!";

/// How private lines begin.
const PRIVATE: &str = "-- ";

/// Skips private lines between the lines for everyone. Nothing marks the end of a private line, so it
/// reaches to the first of the lines for everyone that are still to come. `None` if nothing else was heard.
fn skip_private<'a, 'b>(heard: &'a str, told: impl Iterator<Item = &'b str>) -> Option<&'a str> {
    let rest = heard.trim_start_matches(CONNECTED);
    // The connection may have ended in the middle of it.
    if CONNECTED.starts_with(rest) || PRIVATE.starts_with(rest) {
        return None;
    }
    if rest.starts_with(PRIVATE) {
        return told.filter_map(|line| rest.find(line)).min().map(|begin| &rest[begin..]);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;

    const TOLD: [&str; 4] = ["Dinesh joined the chat!", "Dinesh: one", "Alex: two", "Dinesh: three"];

    /// The verdict on a report-framed member that has heard these reads.
    fn judge(reads: &[&str]) -> Result<(), String> {
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let mut membership = Membership::new("Dinesh", Framing::Report, from, Duration::ZERO, "Dinesh");
        membership.heard = reads.iter().map(|&read| (Duration::ZERO, read.to_owned())).collect();
        compare_merged(&membership, &TOLD.map(|line| (0, line.to_owned())))
    }

    #[test]
    fn merged_and_cut_lines_are_the_lines_of_the_log() {
        for reads in [
            &["Dinesh joined the chat!", "Connected to server!", "Dinesh: oneAlex: two", "Dinesh: th"][..],
            &["Dinesh joined the chat!Connected to server!Dinesh: ", "one"],
            &["Dinesh joined the chat!Connected to server!-- Not sent: it is too long.", "Dinesh: oneAl"],
            &[
                "Dinesh joined the chat!",
                "Dinesh: one-- Not sent.-- Not sent.Alex: two-- Here now (1): Dinesh",
            ],
            &["Dinesh joined the chat!", "Connected to server!", "-- Not sent: it is too long.Dine"],
            &["Dinesh joined the chat!", "Connected to server!", "-- Here now (1): Dinesh"],
            &["Dinesh joined the chat!C"],
            &["Dinesh joined the chat!", "Connected to ser"],
            &["Dinesh joined the chat!Connected to server!-"],
        ] {
            assert_eq!(judge(reads), Ok(()), "{reads:?}");
        }
    }

    #[test]
    fn a_missing_or_invented_line_is_found_even_after_a_private_one() {
        for reads in [
            &["Dinesh joined the chat!", "Alex: two"][..],
            &["Dinesh joined the chat!", "-- Not sent.", "Alex: two"],
            &["Dinesh joined the chat!", "-- Not sent.Dinesh: oneDinesh: one"],
            &["Dinesh joined the chat!", "-- Not sent.Dinesh: one", "Dinesh: four"],
            &["Dinesh joined the chat!Dinesh: one", "-- Not sent.", "Dinesh: three"],
            &["Dinesh joined the chat!", "Connected to serDinesh: one"],
        ] {
            assert!(judge(reads).is_err(), "{reads:?}");
        }
    }
}
