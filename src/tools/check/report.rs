//! The eight test cases of the report.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::peer::{AT_ONCE, Client, Peer};
use super::subject::{Observation, Subject};

const CONCURRENT_CLIENTS: usize = 5;
const STRESS_CLIENTS: usize = 5;
const STRESS_ROUNDS: usize = 20;

/// How often the log is read while an event is awaited there.
const LOG_INTERVAL: Duration = Duration::from_millis(20);

pub async fn server_startup<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    // The request for a nickname would be proof enough. But the server may name clients one by one, so this
    // one must answer and read to the end, or it would keep the next client waiting.
    Peer::join(subject, "Starter").await.map(drop)
}

pub async fn single_client_connection<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    Peer::join(subject, "Single").await.map(drop)
}

pub async fn multiple_clients<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients: Vec<Client<S>> = Vec::new();
    for number in 0..CONCURRENT_CLIENTS {
        let client = Peer::join(subject, &format!("Many{}", letter(number))).await?;
        for earlier in &mut clients {
            earlier.expect(&format!("{} joined the chat!", client.nickname)).await?;
        }
        clients.push(client);
    }
    Ok(())
}

pub async fn message_broadcast<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Caster", 3).await?;
    for speaker in 0..clients.len() {
        clients[speaker].say("Hello everyone").await?;
        let wanted = format!("{}: Hello everyone", clients[speaker].nickname);
        for client in &mut clients {
            client.expect(&wanted).await?;
        }
    }
    Ok(())
}

pub async fn graceful_disconnection<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Graceful", 2).await?;
    clients[1].end().await?;
    let left = format!("{} left the chat.", clients[1].nickname);
    clients[0].expect(&left).await
}

pub async fn abrupt_termination<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Abrupt", 3).await?;
    clients.truncate(2);
    // Messages at the very moment of a leave are tested by another case.
    clients[0].listen().await;
    clients[1].say("what happened?").await?;
    let wanted = format!("{}: what happened?", clients[1].nickname);
    clients[0].expect(&wanted).await?;
    goes_on(subject, &mut clients[0]).await
}

pub async fn logging_verification<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut client = Peer::join(subject, "Logged").await?;
    client.say("for the record").await?;
    client.expect("Logged: for the record").await?;
    // Abruptly, because orderly ends are tested by another case.
    drop(client);
    for event in ["Server started", "Logged connected from", "Message: Logged: for the record"] {
        expect_logged(subject, event).await?;
    }
    expect_logged(subject, "Logged disconnected").await
}

pub async fn stress_test<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Stress", STRESS_CLIENTS).await?;
    let mut said = Vec::new();
    for round in 0..STRESS_ROUNDS {
        let mut texts = Vec::new();
        for client in &mut clients {
            client.say(&format!("round {round:02}.")).await?;
            texts.push(format!("{}: round {round:02}.", client.nickname));
        }
        for client in &mut clients {
            client.expect_all(&texts).await?;
        }
        said.append(&mut texts);
    }
    for client in &clients {
        if let Some(text) = said.iter().find(|text| client.count(text) != 1) {
            return Err(format!("{} got “{text}” {} times", client.nickname, client.count(text)));
        }
    }
    Ok(())
}

/// The given number of members, all of which have joined when this returns.
///
/// Each gives its nickname in the order of connecting, but none waits for the welcome of the previous one.
pub async fn join_all<S: Subject>(
    subject: &mut S,
    name: &str,
    count: usize,
) -> Result<Vec<Client<S>>, Observation> {
    let mut clients: Vec<Client<S>> = Vec::new();
    for number in 0..count {
        clients.push(Peer::open(subject, &format!("{name}{}", letter(number))).await?);
    }
    for client in &mut clients {
        client.name().await?;
    }
    for client in &mut clients {
        client.expect_welcome().await?;
    }
    Ok(clients)
}

/// Checks that the server still works: a member is heard, and a newcomer gets in and is heard.
pub async fn goes_on<S: Subject>(subject: &mut S, bystander: &mut Client<S>) -> Result<(), Observation> {
    let wanted = format!("{}: all well?", bystander.nickname);
    bystander.say("all well?").await?;
    bystander.expect(&wanted).await?;
    let mut newcomer = Peer::join(subject, &format!("After{}", bystander.nickname)).await?;
    newcomer.say("all well.").await?;
    let wanted = format!("{}: all well.", newcomer.nickname);
    newcomer.expect(&wanted).await?;
    bystander.expect(&wanted).await
}

/// A letter rather than a number, so that no nickname is the beginning of another.
fn letter(number: usize) -> char {
    char::from(b'A' + u8::try_from(number % 26).unwrap_or_default())
}

async fn expect_logged<S: Subject>(subject: &mut S, event: &str) -> Result<(), Observation> {
    let deadline = Instant::now() + AT_ONCE;
    while !subject.log().await?.contains(event) {
        if Instant::now() > deadline {
            return Err(format!("“{event}” was not logged within {AT_ONCE:?}"));
        }
        sleep(LOG_INTERVAL).await;
    }
    Ok(())
}
