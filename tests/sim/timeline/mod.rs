//! A sequence diagram of a run: one vertical line for each host, time downwards, an arrow for each message.
//!
//! Nothing in here knows the simulation: a [`Timeline`] is plain data, and the same data gives the same
//! picture to the byte, so that a picture can be kept in the repository and compared.

mod rows;
mod svg;
mod text;

mod tests;

use std::time::Duration;

/// Everything that a picture shows. All times are since the beginning of the world.
///
/// Messages, shades and marks name only hosts in `hosts`.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The hosts, from left to right.
    pub hosts: Vec<String>,
    pub messages: Vec<Message>,
    pub shades: Vec<Shade>,
    pub marks: Vec<Mark>,
}

impl Timeline {
    /// The picture for a terminal of `width` columns, or wider if the hosts do not fit into that.
    pub fn to_text(&self, width: usize) -> String {
        text::draw(self, width)
    }

    /// The picture as a standalone SVG, for light and dark pages.
    pub fn to_svg(&self) -> String {
        svg::draw(self)
    }

    /// The index of the host's vertical line.
    fn position(&self, host: &str) -> usize {
        let position = self.hosts.iter().position(|known| known == host);
        position.unwrap_or_else(|| panic!("{host:?} is none of the timeline's hosts"))
    }
}

/// The bytes of one write to another host.
#[derive(Clone, Debug)]
pub struct Message {
    pub from: String,
    pub to: String,
    pub sent: Duration,
    /// `None` if it was lost.
    pub delivered: Option<Duration>,
    pub label: String,
}

/// The link between two hosts did not work for a while, or a host did not.
#[derive(Clone, Debug)]
pub struct Shade {
    /// The same host twice if the host itself did not work.
    pub between: (String, String),
    pub begin: Duration,
    /// `None` if it lasts to the end.
    pub end: Option<Duration>,
    pub kind: ShadeKind,
}

impl Shade {
    fn words_at_begin(&self) -> String {
        match self.kind {
            ShadeKind::Partition => "partition".to_owned(),
            ShadeKind::OneWayPartition => format!("partition {} ↛ {}", self.between.0, self.between.1),
            ShadeKind::Hold => "hold".to_owned(),
            ShadeKind::Crash => "down".to_owned(),
            ShadeKind::Disk(how) => how.to_owned(),
        }
    }

    fn words_at_end(&self) -> &'static str {
        match self.kind {
            ShadeKind::Partition | ShadeKind::OneWayPartition => "repaired",
            ShadeKind::Hold => "released",
            ShadeKind::Crash => "up",
            ShadeKind::Disk(_) => "the disk works again",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadeKind {
    Partition,
    /// Nothing from the first host reaches the second.
    OneWayPartition,
    Hold,
    Crash,
    /// The disk of a host did not work, in this way.
    Disk(&'static str),
}

/// Something happened on a host.
#[derive(Clone, Debug)]
pub struct Mark {
    pub host: String,
    pub at: Duration,
    pub kind: MarkKind,
    /// The text next to the mark. If it is empty, the kind is shown.
    pub label: String,
}

impl Mark {
    fn words(&self) -> &str {
        match self.kind {
            _ if !self.label.is_empty() => &self.label,
            MarkKind::Join => "joins",
            MarkKind::Leave => "leaves",
            MarkKind::Eviction => "evicted",
            MarkKind::Crash => "crashes",
            MarkKind::Restart => "restarts",
            MarkKind::Other => "",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    Join,
    Leave,
    Eviction,
    Crash,
    Restart,
    Other,
}

/// A time as a picture shows it: minutes, seconds and milliseconds.
fn clock(at: Duration) -> String {
    format!("{:02}:{:02}.{:03}", at.as_secs() / 60, at.as_secs() % 60, at.subsec_millis())
}

/// A duration, rounded to the precision that matters.
fn lapse(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds @ 1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A label of at most `room` characters, without characters that would move its surroundings.
fn fitted(label: &str, room: usize) -> String {
    let visible = |character: char| match character {
        '\0'..' ' => char::from_u32(0x2400 + u32::from(character)).expect("a control picture"),
        '\x7f' => '␡',
        // Forbidden in XML, of no width, or changing the direction of the text.
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fffe}'
        | '\u{ffff}' => '\u{fffd}',
        other => other,
    };
    let label: Vec<char> = label.chars().map(visible).collect();
    if label.len() <= room {
        return label.into_iter().collect();
    }
    let kept = label.into_iter().take(room.saturating_sub(1));
    if room == 0 { String::new() } else { kept.chain(['…']).collect() }
}
