//! The client on a terminal: a line of input that arriving messages do not tear apart.

use std::io::Write as _;

use rustyline_async::{Readline, ReadlineEvent, SharedWriter};

use super::style::Painter;
use super::{Failure, Shortfall};
use crate::client::{Config, Connection, Event, SayError, connect};
use crate::net::{Network, Stream};
use crate::protocol::{Framing, Nickname, Password, Sanitized};

/// What a nickname is asked for with, as in the report.
pub const NICKNAME_PROMPT: &str = "Choose your nickname: ";

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
    let (mut readline, output) =
        Readline::new(String::new()).map_err(|error| Failure::Input(error.to_string()))?;
    // The line that was typed gives way to its echo, which everybody sees at the same place.
    readline.should_print_line_on(false, false);
    let mut screen = Screen { readline, output, painter: Painter::for_stdout(framing) };

    let nickname = match nickname {
        Some(nickname) => nickname,
        None => match screen.ask_nickname().await? {
            Some(nickname) => nickname,
            None => return Ok(()),
        },
    };
    screen.prompt(&format!("{nickname}: "))?;
    let config = Config::new(nickname).with_framing(framing).with_password(password);
    let Some(connected) = unless_left(&mut screen, connect(network, address, config)).await? else {
        return Ok(());
    };
    let connection =
        connected.map_err(|error| Failure::CannotConnect { address: address.to_owned(), error })?;
    let mut chat = Chat { connection, refused: None };
    let ended = chat.talk(&mut screen).await;
    drop(screen);
    if ended.is_ok() {
        chat.connection.leave().await;
    }
    ended
}

/// Waits for something that may take long; `None` if the person leaves meanwhile.
async fn unless_left<T>(screen: &mut Screen, work: impl Future<Output = T>) -> Result<Option<T>, Failure> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(Some(done)),
            line = screen.line() => match line? {
                Some(_) => screen.warn(NOT_JOINED_YET),
                None => return Ok(None),
            },
        }
    }
}

/// The terminal.
struct Screen {
    readline: Readline,
    output: SharedWriter,
    painter: Painter,
}

impl Screen {
    /// The next line that is typed; `None` for Ctrl-C and Ctrl-D.
    async fn typed(&mut self) -> Result<Option<String>, Failure> {
        match self.readline.readline().await {
            Ok(ReadlineEvent::Line(line)) => Ok(Some(line)),
            Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) => Ok(None),
            Err(error) => Err(Failure::Input(error.to_string())),
        }
    }

    /// The next line that is to be sent; `None` if the person wants to leave.
    async fn line(&mut self) -> Result<Option<String>, Failure> {
        while let Some(typed) = self.typed().await? {
            match typed.trim() {
                "/quit" => break,
                "" => {}
                _ => {
                    self.readline.add_history_entry(typed.clone());
                    return Ok(Some(typed));
                }
            }
        }
        Ok(None)
    }

    async fn ask_nickname(&mut self) -> Result<Option<Nickname>, Failure> {
        self.prompt(NICKNAME_PROMPT)?;
        while let Some(typed) = self.typed().await? {
            match Nickname::parse(&typed) {
                Ok(nickname) => return Ok(Some(nickname)),
                Err(error) => self.warn(&format!("Not a nickname: {error}.")),
            }
        }
        Ok(None)
    }

    /// The password is seen while it is typed, and gone with Enter.
    async fn ask_password(&mut self) -> Result<Option<Password>, Failure> {
        self.prompt(PASSWORD_PROMPT)?;
        while let Some(typed) = self.typed().await? {
            match Password::parse(&typed) {
                Ok(password) => return Ok(Some(password)),
                Err(error) => self.warn(&format!("Not a password: {error}.")),
            }
        }
        Ok(None)
    }

    fn prompt(&mut self, prompt: &str) -> Result<(), Failure> {
        self.readline.update_prompt(prompt).map_err(|error| Failure::Input(error.to_string()))
    }

    fn show(&mut self, line: &str) {
        let painted = self.painter.line(line);
        self.print(&painted);
    }

    fn warn(&mut self, text: &str) {
        let painted = self.painter.warning(text);
        self.print(&painted);
    }

    fn print(&mut self, line: &str) {
        // The writer's queue holds hundreds of lines and is emptied at every turn of the loop. A line
        // that finds it full all the same stays in the writer; showing the queue makes place, and an
        // empty write, which `write_all` would leave out, puts the line there.
        let line = format!("{line}\n");
        if self.output.write_all(line.as_bytes()).is_err() {
            self.flush();
            let _ = self.output.write(b"");
        }
    }

    fn flush(&mut self) {
        // A terminal that is gone shows nothing more, and that is all.
        let _ = self.readline.flush();
    }
}

impl Drop for Screen {
    /// What was not shown yet is shown, and the prompt gives way to what the shell has to say.
    fn drop(&mut self) {
        self.flush();
    }
}

/// The conversation.
struct Chat<S> {
    connection: Connection<S>,
    /// Why the server did not let the client in.
    refused: Option<String>,
}

impl<S: Stream> Chat<S> {
    async fn talk(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        loop {
            tokio::select! {
                biased;
                line = screen.line() => match line? {
                    None => return Ok(()),
                    Some(line) => match self.connection.send_line(&line) {
                        Ok(()) => {}
                        Err(SayError::NotJoined) => screen.warn(NOT_JOINED_YET),
                        Err(error) => screen.warn(&format!("Not sent: {error}. The Up key brings the line back.")),
                    },
                },
                event = self.connection.next() => {
                    let Some(event) = event else { return Err(self.lost()) };
                    if !self.hear(event, screen).await? {
                        return Ok(());
                    }
                    // Everything else that has come is shown before the terminal is looked at.
                    while let Some(event) = self.connection.poll_event() {
                        if !self.hear(event, screen).await? {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Returns false when the person wants to leave instead of choosing a nickname.
    async fn hear(&mut self, event: Event, screen: &mut Screen) -> Result<bool, Failure> {
        match event {
            Event::NicknameWanted => {
                let Some(nickname) = screen.ask_nickname().await? else { return Ok(false) };
                screen.prompt(&format!("{nickname}: "))?;
                self.connection.choose_nickname(nickname);
            }
            Event::PasswordWanted => {
                let Some(password) = screen.ask_password().await? else { return Ok(false) };
                screen.prompt(&format!("{}: ", self.connection.session().nickname()))?;
                self.connection.give_password(password);
            }
            Event::NotJoined(reason) => self.refused = Some(Sanitized(&reason).to_string()),
            Event::Joined => self.refused = None,
            Event::Renamed(nickname) => screen.prompt(&format!("{nickname}: "))?,
            Event::Line(line) => screen.show(&line),
            Event::Unreadable(refusal) => {
                screen.warn(&format!("Something came that cannot be shown: {refusal}."));
            }
            Event::NotSent(_) => {}
            Event::Disconnected(_) => return Err(self.lost()),
        }
        Ok(true)
    }

    fn lost(&mut self) -> Failure {
        match self.refused.take() {
            Some(reason) => Failure::NotJoined(reason),
            None => Failure::ConnectionLost(Shortfall::default()),
        }
    }
}
