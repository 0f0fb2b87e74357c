//! The client on a terminal: a person and a room, until one of them leaves.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::line::Purpose;
use super::outbox::{Outbox, WAITING_BYTES};
use super::view::{Typed, View};
use super::{Failure, Progress, lines};
use crate::client::{Beat, Event, Heartbeat, Receiver, Sender, connect, leave};
use crate::net::{Network, Stream};
use crate::protocol::{Framing, Heard, Nickname, Password, Sanitized};

/// What a nickname is asked for with, as in the report.
pub const NICKNAME_PROMPT: &str = "Choose your nickname: ";

/// How long the server may leave an answer outstanding before the person is told that it is silent.
pub const SILENCE_NOTICE: Duration = Duration::from_secs(5);

/// How many of the lines that may be lost are named one by one.
pub const NAMED_LINES: usize = 10;

const PASSWORD_PROMPT: &str = "The room's password: ";

/// The answer to a line that is typed before there is a room to say it in.
const NOT_JOINED_YET: &str = "Not sent: you have not joined yet. The Up key brings the line back.";

/// Talks with a person on the terminal until one of them leaves.
///
/// # Errors
///
/// See [`Failure`]. The terminal is as it was before when this returns.
pub async fn run<N: Network>(
    network: &N,
    address: &str,
    framing: Framing,
    nickname: Option<Nickname>,
    password: Option<Password>,
) -> Result<(), Failure> {
    let mut view = View::open(framing)?;
    let nickname = match nickname {
        Some(nickname) => nickname,
        None => match ask_nickname(&mut view).await? {
            Some(nickname) => nickname,
            None => return Ok(()),
        },
    };
    view.ask(&prompt(&nickname), Purpose::Talk);
    let Some(connected) = unless_left(&mut view, connect(network, address, framing)).await? else {
        return Ok(());
    };
    let (receiver, sender) =
        connected.map_err(|error| Failure::CannotConnect { address: address.to_owned(), error })?;
    let mut chat = Chat {
        receiver,
        sender,
        heartbeat: Heartbeat::new(framing),
        framing,
        outbox: Outbox::new(nickname, framing, Instant::now()),
        password,
        progress: Progress::Connected,
        asking: Asking::Nothing,
        refused: None,
    };
    let ended = chat.talk(&mut view).await;
    chat.say_what_is_not_sent(&mut view, ended.is_err());
    drop(view);
    // A server that does not answer does not close the connection either.
    if ended.is_ok() && !chat.is_silent() {
        leave(chat.receiver, chat.sender).await;
    }
    ended
}

/// Asks until there is a nickname; `None` if the person wants to leave instead.
async fn ask_nickname(view: &mut View) -> Result<Option<Nickname>, Failure> {
    view.ask(NICKNAME_PROMPT, Purpose::Answer);
    while let Typed::Line(typed) = view.typed().await? {
        match Nickname::parse(&typed) {
            Ok(nickname) => return Ok(Some(nickname)),
            Err(error) => view.warn(&format!("Not a nickname: {error}.")),
        }
    }
    Ok(None)
}

/// Waits for something that may take long; `None` if the person leaves meanwhile.
async fn unless_left<T>(view: &mut View, work: impl Future<Output = T>) -> Result<Option<T>, Failure> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(Some(done)),
            typed = view.typed() => match typed? {
                Typed::Line(line) if is_quit(&line) => return Ok(None),
                Typed::Line(line) if is_blank(&line) => {}
                Typed::Line(_) => view.warn(NOT_JOINED_YET),
                Typed::Leave => return Ok(None),
            },
        }
    }
}

/// The conversation.
struct Chat<S> {
    receiver: Receiver<S>,
    sender: Sender<S>,
    heartbeat: Heartbeat,
    framing: Framing,
    outbox: Outbox,
    password: Option<Password>,
    progress: Progress,
    asking: Asking,
    /// Why the server has not let the client in. Shown when it asks again, or by whoever is told how the
    /// client ended.
    refused: Option<String>,
}

/// What the next line is the answer to.
#[derive(Clone, Copy)]
enum Asking {
    Nothing,
    Nickname,
    Password,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    Talk,
    Leave,
}

impl<S: Stream> Chat<S> {
    async fn talk(&mut self, view: &mut View) -> Result<(), Failure> {
        loop {
            self.send_lines();
            let look_again = self.show_silence(view);
            tokio::select! {
                biased;
                // Before anything that is typed, so that the first answer is the one to the ping.
                beat = self.heartbeat.beat() => match beat {
                    Beat::Ping(line) => {
                        self.sender.line(&line);
                        self.outbox.pinged(Instant::now());
                    }
                    Beat::Lost => return Err(self.lost()),
                },
                typed = view.typed() => {
                    let Typed::Line(line) = typed? else { return Ok(()) };
                    if self.take(line, view) == Next::Leave {
                        return Ok(());
                    }
                }
                flushed = self.sender.flush(), if !self.sender.is_flushed() => {
                    flushed.map_err(|_| self.lost())?;
                }
                event = self.receiver.next() => {
                    let Ok(Some(event)) = event else { return Err(self.lost()) };
                    self.hear(event, view);
                    // Everything else that has come is shown with it.
                    while let Some(event) = self.receiver.next_received() {
                        self.hear(event, view);
                    }
                }
                () = sleep_until(look_again.unwrap_or_else(Instant::now)), if look_again.is_some() => {}
            }
        }
    }

    fn send_lines(&mut self) {
        if self.progress == Progress::Joined {
            while let Some(line) = self.outbox.next(Instant::now()) {
                self.sender.line(&line);
                self.heartbeat.said();
            }
        }
    }

    /// Says for how long nothing has been heard of a server that owes an answer. Returns when that is
    /// to be looked at again.
    fn show_silence(&self, view: &mut View) -> Option<Instant> {
        let since = self.outbox.silent_since();
        let silence = since.map(|since| since.elapsed()).unwrap_or_default();
        if silence < SILENCE_NOTICE {
            view.set_status(None);
            return since.map(|since| since + SILENCE_NOTICE);
        }
        let seconds = silence.as_secs();
        view.set_status(Some(&format!("Nothing has been heard from the server for {seconds} s…")));
        since.map(|since| since + Duration::from_secs(seconds + 1))
    }

    fn is_silent(&self) -> bool {
        self.outbox.silent_since().is_some_and(|since| since.elapsed() >= SILENCE_NOTICE)
    }

    /// Takes what the person has typed.
    fn take(&mut self, line: String, view: &mut View) -> Next {
        match self.asking {
            Asking::Nickname => match Nickname::parse(&line) {
                Ok(nickname) => {
                    self.sender.name(&nickname);
                    self.outbox.rename(nickname);
                    self.ask(Asking::Nothing, view);
                }
                Err(error) => view.warn(&format!("Not a nickname: {error}.")),
            },
            Asking::Password => match Password::parse(&line) {
                Ok(password) => {
                    self.sender.password(self.password.insert(password));
                    self.ask(Asking::Nothing, view);
                }
                Err(error) => view.warn(&format!("Not a password: {error}.")),
            },
            Asking::Nothing if is_quit(&line) => return Next::Leave,
            Asking::Nothing if is_blank(&line) => {}
            Asking::Nothing if self.progress != Progress::Joined => view.warn(NOT_JOINED_YET),
            Asking::Nothing => {
                if !self.outbox.put(line) {
                    view.warn(&format!("Not sent: {WAITING_BYTES} bytes are waiting to be sent already."));
                }
            }
        }
        Next::Talk
    }

    fn ask(&mut self, asking: Asking, view: &mut View) {
        self.asking = asking;
        match asking {
            Asking::Nothing => view.ask(&prompt(self.outbox.nickname()), Purpose::Talk),
            Asking::Nickname => view.ask(NICKNAME_PROMPT, Purpose::Answer),
            Asking::Password => view.ask(PASSWORD_PROMPT, Purpose::Secret),
        }
    }

    fn hear(&mut self, event: Event, view: &mut View) {
        if let Some(refusal) = self.refused.take() {
            view.show(&refusal);
        }
        match event {
            Event::NicknameRequest => match std::mem::replace(&mut self.progress, Progress::Named) {
                Progress::Connected => self.sender.name(self.outbox.nickname()),
                _ => self.ask(Asking::Nickname, view),
            },
            Event::PasswordRequest => match &self.password {
                Some(password) => self.sender.password(password),
                None => self.ask(Asking::Password, view),
            },
            Event::Unreadable(refusal) => {
                view.warn(&format!("Something came that cannot be shown: {refusal}."));
            }
            Event::Line(line) if self.heartbeat.hear(&line) => {
                // The other answer to a ping is that the server does not know any.
                if let Heard::Told(_) = Heard::parse(&line) {
                    self.outbox.ponged(Instant::now());
                }
            }
            Event::Line(line) => self.hear_line(line, view),
        }
    }

    fn hear_line(&mut self, line: String, view: &mut View) {
        self.outbox.hear(&line, Instant::now());
        let heard = Heard::parse(&line);
        self.progress.hear(&heard, self.framing);
        match heard {
            Heard::NotJoined(_) => return self.refused = Some(line),
            Heard::Connected => self.heartbeat.begin(),
            Heard::Everyone(line) => self.note_rename(line, view),
            _ => {}
        }
        view.show(&line);
    }

    fn note_rename(&mut self, line: &str, view: &mut View) {
        let new = line
            .strip_prefix(self.outbox.nickname().as_str())
            .and_then(|rest| rest.strip_prefix(" is now known as ")?.strip_suffix('.'));
        if let Some(Ok(nickname)) = new.map(Nickname::parse)
            && self.framing == Framing::Lines
        {
            self.outbox.rename(nickname);
            self.ask(Asking::Nothing, view);
        }
    }

    /// Names the lines that may not have been taken, some one by one. Those who leave on purpose are
    /// told only of what has not been sent at all.
    fn say_what_is_not_sent(&self, view: &mut View, lost: bool) {
        let waiting = self.outbox.waiting();
        if !lost {
            if waiting.len() > 0 {
                view.remark(&format!("{} not sent.", lines(waiting.len())));
            }
            return;
        }
        let unconfirmed = self.outbox.unconfirmed().map(|line| format!("Not confirmed: {line}"));
        let mut lost = unconfirmed.chain(waiting.map(|line| format!("Not sent: {line}")));
        lost.by_ref().take(NAMED_LINES).for_each(|line| view.warn(&line));
        match lost.count() {
            0 => {}
            more => view.warn(&format!("And {more} more.")),
        }
    }

    fn lost(&mut self) -> Failure {
        let refusal = self.refused.take();
        if let Some(Heard::NotJoined(reason)) = refusal.as_deref().map(Heard::parse) {
            return Failure::NotJoined(Sanitized(reason).to_string());
        }
        let unconfirmed = self.outbox.unconfirmed().count() + self.outbox.waiting().len();
        Failure::ConnectionLost { unconfirmed }
    }
}

fn prompt(nickname: &Nickname) -> String {
    format!("{nickname}: ")
}

fn is_quit(line: &str) -> bool {
    line.trim() == "/quit"
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}
