//! The reference model: one sequential room explains what every client saw, in real time. `server.log` has no
//! part in it.

use std::collections::BTreeMap;
use std::time::Duration;

use commonroom::protocol::{Framing, Heard};

use super::private::{Whisper, numbered};
use crate::history::History;
use crate::witness::Membership;
use crate::world::SKEW;

/// What clients saw can be put into one order, in which a room makes sense, each private line has one place, and
/// a line that somebody knew of before another one was typed comes before that.
pub fn one_room_explains_everything(history: &History) -> Result<(), String> {
    let clock = Clock::of(history);
    // A room that was put back to an earlier state is another one, although both begin alike.
    let mut rooms = BTreeMap::<_, Vec<View>>::new();
    for membership in &history.memberships {
        let room = history.joining(membership).map(|(epoch, _)| epoch);
        rooms.entry(room).or_default().extend(View::of(membership));
    }
    rooms.values().try_for_each(|views| one_room_explains(views, &clock))
}

fn one_room_explains(views: &[View], clock: &Clock<'_>) -> Result<(), String> {
    let mut orders = Vec::new();
    for view in views {
        orders = put_together(orders, view.lines.clone())?;
    }
    for order in &orders {
        let mut room = Room::default();
        order.iter().try_for_each(|line| room.tell(&line.text))?;
        clock.agrees_with(order)?;
    }
    each_private_line_has_one_place(&orders, views)
}

/// A room as its lines tell of it: each nickname that was named, and whether somebody here has it.
#[derive(Default)]
struct Room(BTreeMap<String, bool>);

impl Room {
    fn tell(&mut self, line: &str) -> Result<(), String> {
        let (who, what) = line.split_once(' ').unwrap_or((line, ""));
        let here = self.0.get(who).copied();
        let wrong = || Err(format!("{line:?} makes no sense, after what was told before"));
        match (here, what.strip_prefix("is now known as ").and_then(|new| new.strip_suffix('.'))) {
            (Some(false), Some(_)) => return wrong(),
            (_, Some(new)) => {
                self.0.insert(who.to_owned(), false);
                if self.0.insert(new.to_owned(), true) == Some(true) {
                    return wrong();
                }
            }
            (Some(true), None) if what == "joined the chat!" => return wrong(),
            (Some(false), None) if what == "left the chat." => return wrong(),
            (_, None) if what == "joined the chat!" || what == "left the chat." => {
                self.0.insert(who.to_owned(), what == "joined the chat!");
            }
            _ => match who.strip_suffix(':') {
                Some(speaker) if self.0.insert(speaker.to_owned(), true) != Some(false) => {}
                _ => return wrong(),
            },
        }
        Ok(())
    }
}

/// When each text was typed, and when its sender learned that it was taken.
struct Clock<'a> {
    typed: BTreeMap<&'a str, Duration>,
    confirmed: BTreeMap<&'a str, Duration>,
}

impl<'a> Clock<'a> {
    fn of(history: &'a History) -> Self {
        let said = history.memberships.iter().flat_map(|membership| &membership.said);
        let sessions = history.memberships.iter().filter_map(|membership| membership.session.as_ref());
        let confirmed = sessions.flat_map(|session| &session.confirmed);
        Self {
            typed: said.map(|(at, text)| (text.as_str(), *at)).collect(),
            confirmed: confirmed.map(|(at, text)| (text.as_str(), *at)).collect(),
        }
    }

    fn agrees_with(&self, order: &[Line]) -> Result<(), String> {
        let mut latest = (Duration::ZERO, "");
        for line in order {
            let text = text_of(&line.text);
            if let Some(&typed) = text.and_then(|text| self.typed.get(text)) {
                latest = latest.max((typed, &line.text));
            }
            let confirmed = text.and_then(|text| self.confirmed.get(text));
            let known = line.heard.min(confirmed.copied().unwrap_or(Duration::MAX));
            if known + SKEW < latest.0 {
                return Err(format!(
                    "{:?} was known at {known:?}, and comes after {:?}, which was typed at {:?}",
                    line.text, latest.1, latest.0
                ));
            }
        }
        Ok(())
    }
}

/// A public line, and when somebody first heard it.
#[derive(Clone)]
struct Line {
    text: String,
    heard: Duration,
}

/// A stretch of the one order, as one client saw it without a gap.
#[derive(Default)]
struct View {
    lines: Vec<Line>,
    /// The texts of private lines, and after how many of the public lines each came.
    whispers: Vec<(String, usize)>,
}

impl View {
    fn of(membership: &Membership) -> Vec<Self> {
        if membership.framing == Framing::Report {
            return Vec::new();
        }
        let gaps = membership.session.iter().flat_map(|session| &session.missing);
        let gaps: Vec<usize> = gaps.map(|(index, ..)| *index).collect();
        let mut views = vec![Self::default()];
        for (index, (at, line)) in membership.heard.iter().enumerate() {
            if gaps.contains(&index) {
                views.push(Self::default());
            }
            let Some(view) = views.last_mut() else { continue };
            match (Heard::parse(line), Whisper::parse(line)) {
                (Heard::Everyone(_), _) => view.lines.push(Line { text: line.clone(), heard: *at }),
                // Where it came among lines that are missing is not known.
                (_, Some(_)) if view.lines.is_empty() => {}
                (_, Some(whisper)) => view.whispers.push((whisper.text.to_owned(), view.lines.len())),
                _ => {}
            }
        }
        views
    }
}

/// The text of a line that is told only once.
fn text_of(line: &str) -> Option<&str> {
    line.split_once(": ").map(|(_, text)| text).filter(|text| numbered(text).is_some())
}

fn places(lines: &[Line]) -> BTreeMap<&str, usize> {
    lines.iter().enumerate().filter_map(|(place, line)| Some((text_of(&line.text)?, place))).collect()
}

/// Adds a view to the orders that are known so far, and so may find that some of them are one.
fn put_together(orders: Vec<Vec<Line>>, mut view: Vec<Line>) -> Result<Vec<Vec<Line>>, String> {
    let mut rest = Vec::new();
    for order in orders {
        let known = places(&order);
        let shared = view
            .iter()
            .enumerate()
            .find_map(|(place, line)| Some((*known.get(text_of(&line.text)?)?, place)));
        match shared {
            Some((place, same)) => view = overlaid(order, place, view, same)?,
            None => rest.push(order),
        }
    }
    rest.push(view);
    Ok(rest)
}

/// Lays one order on another, so that these two places are the same.
fn overlaid(
    one: Vec<Line>,
    one_place: usize,
    other: Vec<Line>,
    other_place: usize,
) -> Result<Vec<Line>, String> {
    let (mut first, second, begin) = if one_place >= other_place {
        (one, other, one_place - other_place)
    } else {
        (other, one, other_place - one_place)
    };
    for (index, line) in second.into_iter().enumerate() {
        match first.get_mut(begin + index) {
            Some(same) if same.text == line.text => same.heard = same.heard.min(line.heard),
            Some(different) => {
                return Err(format!("one heard {:?} where another heard {:?}", different.text, line.text));
            }
            None => first.push(line),
        }
    }
    Ok(first)
}

/// Sender and addressee hear a private line after the same public line.
fn each_private_line_has_one_place(orders: &[Vec<Line>], views: &[View]) -> Result<(), String> {
    let known: Vec<_> = orders.iter().map(|order| places(order)).collect();
    let mut found = BTreeMap::new();
    for view in views {
        let placed = view.lines.iter().enumerate().find_map(|(index, line)| {
            let text = text_of(&line.text)?;
            let place = |(order, places): (usize, &BTreeMap<&str, usize>)| {
                Some((order, places.get(text)?.checked_sub(index)?))
            };
            known.iter().enumerate().find_map(place)
        });
        let Some((order, begin)) = placed else { continue };
        for (text, after) in &view.whispers {
            // Two orders that share no text may be parts of one.
            let place = begin + after;
            let found = *found.entry((order, text)).or_insert(place);
            if found != place {
                return Err(format!("{text:?} was heard in two places: {found} and {place}"));
            }
        }
    }
    Ok(())
}
