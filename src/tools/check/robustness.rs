//! Robustness of the room: connections and nicknames that the report's server does not survive.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::peer::Peer;
use super::report::{goes_on, join_all};
use super::subject::{Observation, Subject};
use crate::net::Stream;
use crate::protocol::NICKNAME_REQUEST;

/// How much is said while one member does not read: more than the buffers of the operating system hold
/// for it.
///
/// Several members say it in turn, each little enough for a server that slows down fast senders.
const STALLED_TALKERS: usize = 30;
const STALLED_MESSAGES: usize = 200;
const STALLED_TEXT_BYTES: usize = 1_000;

/// How long the server is watched, and for how much of that time an idle one may want a processor.
const CPU_TIME_WATCHED: Duration = Duration::from_secs(1);
const CPU_TIME_ALLOWED: Duration = Duration::from_millis(300);

const LEAVERS: usize = 10;
const MESSAGES_BETWEEN_LEAVES: usize = 10;

const VANISHING_CLIENTS: usize = 200;

pub async fn silent_client<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let _silent = Peer::open(subject, "Silent").await?;
    let mut other = Peer::join(subject, "Talkative").await?;
    goes_on(subject, &mut other).await
}

pub async fn stalled_reader<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut listener = Peer::join(subject, "Listener").await?;
    let _stalled = Peer::join(subject, "Stalled").await?;
    for index in 0..STALLED_TALKERS {
        let mut talker = Peer::join(subject, &format!("Talker{index}")).await?;
        for number in index * STALLED_MESSAGES..(index + 1) * STALLED_MESSAGES {
            if !is_heard(&mut talker, &mut listener, number).await {
                let kilobytes = number * STALLED_TEXT_BYTES / 1_000;
                return Err(format!(
                    "after {kilobytes} kB that one member did not read, {} was not heard",
                    talker.nickname
                ));
            }
        }
    }
    goes_on(subject, &mut listener).await
}

/// Whether both hear what one of them says.
async fn is_heard<T: Stream>(talker: &mut Peer<T>, listener: &mut Peer<T>, number: usize) -> bool {
    let text = format!("{number:0>STALLED_TEXT_BYTES$}");
    let heard = async {
        talker.say(&text).await?;
        talker.expect(&text).await?;
        listener.expect(&text).await
    };
    heard.await.is_ok()
}

pub async fn orderly_close<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Closing", 2).await?;
    clients[1].end().await?;
    clients[1].listen().await;
    let (watched, before) = (Instant::now(), subject.wanted_cpu_time());
    sleep(CPU_TIME_WATCHED).await;
    let (elapsed, after) = (watched.elapsed(), subject.wanted_cpu_time());
    let wanted = after.zip(before).map(|(after, before)| after.saturating_sub(before)).unwrap_or_default();
    if wanted > CPU_TIME_ALLOWED {
        return Err(format!(
            "while nobody said anything, the server wanted the processor for {wanted:.1?} of {elapsed:.1?}"
        ));
    }
    goes_on(subject, &mut clients[0]).await
}

pub async fn leave_during_broadcast<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Stay", 2).await?;
    let mut leavers = join_all(subject, "Leaver", LEAVERS).await?;
    let mut wanted: Vec<_> =
        leavers.iter().map(|leaver| format!("{} left the chat.", leaver.nickname)).collect();
    for number in 0..LEAVERS * MESSAGES_BETWEEN_LEAVES {
        clients[1].say(&format!("going on {number:03}.")).await?;
        wanted.push(format!("going on {number:03}."));
        if number % MESSAGES_BETWEEN_LEAVES == 0 {
            drop(leavers.pop());
        }
    }
    for client in &mut clients {
        client.expect_all(&wanted).await?;
    }
    Ok(())
}

pub async fn vanishing_clients<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut bystander = Peer::join(subject, "Steady").await?;
    for number in 0..VANISHING_CLIENTS {
        let mut ghost = Peer::open(subject, &format!("Ghost{number}")).await?;
        // Half of them vanish before they are asked, the others in the middle of their nickname.
        if number % 2 == 1 {
            ghost.send(b"Gho").await?;
        }
    }
    goes_on(subject, &mut bystander).await
}

pub async fn nickname_taken<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut watcher = Peer::join(subject, "TwinWatcher").await?;
    let _first = Peer::join(subject, "Twin").await?;
    let other = Peer::join(subject, "TwinsFriend").await?;
    watcher.expect("TwinsFriend joined the chat!").await?;
    let mut second = Peer::open(subject, "Twin").await?;
    second.name().await?;
    second.listen().await;
    drop(second);
    watcher.listen().await;
    // Whether or not the second was refused, the next member must leave under its own name.
    drop(other);
    watcher.expect("TwinsFriend left the chat.").await?;
    goes_on(subject, &mut watcher).await
}

pub async fn nickname_with_newline<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut victim = Peer::join(subject, "NewlineVictim").await?;
    let mut forger = Peer::open(subject, "Forger\nNewlineVictim: I never said this").await?;
    forger.name().await?;
    forger.listen().await;
    victim.listen().await;
    if victim.text()?.lines().any(|line| line.starts_with("NewlineVictim: ")) {
        return Err("a line of the nickname appears as a message of somebody else".to_owned());
    }
    drop(forger);
    goes_on(subject, &mut victim).await
}

pub async fn nickname_with_control_characters<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut bystander = Peer::join(subject, "Terminal").await?;
    let mut clearer = Peer::open(subject, "\u{1b}[2J\u{7}Clearer").await?;
    clearer.name().await?;
    clearer.listen().await;
    bystander.listen().await;
    if bystander.text()?.contains(['\u{1b}', '\u{7}']) {
        return Err("the nickname's control characters were sent to the others unchanged".to_owned());
    }
    drop(clearer);
    goes_on(subject, &mut bystander).await
}

pub async fn nickname_not_utf8<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut bystander = Peer::join(subject, "Latin").await?;
    let mut stranger = Peer::open(subject, "Stranger").await?;
    stranger.expect(NICKNAME_REQUEST).await?;
    stranger.send_message(b"Str\xe4nger").await?;
    stranger.listen().await;
    drop(stranger);
    bystander.listen().await;
    bystander.text()?;
    goes_on(subject, &mut bystander).await
}
