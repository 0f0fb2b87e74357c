//! Sessions: members that lose their connection, and go on in another one.

use super::peer::{Client, Peer};
use super::report::goes_on;
use super::resumable::{Member, Resumable, UNNUMBERED, ask_to_resume};
use super::subject::{Observation, Subject};
use crate::net::Stream;
use crate::protocol::{NICKNAME_REQUEST, Progress, Resume, SECRET_BYTES, SessionNotice, Token};

pub async fn begins<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut bystander = Peer::join(subject, "BeginsB").await?;
    let mut member: Member<S> = Resumable::join(subject, "BeginsA").await?;
    let kept = member.line().await?;
    match kept.strip_prefix("-- ").and_then(SessionNotice::parse) {
        Some(SessionNotice::Kept(grace)) if !grace.is_zero() => {}
        _ => return Err(format!("“{kept}” came instead of how long the session is kept")),
    }
    goes_on(subject, &mut bystander).await?;
    // A member with a session need not number its lines.
    goes_on(subject, &mut member.peer).await
}

pub async fn pong<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut member: Member<S> = Resumable::join(subject, "Pinging").await?;
    expect_pong(&mut member, None, 0).await?;
    member.send(1, "counted").await?;
    expect_pong(&mut member, None, 1).await?;
    member.send(2, "/no-such-command").await?;
    expect_pong(&mut member, None, 2).await?;
    // A pong to a numbered ping counts that one, too.
    expect_pong(&mut member, Some(7), 7).await
}

/// Pings, and checks that the pong says how many public lines there were, and what was taken.
async fn expect_pong<T: Stream>(
    member: &mut Resumable<T>,
    number: Option<u64>,
    taken: u64,
) -> Result<(), Observation> {
    let name = if number.is_some() { "numbered" } else { UNNUMBERED };
    let request = format!("/ping {name}");
    match number {
        Some(number) => member.send(number, &request).await?,
        None => member.peer.send_message(request.as_bytes()).await?,
    }
    let begin = format!("-- pong {name}");
    let answer = member.lines_until(&begin, &begin).await?.pop().unwrap_or_default();
    let expected = format!("{begin}{}.", Progress { public_lines: member.resume.public_lines, taken });
    if answer == expected { Ok(()) } else { Err(format!("“{answer}” came instead of “{expected}”")) }
}

pub async fn sent_again<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut listener = Peer::join(subject, "AgainB").await?;
    let mut member: Member<S> = Resumable::join(subject, "AgainA").await?;
    for (number, text) in [(1, "one."), (3, "three."), (3, "three."), (1, "one."), (2, "two."), (4, "four.")]
    {
        member.send(number, text).await?;
    }
    listener.expect("AgainA: four.").await?;
    for (text, expected) in [("one.", 1), ("two.", 0), ("three.", 1), ("four.", 1)] {
        let times = listener.count(&format!("AgainA: {text}"));
        if times != expected {
            return Err(format!("“{text}” was said {times} times, and not {expected}"));
        }
    }
    Ok(())
}

pub async fn catches_up<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut other = Peer::join(subject, "MissedB").await?;
    let mut member: Member<S> = Resumable::join(subject, "MissedA").await?;
    say_and_whisper(&mut other, "heard").await?;
    let heard = member.lines_until("-- MissedB to you: heard", "MissedB").await?;
    let seen = member.resume.clone();
    // This is read, too, but not counted, as if it were on its way when the connection broke.
    say_and_whisper(&mut other, "under way").await?;
    member.lines_until("-- MissedB to you: under way", "MissedB").await?;
    drop(member);
    say_and_whisper(&mut other, "missed").await?;
    let (mut member, _): (Member<S>, _) = Resumable::resume(subject, "MissedA", &seen).await?;
    say_and_whisper(&mut other, "new").await?;
    let mut lines = heard;
    lines.extend(member.lines_until("-- MissedB to you: new", "MissedB").await?);
    let texts = ["heard", "under way", "missed", "new"];
    let expected: Vec<_> = texts
        .iter()
        .flat_map(|text| [format!("MissedB: {text}"), format!("-- MissedB to you: {text}")])
        .collect();
    if lines != expected {
        return Err(format!("MissedA got “{}”, and not “{}”", lines.join(" ⏎ "), expected.join(" ⏎ ")));
    }
    member.peer.listen().await;
    if member.peer.count("missed") != 2 {
        return Err("something that was missed came again".to_owned());
    }
    // Whatever comes in the new connection is counted as before.
    expect_pong(&mut member, None, 0).await
}

/// Says a text to everyone, and the same to the member alone.
async fn say_and_whisper<T: Stream>(other: &mut Peer<T>, text: &str) -> Result<(), Observation> {
    other.say(text).await?;
    other.send_message(format!("/msg MissedA {text}").as_bytes()).await?;
    other.expect(&format!("-- You to MissedA: {text}")).await
}

pub async fn unnoticed<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut other = Peer::join(subject, "NoticesB").await?;
    let member: Member<S> = Resumable::join(subject, "NoticesA").await?;
    other.expect("NoticesA joined the chat!").await?;
    let resume = member.resume.clone();
    drop(member);
    other.listen().await;
    let (mut member, _): (Member<S>, _) = Resumable::resume(subject, "NoticesA", &resume).await?;
    // Proxies close connections in good order, too.
    member.peer.end().await?;
    member.peer.listen().await;
    other.listen().await;
    let (mut member, _): (Member<S>, _) = Resumable::resume(subject, "NoticesA", &resume).await?;
    member.send(1, "I am back").await?;
    other.expect("NoticesA: I am back").await?;
    let told = other.text()?.lines().filter(|line| line.contains("NoticesA")).collect::<Vec<_>>();
    if told == ["NoticesA joined the chat!", "NoticesA: I am back"] {
        Ok(())
    } else {
        Err(format!("another member was told “{}”", told.join(" ⏎ ")))
    }
}

pub async fn taken_over<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut listener = Peer::join(subject, "TwiceB").await?;
    let mut older: Member<S> = Resumable::join(subject, "TwiceA").await?;
    let (mut newer, _): (Member<S>, _) = Resumable::resume(subject, "TwiceA", &older.resume).await?;
    older.peer.expect(&format!("-- {}", SessionNotice::TakenOver)).await?;
    // The server may have closed the connection already.
    let _ = older.send(9, "from the older").await;
    let _ = older.peer.send_message(b"from the older").await;
    older.peer.listen().await;
    newer.send(1, "from the newer").await?;
    listener.expect("TwiceA: from the newer").await?;
    listener.listen().await;
    if listener.count("from the older") > 0 {
        return Err("the older connection could still say something".to_owned());
    }
    goes_on(subject, &mut listener).await
}

pub async fn quit<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut other = Peer::join(subject, "QuitsB").await?;
    let mut member: Member<S> = Resumable::join(subject, "QuitsA").await?;
    member.send(1, "one").await?;
    member.send(2, "two").await?;
    member.peer.send_message(b"/quit").await?;
    other.expect("QuitsA left the chat.").await?;
    match ask_to_resume(subject, "QuitsA", &member.resume).await? {
        (newcomer, SessionNotice::NotResumed { taken: Some(2), .. }) => {
            joins_as_a_newcomer::<S>(newcomer).await
        }
        (_, answer) => Err(format!("QuitsA was answered “-- {answer}” to /resume")),
    }
}

pub async fn wrong_secret<S: Subject>(subject: &mut S) -> Result<(), Observation> {
    let mut listener = Peer::join(subject, "SecretB").await?;
    let mut member: Member<S> = Resumable::join(subject, "SecretA").await?;
    let token = Token::new(member.resume.token.id(), [0; SECRET_BYTES]);
    let wrong = Resume { token, ..member.resume.clone() };
    match ask_to_resume(subject, "SecretC", &wrong).await? {
        (stranger, SessionNotice::NotResumed { taken: None, .. }) => {
            joins_as_a_newcomer::<S>(stranger).await?;
        }
        (_, answer) => return Err(format!("a wrong secret was answered “-- {answer}”")),
    }
    member.send(1, "it is still me").await?;
    listener.expect("SecretA: it is still me").await
}

/// Somebody whose session is not resumed is asked for a nickname, and may join.
async fn joins_as_a_newcomer<S: Subject>(mut newcomer: Client<S>) -> Result<(), Observation> {
    let request = newcomer.line(NICKNAME_REQUEST).await?;
    if request != NICKNAME_REQUEST {
        return Err(format!("“{request}” came after the refusal, and not “{NICKNAME_REQUEST}”"));
    }
    let nickname = newcomer.nickname.clone();
    newcomer.send_message(nickname.as_bytes()).await?;
    newcomer.expect_welcome().await
}
