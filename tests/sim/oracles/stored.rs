//! A room that outlives its server: nothing is shown that may be lost, and `server.log` tells what is stored.

use std::time::Duration;

use commonroom::protocol::{Framing, SessionNotice};

use super::one_order;
use super::private::{Whisper, text_of_whisper};
use crate::history::{Epoch, History, LogEvent};
use crate::stored::Stored;
use crate::witness::Membership;
use crate::world::SKEW;

/// Nobody hears a line, or learns that one was taken, before the store is known to have it.
pub fn nothing_is_shown_before_it_is_stored(history: &History) -> Result<(), String> {
    let Some(stored) = &history.stored else { return Ok(()) };
    one_order::nobody_hears_what_is_not_stored(history)?;
    let in_lines = |membership: &&Membership| membership.framing == Framing::Lines;
    for membership in history.memberships.iter().filter(in_lines) {
        let heard = membership.heard.iter();
        let private = heard.filter_map(|(at, line)| Some((*at, Whisper::parse(line)?.text)));
        // If an answer may be missing, the client does not know to which line a refusal belongs.
        let sessions = membership.session.iter().filter(|session| session.missing.is_empty());
        let confirmed = sessions.flat_map(|session| &session.confirmed);
        let taken = confirmed.filter_map(|(at, line)| Some((*at, text_of_whisper(line)?)));
        for (at, text) in private.chain(taken) {
            is_stored(stored, at, text).map_err(|found| format!("{} {found}", membership.host))?;
        }
    }
    Ok(())
}

fn is_stored(stored: &Stored, at: Duration, text: &str) -> Result<(), String> {
    match stored.texts.get(text) {
        Some(stored) if *stored <= at + SKEW => Ok(()),
        Some(stored) => Err(format!("knew {text:?} at {at:?}, but it was stored at {stored:?}")),
        None => Err(format!("knew {text:?} at {at:?}, but it was not stored")),
    }
}

/// Each server tells in `server.log` what was stored in its time, and nothing else.
pub fn the_log_tells_what_is_stored(history: &History) -> Result<(), String> {
    let Some(stored) = &history.stored else { return Ok(()) };
    if stored.processes.len() != stored.runs.len() {
        let (told, read) = (stored.processes.len(), stored.runs.len());
        return Err(format!("{told} servers are in server.log, and {read} have read the store"));
    }
    for (process, run) in stored.processes.iter().zip(&stored.runs) {
        let Epoch { events, stored, .. } = &history.epochs[run.log];
        let number = |records| stored.partition_point(|(record, _)| *record < records);
        let kept = &events[number(run.found)..number(run.acknowledged)];
        let is_other = |event: &&LogEvent| matches!(event, LogEvent::Warning(_) | LogEvent::Error(_));
        let told: Vec<&LogEvent> = process.events.iter().filter(|event| !is_other(event)).collect();
        if !told.iter().copied().eq(kept) {
            let differs = told.iter().zip(kept).position(|(told, kept)| *told != kept);
            let differs = differs.unwrap_or(told.len().min(kept.len()));
            return Err(format!(
                "server.log has {:?} where {:?} is stored",
                told.get(differs),
                kept.get(differs)
            ));
        }
    }
    Ok(())
}

/// A server gives the store one batch after another, and ends when a sync has failed.
pub fn the_store_is_used_as_it_must_be(history: &History) -> Result<(), String> {
    let Some(stored) = &history.stored else { return Ok(()) };
    if let Some(misuse) = &stored.misuse {
        return Err(misuse.clone());
    }
    if stored.reasons.len() != stored.failures {
        return Err(format!(
            "{} syncs have failed, and servers ended: {:?}",
            stored.failures, stored.reasons
        ));
    }
    Ok(())
}

/// Whoever says something while the store is full is told so, once.
pub fn who_waits_is_told_once(history: &History) -> Result<(), String> {
    let filled = history.stored.as_ref().map(|stored| stored.filled.as_slice()).unwrap_or_default();
    if history.stored.is_none() {
        return Ok(());
    }
    let held = format!("-- {}", SessionNotice::Held);
    for membership in &history.memberships {
        let mut told = 0;
        for (at, line) in &membership.heard {
            told += line.matches(&held).count();
            let times = filled.iter().filter(|filled| **filled <= *at + SKEW).count();
            if told > times {
                return Err(format!(
                    "{} was told {told} times at {at:?} that the store is full, which it has been {times} times",
                    membership.host
                ));
            }
        }
    }
    Ok(())
}
