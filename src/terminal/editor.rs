//! The client on a terminal: a line of input that arriving messages do not tear apart.

use std::io::Write as _;

use rustyline_async::{Readline, ReadlineEvent, SharedWriter};

use super::style::Painter;
use super::{Failure, Progress};
use crate::client::{Beat, Event, Heartbeat, Receiver, Sender, connect, leave};
use crate::net::Connect;
use crate::protocol::{Framing, Heard, Nickname, Password, Sanitized};

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
pub async fn run<N: Connect>(
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
    let Some(connected) = unless_left(&mut screen, connect(network, address, framing)).await? else {
        return Ok(());
    };
    let (receiver, sender) =
        connected.map_err(|error| Failure::CannotConnect { address: address.to_owned(), error })?;
    let heartbeat = Heartbeat::new(framing);
    let progress = Progress::Connected;
    let mut chat = Chat { receiver, sender, heartbeat, framing, nickname, password, progress, refused: None };
    let ended = chat.talk(&mut screen).await;
    drop(screen);
    if ended.is_ok() {
        leave(chat.receiver, chat.sender).await;
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
    receiver: Receiver<S>,
    sender: Sender<S>,
    heartbeat: Heartbeat,
    framing: Framing,
    nickname: Nickname,
    password: Option<Password>,
    progress: Progress,
    /// Why the server did not take the nickname.
    refused: Option<String>,
}

impl<S: crate::net::Stream> Chat<S> {
    async fn talk(&mut self, screen: &mut Screen) -> Result<(), Failure> {
        loop {
            tokio::select! {
                biased;
                // Before anything that is typed, so that the first answer is the one to the ping.
                beat = self.heartbeat.beat() => match beat {
                    Beat::Ping(line) => self.sender.line(&line),
                    Beat::Lost => return Err(self.lost()),
                },
                line = screen.line() => match line? {
                    None => return Ok(()),
                    Some(_) if self.progress != Progress::Joined => screen.warn(NOT_JOINED_YET),
                    Some(line) => {
                        self.sender.line(&line);
                        self.heartbeat.said();
                    }
                },
                flushed = self.sender.flush(), if !self.sender.is_flushed() => {
                    flushed.map_err(|_| self.lost())?;
                }
                event = self.receiver.next() => {
                    let Ok(Some(event)) = event else { return Err(self.lost()) };
                    if !self.hear(event, screen).await? {
                        return Ok(());
                    }
                    // Everything else that has come is shown before the terminal is looked at.
                    while let Some(event) = self.receiver.next_received() {
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
            Event::NicknameRequest => {
                if std::mem::replace(&mut self.progress, Progress::Named) != Progress::Connected {
                    let Some(nickname) = screen.ask_nickname().await? else { return Ok(false) };
                    self.nickname = nickname;
                    screen.prompt(&format!("{}: ", self.nickname))?;
                }
                self.sender.name(&self.nickname);
            }
            Event::PasswordRequest => {
                if self.password.is_none() {
                    self.password = screen.ask_password().await?;
                    screen.prompt(&format!("{}: ", self.nickname))?;
                }
                let Some(password) = &self.password else { return Ok(false) };
                self.sender.password(password);
            }
            Event::Unreadable(refusal) => {
                screen.warn(&format!("Something came that cannot be shown: {refusal}."));
            }
            Event::Line(line) if self.heartbeat.hear(&line) => {}
            Event::Line(line) => {
                let heard = Heard::parse(&line);
                self.progress.hear(&heard, self.framing);
                match heard {
                    Heard::NotJoined(reason) => self.refused = Some(Sanitized(reason).to_string()),
                    Heard::Connected => {
                        self.refused = None;
                        self.heartbeat.begin();
                    }
                    Heard::Everyone(line) => self.note_rename(line, screen)?,
                    _ => {}
                }
                screen.show(&line);
            }
        }
        Ok(true)
    }

    fn note_rename(&mut self, line: &str, screen: &mut Screen) -> Result<(), Failure> {
        let new = line
            .strip_prefix(self.nickname.as_str())
            .and_then(|rest| rest.strip_prefix(" is now known as ")?.strip_suffix('.'));
        if let Some(Ok(nickname)) = new.map(Nickname::parse)
            && self.framing == Framing::Lines
        {
            screen.prompt(&format!("{nickname}: "))?;
            self.nickname = nickname;
        }
        Ok(())
    }

    fn lost(&mut self) -> Failure {
        match self.refused.take() {
            Some(reason) => Failure::NotJoined(reason),
            None => Failure::ConnectionLost { unconfirmed: 0 },
        }
    }
}
