//! The promises, as pure functions over a [`History`]: each returns what is wrong, if anything.
//!
//! Those of [`ALWAYS`] hold at every moment, and are checked again and again during a run; those of
//! [`AT_THE_END`] hold once everything has been healed.

mod accepted;
mod liveness;
mod membership;
mod one_order;
pub mod private;
mod prompt;
mod real_time;
mod sessions;
mod stored;

pub use accepted::lost_in_flight;

use std::sync::LazyLock;

use commonroom::protocol::LINE_BYTES;
use commonroom::room::Transcript;

use super::history::{History, LogEvent};

/// A promise, with the name under which a broken one is reported.
pub type Oracle = (&'static str, fn(&History) -> Result<(), String>);

pub const ALWAYS: [Oracle; 18] = [
    (
        "join and leave alternate, and a nickname belongs to one member at a time",
        membership::join_and_leave_alternate,
    ),
    ("everyone sees one order, without a gap, as server.log has it", one_order::everyone_sees_the_log),
    ("nothing is said that nobody said, nothing twice, nothing half", accepted::only_what_was_said),
    ("each sender's messages are accepted in its order, without a gap", accepted::in_each_senders_order),
    (
        "members who leave in order are sent everything that was said before",
        one_order::members_who_leave_hear_the_rest,
    ),
    ("what was taken is in server.log", sessions::what_was_taken_is_in_the_log),
    ("nobody leaves or joins within a grace, or stays after it", sessions::nobody_leaves_within_the_grace),
    ("nothing from a replaced connection is taken", sessions::a_replaced_connection_is_silent),
    ("a session goes on unless its member has left, or the room is another one", sessions::a_session_goes_on),
    ("nothing is shown before it is stored", stored::nothing_is_shown_before_it_is_stored),
    ("server.log tells what is stored", stored::the_log_tells_what_is_stored),
    ("a store is used as it must be", stored::the_store_is_used_as_it_must_be),
    ("whoever waits for a full store is told so once", stored::who_waits_is_told_once),
    ("each speaker is heard in its order, and nothing twice", private::each_speaker_is_heard_in_its_order),
    ("a private line is heard by one member alone", private::nobody_else_hears_it),
    ("nobody's slowness delays another", prompt::attentive_members_hear_at_once),
    ("the log is kept within its bound", the_log_is_bounded),
    ("no internal error", no_internal_error),
];

pub const AT_THE_END: [Oracle; 5] = [
    ("the roster equals the live members", membership::the_roster_equals_the_live_members),
    ("every live member receives something fresh from every other", liveness::everyone_hears_everyone),
    ("every line comes to something", sessions::every_line_comes_to_something),
    ("nobody misses a private line", private::nobody_misses_it),
    ("one room explains what everybody saw, in real time", real_time::one_room_explains_everything),
];

/// Returns the first broken promise. `SIM_ORACLE` restricts the check to promises whose names contain it.
pub fn check(oracles: &[Oracle], history: &History) -> Result<(), String> {
    static ONLY: LazyLock<String> = LazyLock::new(|| std::env::var("SIM_ORACLE").unwrap_or_default());
    let mut wanted = oracles.iter().filter(|(promise, _)| promise.contains(ONLY.as_str()));
    wanted.try_for_each(|(promise, holds)| {
        holds(history).map_err(|found| format!("BROKEN: {promise}\n  {found}"))
    })
}

fn the_log_is_bounded(history: &History) -> Result<(), String> {
    // No line is longer than the longest message with a nickname in front.
    let bound = Transcript::bound_bytes(history.terms.retention_bytes, 2 * LINE_BYTES);
    let mut events = history.epochs.iter().flat_map(|epoch| &epoch.events);
    match history.retained_bytes {
        Some(retained) if retained > bound => {
            Err(format!("{retained} bytes of the log were kept, and {bound} is the bound"))
        }
        None if events.any(|event| matches!(event, LogEvent::Said { .. })) => {
            Err("messages were handled, but no event has a field `retained_bytes`".to_owned())
        }
        _ => Ok(()),
    }
}

fn no_internal_error(history: &History) -> Result<(), String> {
    let mut events = history.told_by_the_log().iter().flat_map(|process| &process.events);
    // A store that fails is not the server's fault.
    let is_internal = |event: &&LogEvent| match event {
        LogEvent::Error(error) => !error.starts_with("The server ends: "),
        _ => false,
    };
    match events.find(is_internal) {
        Some(error) => Err(format!("{error:?}")),
        None => Ok(()),
    }
}
