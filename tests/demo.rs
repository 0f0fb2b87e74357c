//! `just demo`: a server on a free port and three scripted members, with their screens next
//! to `server.log` in one terminal.
//!
//! Everything is real: TCP on the loopback, the clock of the machine, a log file. One of the
//! members speaks as the report's own client does, without newlines.

use std::fs::File;
use std::io;

use commonroom::client::{self, Connection, Event};
use commonroom::journal::{self, BackgroundWriter, LogFormat};
use commonroom::net::{Bind, Connect, Listener, Tcp};
use commonroom::protocol::{Framing, Nickname};
use commonroom::server::{Config, Server};
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("server.log");
    let log = BackgroundWriter::spawn(File::create(&path)?);
    tracing_subscriber::registry()
        .with(journal::layer(LogFormat::Report, jiff::Zoned::now, log.handle()))
        .init();

    let listener = Tcp.bind("127.0.0.1:0").await?;
    let address = listener.local_address()?.to_string();
    println!("Server running on {address}\n");
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        // The conversation has ended, one way or the other.
        let _ = stopped.await;
    };
    let ((), screens) =
        tokio::join!(Server::new(Config::default()).run(listener, shutdown), converse(&address, stop));
    let screens = screens?;
    drop(log);

    let left: Vec<String> = screens.iter().flat_map(|screen| pane(&screen.0, &screen.1)).collect();
    let text = std::fs::read_to_string(&path)?;
    let right = pane("server.log", &text.lines().map(str::to_owned).collect::<Vec<_>>());
    print_side_by_side(&left, &right);
    Ok(())
}

/// A name, and the lines that its owner has seen.
type Screen = (String, Vec<String>);

async fn converse(address: &str, stop: oneshot::Sender<()>) -> io::Result<Vec<Screen>> {
    let mut dinesh = Member::join(address, "Dinesh", Framing::Lines).await?;
    let mut alex = Member::join(address, "Alex", Framing::Report).await?;
    let mut max = Member::join(address, "Max", Framing::Lines).await?;

    // The report's framing has no ends, so Alex reads each message before the next is sent.
    alex.hear("Max joined the chat!").await?;
    alex.say("Hello everyone").await?;
    alex.hear("Alex: Hello everyone").await?;
    max.hear("Alex: Hello everyone").await?;
    max.say("Dinesh: I am not Dinesh").await?;
    alex.hear("Max: Dinesh: I am not Dinesh").await?;
    dinesh.say("/me laughs").await?;
    alex.hear("* Dinesh laughs").await?;
    max.say("/msg Dinesh psst").await?;
    dinesh.hear("-- Max to you: psst").await?;
    // Gone without a word.
    let alex = alex.vanish();
    dinesh.hear("Alex left the chat.").await?;
    dinesh.say("/who").await?;
    dinesh.hear("-- Here now (2): Dinesh, Max").await?;
    dinesh.say("exit").await?;
    max.hear("Dinesh: exit").await?;

    // Fails only if the receiver is already gone.
    let _ = stop.send(());
    dinesh.hear("-- The server is shutting down.").await?;
    max.hear("-- The server is shutting down.").await?;
    Ok(vec![dinesh.vanish(), alex, max.vanish()])
}

struct Member {
    name: String,
    connection: Connection<<Tcp as Connect>::Stream>,
    seen: Vec<String>,
}

impl Member {
    async fn join(address: &str, name: &str, framing: Framing) -> io::Result<Self> {
        let nickname = Nickname::parse(name).map_err(io::Error::other)?;
        let config = client::Config::new(nickname).with_framing(framing);
        let connection = client::join(&Tcp, address, config).await.map_err(io::Error::other)?;
        let mut member = Self { name: name.to_owned(), connection, seen: Vec::new() };
        member.hear("Connected to server!").await?;
        Ok(member)
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.connection.send_line(line).map_err(io::Error::other)?;
        self.connection.flush().await
    }

    /// Reads on until this line has come.
    async fn hear(&mut self, wanted: &str) -> io::Result<()> {
        while let Some(event) = self.connection.next().await {
            if let Event::Line(line) = event {
                self.seen.push(line);
                if self.seen.last().is_some_and(|line| line == wanted) {
                    return Ok(());
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the end came before {wanted:?}")))
    }

    fn vanish(self) -> Screen {
        (self.name, self.seen)
    }
}

/// A box with a title around some lines.
fn pane(title: &str, lines: &[String]) -> Vec<String> {
    let width =
        lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(title.chars().count() + 2);
    let mut boxed = vec![format!("┌ {title} {}┐", "─".repeat(width - title.chars().count()))];
    boxed.extend(lines.iter().map(|line| format!("│ {line:width$} │")));
    boxed.push(format!("└{}┘", "─".repeat(width + 2)));
    boxed
}

fn print_side_by_side(left: &[String], right: &[String]) {
    let width = left.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    for row in 0..left.len().max(right.len()) {
        let cell = |column: &[String]| column.get(row).cloned().unwrap_or_default();
        println!("{}", format!("{:width$}  {}", cell(left), cell(right)).trim_end());
    }
}
