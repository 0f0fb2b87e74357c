//! Turns a member's message into an answer to it alone, a refusal, or an entry.

use super::limits::NAMES_LISTED;
use crate::protocol::{Command, Nickname, Notice, Refusal};
use crate::room::{Entry, MemberId, Room};

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
    /// Let the member go.
    Quit,
}

/// Decides about a message, by looking at the room alone. `may_be_told_more` says whether a member
/// has read enough of its private lines.
///
/// `chosen` is the nickname that the member joined with: the report's client never learns of `/nick`, and
/// goes on putting it in front of its messages.
pub(super) fn decide<'room, 'message: 'room>(
    room: &'room Room,
    may_be_told_more: impl Fn(MemberId) -> bool,
    member: MemberId,
    chosen: &str,
    message: Result<&'message str, Refusal>,
) -> Decision<'room, 'message> {
    let Some(nickname) = room.nickname(member) else { return Decision::Ignore };
    let prefixes = [nickname.as_str(), chosen];
    match message.and_then(|message| Command::parse(message, &prefixes)) {
        Err(refusal) => Decision::Refuse(refusal),
        Ok(Command::Nothing) => Decision::Ignore,
        Ok(Command::Say(text)) => Decision::Commit(Entry::Say { member, text }),
        Ok(Command::Act(text)) => Decision::Commit(Entry::Act { member, text }),
        Ok(Command::Whisper { to, text }) => match room.find(to) {
            None => Decision::Refuse(Refusal::NobodyOfThatName),
            Some(to) if !may_be_told_more(to) => Decision::Refuse(Refusal::NotReading),
            Some(to) => Decision::Commit(Entry::Whisper { member, to, text }),
        },
        Ok(Command::Rename(name)) => match Nickname::parse(name) {
            Ok(nickname) => Decision::Commit(Entry::Rename { member, nickname }),
            Err(error) => Decision::Refuse(error.into()),
        },
        Ok(Command::Who) => Decision::Answer(who_is_here(room)),
        Ok(Command::Ping(token)) => Decision::Answer(Notice::Pong(token, None)),
        Ok(Command::Help) => Decision::Answer(Notice::Help),
        Ok(Command::Quit) => Decision::Quit,
        Ok(Command::Session) => Decision::Refuse(Refusal::NoSessionsHere),
    }
}

fn who_is_here(room: &Room) -> Notice<'_> {
    let names = room.nicknames().take(NAMES_LISTED).map(|name| (name.as_str(), false)).collect();
    Notice::Here { count: room.nicknames().len(), names }
}
