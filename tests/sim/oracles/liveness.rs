//! After everything has been healed, the chat works again, for everyone.

use crate::history::History;

/// Every live member has heard something from every live member that was said after the healing.
pub fn everyone_hears_everyone(history: &History) -> Result<(), String> {
    let healed = history.healed.ok_or("nothing has been healed yet")?;
    let (live, survivors) = (history.live().count(), history.terms.survivors);
    if live < survivors {
        return Err(format!("{live} are in the room, but {survivors} should be"));
    }
    for listener in history.live() {
        for speaker in history.live() {
            let nickname = speaker.nicknames.last().expect("a live member has a nickname");
            let fresh = format!("{nickname}: fresh");
            if !listener.heard.iter().any(|(at, line)| *at > healed && line.contains(&fresh)) {
                return Err(format!("{} has heard nothing fresh from {}", listener.host, speaker.host));
            }
        }
    }
    Ok(())
}
