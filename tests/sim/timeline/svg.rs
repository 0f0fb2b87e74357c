//! The picture as an SVG. All its coordinates are integers, so that rounding cannot differ between machines.

use std::fmt::{self, Write as _};

use super::rows::{Row, What, rows, shaded};
use super::{Mark, MarkKind, Message, Shade, ShadeKind, Timeline, clock, fitted, lapse};

/// Where the column of times ends.
const TIMES: i32 = 84;
/// Where the hosts' lines begin.
const TOP: i32 = 52;
/// The margins outside of the outermost hosts' lines.
const MARGIN: i32 = 84;
/// The distance from one row to the next.
const STEP: i32 = 28;
/// How much lower an arrow ends than it begins, if it ends in its own row.
const SLANT: i32 = 8;
/// The maximum width of nearly all characters.
const CHARACTER: i32 = 7;
const LONGEST_LABEL: usize = 40;

const STYLE: &str = include_str!("style.css");

/// Shapes that are defined once: the heads of the arrows, and the cross at the end of a lost message.
const SHAPES: &str = concat!(
    r#"<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" "#,
    r#"markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker>"#,
    "\n",
    r#"<marker id="late-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" "#,
    r#"markerUnits="userSpaceOnUse" orient="auto"><path class="late-head" d="M0 0 8 4 0 8z"/></marker>"#,
    "\n",
    r#"<path id="cross" class="lost" d="M-5-5 5 5M5-5-5 5"/>"#,
    "\n",
);

pub fn draw(timeline: &Timeline) -> String {
    let mut svg = String::new();
    Drawing::new(timeline).draw(&mut svg).expect("a string takes everything");
    svg
}

struct Drawing<'a> {
    timeline: &'a Timeline,
    rows: Vec<Row<'a>>,
    /// The distance between two hosts.
    spacing: i32,
    width: i32,
    /// Where the hosts' lines end.
    bottom: i32,
}

impl<'a> Drawing<'a> {
    fn new(timeline: &'a Timeline) -> Self {
        let rows = rows(timeline);
        let gaps = whole(timeline.hosts.len().saturating_sub(1).max(1));
        let spacing = (1100 / gaps).clamp(180, 320);
        let bottom = TOP + STEP * (whole(rows.len()) + 1);
        Self { timeline, rows, spacing, width: TIMES + gaps * spacing + 2 * MARGIN, bottom }
    }

    /// Labels are drawn last, so that no line goes through one.
    fn draw(&self, svg: &mut String) -> fmt::Result {
        self.head(svg)?;
        self.bands(svg)?;
        self.hosts(svg)?;
        self.arrows(svg)?;
        self.times(svg)?;
        self.labels(svg)?;
        writeln!(svg, "</svg>")
    }

    fn x(&self, host: &str) -> i32 {
        TIMES + MARGIN + self.spacing * whole(self.timeline.position(host))
    }

    fn head(&self, svg: &mut String) -> fmt::Result {
        let (width, height) = (self.width, self.bottom + TOP);
        let title = fitted(&format!("What passed between {}", self.timeline.hosts.join(", ")), 200);
        write!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" "#)?;
        writeln!(svg, r#"viewBox="0 0 {width} {height}" role="img">"#)?;
        writeln!(svg, "<title>{}</title>\n<style>\n{STYLE}</style>", escaped(&title))?;
        writeln!(svg, "<defs>\n{SHAPES}{}\n</defs>", self.host_line()?)?;
        writeln!(svg, r#"<rect class="page" width="{width}" height="{height}"/>"#)
    }

    /// The shape of every host's line: dotted where time passes and nothing happens.
    fn host_line(&self) -> Result<String, fmt::Error> {
        let (mut solid, mut dotted) = (format!("M0 {TOP}"), String::new());
        for (index, _) in self.rows.iter().enumerate().filter(|(_, row)| row.what.is_silent()) {
            let begin = y(index) - STEP / 2;
            write!(solid, "V{begin}m0 {STEP}")?;
            write!(dotted, "M0 {begin}v{STEP}")?;
        }
        let solid = format!(r#"<path class="host" d="{solid}V{}"/>"#, self.bottom);
        Ok(format!(r#"<g id="host">{solid}<path class="host silent" d="{dotted}"/></g>"#))
    }

    fn bands(&self, svg: &mut String) -> fmt::Result {
        for shade in &self.timeline.shades {
            let rows = shaded(&self.rows, shade);
            let (one, other) = (self.x(&shade.between.0), self.x(&shade.between.1));
            let margin = if one == other { 10 } else { 0 };
            let (x, width) = (one.min(other) - margin, (one - other).abs() + 2 * margin);
            let begin = y(rows.start) - STEP / 2;
            let end = if rows.end == self.rows.len() { self.bottom } else { y(rows.end) - STEP / 2 };
            let (class, height) = (shade_class(shade.kind), end - begin);
            writeln!(
                svg,
                r#"<rect class="{class}" x="{x}" y="{begin}" width="{width}" height="{height}"/>"#
            )?;
        }
        Ok(())
    }

    /// The hosts' lines, with the names at both ends: the picture may be higher than a screen.
    fn hosts(&self, svg: &mut String) -> fmt::Result {
        for host in &self.timeline.hosts {
            let (x, name) = (self.x(host), fitted(host, 16));
            let width = whole(name.chars().count()) * 8 + 28;
            writeln!(svg, "<use href=\"#host\" x=\"{x}\"/>")?;
            for middle in [TOP - 18, self.bottom + 18] {
                let (left, top, baseline, name) = (x - width / 2, middle - 14, middle + 4, escaped(&name));
                writeln!(
                    svg,
                    r#"<rect class="name" x="{left}" y="{top}" width="{width}" height="28" rx="8"/>"#
                )?;
                writeln!(svg, "<text class=\"name middle\" x=\"{x}\" y=\"{baseline}\">{name}</text>")?;
            }
        }
        Ok(())
    }

    fn arrows(&self, svg: &mut String) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            let begin = y(index);
            match row.what {
                What::Arrow(message) => self.arrow(svg, message, begin, begin + SLANT)?,
                What::Late(message) => self.arrow(svg, message, begin, y(self.arrival(message)))?,
                What::Lost(message) => {
                    let (from, to) = (self.x(&message.from), self.x(&message.to));
                    let (x, y) = (i32::midpoint(from, to), begin + SLANT / 2);
                    writeln!(svg, r#"<path class="lost" d="M{from} {begin}L{x} {y}"/>"#)?;
                    writeln!(svg, "<use href=\"#cross\" x=\"{x}\" y=\"{y}\"/>")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The row in which a late message arrives.
    fn arrival(&self, late: &Message) -> usize {
        let arrives =
            |row: &Row<'_>| matches!(row.what, What::Arrival(message) if std::ptr::eq(message, late));
        self.rows.iter().position(arrives).expect("a late message arrives")
    }

    fn arrow(&self, svg: &mut String, message: &Message, begin: i32, end: i32) -> fmt::Result {
        let (from, to) = (self.x(&message.from), self.x(&message.to));
        let (class, head) = if end - begin > SLANT { ("late", "late-head") } else { ("arrow", "head") };
        let path = match (to - from).signum() {
            // A host that writes to itself.
            0 => format!("M{from} {begin}h18V{end}H{}", to + 2),
            // The head touches the line without covering it.
            direction => format!("M{from} {begin}L{} {end}", to - 2 * direction),
        };
        writeln!(svg, "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#{head})\"/>")
    }

    fn times(&self, svg: &mut String) -> fmt::Result {
        let mut last_time = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let place = (TIMES - 12, y(index) + 4);
            match row.what {
                What::LeftOut(_) => {}
                What::Silence(duration) => label(svg, "silence end", place, &lapse(duration), LONGEST_LABEL)?,
                _ if clock(row.at) == last_time => {}
                _ => {
                    last_time = clock(row.at);
                    label(svg, "time end", place, &last_time, LONGEST_LABEL)?;
                }
            }
        }
        Ok(())
    }

    fn labels(&self, svg: &mut String) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            let y = y(index);
            match row.what {
                What::Mark(mark) => self.mark(svg, mark, y)?,
                What::ShadeBegins(shade) => self.shade_label(svg, shade, &shade.words_at_begin(), y + 4)?,
                What::ShadeEnds(shade) => self.shade_label(svg, shade, shade.words_at_end(), y + 4)?,
                What::Arrow(message) => self.arrow_label(svg, message, y)?,
                What::Lost(message) => self.label_at_begin(svg, "lost-label", message, y)?,
                What::Late(message) => self.label_at_begin(svg, "late-label", message, y)?,
                What::LeftOut(count) => {
                    let middle = TIMES + (self.width - TIMES) / 2;
                    let words = if count == 1 { "message" } else { "messages" };
                    let words = format!("{count} {words} left out");
                    label(svg, "silence middle", (middle, y + 4), &words, LONGEST_LABEL)?;
                }
                What::Arrival(_) | What::Silence(_) => {}
            }
        }
        Ok(())
    }

    /// Puts a label above the middle of an arrow.
    fn arrow_label(&self, svg: &mut String, message: &Message, y: i32) -> fmt::Result {
        let (from, to) = (self.x(&message.from), self.x(&message.to));
        if from == to {
            return self.next_to(svg, "label", &message.from, (24, y + SLANT), &message.label);
        }
        let room = fitting((from - to).abs() - 24);
        label(svg, "label middle", (i32::midpoint(from, to), y - 2), &message.label, room)
    }

    /// Puts a label above the beginning of an arrow that does not end in this row.
    fn label_at_begin(&self, svg: &mut String, class: &str, message: &Message, y: i32) -> fmt::Result {
        let (from, to) = (self.x(&message.from), self.x(&message.to));
        let (x, anchor) = if to < from { (from - 12, " end") } else { (from + 12, "") };
        let room = fitting((from - to).abs().max(self.spacing) - 24);
        label(svg, &format!("{class}{anchor}"), (x, y - 4), &message.label, room)
    }

    fn shade_label(&self, svg: &mut String, shade: &Shade, words: &str, y: i32) -> fmt::Result {
        let (one, other) = (self.x(&shade.between.0), self.x(&shade.between.1));
        let class = format!("{}-label", shade_class(shade.kind));
        if one == other {
            self.next_to(svg, &class, &shade.between.0, (20, y), words)
        } else {
            let room = fitting((one - other).abs() - 24);
            label(svg, &format!("{class} middle"), (i32::midpoint(one, other), y), words, room)
        }
    }

    fn mark(&self, svg: &mut String, mark: &Mark, y: i32) -> fmt::Result {
        let (x, class) = (self.x(&mark.host), mark_class(mark.kind));
        writeln!(svg, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"6\"/>")?;
        self.next_to(svg, &format!("{class}-label"), &mark.host, (16, y + 4), mark.words())
    }

    /// Puts words next to a host's line: to the right, except for the last host, which has no room there.
    fn next_to(
        &self,
        svg: &mut String,
        class: &str,
        host: &str,
        (distance, y): (i32, i32),
        words: &str,
    ) -> fmt::Result {
        let x = self.x(host);
        let is_last =
            self.timeline.hosts.len() > 1 && self.timeline.hosts.last().is_some_and(|last| last == host);
        if is_last {
            label(svg, &format!("{class} end"), (x - distance, y), words, fitting(x - TIMES))
        } else {
            label(svg, class, (x + distance, y), words, fitting(self.width - x - distance))
        }
    }
}

fn label(svg: &mut String, class: &str, (x, y): (i32, i32), text: &str, room: usize) -> fmt::Result {
    let text = fitted(text, room);
    if !text.is_empty() {
        writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(&text))?;
    }
    Ok(())
}

/// How many characters fit into a width.
fn fitting(width: i32) -> usize {
    usize::try_from(width / CHARACTER).unwrap_or(0).min(LONGEST_LABEL)
}

fn shade_class(kind: ShadeKind) -> &'static str {
    match kind {
        ShadeKind::Partition | ShadeKind::OneWayPartition => "partition",
        ShadeKind::Hold => "hold",
        ShadeKind::Crash | ShadeKind::Disk(_) => "down",
    }
}

fn mark_class(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Join => "join",
        MarkKind::Leave => "leave",
        MarkKind::Eviction => "eviction",
        MarkKind::Crash => "crash",
        MarkKind::Restart => "restart",
        MarkKind::Other => "other",
    }
}

/// The middle of a row.
fn y(row: usize) -> i32 {
    TOP + STEP * (whole(row) + 1)
}

fn whole(number: usize) -> i32 {
    i32::try_from(number).expect("a picture is not so large")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
