//! Who is here: join and leave exactly once, alternating; one member a nickname; nobody who is gone.

use std::collections::BTreeSet;

use crate::history::{Epoch, History, LogEvent};

/// Nobody leaves who is not here, and nobody joins under a nickname that somebody here has, or under
/// one that differs in case only.
pub fn join_and_leave_alternate(history: &History) -> Result<(), String> {
    history.epochs.iter().try_for_each(|epoch| roster(epoch).map(|_| ()))
}

/// At the end those are in the room, by the log, whose connection lives, and no others.
pub fn the_roster_is_who_is_alive(history: &History) -> Result<(), String> {
    let by_the_log = history.epochs.last().map(roster).transpose()?.unwrap_or_default();
    let alive: BTreeSet<String> = history
        .live()
        .filter_map(|membership| membership.nicknames.last())
        .map(|nickname| nickname.to_lowercase())
        .collect();
    if by_the_log == alive {
        return Ok(());
    }
    Err(format!("by server.log {by_the_log:?} are here, but {alive:?} are alive"))
}

/// The members in the room at the end of an epoch, in lower case.
fn roster(epoch: &Epoch) -> Result<BTreeSet<String>, String> {
    let mut here = BTreeSet::new();
    for event in &epoch.events {
        match event {
            LogEvent::Joined { nickname, .. } if !here.insert(nickname.to_lowercase()) => {
                return Err(format!("{nickname} joined, but somebody here has that nickname"));
            }
            LogEvent::Left { nickname, .. } if !here.remove(&nickname.to_lowercase()) => {
                return Err(format!("{nickname} left without being here"));
            }
            _ => {}
        }
    }
    Ok(here)
}
