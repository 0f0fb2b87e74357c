//! Text that acts on a terminal, and names that look like another's: refused by the server on the way in,
//! and by the client made harmless on the way out, since the server may be somebody else's.

use std::io;
use std::sync::{Arc, Mutex};

use commonroom::client::{self, connect};
use commonroom::net::{Listener as _, Network as _};
use commonroom::protocol::Nickname;
use commonroom::server::Config;
use commonroom::terminal::pipe::{self, Streams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::member::Member;
use super::network::Simulated;
use super::scenario;
use super::world::{Physics, SERVER, World, address, listen_address, seconds};

/// An escape sequence, its eight-bit form, the bell, an override of the direction of writing, a line separator.
const HOSTILE: [&str; 5] = ["\u{1b}[2J", "\u{9b}2J", "\u{7}", "\u{202e}", "\u{2028}"];

/// Dinesh with a zero-width space, in another script, and in another case.
const LOOKALIKES: [&str; 3] = ["Din\u{200b}esh", "Dіnesh", "DINESH"];

#[test]
fn what_acts_on_a_terminal_and_who_looks_like_another_is_refused_on_the_way_in() {
    let mut world = World::with(Physics::default());
    world.start_server(Config::default());
    world.add(Member::new("Dinesh"));
    world.within(|sim| {
        sim.host("Mallory", || async {
            tokio::time::sleep(seconds(1)).await;
            let names = HOSTILE.map(|hostile| format!("Mal{hostile}lory"));
            for name in names.iter().map(String::as_str).chain(LOOKALIKES) {
                let answer = answer_to(&format!("{name}\n")).await?;
                assert!(answer.starts_with("NICK-- Not joined: "), "{name:?}: {answer:?}");
            }
            for text in HOSTILE {
                let answer = answer_to(&format!("Mallory\nboo{text}!\nHello\n")).await?;
                let refused = "\n-- Not sent: a message cannot contain the control character U+";
                assert!(answer.contains(refused), "{text:?}: {answer:?}");
                assert!(answer.contains("\nMallory: Hello\n"), "it may go on: {answer:?}");
            }
            Ok(())
        });
    });
    world.run_until(seconds(20));
    let heard = world.screen("Dinesh");
    let wanted = ["Mallory joined the chat!", "Mallory: Hello", "Mallory left the chat."];
    assert_eq!(heard[2..], wanted.repeat(HOSTILE.len()), "nothing of it is heard");
    scenario::snapshot("server_log_of_hostile_text", &world.server_log());
}

/// What somebody hears who says this and leaves.
async fn answer_to(said: &str) -> io::Result<String> {
    let mut stream = Simulated::default().connect(&address()).await?;
    stream.write_all(said.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn what_a_foreign_server_sends_is_harmless_on_the_way_out() {
    let mut world = World::with(Physics::default());
    world.within(|sim| {
        sim.host(SERVER, || async {
            let (mut stream, _) = Simulated::default().bind(&listen_address()).await?.accept().await?;
            let hostile = HOSTILE.map(|hostile| format!("Alex: a{hostile}b\n")).concat();
            stream.write_all(format!("NICKConnected to server!\n{hostile}").as_bytes()).await?;
            stream.write_all(b"Alex: \xff\nAlex: the end\n").await?;
            stream.shutdown().await?;
            Ok(())
        });
    });
    let screen = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&screen);
    world.within(|sim| {
        sim.host("Dinesh", move || {
            let shown = Arc::clone(&shown);
            async move {
                let config = client::Config::new(Nickname::parse("Dinesh").expect("a valid nickname"));
                let connection = connect(&Simulated::default(), &address(), config).await?;
                // Nothing is typed.
                let (_keyboard, input) = tokio::io::duplex(1);
                let (mut output, mut errors) = (Vec::new(), Vec::new());
                let streams =
                    Streams { input, output: &mut output, errors: &mut errors, leave_when_unheard: false };
                let ended = pipe::run(connection, streams, std::future::pending()).await;
                assert!(ended.is_err(), "the server has left");
                shown.lock().unwrap().extend([output, errors].concat());
                Ok(())
            }
        });
    });
    world.run_until(seconds(2));
    let screen = String::from_utf8(screen.lock().unwrap().clone()).expect("what is shown is text");
    assert_eq!(
        screen,
        "Alex: a\\u{1b}[2Jb\n\
         Alex: a\\u{9b}2Jb\n\
         Alex: a\\u{7}b\n\
         Alex: a\\u{202e}b\n\
         Alex: a\\u{2028}b\n\
         Alex: the end\n\
         Something came that cannot be shown: it is not valid UTF-8.\n"
    );
}
