//! Sessions: what was taken is in `server.log`, once; a lost connection is nobody's business for the grace;
//! and a connection that was replaced cannot speak any more.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::history::{History, LogEvent};
use crate::witness::Membership;

/// How late the server may notice that a grace has passed.
const LATE: Duration = Duration::from_secs(1);

/// The log counts in milliseconds.
const ROUNDED: Duration = Duration::from_millis(1);

/// Every text is in the log of which its sender has learned that it was taken, by its echo or because the
/// server has counted it. That it is there only once is another promise.
pub fn what_was_taken_is_in_the_log(history: &History) -> Result<(), String> {
    for membership in &history.memberships {
        let Some(session) = &membership.session else { continue };
        let texts: BTreeSet<&str> = membership.said.iter().map(|(_, text)| text.as_str()).collect();
        let accepted: BTreeSet<&str> =
            history.life(membership).iter().flat_map(|life| &life.events).filter_map(text_of).collect();
        let mut confirmed = session.confirmed.iter().filter(|(_, line)| texts.contains(line.as_str()));
        if let Some((at, line)) = confirmed.find(|(_, line)| !accepted.contains(line.as_str())) {
            return Err(format!(
                "{} learned at {at:?} that {line:?} was taken, but server.log does not have it",
                membership.host
            ));
        }
    }
    Ok(())
}

fn text_of<'a>((_, event): &(usize, &'a LogEvent)) -> Option<&'a str> {
    match event {
        LogEvent::Said { text, .. } => Some(text),
        _ => None,
    }
}

/// A client that is there learns of every line what has become of it, or says that it cannot know.
pub fn every_line_comes_to_something(history: &History) -> Result<(), String> {
    let healed = history.healed.ok_or("nothing has been healed yet")?;
    for membership in history.live() {
        let Some(session) = &membership.session else { continue };
        if let Some((typed, line)) = session.open.iter().find(|(typed, _)| *typed <= healed) {
            return Err(format!(
                "{} still does not know what came of {line:?} of {typed:?}",
                membership.host
            ));
        }
    }
    Ok(())
}

/// A member with a session that has lost its connection leaves when the grace has passed: not before, unless
/// it comes back, and not later.
pub fn nobody_leaves_within_the_grace(history: &History) -> Result<(), String> {
    let Some(final_epoch) = history.epochs.len().checked_sub(1) else { return Ok(()) };
    for (number, epoch) in history.epochs.iter().enumerate() {
        for (index, event) in epoch.events.iter().enumerate() {
            let LogEvent::LostConnection { nickname } = event else { continue };
            let lost = epoch.times[index];
            // A server that goes on with a room gives those that are away their grace from its start on.
            let since = |until| {
                let starts = epoch.starts.iter().filter(|start| **start <= until);
                starts.max().copied().unwrap_or_default().max(lost)
            };
            let mut later = epoch.events.iter().zip(&epoch.times).skip(index + 1);
            let found = match later.find(|(event, _)| event.is_of(nickname)) {
                Some((LogEvent::Reconnected { .. }, _)) => continue,
                Some((LogEvent::Left { reason, .. }, _)) if ends_with_its_server(history, reason) => continue,
                Some((LogEvent::Left { reason, .. }, &left)) => {
                    let until = since(left) + history.terms.grace;
                    let grace = until.saturating_sub(ROUNDED)..=until + LATE;
                    if !reason.is_empty() && grace.contains(&left) {
                        continue;
                    }
                    format!("left at {left:?}")
                }
                Some((other, at)) => format!("comes to {other:?} at {at:?}"),
                None if number < final_epoch || !history.is_running => continue,
                None if history.known() <= since(history.now) + history.terms.grace + LATE => continue,
                None => format!("is still away at {:?}", history.now),
            };
            return Err(format!("{nickname} lost its connection at {lost:?}, and {found}"));
        }
    }
    history.memberships.iter().try_for_each(|membership| leaves_only_after_a_loss(history, membership))
}

/// A client whose session was not resumed was told the truth: its member has left, or the room is another one.
pub fn a_session_goes_on(history: &History) -> Result<(), String> {
    for membership in &history.memberships {
        let not_resumed = membership.session.as_ref().and_then(|session| session.not_resumed.as_ref());
        let (Some((at, reason)), Some((epoch, _)), Some(life)) =
            (not_resumed, history.joining(membership), history.life(membership))
        else {
            continue;
        };
        let has_left = matches!(life.events.last(), Some((_, LogEvent::Left { .. })));
        let is_true = match reason.as_str() {
            "the session has ended" => has_left,
            "the log has begun anew since then" => history.epochs.len() > epoch + 1,
            _ => false,
        };
        if !is_true {
            return Err(format!("{} was not resumed at {at:?}: {reason:?}", membership.host));
        }
    }
    Ok(())
}

/// A member with a session does not leave by itself while it has a connection.
fn leaves_only_after_a_loss(history: &History, membership: &Membership) -> Result<(), String> {
    let Some(kept) = membership.session.as_ref().and_then(|session| session.kept) else { return Ok(()) };
    let (Some((epoch, _)), Some(life)) = (history.joining(membership), history.life(membership)) else {
        return Ok(());
    };
    let [before @ .., (index, LogEvent::Left { nickname, reason })] = &life.events[..] else {
        return Ok(());
    };
    let left = history.epochs[epoch].times[*index];
    let lost = matches!(before.last(), Some((_, LogEvent::LostConnection { .. })));
    let stops = ends_with_its_server(history, reason);
    if left > kept + ROUNDED && !reason.is_empty() && !lost && !stops {
        return Err(format!("{nickname} left at {left:?} ({reason}), but has had a session since {kept:?}"));
    }
    Ok(())
}

/// Whether a session has ended because its room did.
fn ends_with_its_server(history: &History, reason: &str) -> bool {
    history.stored.is_none() && reason == "server stopped"
}

/// What the log has of a session comes from the client that has resumed it last, as does its end.
pub fn a_replaced_connection_is_silent(history: &History) -> Result<(), String> {
    for membership in history.memberships.iter().filter(|membership| membership.has_session()) {
        let Some(life) = history.life(membership) else { continue };
        let clients: Vec<&Membership> =
            history.memberships.iter().filter(|other| other.from == membership.from).collect();
        let mut now = membership.from;
        for (_, event) in &life.events {
            let is_now = |client: &&&Membership| {
                client.session.as_ref().is_some_and(|session| session.dialled.contains(now))
            };
            match event {
                LogEvent::Reconnected { from, .. } => now = *from,
                LogEvent::Said { text, .. } => {
                    let says = |client: &&&Membership| client.said.iter().any(|(_, said)| said == text);
                    if clients.len() > 1 && !clients.iter().filter(says).any(|client| is_now(&client)) {
                        return Err(format!("{text:?} was taken, but its client was replaced by {now}"));
                    }
                }
                LogEvent::Left { nickname, reason } if reason.is_empty() => {
                    let quits = |client: &&Membership| {
                        client.session.as_ref().is_some_and(|session| session.quits.is_some())
                    };
                    if !clients.iter().filter(is_now).any(quits) {
                        return Err(format!("{nickname} has left, but the client at {now} has not said so"));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
