//! The person's side of the chat: the typed line and the screen.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Failure;
use super::console::{Console, Happening};
use super::key::Input;
use super::line::{Action, Line, Purpose, TYPED_BYTES};
use super::screen::Screen;
use super::style::Painter;
use crate::protocol::Framing;

/// How long to wait for the next size while a window is being resized. A drawing for one size
/// that arrives at another ends up in the wrong place, so only the last size is drawn for.
const RESIZE_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for being stopped after Ctrl-Z. A process that no shell looks after is not.
const STOP_PAUSE: Duration = Duration::from_millis(200);

/// A person's request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// This line was typed.
    Line(String),
    /// To leave. It overtakes the lines that were typed before and not looked at yet.
    Leave,
}

/// A console with a screen and a line on it.
pub(super) struct View {
    console: Console,
    screen: Screen,
    line: Line,
    painter: Painter,
    typed: VecDeque<String>,
    leaving: bool,
    /// The shell has the terminal, or has had it.
    away: bool,
    /// The window is to be drawn anew then, and nothing before that: its size is changing, or the
    /// process about to be stopped.
    redraw_at: Option<Instant>,
}

impl View {
    pub(super) fn open(framing: Framing) -> Result<Self, Failure> {
        let console = Console::open().map_err(|error| unusable(&error))?;
        let screen = Screen::new(console.kind(), Console::size());
        let painter = Painter::for_stdout(framing);
        let (line, typed) = (Line::default(), VecDeque::new());
        Ok(Self { console, screen, line, painter, typed, leaving: false, away: false, redraw_at: None })
    }

    /// Changes the purpose of the next line.
    pub(super) fn ask(&mut self, prompt: &str, purpose: Purpose) {
        self.screen.set_prompt(prompt);
        self.line.begin(purpose);
    }

    /// Shows a line from the server.
    pub(super) fn show(&mut self, line: &str) {
        self.screen.print(self.painter.line(line));
    }

    /// Says that something did not go well.
    pub(super) fn warn(&mut self, text: &str) {
        self.screen.print(self.painter.warning(text));
    }

    /// Says something by the way.
    pub(super) fn remark(&mut self, text: &str) {
        self.screen.print(self.painter.dim(text));
    }

    /// Shows these rows above the prompt for as long as they hold.
    pub(super) fn set_status(&mut self, rows: &[String]) {
        self.screen.set_status(rows.iter().map(|text| self.painter.dim(text)).collect());
    }

    /// The person's next request. Pending lines are shown before the wait begins, all of them in one
    /// write. Can be cancelled without losing anything.
    pub(super) async fn typed(&mut self) -> Result<Typed, Failure> {
        loop {
            if self.leaving {
                return Ok(Typed::Leave);
            }
            if let Some(line) = self.typed.pop_front() {
                return Ok(Typed::Line(line));
            }
            let now = Instant::now();
            let draw_at = self.redraw_at.unwrap_or(now);
            if draw_at <= now {
                self.draw()?;
            }
            let happening = tokio::select! {
                biased;
                happening = self.console.next() => happening.map_err(|error| unusable(&error))?,
                () = sleep_until(draw_at), if self.redraw_at.is_some() => continue,
            };
            match happening {
                Happening::Input(input) => self.take(input)?,
                Happening::End => self.leaving = true,
                #[cfg(unix)]
                Happening::Continued => {
                    self.away = true;
                    self.redraw_at = Some(Instant::now());
                }
            }
        }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.away) {
            self.console.enter_again().map_err(|error| unusable(&error))?;
            self.screen.forget_bottom();
        }
        if self.redraw_at.take().is_some() {
            self.screen.resize(Console::size());
        }
        let text = self.screen.render(&self.line);
        Console::write(&text).map_err(|error| unusable(&error))
    }

    /// Takes an input, and all others that are there already: a paste is drawn once, not once a key.
    fn take(&mut self, input: Input) -> Result<(), Failure> {
        let mut next = Some(Ok(input));
        while let Some(input) = next {
            match input.map_err(|error| unusable(&error))? {
                Input::Resized => self.redraw_at = Some(Instant::now() + RESIZE_PAUSE),
                Input::Paste(text) => {
                    for action in self.line.paste(&text) {
                        self.act(action)?;
                    }
                }
                Input::Key(key) => {
                    if let Some(action) = self.line.key(key) {
                        self.act(action)?;
                    }
                }
            }
            next = self.console.next_waiting();
        }
        self.screen.touch();
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), Failure> {
        match action {
            Action::Submit(line) => self.typed.push_back(line),
            Action::TooLong => self.warn(&format!("Not sent: more than {TYPED_BYTES} bytes in one line.")),
            Action::Leave => self.leaving = true,
            Action::Clear => self.screen.clear(),
            Action::Suspend => {
                let text = self.screen.give_up();
                Console::write(&text).map_err(|error| unusable(&error))?;
                Console::suspend();
                self.away = true;
                self.redraw_at = Some(Instant::now() + STOP_PAUSE);
            }
        }
        Ok(())
    }
}

impl Drop for View {
    /// Shows the lines that are still pending, and takes the prompt away to make room for the shell.
    fn drop(&mut self) {
        // A terminal that is gone shows nothing more, and that is all.
        let _ = Console::write(&self.screen.give_up());
    }
}

fn unusable(error: &io::Error) -> Failure {
    Failure::Input(format!("Cannot use the terminal: {}", crate::net::explain(error)))
}
