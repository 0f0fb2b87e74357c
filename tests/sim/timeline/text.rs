//! The picture for a terminal.

use super::rows::{Row, What, rows, shaded};
use super::{Mark, MarkKind, Message, Shade, Timeline, clock, fitted, lapse};

/// The column of times at the left.
const TIMES: usize = 12;

/// The margins outside of the outermost hosts' lines, for half a name.
const MARGIN: usize = 7;

/// The least distance between two hosts.
const NARROWEST: usize = 14;

/// A longer label next to a mark would hide too many of the other hosts' lines.
const LONGEST_LABEL: usize = 40;

pub fn draw(timeline: &Timeline, width: usize) -> String {
    let rows = rows(timeline);
    let page = Page::new(timeline, width);
    let mut picture = page.header();
    let mut last_time = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = page.blank_line(if row.what.is_silent() { '┊' } else { '│' });
        for shade in timeline.shades.iter().filter(|shade| shaded(&rows, shade).contains(&index)) {
            page.shade(&mut line, shade);
        }
        let time = clock(row.at);
        if !row.what.is_silent() && time != last_time {
            line.put_before(TIMES, &time);
            last_time = time;
        }
        page.row(&mut line, row);
        picture.push_str(&line.finish());
    }
    picture
}

/// The layout of the picture.
struct Page<'a> {
    timeline: &'a Timeline,
    columns: Vec<usize>,
    width: usize,
}

impl<'a> Page<'a> {
    fn new(timeline: &'a Timeline, width: usize) -> Self {
        let hosts = timeline.hosts.len();
        let gaps = hosts.saturating_sub(1).max(1);
        let spacing = (width.saturating_sub(TIMES + 2 * MARGIN) / gaps).max(NARROWEST);
        let columns = (0..hosts).map(|host| TIMES + MARGIN + host * spacing).collect();
        Self { timeline, columns, width: TIMES + 2 * MARGIN + gaps * spacing }
    }

    fn column(&self, host: &str) -> usize {
        self.columns[self.timeline.position(host)]
    }

    fn header(&self) -> String {
        let mut names = Line::blank(self.width);
        for (host, &column) in self.timeline.hosts.iter().zip(&self.columns) {
            let name = fitted(host, NARROWEST - 2);
            names.put(column - name.chars().count() / 2, &name);
        }
        names.finish() + &self.blank_line('┬').finish()
    }

    fn blank_line(&self, host: char) -> Line {
        let mut line = Line::blank(self.width);
        for &column in &self.columns {
            line.0[column] = host;
        }
        line
    }

    fn shade(&self, line: &mut Line, shade: &Shade) {
        let (one, other) = (self.column(&shade.between.0), self.column(&shade.between.1));
        let covered = if one == other { one - 2..one + 3 } else { one.min(other)..one.max(other) };
        for character in line.0[covered].iter_mut().filter(|character| **character == ' ') {
            *character = '░';
        }
    }

    fn row(&self, line: &mut Line, row: &Row<'_>) {
        match row.what {
            What::ShadeBegins(shade) => self.shade_label(line, shade, &shade.words_at_begin()),
            What::ShadeEnds(shade) => self.shade_label(line, shade, shade.words_at_end()),
            What::Mark(mark) => self.mark(line, mark),
            What::Silence(duration) => line.put_before(TIMES, &format!("⋮ {}", lapse(duration))),
            What::LeftOut(1) => line.put_centred(0, self.width, "1 message left out"),
            What::LeftOut(count) => line.put_centred(0, self.width, &format!("{count} messages left out")),
            What::Arrow(message) | What::Late(message) | What::Arrival(message) | What::Lost(message) => {
                self.message(line, message, row.what);
            }
        }
    }

    fn shade_label(&self, line: &mut Line, shade: &Shade, words: &str) {
        let (one, other) = (self.column(&shade.between.0), self.column(&shade.between.1));
        if one == other {
            self.next_to(line, &shade.between.0, words);
        } else {
            line.put_centred(one.min(other), one.max(other), words);
        }
    }

    fn mark(&self, line: &mut Line, mark: &Mark) {
        line.0[self.column(&mark.host)] = match mark.kind {
            MarkKind::Join => '●',
            MarkKind::Leave => '○',
            MarkKind::Eviction => '✗',
            MarkKind::Crash => '▼',
            MarkKind::Restart => '▲',
            MarkKind::Other => '◆',
        };
        self.next_to(line, &mark.host, mark.words());
    }

    /// Puts words next to a host's line: to the right, except for the last host, which has no room there.
    fn next_to(&self, line: &mut Line, host: &str, words: &str) {
        let column = self.column(host);
        if column > self.columns[0] && Some(&column) == self.columns.last() {
            let words = fitted(words, LONGEST_LABEL.min(column - TIMES - 2));
            line.put_before(column - 1, &format!(" {words}"));
        } else {
            let words = fitted(words, LONGEST_LABEL.min(self.width - column - 2));
            line.put(column + 1, &format!(" {words} "));
        }
    }

    fn message(&self, line: &mut Line, message: &Message, what: What<'_>) {
        let (from, to) = (self.column(&message.from), self.column(&message.to));
        if from == to {
            return self.next_to(line, &message.from, &format!("↺ {}", message.label));
        }
        match what {
            What::Late(_) => {
                let end = between(from, to, 3);
                self.stroke(line, (from, end), '╌', &message.label);
                line.0[end] = '…';
            }
            What::Arrival(_) => {
                let begin = between(from, to, 1);
                self.stroke(line, (begin, to), '╌', &message.label);
                line.0[begin] = '…';
                line.put_head(begin, to);
            }
            What::Lost(_) => {
                let end = between(from, to, 3);
                self.stroke(line, (from, end), '─', &message.label);
                line.0[end] = '╳';
            }
            _ => {
                self.stroke(line, (from, to), '─', &message.label);
                line.put_head(from, to);
            }
        }
    }

    /// A horizontal line with a label, and with junctions where it meets the hosts' lines.
    fn stroke(&self, line: &mut Line, (begin, end): (usize, usize), fill: char, label: &str) {
        let (left, right) = (begin.min(end), begin.max(end));
        line.0[left..=right].fill(fill);
        for &column in &self.columns {
            match column {
                _ if column == left => line.0[column] = '├',
                _ if column == right => line.0[column] = '┤',
                _ if (left..right).contains(&column) => line.0[column] = '┼',
                _ => {}
            }
        }
        line.put_centred(left, right, label);
    }
}

struct Line(Vec<char>);

impl Line {
    fn blank(width: usize) -> Self {
        Self(vec![' '; width])
    }

    fn put(&mut self, begin: usize, text: &str) {
        for (place, character) in self.0.iter_mut().skip(begin).zip(text.chars()) {
            *place = character;
        }
    }

    /// Puts a text so that it ends before a column.
    fn put_before(&mut self, end: usize, text: &str) {
        self.put(end.saturating_sub(text.chars().count()), text);
    }

    /// Puts a text into the middle between two columns, with room for an arrow's head at either side.
    fn put_centred(&mut self, left: usize, right: usize, text: &str) {
        let text = fitted(text, (right - left).saturating_sub(7));
        if !text.is_empty() {
            let begin = (left + right - text.chars().count()) / 2;
            self.put(begin, &format!(" {text} "));
        }
    }

    fn put_head(&mut self, from: usize, to: usize) {
        if from < to {
            self.0[to - 1] = '►';
        } else {
            self.0[to + 1] = '◄';
        }
    }

    fn finish(self) -> String {
        let line: String = self.0.into_iter().collect();
        line.trim_end().to_owned() + "\n"
    }
}

/// The place this many quarters of the way from one column to another.
fn between(from: usize, to: usize, quarters: usize) -> usize {
    (from * (4 - quarters) + to * quarters) / 4
}
