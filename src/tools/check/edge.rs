//! The five edge cases that the report names.

use tokio::time::timeout;

use super::peer::{AT_ONCE, Peer};
use super::report::{goes_on, join_all};
use super::subject::{Observation, Subject};
use crate::net::Connect as _;

const RAPID_MESSAGES: usize = 100;

/// A port where nobody listens: it is reserved, and privileged.
const NOBODYS_PORT: u16 = 1;

pub async fn rapid_message_sending<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Rapid", 2).await?;
    for number in 0..RAPID_MESSAGES {
        clients[1].say(&format!("rapid {number:03}.")).await?;
    }
    for client in &mut clients {
        for number in 0..RAPID_MESSAGES {
            client.expect(&format!("rapid {number:03}.")).await?;
        }
    }
    Ok(())
}

pub async fn invalid_port_connection<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let host = subject.address().rsplit_once(':').map_or("", |(host, _)| host);
    let nowhere = format!("{host}:{NOBODYS_PORT}");
    // No answer at all is as good: a firewall may protect the port.
    if let Ok(Ok(_)) = timeout(AT_ONCE, subject.network().connect(&nowhere)).await {
        return Err(format!("somebody listens on {nowhere}"));
    }
    let mut client = Peer::join(subject, "RightPort").await?;
    goes_on(subject, &mut client).await
}

pub async fn port_conflict<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut client = Peer::join(subject, "Conflict").await?;
    subject.start_second().await?;
    goes_on(subject, &mut client).await
}

pub async fn server_restart<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut observed = Vec::new();
    let mut client = Peer::join(subject, "Before").await?;
    if let Err(observation) = subject.stop().await {
        observed.push(observation);
        subject.kill().await;
    }
    client.listen().await;
    // Like a client that has not noticed yet, this one has not closed its side. The remains of its
    // connection must not keep the server from its port.
    if let Err(observation) = subject.start().await {
        observed.push(format!("restarted at once, {observation}"));
    } else if let Err(observation) = Peer::join(subject, "Afterwards").await {
        observed.push(format!("after the restart {observation}"));
    }
    if observed.is_empty() { Ok(()) } else { Err(observed.join("; ")) }
}

pub async fn client_forced_shutdown<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Forced", 2).await?;
    let left = format!("{} left the chat.", clients[1].nickname);
    // The operating system closes the connection of a process that ends in order, whatever the process was doing.
    clients[0].say("for nobody to read").await?;
    clients[1].end().await?;
    clients[0].expect(&left).await?;
    clients[0].listen().await;
    match clients[0].count(&left) {
        1 => {}
        times => return Err(format!("“{left}” came {times} times")),
    }
    let nickname = clients[1].nickname.clone();
    drop(clients.pop());
    let mut back = Peer::join(subject, &nickname).await?;
    goes_on(subject, &mut back).await
}
