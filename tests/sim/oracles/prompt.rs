//! Nobody's slowness delays another.

use std::collections::BTreeMap;
use std::time::Duration;

use commonroom::protocol::Framing;

use crate::history::History;
use crate::witness::{Ending, Membership};

/// How long an echo may take in a calm run: the latencies both ways, and the time for which a sender may be
/// slowed down.
const PROMPT: Duration = Duration::from_secs(2);

/// In a calm run, a member that reads at once hears its own echo at once, even if others in the room do not
/// read. The echo is late if the server took the text late, or sent it late.
pub fn attentive_members_hear_at_once(history: &History) -> Result<(), String> {
    let attentive = |membership: &&Membership| membership.attentive && membership.framing == Framing::Lines;
    for membership in history.memberships.iter().filter(attentive).filter(|_| history.terms.calm) {
        let heard = membership.heard.iter().rev();
        let echoes: BTreeMap<&str, Duration> =
            heard.filter_map(|(at, line)| Some((line.split_once(": ")?.1, *at))).collect();
        for (said, text) in &membership.said {
            let heard = echoes.get(text.as_str()).copied();
            let until = heard.or_else(|| still_here(membership)).unwrap_or(*said);
            if until > *said + PROMPT {
                return Err(format!(
                    "{} said {text:?} at {said:?} and heard it at {heard:?}",
                    membership.host
                ));
            }
        }
    }
    Ok(())
}

/// The last moment at which a member was certainly here to hear something.
fn still_here(membership: &Membership) -> Option<Duration> {
    match membership.ended {
        Some((at, Ending::Left)) => Some(at),
        Some(_) => None,
        None => membership.heard.last().map(|(at, _)| *at),
    }
}
