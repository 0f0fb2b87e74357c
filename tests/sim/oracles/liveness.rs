//! After everything has been healed, the chat works again, for everyone.

use std::collections::BTreeSet;
use std::time::Duration;

use commonroom::protocol::Framing;

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
            let is_fresh = |(_, text): &&(Duration, String)| text.starts_with("fresh ");
            let fresh: BTreeSet<&str> =
                speaker.said.iter().filter(is_fresh).map(|(_, text)| text.as_str()).collect();
            let hears = |line: &str| match listener.framing {
                Framing::Lines => line.split_once(": ").is_some_and(|(_, text)| fresh.contains(text)),
                Framing::Report => fresh.iter().any(|text| line.contains(text)),
            };
            if !listener.heard.iter().any(|(at, line)| *at > healed && hears(line)) {
                return Err(format!("{} has heard nothing fresh from {}", listener.host, speaker.host));
            }
        }
    }
    Ok(())
}
