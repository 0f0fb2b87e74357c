//! Private lines: each is heard once, in the order of its sender, and none is missed.

use std::collections::{BTreeMap, BTreeSet};

use commonroom::protocol::Framing;

use crate::history::{History, LogEvent};
use crate::witness::Membership;

/// A private line: `-- Alex to you: 7 of member1` or `-- You to Dinesh: 7 of member1`.
pub struct Whisper<'a> {
    /// The nickname of the other one.
    pub with: &'a str,
    pub is_receipt: bool,
    pub text: &'a str,
}

impl<'a> Whisper<'a> {
    pub fn parse(line: &'a str) -> Option<Self> {
        let (head, text) = line.strip_prefix("-- ")?.split_once(": ")?;
        match head.split(' ').collect::<Vec<_>>()[..] {
            ["You", "to", with] => Some(Self { with, is_receipt: true, text }),
            [with, "to", "you"] => Some(Self { with, is_receipt: false, text }),
            _ => None,
        }
    }
}

/// Who has said a text, and as the how-manieth: `7 of member1`, `fresh 8 of member1`.
pub fn numbered(text: &str) -> Option<(&str, usize)> {
    let text = text.strip_prefix("fresh ").unwrap_or(text);
    let (number, speaker) = text.split_once(" of ")?;
    // What follows pads the line. It can be long, so it is not looked at.
    let speaker = speaker.split(" é").next()?;
    Some((speaker, number.parse().ok()?))
}

/// In what one member hears, the numbers of each speaker rise, of public and private lines together, as long as
/// it has one nickname: it may have come back as a newcomer while the rest of its last words was still under way.
/// And nothing is heard twice, not even after coming back.
pub fn each_speaker_is_heard_in_its_order(history: &History) -> Result<(), String> {
    for membership in in_lines(history) {
        let mut last = BTreeMap::new();
        let mut heard = BTreeSet::new();
        for (at, line) in &membership.heard {
            let (nickname, text) = match (Whisper::parse(line), line.split_once(": ")) {
                (Some(Whisper { is_receipt: true, text, .. }), _) => ("", text),
                (Some(Whisper { with, text, .. }), _) => (with, text),
                (None, Some((nickname, text))) => (nickname, text),
                (None, None) => continue,
            };
            let Some((speaker, number)) = numbered(text) else { continue };
            let before = last.insert((nickname, speaker), number);
            let is_late = before.is_some_and(|before| before >= number);
            if is_late || !heard.insert((nickname.is_empty(), speaker, number)) {
                return Err(format!("{} heard {line:?} at {at:?} after number {before:?}", membership.host));
            }
        }
    }
    Ok(())
}

/// A private line is heard by one member, or by the clients of one session.
pub fn nobody_else_hears_it(history: &History) -> Result<(), String> {
    let mut listeners = BTreeMap::new();
    for membership in in_lines(history) {
        let whispers = membership.heard.iter().filter_map(|(_, line)| Whisper::parse(line));
        for whisper in whispers.filter(|whisper| !whisper.is_receipt) {
            let listener = listeners.entry(whisper.text).or_insert(membership.from);
            if *listener != membership.from {
                return Err(format!("{} and {} have heard {:?}", listener, membership.host, whisper.text));
            }
        }
    }
    Ok(())
}

/// Whoever was in the room before a private line was typed, and is still there under that nickname, has heard
/// it, if its sender was told so. And whoever has learned that a private line was taken was told so.
pub fn nobody_misses_it(history: &History) -> Result<(), String> {
    let receipts: BTreeSet<(&str, &str)> = in_lines(history)
        .flat_map(|membership| &membership.heard)
        .filter_map(|(_, line)| Whisper::parse(line).filter(|whisper| whisper.is_receipt))
        .map(|whisper| (whisper.with, whisper.text))
        .collect();
    for membership in history.live().filter(|membership| membership.framing == Framing::Lines) {
        let heard: BTreeSet<(bool, &str)> = membership
            .heard
            .iter()
            .filter_map(|(_, line)| Whisper::parse(line))
            .map(|whisper| (whisper.is_receipt, whisper.text))
            .collect();
        let missing = membership.session.iter().flat_map(|session| &session.missing);
        if missing.map(|(_, _, private_lines)| private_lines).sum::<u64>() > 0 {
            continue;
        }
        if let Some(nickname) = only_nickname(history, membership) {
            let typed_here = typed_since_joining(history, membership);
            let mut to_it = receipts.iter().filter(|(to, text)| *to == nickname && typed_here.contains(text));
            if let Some((_, text)) = to_it.find(|(_, text)| !heard.contains(&(false, text))) {
                return Err(format!(
                    "{} has not heard {text:?}, but its sender was told so",
                    membership.host
                ));
            }
        }
        // If an answer may be missing, the client does not know to which line a refusal belongs.
        let complete = membership.session.iter().filter(|session| session.missing.is_empty());
        let confirmed = complete.flat_map(|session| &session.confirmed);
        let mut told = confirmed.filter_map(|(_, line)| text_of_whisper(line));
        if let Some(text) = told.find(|text| !heard.contains(&(true, text))) {
            return Err(format!("{} takes {text:?} for taken, but was not told so", membership.host));
        }
    }
    Ok(())
}

fn in_lines(history: &History) -> impl Iterator<Item = &Membership> {
    history.memberships.iter().filter(|membership| membership.framing == Framing::Lines)
}

/// The text of `/msg NICKNAME TEXT`.
pub fn text_of_whisper(line: &str) -> Option<&str> {
    line.strip_prefix("/msg ")?.split_once(' ').map(|(_, text)| text)
}

/// Its nickname, if it has had only one.
fn only_nickname<'a>(history: &'a History, membership: &Membership) -> Option<&'a str> {
    let life = history.life(membership)?;
    let renamed = |(_, event): &(usize, &LogEvent)| matches!(event, LogEvent::Renamed { .. });
    (!life.events.iter().any(renamed)).then_some(life.nickname)
}

/// The private lines that were typed after a member knew that it was in the room.
fn typed_since_joining<'a>(history: &'a History, membership: &Membership) -> BTreeSet<&'a str> {
    let connected = membership.heard.iter().find(|(_, line)| line == "Connected to server!");
    let Some((since, _)) = connected else { return BTreeSet::new() };
    let sessions = history.memberships.iter().filter_map(|membership| membership.session.as_ref());
    let typed = sessions.flat_map(|session| &session.typed).filter(|(typed, _)| typed > since);
    typed.filter_map(|(_, line)| text_of_whisper(line)).collect()
}
