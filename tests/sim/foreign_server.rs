//! The client makes text of a foreign server harmless that would act on a terminal.

use std::sync::{Arc, Mutex};

use commonroom::client::{self, connect};
use commonroom::net::{Bind as _, Listener as _};
use commonroom::protocol::Nickname;
use commonroom::terminal::pipe::{self, Streams};
use commonroom::terminal::token_file::TokenFile;
use tokio::io::AsyncWriteExt as _;

use super::network::Simulated;
use super::world::{Physics, SERVER, World, address, listen_address, seconds};

/// An escape sequence, its eight-bit form, the bell, a bidi override, a line separator.
pub const HOSTILE: [&str; 5] = ["\u{1b}[2J", "\u{9b}2J", "\u{7}", "\u{202e}", "\u{2028}"];

#[test]
fn lines_of_a_foreign_server_are_harmless_on_the_way_out() {
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
                let ended = pipe::run((connection, TokenFile::none()), streams, std::future::pending()).await;
                assert!(ended.is_err(), "the server has left");
                shown.lock().unwrap().extend([output, errors].concat());
                Ok(())
            }
        });
    });
    world.run_until(seconds(2));
    let screen = String::from_utf8(screen.lock().unwrap().clone()).expect("the output is UTF-8");
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
