//! The line of `server.log` for each change of the room.

use std::net::SocketAddr;

use tracing::{info, warn};

use crate::net::Peer;
use crate::protocol::{Broadcast, Nickname, Refusal};
use crate::room::{DisconnectReason, Entry, Outcome, Resumed};

/// Reports the outcome of an entry. Private messages are never logged.
pub(super) fn report(entry: &Entry<'_>, outcome: &Outcome) {
    match (entry, outcome) {
        (Entry::Join { nickname, from }, Outcome::Joined(_)) => {
            info!(event = "join", %nickname, peer = %from, "{nickname} connected from {}", Peer(*from));
        }
        (Entry::Say { text, .. }, Outcome::Said(nickname)) => {
            let line = Broadcast::Said(nickname, *text);
            info!(event = "message", %nickname, text = text.as_str(), "Message: {line}");
        }
        (Entry::Act { text, .. }, Outcome::Said(nickname)) => {
            let line = Broadcast::Acted(nickname, *text);
            info!(event = "message", %nickname, text = text.as_str(), "Message: {line}");
        }
        (Entry::Rename { nickname, .. }, Outcome::Renamed(old)) => {
            info!(event = "rename", %nickname, formerly = %old, "{old} is now known as {nickname}");
        }
        (Entry::Detach { reason, .. }, Outcome::Detached(nickname)) => {
            info!(event = "detach", %nickname, reason = reason.cause(), "{nickname} lost connection{reason}");
        }
        (Entry::Resume { from, .. }, Outcome::Resumed(Resumed { nickname, .. })) => {
            info!(event = "resume", %nickname, peer = %from, "{nickname} reconnected from {}", Peer(*from));
        }
        (_, Outcome::Left { nickname, reason, .. }) => report_leave(nickname, *reason),
        _ => {}
    }
}

/// A mistyped command is nobody's business; bytes that no chat client sends may be an operator's.
pub(super) fn report_refusal(nickname: &Nickname, peer: SocketAddr, refusal: Refusal) {
    if matches!(refusal, Refusal::TooLong | Refusal::NotUtf8 | Refusal::Control(_)) {
        warn!(event = "refusal", %nickname, %peer, "Refused a message of {nickname} from {}: {refusal}", Peer(peer));
    }
}

fn report_leave(nickname: &Nickname, reason: DisconnectReason) {
    info!(event = "leave", %nickname, reason = reason.cause(), "{nickname} disconnected{reason}");
}
