//! Lines broken into rows, so that the terminal never breaks them.
//!
//! A terminal that wraps a long line begins the next row at its first column, where otherwise only
//! nicknames are: blanks up to the edge, followed by `Boss: I quit`, would look like a line of another
//! member. So the rows are made here, and every row but a line's first is indented.

use anstyle::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::style::Painted;

/// How far continuation rows are indented, where there is room for it.
const INDENT_COLUMNS: usize = 4;

/// On a narrow terminal the indentation takes no more than one column of this many.
const COLUMNS_AN_INDENT: usize = 8;

/// Narrower terminals are treated as if they were this wide: their rows are cut at the edge, not
/// wrapped ([`Screen`](super::screen::Screen) sees to that), so the rule holds there too.
pub(super) const LEAST_COLUMNS: usize = 6;

/// A cluster that may take more columns is treated as its separate parts.
const CLUSTER_COLUMNS: usize = 4;

/// Asks for the emoji form of the character before it, which takes a column more.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// The grapheme clusters of a text, each with how many columns it takes at most.
///
/// Terminals do not agree about emoji that are joined of several: some show one of two columns, others
/// all its parts. Taking the larger, a row may end early, but never runs over the edge.
pub(super) fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.graphemes(true).flat_map(|cluster| {
        let columns = most_columns(cluster);
        let parts = if columns > CLUSTER_COLUMNS { cluster } else { "" };
        let whole = (columns <= CLUSTER_COLUMNS).then_some((cluster, columns));
        let part = |(at, character): (usize, char)| {
            let part = &parts[at..at + character.len_utf8()];
            (part, most_columns(part))
        };
        whole.into_iter().chain(parts.char_indices().map(part))
    })
}

fn most_columns(text: &str) -> usize {
    let parts = text.chars().map(|character| match character {
        EMOJI_PRESENTATION => 1,
        _ => character.width().unwrap_or(0),
    });
    text.width().max(parts.sum())
}

/// Breaks a line into rows of at most `columns`, preferably between words. Blanks at a break are
/// swallowed; continuation rows begin with the indentation and then with something that is not blank.
pub(super) fn wrap(line: &Painted, columns: usize) -> Vec<Painted> {
    let columns = columns.max(LEAST_COLUMNS);
    let mut rows =
        Rows { columns, indent: indent(columns), done: Vec::new(), row: Painted::default(), used: 0 };
    let clusters: Vec<Cluster<'_>> = painted_clusters(line).collect();
    let mut runs = clusters.chunk_by(Cluster::joins).peekable();
    while let Some(run) = runs.next() {
        if run[0].is_blank {
            rows.blanks(run, runs.peek().map_or(0, |word| width(word)));
        } else {
            rows.word(run);
        }
    }
    rows.done.push(rows.row);
    rows.done
}

fn indent(columns: usize) -> usize {
    (columns / COLUMNS_AN_INDENT).clamp(1, INDENT_COLUMNS)
}

#[derive(Clone, Copy)]
struct Cluster<'a> {
    style: Style,
    text: &'a str,
    columns: usize,
    is_blank: bool,
}

impl Cluster<'_> {
    /// Whether no row ends between them if that can be avoided. Chinese and Japanese know no blanks, and
    /// are broken after any character.
    fn joins(&self, next: &Self) -> bool {
        self.is_blank == next.is_blank && (self.is_blank || self.columns < 2 && next.columns < 2)
    }
}

fn width(run: &[Cluster<'_>]) -> usize {
    run.iter().map(|cluster| cluster.columns).sum()
}

fn painted_clusters(line: &Painted) -> impl Iterator<Item = Cluster<'_>> {
    line.0.iter().flat_map(|(style, text)| {
        clusters(text).map(|(text, columns)| Cluster {
            style: *style,
            text,
            columns,
            is_blank: text.chars().all(char::is_whitespace),
        })
    })
}

struct Rows {
    columns: usize,
    indent: usize,
    done: Vec<Painted>,
    row: Painted,
    used: usize,
}

impl Rows {
    /// Blanks, and how wide the word after them is.
    fn blanks(&mut self, blanks: &[Cluster<'_>], word: usize) {
        // A word that no row can hold is broken anyway, so it begins where it is.
        let needed = if self.is_too_long(word) { 1 } else { word };
        if self.used + width(blanks) + needed <= self.columns {
            for &blank in blanks {
                self.put(blank);
            }
        } else if word > 0 {
            self.begin_row();
        }
    }

    fn word(&mut self, word: &[Cluster<'_>]) {
        let width = width(word);
        if self.used + width > self.columns && !self.is_too_long(width) {
            self.begin_row();
        }
        for &cluster in word {
            if self.used + cluster.columns > self.columns {
                self.begin_row();
            }
            self.put(cluster);
        }
    }

    fn is_too_long(&self, word: usize) -> bool {
        word > self.columns - self.indent
    }

    fn put(&mut self, cluster: Cluster<'_>) {
        self.row.push(cluster.style, cluster.text);
        self.used += cluster.columns;
    }

    fn begin_row(&mut self) {
        self.done.push(std::mem::take(&mut self.row));
        self.row.push(Style::new(), &" ".repeat(self.indent));
        self.used = self.indent;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(line: &str, columns: usize) -> Vec<String> {
        wrap(&Painted::plain(line), columns).iter().map(Painted::encode).collect()
    }

    #[test]
    fn blanks_cannot_push_a_text_to_the_start_of_a_row() {
        let forged = format!("Alex: hi{}Boss: I quit", " ".repeat(73));
        assert_eq!(rows(&forged, 80), ["Alex: hi", "    Boss: I quit"]);
        assert_eq!(rows(&forged, 20), ["Alex: hi", "  Boss: I quit"]);
        assert_eq!(rows(&forged, 1), ["Alex:", " hi", " Boss:", " I", " quit"]);
    }

    #[test]
    fn words_stay_whole_where_a_row_can_hold_them() {
        assert_eq!(rows("Alex: one two three", 16), ["Alex: one two", "  three"]);
        assert_eq!(rows("Alex: abcdefghijklmnopqrstu", 16), ["Alex: abcdefghij", "  klmnopqrstu"]);
        assert_eq!(rows("", 16), [""]);
    }

    #[test]
    fn a_wide_character_is_not_cut_in_two() {
        assert_eq!(rows("Alex: 漢字漢字漢字", 11), ["Alex: 漢字", " 漢字漢字"]);
        assert_eq!(rows("Alex: 漢字hello", 11), ["Alex: 漢字", " hello"]);
        // A terminal that shows the parts of the family uses four columns for them.
        assert_eq!(rows("Alex: 👩\u{200d}👧 yes", 11), ["Alex: 👩\u{200d}👧", " yes"]);
    }

    #[test]
    fn a_style_goes_on_in_the_next_row() {
        let bold = Style::new().bold();
        let line = Painted(vec![(bold, "Alex:".to_owned()), (Style::new(), " one two".to_owned())]);
        let rows = wrap(&line, 9);
        assert_eq!(rows[0].0, [(bold, "Alex:".to_owned()), (Style::new(), " one".to_owned())]);
        assert_eq!(rows[1].0, [(Style::new(), " two".to_owned())]);
    }

    proptest! {
        #[test]
        fn every_row_fits_and_only_the_first_begins_at_the_edge(
            line in "[a-c:漢é\u{301}👩\u{200d}👧\u{fe0f}❤\u{1100}\u{3000} ]{0,200}",
            columns in 0_usize..90,
        ) {
            let rows = rows(&line, columns);
            let columns = columns.max(LEAST_COLUMNS);
            for row in &rows {
                let width = most_columns(row);
                prop_assert!(width <= columns, "{row:?} has {width} of {columns} columns");
            }
            for row in &rows[1..] {
                let (blanks, text) = row.split_at(indent(columns));
                prop_assert!(blanks.trim().is_empty(), "{row:?} begins at the edge");
                let first = text.graphemes(true).next().expect("a row is not empty");
                prop_assert!(!first.trim().is_empty(), "blanks have reached the start of {row:?}");
            }
            let text = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(text(&rows.concat()), text(&line), "nothing but blanks is lost");
        }
    }
}
