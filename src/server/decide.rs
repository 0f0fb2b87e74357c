//! Turns a member's message into an answer to it alone, a refusal, or an entry.

use super::limits::{FOUND_LINES, HISTORY_LINES, NAMES_LISTED};
use crate::commit_log::Query;
use crate::protocol::{Command, Nickname, Notice, Progress, Refusal};
use crate::room::{Entry, MemberId, Origin, Room};

/// What to do about one message.
pub(super) enum Decision<'room, 'message> {
    /// Nothing was said.
    Ignore,
    /// Tell the member this. Nothing changes.
    Answer(Notice<'room>),
    /// Tell the member why nothing is done.
    Refuse(Refusal),
    /// Change the room.
    Commit(Entry<'message>),
    /// Look this up, and then answer.
    Ask(Query),
    /// Give the member a session.
    Begin,
    /// Let the member go.
    Quit,
}

/// Decides about a line that has come `by` a member, by looking at the room alone. `may_be_told_more` says
/// whether a member has read enough of its private lines.
///
/// `chosen` is the nickname that the member joined with: the report's client never learns of `/nick`, and
/// goes on putting it in front of its messages.
pub(super) fn decide<'room, 'message: 'room>(
    room: &'room Room,
    may_be_told_more: impl Fn(MemberId) -> bool,
    by: Origin,
    chosen: &str,
    line: Result<&'message str, Refusal>,
) -> Decision<'room, 'message> {
    let Some(nickname) = room.nickname(by.attachment.member) else { return Decision::Ignore };
    let progress = room.progress(by.attachment.member);
    if progress.is_none() && by.number.is_some() {
        return Decision::Refuse(Refusal::NoSession);
    }
    if !room.is_news(by) {
        return Decision::Ignore;
    }
    // A client that numbers its lines puts nothing in front of them.
    let prefixes = [nickname.as_str(), chosen];
    let prefixes = if by.number.is_some() { &[] } else { &prefixes[..] };
    match line.and_then(|line| Command::parse(line, prefixes)) {
        Err(refusal) => Decision::Refuse(refusal),
        Ok(Command::Nothing) => Decision::Ignore,
        Ok(Command::Say(text)) => Decision::Commit(Entry::Say { by, text }),
        Ok(Command::Act(text)) => Decision::Commit(Entry::Act { by, text }),
        Ok(Command::Whisper { to, text }) => match room.find(to) {
            None => Decision::Refuse(Refusal::NobodyOfThatName),
            Some(to) if !may_be_told_more(to) => Decision::Refuse(Refusal::NotReading),
            Some(to) => Decision::Commit(Entry::Whisper { by, to, text }),
        },
        Ok(Command::Rename(name)) => match Nickname::parse(name) {
            Ok(nickname) => Decision::Commit(Entry::Rename { by, nickname }),
            Err(error) => Decision::Refuse(error.into()),
        },
        Ok(Command::Who) => Decision::Answer(who_is_here(room)),
        Ok(Command::Search(words)) => {
            Decision::Ask(Query { words: words.each().map(Box::from).collect(), at_most: FOUND_LINES })
        }
        Ok(Command::History(lines)) => {
            let at_most = lines.unwrap_or(FOUND_LINES).min(HISTORY_LINES);
            Decision::Ask(Query { words: Vec::new(), at_most })
        }
        Ok(Command::Ping(token)) => Decision::Answer(Notice::Pong(token, taken_with(progress, by))),
        Ok(Command::Help) => Decision::Answer(Notice::Help),
        Ok(Command::Quit) => Decision::Quit,
        Ok(Command::Session) if progress.is_some() => Decision::Refuse(Refusal::HasSession),
        Ok(Command::Session) => Decision::Begin,
    }
}

/// How far the session will be when this line is taken.
fn taken_with(progress: Option<Progress>, by: Origin) -> Option<Progress> {
    progress.map(|progress| Progress { taken: by.number.unwrap_or(progress.taken), ..progress })
}

fn who_is_here(room: &Room) -> Notice<'_> {
    let listed = room.members().take(NAMES_LISTED);
    let names = listed.map(|(member, nickname)| (nickname.as_str(), room.is_away(member))).collect();
    Notice::Here { count: room.members().len(), names }
}
