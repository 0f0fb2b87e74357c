//! The roster: everyone joins and leaves exactly once, and each nickname belongs to one live member.

use std::collections::BTreeSet;

use crate::history::{Epoch, History, LogEvent};

/// Nobody leaves without being here, and nobody joins under the nickname of somebody who is here, not even
/// in another case.
pub fn join_and_leave_alternate(history: &History) -> Result<(), String> {
    history.epochs.iter().try_for_each(|epoch| roster(epoch).map(|_| ()))
}

/// At the end, the members in the room according to the log are exactly those whose connections are alive.
pub fn the_roster_equals_the_live_members(history: &History) -> Result<(), String> {
    let by_the_log = history.epochs.last().map(roster).transpose()?.unwrap_or_default();
    let alive: BTreeSet<String> = history
        .live()
        .filter_map(|membership| history.life(membership))
        .map(|life| life.nickname.to_lowercase())
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
            LogEvent::Renamed { old, new }
                if !here.remove(&old.to_lowercase()) || !here.insert(new.to_lowercase()) =>
            {
                return Err(format!(
                    "{old} is known as {new}, but is not here, or somebody has that nickname"
                ));
            }
            _ => {}
        }
    }
    Ok(here)
}
