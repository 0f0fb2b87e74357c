//! Robustness against messages that the report's server cuts, mixes up or fails on.

use std::time::Duration;

use tokio::time::sleep;

use super::peer::Peer;
use super::report::{goes_on, join_all};
use super::subject::{Observation, Subject};
use crate::protocol::Framing;

/// One byte more than the report's server reads at once.
const LONG_BYTES: usize = 1_025;
const VERY_LONG_BYTES: usize = 100_000;

/// How many messages another member sends meanwhile.
const MEANWHILE_MESSAGES: usize = 50;

/// The pause between two parts of a message, so that the server reads them separately.
const PARTS_APART: Duration = Duration::from_millis(50);

pub async fn not_utf8<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Bytes", 2).await?;
    let message = [clients[1].nickname.as_bytes(), b": caf\xe9 \xff au lait"].concat();
    clients[1].send_message(&message).await?;
    clients[0].listen().await;
    clients[0].text()?;
    goes_on(subject, &mut clients[0]).await
}

pub async fn long<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Long", 2).await?;
    let body = long_body(LONG_BYTES);
    clients[1].say(&body).await?;
    clients[0].listen().await;
    whole_or_not_at_all(&clients[0], &body)?;
    goes_on(subject, &mut clients[0]).await
}

pub async fn very_long<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Longer", 3).await?;
    let body = long_body(VERY_LONG_BYTES);
    let texts: Vec<_> = (0..MEANWHILE_MESSAGES).map(|number| format!("meanwhile {number:03}.")).collect();
    if let [_, long, other] = clients.as_mut_slice() {
        let meanwhile = async {
            for text in &texts {
                other.say(text).await?;
            }
            Ok::<_, Observation>(())
        };
        let (_, said) = tokio::join!(long.say(&body), meanwhile);
        // The server may refuse the long message, but not those of the other member.
        said?;
    }
    clients[0].expect_all(&texts).await?;
    clients[0].listen().await;
    whole_or_not_at_all(&clients[0], &body)?;
    goes_on(subject, &mut clients[0]).await
}

pub async fn unfinished<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Endless", 2).await?;
    // A server may close the connection before all is sent.
    let _ = clients[1].send(&vec![b'x'; VERY_LONG_BYTES]).await;
    clients[0].listen().await;
    let left = format!("{} left the chat.", clients[1].nickname);
    drop(clients.pop());
    clients[0].listen().await;
    if clients[0].count(&left) != 1 {
        return Err(format!("“{left}” came {} times", clients[0].count(&left)));
    }
    goes_on(subject, &mut clients[0]).await
}

pub async fn cut_character<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Accent", 2).await?;
    let message = format!("{}: un café au lait", clients[1].nickname);
    let in_the_middle = message.find('é').unwrap_or_default() + 1;
    let (begin, rest) = message.as_bytes().split_at(in_the_middle);
    clients[1].send(begin).await?;
    sleep(PARTS_APART).await;
    clients[1].send_message(rest).await?;
    // In the report's framing each read is a message, so two messages are fine, but they must be valid text.
    if subject.framing() == Framing::Lines {
        clients[0].expect("un café au lait").await?;
    }
    clients[0].listen().await;
    clients[0].text()?;
    clients[1].say("s'il vous plaît").await?;
    clients[0].expect("s'il vous plaît").await?;
    goes_on(subject, &mut clients[0]).await
}

pub async fn two_in_one_segment<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut clients = join_all(subject, "Double", 2).await?;
    let nickname = clients[1].nickname.clone();
    let messages = match subject.framing() {
        Framing::Lines => format!("{nickname}: first\n{nickname}: second\n"),
        Framing::Report => format!("{nickname}: first{nickname}: second"),
    };
    clients[1].send(messages.as_bytes()).await?;
    clients[0].expect(&format!("{nickname}: first")).await?;
    clients[0].expect(&format!("{nickname}: second")).await
}

pub async fn foreign_name<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    const FORGED: &str = "RealOne: I never said this";
    let mut victim = Peer::join(subject, "RealOne").await?;
    let mut forger = Peer::join(subject, "Mallory").await?;
    forger.send_message(FORGED.as_bytes()).await?;
    victim.listen().await;
    // After the forger's own name it is a quotation.
    if victim.count(FORGED) != victim.count(&format!("Mallory: {FORGED}")) {
        return Err(format!("everyone was sent “{FORGED}”, which Mallory wrote"));
    }
    goes_on(subject, &mut victim).await
}

/// A text in which each piece contains its number.
fn long_body(bytes: usize) -> String {
    (0..)
        .flat_map(|number: usize| format!("<{number:05}>").into_bytes())
        .map(char::from)
        .take(bytes)
        .collect()
}

fn whole_or_not_at_all<T: crate::net::Stream>(peer: &Peer<T>, body: &str) -> Result<(), Observation> {
    let pieces = (0..body.len() / 7).step_by(50).map(|number| format!("<{number:05}>"));
    let heard = pieces.filter(|piece| peer.count(piece) > 0).count();
    if heard == 0 || peer.count(body) == 1 {
        return Ok(());
    }
    Err(format!("of a message of {} bytes {} got only parts, or not in one piece", body.len(), peer.nickname))
}
