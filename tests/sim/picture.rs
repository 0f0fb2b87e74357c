//! A picture of a world: its network traffic, the events in its log, and the faults of its hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::civil::DateTime;

use super::history::LogEvent;
use super::recording::Recording;
use super::timeline::{Mark, MarkKind, Shade, Timeline};
use super::witness::Membership;
use super::world::SERVER;

/// Draws the picture; `host` looks up the host of an address.
pub fn draw(
    begin: DateTime,
    server_log: &str,
    memberships: &[Membership],
    recording: &Recording,
    shades: &[Shade],
    host: impl Fn(SocketAddr) -> Option<String>,
) -> Timeline {
    let lines = lines(memberships);
    let mut hosts = vec![SERVER.to_owned()];
    for membership in memberships {
        let further = lines.values().filter(|(host, _)| *host == membership.host).map(|(_, line)| line);
        for line in std::iter::once(&membership.host).chain(further) {
            if !hosts.contains(line) {
                hosts.push(line.clone());
            }
        }
    }
    let line = |address| match lines.get(&address) {
        Some((_, line)) => Some(line.clone()),
        None => host(address).filter(|host| hosts.contains(host)),
    };
    let messages = recording.messages(line);
    let marks = server_log.lines().filter_map(|line| mark(begin, line, memberships, &lines)).collect();
    let shades = shades.iter().filter(|shade| hosts.contains(&shade.between.1)).cloned().collect();
    Timeline { hosts, messages, shades, marks }
}

/// The connections with lines of their own, by their addresses: those in which a session went on, each with its
/// host.
type Lines = BTreeMap<SocketAddr, (String, String)>;

fn lines(memberships: &[Membership]) -> Lines {
    let mut lines = Lines::new();
    for Membership { host, session, .. } in memberships {
        let dialled = session.iter().flat_map(|session| session.dialled.all()).skip(1);
        for (number, address) in (2..).zip(dialled) {
            let line = if number == 2 { format!("{host} again") } else { format!("{host} again ({number})") };
            lines.insert(address, (host.clone(), line));
        }
    }
    lines
}

/// The mark for a line of the log, on the host that it is about.
fn mark(begin: DateTime, line: &str, memberships: &[Membership], lines: &Lines) -> Option<Mark> {
    let (time, event) = line.split_once(" - ")?;
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S,%3f", time).expect("a time of the log");
    let at = Duration::try_from(begin.until(time).ok()?).ok()?;
    if event == "INFO - Server started" {
        let kind = if at.is_zero() { MarkKind::Other } else { MarkKind::Restart };
        return Some(Mark { host: SERVER.to_owned(), at, kind, label: "Server started".to_owned() });
    }
    if event == "INFO - Server stopped" {
        let (kind, label) = (MarkKind::Other, "Server stopped".to_owned());
        return Some(Mark { host: SERVER.to_owned(), at, kind, label });
    }
    let on = |wanted: &dyn Fn(&Membership) -> bool| {
        memberships
            .iter()
            .rev()
            .find(|membership| wanted(membership))
            .map(|membership| membership.host.clone())
    };
    let named = |nickname: &String| {
        on(&|membership| membership.nicknames.last() == Some(nickname) && membership.since <= at)
    };
    match LogEvent::parse(event) {
        LogEvent::Joined { nickname, from } => Some(Mark {
            host: on(&|membership| membership.from == from)?,
            at,
            kind: MarkKind::Join,
            label: format!("{nickname} joins"),
        }),
        LogEvent::Left { nickname, reason } => Some(Mark {
            host: named(&nickname)?,
            at,
            kind: if reason.is_empty() { MarkKind::Leave } else { MarkKind::Eviction },
            label: if reason.is_empty() {
                format!("{nickname} leaves")
            } else {
                format!("{nickname}: {reason}")
            },
        }),
        LogEvent::LostConnection { nickname } => Some(Mark {
            host: named(&nickname)?,
            at,
            kind: MarkKind::Eviction,
            label: "connection lost".to_owned(),
        }),
        LogEvent::Reconnected { nickname, from } => Some(Mark {
            host: match lines.get(&from) {
                Some((_, line)) => line.clone(),
                None => on(&|membership| membership.from == from)?,
            },
            at,
            kind: MarkKind::Join,
            label: format!("{nickname} goes on"),
        }),
        _ => None,
    }
}
