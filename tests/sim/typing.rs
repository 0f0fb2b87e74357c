//! Nicknames that come key by key, or piece by piece, in virtual time. The same on the real binary is in
//! `tests/cli/bad_input.rs`.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::server::Config;
use commonroom::server::limits::REGISTRATION_TIMEOUT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

use super::stranger::Stranger;
use super::world::{Physics, World, seconds};

#[test]
fn a_typed_nickname_ends_when_enter_is_pressed_however_slow_the_typing() {
    for pause_milliseconds in [150, 300, 1_500] {
        let (heard, _) = answer_to("Alexander\n", Duration::from_millis(pause_milliseconds));
        assert_eq!(
            heard, "NICKAlexander joined the chat!\nConnected to server!\n",
            "{pause_milliseconds} ms"
        );
    }
    // Even if the keystrokes are fast at first.
    let (heard, after) = answer_to("Al\n", Duration::from_millis(60));
    assert_eq!(heard, "NICKAl joined the chat!\nConnected to server!\n");
    assert!(after < seconds(1), "{after:?}");
}

#[test]
fn a_nickname_that_the_network_cuts_into_bytes_needs_no_newline() {
    let (heard, after) = answer_to("Alexander", Duration::from_millis(1));
    assert_eq!(heard, "NICKAlexander joined the chat!\nConnected to server!");
    assert!((seconds(2)..seconds(3)).contains(&after), "{after:?}");
}

#[test]
fn a_nickname_of_one_letter_needs_no_newline_but_two_seconds() {
    let (heard, after) = answer_to("A", Duration::ZERO);
    assert_eq!(heard, "NICKA joined the chat!\nConnected to server!");
    assert!((seconds(2)..seconds(3)).contains(&after), "{after:?}");
    let (_, after) = answer_to("李雷", Duration::ZERO);
    assert!((seconds(2)..seconds(3)).contains(&after), "a character is not a byte: {after:?}");
}

#[test]
fn somebody_who_types_for_ever_is_closed_after_the_registration_timeout() {
    let (heard, after) = answer_to(&"a".repeat(23), seconds(1));
    assert_eq!(heard, "NICK-- No nickname has come in time. Goodbye.\n");
    assert!((REGISTRATION_TIMEOUT..REGISTRATION_TIMEOUT + seconds(1)).contains(&after), "{after:?}");
}

/// The answer to somebody who sends `said` character by character, with a pause after each, and how long
/// after the first character it comes.
fn answer_to(said: &str, pause: Duration) -> (String, Duration) {
    let mut world = World::with(Physics::default());
    world.start_server(Config::default());
    let answer = Arc::new(Mutex::new((String::new(), Duration::ZERO)));
    let (told, said) = (Arc::clone(&answer), said.to_owned());
    world.add_strangers("Typist", move || {
        let (told, said) = (Arc::clone(&told), said.clone());
        async move {
            *told.lock().unwrap() = type_slowly(&said, pause).await?;
            Ok(())
        }
    });
    world.run_until(REGISTRATION_TIMEOUT + seconds(5));
    answer.lock().unwrap().clone()
}

async fn type_slowly(said: &str, pause: Duration) -> io::Result<(String, Duration)> {
    let mut stranger = Stranger::connect().await?;
    stranger.expect("NICK").await?;
    let (mut hearing, mut speaking) = stranger.split();
    let begun = Instant::now();
    let speak = async {
        for character in said.chars() {
            // It may have been closed.
            let _ = speaking.write_all(character.to_string().as_bytes()).await;
            sleep(pause).await;
        }
        io::Result::Ok(())
    };
    let hear = async {
        let mut answer = [0; 1_024];
        let length = hearing.read(&mut answer).await?;
        Ok((format!("NICK{}", String::from_utf8_lossy(&answer[..length])), begun.elapsed()))
    };
    tokio::try_join!(speak, hear).map(|((), answer)| answer)
}
