//! The host of a member vanishes while nobody talks: only pings can show it, to either side.

use std::future::pending;
use std::io::{self, Write};

use commonroom::client::{Config, PING_INTERVAL, SILENCE_TIMEOUT, connect};
use commonroom::protocol::{Framing, Nickname};
use commonroom::server::{self, limits::PING_TIMEOUT};
use commonroom::terminal::Failure;
use commonroom::terminal::pipe::{self, Streams};
use commonroom::terminal::token_file::TokenFile;

use tokio::time::Instant;

use crate::member::Member;
use crate::network::Simulated;
use crate::scenario;
use crate::witness::{Ending, Membership, Witness};
use crate::world::{address, seconds};

#[test]
fn a_member_whose_host_vanishes_is_missed_by_the_server_and_misses_it() {
    let mut world = scenario::begin();
    world.start_server(server::Config::default());
    world.add(Member::new("Dinesh").connects(seconds(1)));
    world.add_program("Alex", |witness| chat_client("Alex", witness));
    // Alex pings when it has joined, and then after each interval of silence.
    let last_ping = 2 * PING_INTERVAL;
    world.run_until(last_ping + seconds(1));
    world.partition("Alex");

    world.run_until(last_ping + PING_TIMEOUT);
    assert!(!world.server_log().contains("Alex disconnected"), "{}", world.server_log());
    world.run_until(last_ping + PING_TIMEOUT.max(SILENCE_TIMEOUT) + seconds(1));
    assert!(world.server_log().contains("Alex disconnected (timed out)"), "{}", world.server_log());
    assert_eq!(
        world.screen("Alex"),
        ["Alex joined the chat!", "Dinesh joined the chat!", "Connection lost!"],
        "its own pings are not on its screen"
    );
    scenario::end(&world);
}

/// A `chat-client` with a silent pipe as its input, from its start to the loss of its connection.
async fn chat_client(name: &str, witness: Witness) -> io::Result<()> {
    let begin = Instant::now();
    let network = Simulated::default();
    let nickname = Nickname::parse(name).expect("a valid nickname");
    let connection = connect(&network, &address(), Config::new(nickname)).await?;
    let from = network.dialled.last().expect("it has just connected");
    witness.connected(Membership::new(name, Framing::Lines, from, begin.elapsed(), name));
    let (_nobody, input) = tokio::io::duplex(1);
    let screen = || Screen { witness: witness.clone(), begin, line: Vec::new() };
    let streams = Streams { input, output: screen(), errors: screen(), leave_when_unheard: false };
    let ended = pipe::run((connection, TokenFile::none()), streams, pending()).await;
    assert!(matches!(ended, Err(Failure::ConnectionLost(lines)) if lines.is_none()));
    witness.now(|membership| membership.ended = Some((begin.elapsed(), Ending::Lost)));
    Ok(())
}

/// The output of the client, line by line.
struct Screen {
    witness: Witness,
    begin: Instant,
    line: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.pop_if(|byte| *byte == b'\n').is_some() {
            let line = String::from_utf8(std::mem::take(&mut self.line)).expect("lines are UTF-8");
            self.witness.now(|membership| membership.heard.push((self.begin.elapsed(), line)));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
