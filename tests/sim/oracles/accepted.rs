//! Every accepted message was said: by its sender, whole, once, and in the sender's order.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, LogEvent};
use crate::plan::PROBER;
use crate::witness::Membership;

/// Each message in the log was said by the member with that nickname, word for word, and is in the log at
/// most as often as it was said: once, since all texts of a plan differ.
pub fn only_what_was_said(history: &History) -> Result<(), String> {
    // It never sends a complete message.
    let of_prober =
        |event: &&LogEvent| matches!(event, LogEvent::Said { nickname, .. } if nickname == PROBER);
    if let Some(event) = history.epochs.iter().flat_map(|epoch| &epoch.events).find(of_prober) {
        return Err(format!("server.log has {event:?}, which is no message"));
    }
    for (membership, accepted) in accepted_of_each(history) {
        let said: BTreeSet<&str> = membership.said.iter().map(|(_, text)| text.as_str()).collect();
        let mut seen = BTreeSet::new();
        for text in accepted {
            if !said.contains(text) {
                return Err(format!("server.log has {text:?} of {}, who never said it", membership.host));
            }
            if !seen.insert(text) {
                return Err(format!("server.log has {text:?} of {} twice", membership.host));
            }
        }
    }
    Ok(())
}

/// The accepted messages of a connection are the first ones it said: a message that was in flight
/// when it broke may be missing, and so may all after it, but none before it.
pub fn in_each_senders_order(history: &History) -> Result<(), String> {
    for (membership, accepted) in accepted_of_each(history) {
        if let Some(index) =
            (0..accepted.len()).find(|&index| said(membership, index) != Some(accepted[index]))
        {
            return Err(format!(
                "message {index} of {} in server.log is {:?}, but it said {:?}",
                membership.host,
                accepted[index],
                said(membership, index)
            ));
        }
    }
    Ok(())
}

fn said(membership: &Membership, index: usize) -> Option<&str> {
    membership.said.get(index).map(|(_, text)| text.as_str())
}

/// The texts of each membership that the log has. Those of another client of the same session are left out.
fn accepted_of_each(history: &History) -> Vec<(&Membership, Vec<&str>)> {
    let accepted = |membership: &'_ Membership| {
        let of_others = said_by_other_clients(history, membership);
        let life = history.life(membership)?;
        let texts = life.events.iter().filter_map(|(_, event)| match event {
            LogEvent::Said { text, .. } => Some(text.as_str()),
            _ => None,
        });
        Some(texts.filter(|text| !of_others.contains(text)).collect())
    };
    history.memberships.iter().filter_map(|membership| Some((membership, accepted(membership)?))).collect()
}

fn said_by_other_clients<'a>(history: &'a History, membership: &Membership) -> BTreeSet<&'a str> {
    let others = history.memberships.iter().filter(|other| other.from == membership.from);
    let others = others.filter(|other| other.since != membership.since);
    others.flat_map(|other| &other.said).map(|(_, text)| text.as_str()).collect()
}

/// How many messages were said on connections that broke, and are not in the log.
pub fn lost_in_flight(history: &History) -> usize {
    let said: usize = history.memberships.iter().map(|membership| membership.said.len()).sum();
    let accepted: BTreeMap<_, _> = accepted_of_each(history)
        .into_iter()
        .map(|(membership, accepted)| ((&membership.host, membership.since), accepted.len()))
        .collect();
    said - accepted.values().sum::<usize>()
}
