//! The terminal itself: its mode, its keys, the signals that concern it. As thin as can be: the
//! parts that are worth a test are in [`screen`](super::screen) and [`line`](super::line).

use std::io::{self, Write as _};
use std::sync::Once;
use std::thread;

use crossterm::{event, terminal};
use tokio::sync::mpsc;

use super::key::Input;
use super::screen::{Size, Terminal, WRAP};

/// How many keys may wait for the client.
const WAITING_KEYS: usize = 1_024;

/// The terminal marks pasted text, so that a pasted line end is no Enter.
const BRACKETED_PASTE: &str = "\x1b[?2004h";
const NO_BRACKETED_PASTE: &str = "\x1b[?2004l";

/// Something that happens at the terminal.
#[derive(Debug)]
pub(super) enum Happening {
    Input(Input),
    /// The process is told to end, or the terminal is gone.
    End,
    /// The process was stopped and goes on; the shell has used the terminal meanwhile.
    #[cfg(unix)]
    Continued,
}

/// A terminal in raw mode, until this is dropped.
pub(super) struct Console {
    inputs: mpsc::Receiver<io::Result<Input>>,
    signals: signals::Signals,
    kind: Terminal,
}

impl Console {
    pub(super) fn open() -> io::Result<Self> {
        let signals = signals::Signals::new()?;
        let kind = kind_of_terminal();
        enter(kind)?;
        restore_when_panicking();
        let (sender, inputs) = mpsc::channel(WAITING_KEYS);
        // Reading a terminal blocks. Nothing waits for the thread: it ends with the process.
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || read_keys(&sender))?;
        Ok(Self { inputs, signals, kind })
    }

    pub(super) fn kind(&self) -> Terminal {
        self.kind
    }

    pub(super) fn size() -> Size {
        let (columns, rows) = terminal::size().unwrap_or_default();
        Size { columns: columns.into(), rows: rows.into() }
    }

    /// Waits for the next happening. Can be cancelled without losing one.
    pub(super) async fn next(&mut self) -> io::Result<Happening> {
        tokio::select! {
            biased;
            happening = self.signals.next() => Ok(happening),
            input = self.inputs.recv() => match input {
                Some(input) => input.map(Happening::Input),
                None => Ok(Happening::End),
            },
        }
    }

    /// The next input that has come already.
    pub(super) fn next_waiting(&mut self) -> Option<io::Result<Input>> {
        self.inputs.try_recv().ok()
    }

    pub(super) fn write(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Leaves the terminal to the shell, and stops the process as Ctrl-Z does.
    pub(super) fn suspend() {
        leave();
        signals::stop();
    }

    /// The shell may have left the terminal in another mode than ours.
    pub(super) fn enter_again(&self) -> io::Result<()> {
        leave();
        enter(self.kind)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        leave();
    }
}

fn enter(kind: Terminal) -> io::Result<()> {
    terminal::enable_raw_mode()?;
    if kind != Terminal::Dumb {
        let mut out = io::stdout();
        out.write_all(BRACKETED_PASTE.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

/// A terminal that is gone needs no care, so errors are passed over.
fn leave() {
    if kind_of_terminal() != Terminal::Dumb {
        let mut out = io::stdout();
        let _ = out.write_all(format!("{NO_BRACKETED_PASTE}{WRAP}").as_bytes());
        let _ = out.flush();
    }
    let _ = terminal::disable_raw_mode();
}

/// The message of a panic is written before anything is dropped, and would be torn apart in raw mode.
fn restore_when_panicking() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            hook(panic);
        }));
    });
}

fn read_keys(inputs: &mpsc::Sender<io::Result<Input>>) {
    loop {
        let input = match event::read() {
            Ok(event) => Input::of_event(event).map(Ok),
            Err(error) => Some(Err(error)),
        };
        let failed = matches!(input, Some(Err(_)));
        if input.is_some_and(|input| inputs.blocking_send(input).is_err()) || failed {
            return;
        }
    }
}

/// The kind of the terminal, told without asking it.
fn kind_of_terminal() -> Terminal {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let term = std::env::var("TERM").unwrap_or_default();
    if term == "dumb" || !understands_escapes() {
        return Terminal::Dumb;
    }
    // Most terminals reflow. These do not; the variables that they set give them away, since half of all others
    // call themselves xterm too.
    let within_tmux = is_set("TMUX");
    let keeps_rows = term == "linux" || (!within_tmux && (is_set("XTERM_VERSION") || is_set("STY")));
    Terminal::Full { reflows: !keeps_rows }
}

#[cfg(windows)]
fn understands_escapes() -> bool {
    crossterm::ansi_support::supports_ansi()
}

#[cfg(not(windows))]
fn understands_escapes() -> bool {
    true
}

#[cfg(unix)]
mod signals {
    use std::io;

    use rustix::process::{Signal as Sent, getpid, kill_process};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Happening;

    pub(super) struct Signals {
        terminate: Signal,
        hang_up: Signal,
        interrupt: Signal,
        proceed: Signal,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                proceed: signal(SignalKind::from_raw(Sent::CONT.as_raw()))?,
            })
        }

        pub(super) async fn next(&mut self) -> Happening {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => Happening::End,
                _ = self.hang_up.recv() => Happening::End,
                _ = self.interrupt.recv() => Happening::End,
                _ = self.proceed.recv() => Happening::Continued,
            }
        }
    }

    pub(super) fn stop() {
        // A process that no shell looks after is not stopped, and goes on.
        let _ = kill_process(getpid(), Sent::TSTP);
    }
}

#[cfg(windows)]
mod signals {
    use std::io;

    use tokio::signal::windows;

    use super::Happening;

    pub(super) struct Signals {
        end: windows::CtrlBreak,
        close: windows::CtrlClose,
        logoff: windows::CtrlLogoff,
        shutdown: windows::CtrlShutdown,
    }

    impl Signals {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self {
                end: windows::ctrl_break()?,
                close: windows::ctrl_close()?,
                logoff: windows::ctrl_logoff()?,
                shutdown: windows::ctrl_shutdown()?,
            })
        }

        pub(super) async fn next(&mut self) -> Happening {
            tokio::select! {
                biased;
                _ = self.end.recv() => Happening::End,
                _ = self.close.recv() => Happening::End,
                _ = self.logoff.recv() => Happening::End,
                _ = self.shutdown.recv() => Happening::End,
            }
        }
    }

    /// Nothing stops a program here and has it go on later.
    pub(super) fn stop() {}
}
