//! The client on a terminal: a person and a room, until one of them leaves.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::line::Purpose;
use super::outage::{self, Presence};
use super::outbox::{Outbox, WAITING_BYTES};
use super::settings::Settings;
use super::token_file::TokenFile;
use super::view::{Typed, View};
use super::{Failure, Shortfall};
use crate::client::{Connection, Disconnected, Event, LEAVE_TIMEOUT, SESSION_WAIT, SayError};
use crate::net::{Connect, Stream};
use crate::protocol::{Heard, Nickname, Password, Sanitized};

/// The question for a nickname, as in the report.
pub const NICKNAME_PROMPT: &str = "Choose your nickname: ";

/// How long the server may leave an answer outstanding before the person is told that it is silent.
pub const SILENCE_NOTICE: Duration = Duration::from_secs(5);

/// How many lines may be on their way at once to a server that is known to answer; the others wait, and
/// the person can still change their mind.
pub const WINDOW_LINES: usize = 32;

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
pub async fn run<N: Connect>(network: &N, settings: Settings) -> Result<(), Failure> {
    let mut view = View::open(settings.framing)?;
    let nickname = match settings.nickname.clone() {
        Some(nickname) => nickname,
        None => match ask_nickname(&mut view).await? {
            Some(nickname) => nickname,
            None => return Ok(()),
        },
    };
    view.ask(&prompt(&nickname), Purpose::Talk);
    let Some(connected) = unless_left(&mut view, settings.connect(network, nickname)).await? else {
        return Ok(());
    };
    let (connection, tokens) = connected?;
    let mut chat = Chat {
        connection,
        tokens,
        outbox: Outbox::default(),
        asking: Asking::Nothing,
        refused: None,
        presence: Presence::default(),
    };
    let ended = chat.talk(&mut view).await;
    chat.say_what_is_not_sent(&mut view, ended.is_err());
    drop(view);
    // Whose terminal is gone leaves as well.
    if matches!(ended, Ok(()) | Err(Failure::Input(_))) {
        chat.leave().await;
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
    connection: Connection<S>,
    tokens: TokenFile,
    outbox: Outbox,
    asking: Asking,
    /// Why the server has not let the client in. Shown when the server asks again, or else with the
    /// reason for the end of the client.
    refused: Option<String>,
    presence: Presence,
}

/// The question that the next line answers.
#[derive(Clone, Copy, PartialEq, Eq)]
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
            self.send_lines(view);
            let session = self.connection.session();
            let keep_again = self.tokens.keep(session.nickname(), session.saved());
            let look_again = [keep_again, self.show_status(view)].into_iter().flatten().min();
            tokio::select! {
                biased;
                typed = view.typed() => {
                    let Typed::Line(line) = typed? else { return Ok(()) };
                    if self.take(line, view) == Next::Leave {
                        return Ok(());
                    }
                }
                mut event = self.connection.next() => {
                    // Everything that has come is shown at once.
                    while let Some(happened) = event {
                        self.hear(happened, view)?;
                        event = self.connection.poll_event();
                    }
                }
                () = sleep_until(look_again.unwrap_or_else(Instant::now)), if look_again.is_some() => {}
            }
        }
    }

    fn send_lines(&mut self, view: &mut View) {
        while let Some(line) = self.outbox.next() {
            let session = self.connection.session();
            if session.is_answered() && session.in_flight() + session.waiting() >= WINDOW_LINES {
                return;
            }
            match self.connection.send_line(line) {
                // There will be room, or the end is heard next.
                Err(SayError::Full | SayError::NotJoined) => return,
                Err(SayError::NotALine) => view.warn("Not sent: it is too long for a line."),
                Ok(()) => {}
            }
            self.outbox.pop();
        }
    }

    /// Shows above the prompt what the person waits for. Returns when to look at it again.
    fn show_status(&self, view: &mut View) -> Option<Instant> {
        if self.is_away() { self.show_outage(view) } else { self.show_silence(view) }
    }

    /// Says when the client tries again to connect, and what is to be sent then.
    fn show_outage(&self, view: &mut View) -> Option<Instant> {
        let now = Instant::now();
        let next_attempt = self.connection.tries_again_at().map(|at| at.saturating_duration_since(now));
        view.set_status(&outage::status(next_attempt, &self.waiting()));
        next_attempt.filter(|left| !left.is_zero()).map(|left| now + outage::status_holds_for(left))
    }

    /// Says how long a server that owes an answer has been silent.
    fn show_silence(&self, view: &mut View) -> Option<Instant> {
        let Some(since) = self.connection.silent_since() else {
            view.set_status(&[]);
            // Lines that are held after joining go out without an event.
            let is_holding = self.connection.session().waiting() > 0;
            return is_holding.then(|| Instant::now() + SESSION_WAIT);
        };
        let silence = since.elapsed();
        if silence < SILENCE_NOTICE {
            view.set_status(&[]);
            return Some(since + SILENCE_NOTICE);
        }
        let seconds = silence.as_secs();
        view.set_status(&[format!("Nothing has been heard from the server for {seconds} s…")]);
        Some(since + Duration::from_secs(seconds + 1))
    }

    fn is_away(&self) -> bool {
        self.presence == Presence::Away
    }

    fn is_silent(&self) -> bool {
        self.connection.silent_since().is_some_and(|since| since.elapsed() >= SILENCE_NOTICE)
    }

    /// Takes a line that the person has typed.
    fn take(&mut self, line: String, view: &mut View) -> Next {
        match self.asking {
            Asking::Nickname => match Nickname::parse(&line) {
                Ok(nickname) => {
                    self.connection.choose_nickname(nickname);
                    self.ask(Asking::Nothing, view);
                }
                Err(error) => view.warn(&format!("Not a nickname: {error}.")),
            },
            Asking::Password => match Password::parse(&line) {
                Ok(password) => {
                    self.connection.give_password(password);
                    self.ask(Asking::Nothing, view);
                }
                Err(error) => view.warn(&format!("Not a password: {error}.")),
            },
            Asking::Nothing if is_quit(&line) => return Next::Leave,
            Asking::Nothing if is_blank(&line) => {}
            Asking::Nothing if !self.connection.session().is_joined() && !self.is_away() => {
                view.warn(NOT_JOINED_YET);
            }
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
            Asking::Nothing => view.ask(&prompt(self.connection.session().nickname()), Purpose::Talk),
            Asking::Nickname => view.ask(NICKNAME_PROMPT, Purpose::Answer),
            Asking::Password => view.ask(PASSWORD_PROMPT, Purpose::Secret),
        }
    }

    fn hear(&mut self, event: Event, view: &mut View) -> Result<(), Failure> {
        self.presence = self.presence.after(&event);
        if let Some(news) = outage::news(&event) {
            view.remark(&news);
        }
        match event {
            Event::Line(line) => self.show(&line, view),
            Event::Unreadable(refusal) => {
                view.warn(&format!("Something came that cannot be shown: {refusal}."));
            }
            Event::NotJoined(reason) => self.refused = Some(reason),
            Event::NicknameWanted => self.ask_again(Asking::Nickname, view),
            Event::PasswordWanted => self.ask_again(Asking::Password, view),
            Event::Joined => self.is_in(view),
            // An earlier client may have been called differently.
            Event::Resumed { .. } => {
                self.is_in(view);
                self.ask(Asking::Nothing, view);
            }
            Event::Unconfirmed(lines) => {
                name_lines(lines.iter().map(|line| format!("Not confirmed: {line}")), view);
            }
            Event::Renamed(_) => self.ask(Asking::Nothing, view),
            // The line that comes with a refusal says so, and the server's silence is watched elsewhere.
            Event::Disconnected(how) => return Err(self.ended(how)),
            _ => {}
        }
        Ok(())
    }

    /// The client is in the room.
    fn is_in(&mut self, view: &mut View) {
        self.refused = None;
        if self.asking != Asking::Nothing {
            self.ask(Asking::Nothing, view);
        }
    }

    fn show(&self, line: &str, view: &mut View) {
        let refuses = matches!(Heard::parse(line), Heard::NotJoined(_));
        // A refusal is shown when the server asks again, or else at the end, but once.
        if !refuses || self.connection.session().is_joined() {
            view.show(line);
        }
    }

    fn ask_again(&mut self, asking: Asking, view: &mut View) {
        if let Some(reason) = self.refused.take() {
            view.show(&format!("-- Not joined: {reason}"));
        }
        self.ask(asking, view);
    }

    /// Names the lines that may not have been taken, some one by one. A person who leaves on purpose is only
    /// told how many there are: of those that a server that is there can still take, none.
    fn say_what_is_not_sent(&self, view: &mut View, lost: bool) {
        let shortfall = self.shortfall();
        if lost {
            let unconfirmed = self.connection.session().unconfirmed().take(shortfall.unconfirmed);
            let unconfirmed = unconfirmed.map(|line| format!("Not confirmed: {line}"));
            let unsent = self.waiting().into_iter().map(|line| format!("Not sent: {line}"));
            return name_lines(unconfirmed.chain(unsent), view);
        }
        let shortfall = if self.is_away() {
            shortfall
        } else {
            Shortfall { unconfirmed: 0, unsent: self.outbox.waiting().len(), ..shortfall }
        };
        if !shortfall.is_none() {
            view.remark(&format!("{shortfall}."));
        }
    }

    /// Why the client has ended.
    fn ended(&mut self, how: Disconnected) -> Failure {
        match self.refused.take() {
            Some(reason) => Failure::NotJoined(Sanitized(&reason).to_string()),
            None if self.presence == Presence::Elsewhere => Failure::TakenOver(self.shortfall()),
            None if how == Disconnected::NotAnswered => Failure::NotAnswered(self.shortfall()),
            None => Failure::ConnectionLost(self.shortfall()),
        }
    }

    /// The lines that have been typed and not been sent.
    fn waiting(&self) -> Vec<&str> {
        let session = self.connection.session();
        let sent = session.unconfirmed().len() - session.waiting();
        session.unconfirmed().skip(sent).chain(self.outbox.waiting()).collect()
    }

    fn shortfall(&self) -> Shortfall {
        let session = self.connection.session();
        let unconfirmed = session.unconfirmed().len() - session.waiting();
        Shortfall { unconfirmed, unsent: session.waiting() + self.outbox.waiting().len(), or_more: false }
    }

    /// Leaves in order. A server that cannot be told keeps the session, and so does the file: whoever comes
    /// back soon goes on with it.
    async fn leave(mut self) {
        // A server that does not answer does not close the connection either.
        if self.is_away() || self.is_silent() {
            return;
        }
        self.connection.begin_leaving(LEAVE_TIMEOUT);
        while let Some(event) = self.connection.next().await {
            if event == Event::Disconnected(Disconnected::Left) {
                self.tokens.forget();
            }
        }
    }
}

/// Warns of some of these lines one by one, and counts the others.
fn name_lines(mut lines: impl Iterator<Item = String>, view: &mut View) {
    lines.by_ref().take(NAMED_LINES).for_each(|line| view.warn(&line));
    match lines.count() {
        0 => {}
        more => view.warn(&format!("And {more} more.")),
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
