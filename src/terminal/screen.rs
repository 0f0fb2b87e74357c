//! The contents of the terminal: pure. Lines to be shown go in, bytes for the terminal come out.
//!
//! The screen only ever grows: lines that are printed scroll away like those of any program and are
//! never drawn again. Below them, at the **bottom**, are the rows of the status, if there is one, and
//! the prompt with the typed line. Only the bottom is erased and drawn anew.

use std::fmt::Write as _;

use super::line::Line;
use super::style::Painted;
use super::wrap::{LEAST_COLUMNS, clusters, wrap};

/// The size to assume for a window that does not tell its own: the traditional one.
const USUAL_SIZE: Size = Size { columns: 80, rows: 24 };

/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";
/// While rows are written the terminal does not wrap: should it think a character wider than we do,
/// the row is cut at the edge, and nothing gets to the start of the next one.
const NO_WRAP: &str = "\x1b[?7l";
pub(super) const WRAP: &str = "\x1b[?7h";

/// The size of a window, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The abilities of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminal {
    /// It understands the usual escape sequences.
    Full {
        /// When its window becomes narrower, it wraps the rows that do not fit any more.
        reflows: bool,
    },
    /// It understands a carriage return, and that is all (`TERM=dumb`).
    Dumb,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal,
    size: Size,
    prompt: String,
    status: Vec<Painted>,
    /// A dumb terminal has been told the status.
    status_said: bool,
    /// Lines that are still to be printed.
    lines: Vec<Painted>,
    drawn: Option<Drawn>,
    changed: bool,
    to_be_cleared: bool,
}

/// The bottom as it is on the terminal.
#[derive(Debug, Default)]
struct Drawn {
    /// How wide the window was then.
    columns: usize,
    /// How wide its rows are.
    rows: Vec<usize>,
    /// The row of the cursor among them, and its column.
    cursor: (usize, usize),
}

impl Screen {
    pub(super) fn new(terminal: Terminal, size: Size) -> Self {
        let mut screen = Self {
            terminal,
            size,
            prompt: String::new(),
            status: Vec::new(),
            status_said: false,
            lines: Vec::new(),
            drawn: None,
            changed: true,
            to_be_cleared: false,
        };
        screen.resize(size);
        screen
    }

    /// The window has this size now.
    pub(super) fn resize(&mut self, size: Size) {
        // A pseudo-terminal is born without one.
        self.size = if size.columns == 0 || size.rows == 0 { USUAL_SIZE } else { size };
        self.changed = true;
    }

    /// The text before the line that is typed.
    pub(super) fn set_prompt(&mut self, prompt: &str) {
        prompt.clone_into(&mut self.prompt);
        self.changed = true;
    }

    /// The rows above the prompt, until they are replaced or taken away. A small window shows the last of them.
    pub(super) fn set_status(&mut self, status: Vec<Painted>) {
        self.changed |= self.status != status;
        self.status_said &= !status.is_empty();
        self.status = status;
    }

    /// A line for the terminal's own memory. It is shown when the screen is rendered next.
    pub(super) fn print(&mut self, line: Painted) {
        self.lines.push(line);
        self.changed = true;
    }

    /// Somebody else has written to the terminal meanwhile, below the bottom.
    pub(super) fn forget_bottom(&mut self) {
        self.drawn = None;
        self.changed = true;
    }

    /// The line that is typed has changed.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Everything is to be removed from the window, but for the bottom.
    pub(super) fn clear(&mut self) {
        self.to_be_cleared = self.terminal != Terminal::Dumb;
        self.changed = true;
    }

    /// The bytes that make the terminal show all that; empty if it does already.
    pub(super) fn render(&mut self, line: &Line) -> String {
        let mut out = String::new();
        if std::mem::take(&mut self.changed) {
            self.print_lines(&mut out);
            self.draw_bottom(line, &mut out);
            self.quote(&mut out);
        }
        out
    }

    /// The same without the bottom: somebody else writes next.
    pub(super) fn give_up(&mut self) -> String {
        let mut out = String::new();
        self.print_lines(&mut out);
        self.changed = true;
        self.quote(&mut out);
        out
    }

    fn quote(&self, out: &mut String) {
        if self.terminal != Terminal::Dumb {
            out.insert_str(0, NO_WRAP);
            out.push_str(WRAP);
        }
    }

    fn print_lines(&mut self, out: &mut String) {
        self.erase_bottom(out);
        if std::mem::take(&mut self.to_be_cleared) {
            out.push_str(CLEAR_SCREEN);
        }
        for line in std::mem::take(&mut self.lines) {
            self.print_line(&line, out);
        }
    }

    fn print_line(&self, line: &Painted, out: &mut String) {
        for row in wrap(line, self.columns()) {
            out.push_str(&row.encode());
            out.push_str("\r\n");
        }
    }

    /// Some dumb terminals go on to the next row as soon as one is full.
    fn columns(&self) -> usize {
        match self.terminal {
            Terminal::Full { .. } => self.size.columns,
            Terminal::Dumb => self.size.columns - 1,
        }
    }

    fn erase_bottom(&mut self, out: &mut String) {
        let drawn = self.drawn.take().unwrap_or_default();
        match self.terminal {
            Terminal::Full { reflows } => {
                up(drawn.rows_above_cursor(self.size.columns, reflows), out);
                out.push('\r');
                out.push_str(ERASE_BELOW);
            }
            Terminal::Dumb => {
                let width = drawn.rows.first().copied().unwrap_or(0);
                let _ = write!(out, "\r{:width$}\r", "");
            }
        }
    }

    fn draw_bottom(&mut self, line: &Line, out: &mut String) {
        match self.terminal {
            Terminal::Full { .. } => self.draw_rows(line, out),
            Terminal::Dumb => self.draw_row(line, out),
        }
    }

    fn draw_rows(&mut self, line: &Line, out: &mut String) {
        let columns = self.columns();
        let mut layout = Layout::of(&self.prompt, line, columns);
        // At least half of the window is for the line that is typed.
        let status = &self.status[self.status.len().saturating_sub(self.size.rows / 2)..];
        layout.keep_rows(self.size.rows - status.len());
        let mut drawn = Drawn { columns, ..Drawn::default() };
        for status in status {
            let row = wrap(status, columns).swap_remove(0);
            out.push_str(&row.encode());
            out.push_str("\r\n");
            drawn.rows.push(row.0.iter().flat_map(|(_, text)| clusters(text)).map(|(_, width)| width).sum());
        }
        drawn.cursor = (drawn.rows.len() + layout.cursor.0, layout.cursor.1);
        drawn.rows.extend(layout.rows.iter().map(|row| row.columns));
        let texts: Vec<&str> = layout.rows.iter().map(|row| row.text.as_str()).collect();
        out.push_str(&texts.join("\r\n"));
        // The terminal knows best where the cursor is after this text; so it is written again up to there.
        up(layout.rows.len() - 1 - layout.cursor.0, out);
        out.push('\r');
        out.push_str(&layout.before_cursor);
        self.drawn = Some(drawn);
    }

    /// One row that moves with the cursor. A status is a line like any other, said once.
    fn draw_row(&mut self, line: &Line, out: &mut String) {
        if !std::mem::replace(&mut self.status_said, !self.status.is_empty()) {
            self.status.iter().for_each(|status| self.print_line(status, out));
        }
        let layout = Layout::of(&self.prompt, line, self.columns());
        let (row, _) = layout.cursor;
        out.push_str(&layout.rows[row].text);
        out.push('\r');
        out.push_str(&layout.before_cursor);
        let rows = vec![layout.rows[row].columns];
        self.drawn = Some(Drawn { rows, ..Drawn::default() });
    }
}

impl Drawn {
    /// How many rows of the terminal lie between the start of the bottom and the cursor.
    ///
    /// After the window has become narrower, terminals that reflow show a row that does not fit in as
    /// many rows as it needs, and have moved the cursor with the text.
    fn rows_above_cursor(&self, columns: usize, reflows: bool) -> usize {
        let (row, column) = self.cursor;
        if !reflows || columns >= self.columns {
            return row;
        }
        let needed = |width: usize| width.min(self.columns).div_ceil(columns).max(1);
        self.rows[..row].iter().map(|&width| needed(width)).sum::<usize>() + column / columns
    }
}

/// The prompt and the typed line in rows.
struct Layout {
    rows: Vec<Row>,
    /// The row and the column of the cursor.
    cursor: (usize, usize),
    /// The text before the cursor in its row.
    before_cursor: String,
}

#[derive(Default)]
struct Row {
    text: String,
    columns: usize,
}

impl Layout {
    fn of(prompt: &str, line: &Line, columns: usize) -> Self {
        let columns = columns.max(LEAST_COLUMNS);
        let (text, cursor) = line.shown();
        let mut layout = Self { rows: vec![Row::default()], cursor: (0, 0), before_cursor: String::new() };
        layout.push(prompt, columns);
        layout.push(&text[..cursor], columns);
        // The cursor needs a cell too.
        if layout.row().columns == columns {
            layout.rows.push(Row::default());
        }
        layout.before_cursor = layout.row().text.clone();
        layout.cursor = (layout.rows.len() - 1, layout.row().columns);
        layout.push(&text[cursor..], columns);
        layout
    }

    fn row(&mut self) -> &mut Row {
        self.rows.last_mut().expect("there is always one")
    }

    fn push(&mut self, text: &str, columns: usize) {
        for (cluster, width) in clusters(text) {
            if self.row().columns + width > columns {
                self.rows.push(Row::default());
            }
            let row = self.row();
            row.text.push_str(cluster);
            row.columns += width;
        }
    }

    /// Keeps the rows around the cursor, if the line has more rows than the window.
    fn keep_rows(&mut self, most: usize) {
        if self.rows.len() > most {
            let from = (self.cursor.0 + 1).saturating_sub(most);
            self.rows.drain(..from);
            self.rows.truncate(most);
            self.cursor.0 -= from;
        }
    }
}

fn up(rows: usize, out: &mut String) {
    if rows > 0 {
        let _ = write!(out, "\x1b[{rows}A");
    }
}

#[cfg(test)]
mod tests;
