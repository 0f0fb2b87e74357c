//! Sessions in the room, by example and against a naive model: for each member, the lines that count.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::protocol::{SECRET_BYTES, Text};

const NOW: Timestamp = Timestamp(0);

const BOUNDS: Bounds = Bounds { retention_bytes: 1 << 20, kept_private_bytes: 100 };

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn token(id: u128) -> Token {
    Token::new(SessionId(id), [7; SECRET_BYTES])
}

/// A room with one member, that has session 1.
fn room_with_session() -> (Room, Attachment) {
    let mut room = Room::new(BOUNDS);
    let Outcome::Joined(attachment) = join(&mut room, "Dinesh") else { panic!("it joins") };
    assert_eq!(begin(&mut room, attachment, 1), Outcome::Begun);
    (room, attachment)
}

fn join(room: &mut Room, name: &str) -> Outcome {
    room.apply(NOW, &Entry::Join { nickname: nickname(name), from: ([127, 0, 0, 1], 5).into() })
}

fn begin(room: &mut Room, attachment: Attachment, id: u128) -> Outcome {
    room.apply(NOW, &Entry::Begin { attachment, session: SessionId(id), secret: token(id).hash() })
}

fn say(room: &mut Room, attachment: Attachment, number: u64) -> Outcome {
    let text = format!("line {number}");
    let by = Origin { attachment, number: Some(number) };
    room.apply(NOW, &Entry::Say { by, text: Text::parse(&text).unwrap() })
}

fn detach(room: &mut Room, attachment: Attachment) -> Outcome {
    room.apply(NOW, &Entry::Detach { attachment, reason: DisconnectReason::Reset })
}

fn resume(room: &mut Room, id: u128) -> Outcome {
    room.apply(
        NOW,
        &Entry::Resume { session: SessionId(id), from: ([127, 0, 0, 1], 6).into(), private_lines: 0 },
    )
}

fn resumed(room: &mut Room, id: u128) -> Attachment {
    match resume(room, id) {
        Outcome::Resumed(Resumed { attachment, .. }) => attachment,
        other => panic!("{other:?}"),
    }
}

fn last_line(room: &Room) -> String {
    let transcript = room.transcript();
    let bytes = transcript.read(0, transcript.end(), usize::MAX).unwrap();
    String::from_utf8_lossy(bytes).lines().last().unwrap().to_owned()
}

#[test]
fn a_numbered_line_is_applied_once_however_often_it_is_sent() {
    let (mut room, dinesh) = room_with_session();
    let said = Outcome::Said(nickname("Dinesh"));
    assert_eq!(say(&mut room, dinesh, 1), said);
    assert_eq!(say(&mut room, dinesh, 1), Outcome::Unchanged);
    assert_eq!(say(&mut room, dinesh, 5), said, "the client chooses its numbers");
    assert_eq!(say(&mut room, dinesh, 4), Outcome::Unchanged);
    room.apply(NOW, &Entry::Answer { by: Origin { attachment: dinesh, number: Some(6) }, lines: "" });
    assert_eq!(say(&mut room, dinesh, 6), Outcome::Unchanged, "it was answered or refused");
    assert_eq!(room.progress(dinesh.member), Some(Progress { public_lines: 3, taken: 6 }));
}

#[test]
fn a_session_knows_how_many_lines_there_had_been_when_it_began() {
    let mut room = Room::new(BOUNDS);
    join(&mut room, "Alex");
    let Outcome::Joined(dinesh) = join(&mut room, "Dinesh") else { panic!("it joins") };
    begin(&mut room, dinesh, 1);
    say(&mut room, dinesh, 1);
    let Outcome::Resumed(resumed) = resume(&mut room, 1) else { panic!("it goes on") };
    assert_eq!(resumed.since, 2);
}

#[test]
fn whoever_has_lost_its_connection_is_still_a_member_and_nobody_is_told() {
    let (mut room, dinesh) = room_with_session();
    let lines = room.transcript().lines();
    assert_eq!(detach(&mut room, dinesh), Outcome::Detached(nickname("Dinesh")));
    assert_eq!(detach(&mut room, dinesh), Outcome::Unchanged, "it is known already");
    assert!(room.is_away(dinesh.member));
    assert_eq!(join(&mut room, "Dinesh"), Outcome::Refused(Refusal::NicknameTaken));
    let again = resumed(&mut room, 1);
    assert!(!room.is_away(dinesh.member));
    assert_eq!((again.member, again.number), (dinesh.member, 1));
    assert_eq!(room.transcript().lines(), lines);
}

#[test]
fn nothing_from_a_connection_that_was_resumed_elsewhere_changes_anything() {
    let (mut room, dinesh) = room_with_session();
    say(&mut room, dinesh, 1);
    let again = resumed(&mut room, 1);
    let lines = room.transcript().lines();
    let unnumbered = Origin { attachment: dinesh, number: None };
    let text = Text::parse("from beyond").unwrap();
    for entry in [
        Entry::Say { by: unnumbered, text },
        Entry::Act { by: Origin { attachment: dinesh, number: Some(2) }, text },
        Entry::Whisper { by: unnumbered, to: dinesh.member, text },
        Entry::Rename { by: unnumbered, nickname: nickname("Ghost") },
        Entry::Answer { by: Origin { attachment: dinesh, number: Some(9) }, lines: "-- no" },
        Entry::Begin { attachment: dinesh, session: SessionId(2), secret: token(2).hash() },
        Entry::Detach { attachment: dinesh, reason: DisconnectReason::Reset },
        Entry::Expire { attachment: dinesh },
        Entry::Leave { attachment: dinesh, reason: DisconnectReason::Quit },
    ] {
        assert_eq!(room.apply(NOW, &entry), Outcome::Unchanged, "{entry:?}");
    }
    assert_eq!(room.progress(dinesh.member), Some(Progress { public_lines: lines, taken: 1 }));
    assert!(!room.is_news(unnumbered));
    assert!(room.is_news(Origin { attachment: again, number: Some(2) }));
    assert_eq!(say(&mut room, again, 2), Outcome::Said(nickname("Dinesh")));
    assert!(!room.is_news(Origin { attachment: again, number: Some(2) }));
}

#[test]
fn a_session_expires_only_while_it_waits_and_is_remembered_until_it_is_forgotten() {
    let (mut room, dinesh) = room_with_session();
    say(&mut room, dinesh, 12);
    let expire = Entry::Expire { attachment: dinesh };
    assert_eq!(room.apply(NOW, &expire), Outcome::Unchanged, "it has a connection");
    detach(&mut room, dinesh);
    let again = resumed(&mut room, 1);
    assert_eq!(room.apply(NOW, &expire), Outcome::Unchanged, "it goes on in another one");
    detach(&mut room, again);
    let left = Outcome::Left {
        nickname: nickname("Dinesh"),
        reason: DisconnectReason::Reset,
        session: Some(SessionId(1)),
    };
    assert_eq!(room.apply(NOW, &Entry::Expire { attachment: again }), left);
    assert_eq!(last_line(&room), "Dinesh left the chat.");
    assert_eq!(resume(&mut room, 1), Outcome::Refused(Refusal::UnknownSession));
    assert_eq!(room.claim(&token(1)), Claim::Ended { taken: 12 });
    room.apply(NOW, &Entry::Forget { session: SessionId(1) });
    assert_eq!(room.claim(&token(1)), Claim::Unknown);
}

#[test]
fn a_token_is_good_for_its_own_session_alone() {
    let (mut room, dinesh) = room_with_session();
    assert_eq!(room.claim(&token(1)), Claim::Of(dinesh));
    assert_eq!(room.claim(&token(2)), Claim::Unknown);
    let wrong = Token::new(SessionId(1), [8; SECRET_BYTES]);
    assert_eq!(room.claim(&wrong), Claim::Unknown);
    room.apply(NOW, &Entry::Leave { attachment: dinesh, reason: DisconnectReason::Quit });
    assert_eq!(room.claim(&wrong), Claim::Unknown, "and so when it has ended");
}

#[test]
fn a_member_has_one_session_at_most_and_a_number_is_of_one() {
    let (mut room, dinesh) = room_with_session();
    assert_eq!(begin(&mut room, dinesh, 2), Outcome::Refused(Refusal::HasSession));
    let Outcome::Joined(alex) = join(&mut room, "Alex") else { panic!("it joins") };
    assert!(!room.is_news(Origin { attachment: alex, number: Some(1) }), "a number needs a session");
    assert_eq!(begin(&mut room, alex, 1), Outcome::Refused(Refusal::HasSession));
    assert_eq!(room.claim(&token(1)), Claim::Of(dinesh));
}

#[test]
fn of_many_sessions_that_have_ended_the_last_are_remembered() {
    let mut sessions = Sessions::default();
    let many = ENDED_SESSIONS as u64 + 1;
    for number in 0..many {
        assert!(sessions.begin(MemberId(number), SessionId(u128::from(number)), token(0).hash(), 0));
        sessions.end(MemberId(number));
    }
    let claim = |id| sessions.claim(&token(id));
    assert_eq!((claim(0), claim(1)), (Claim::Unknown, Claim::Ended { taken: 0 }));
}

#[test]
fn what_a_session_is_told_alone_is_kept_until_its_client_has_read_it() {
    let (mut room, dinesh) = room_with_session();
    let Outcome::Joined(alex) = join(&mut room, "Alex") else { panic!("it joins") };
    let unnumbered = |attachment| Origin { attachment, number: None };
    let text = Text::parse("psst").unwrap();
    room.apply(NOW, &Entry::Whisper { by: unnumbered(alex), to: dinesh.member, text });
    room.apply(NOW, &Entry::Answer { by: unnumbered(dinesh), lines: "-- one\n-- two" });
    room.apply(NOW, &Entry::Rename { by: unnumbered(dinesh), nickname: nickname("alex") });
    assert_eq!(room.apply(NOW, &Entry::Answer { by: unnumbered(alex), lines: "-- x" }), Outcome::Unchanged);
    let taken = "-- Not sent: somebody here has that nickname, or one like it.";
    let kept = |room: &Room, member| room.kept(member).map(|(_, line)| line.to_owned()).collect::<Vec<_>>();
    assert_eq!(kept(&room, dinesh.member), ["-- Alex to you: psst", "-- one", "-- two", taken]);
    assert_eq!(kept(&room, alex.member), [""; 0], "it has no session");
    let resume = Entry::Resume { session: SessionId(1), from: ([127, 0, 0, 1], 6).into(), private_lines: 2 };
    let Outcome::Resumed(resumed) = room.apply(NOW, &resume) else { panic!("it goes on") };
    assert_eq!(resumed.missing_private_lines, 0);
    assert_eq!(kept(&room, dinesh.member), ["-- two", taken]);
}

#[derive(Clone, Debug)]
enum Step {
    /// Says a line with a number this much above the last one, over one of the connections so far.
    Say(Index, u64),
    Detach(Index),
    Resume,
    Expire(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (any::<Index>(), 0..3_u64).prop_map(|(which, above)| Step::Say(which, above)),
        2 => any::<Index>().prop_map(Step::Detach),
        2 => Just(Step::Resume),
        1 => any::<Index>().prop_map(Step::Expire),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Every entry is recorded on the way, and every state is restored from a snapshot somewhere before it.
    ///
    /// The model is a list of numbers, the connection that counts, and whether that one is lost: then it cannot speak.
    #[test]
    fn exactly_the_lines_of_the_last_connection_with_new_numbers_are_said(steps in steps()) {
        let (mut room, first) = room_with_session();
        let (mut attachments, mut said, mut away, mut here) = (vec![first], vec![0], false, true);
        for step in steps {
            let current = attachments[attachments.len() - 1];
            match step {
                Step::Say(which, above) => {
                    let number = said[said.len() - 1] + above;
                    let counts = here && !away && *which.get(&attachments) == current && above > 0;
                    let outcome = say(&mut room, *which.get(&attachments), number);
                    prop_assert_eq!(outcome != Outcome::Unchanged, counts);
                    said.extend(counts.then_some(number));
                }
                Step::Detach(which) => {
                    let counts = here && *which.get(&attachments) == current && !away;
                    prop_assert_eq!(detach(&mut room, *which.get(&attachments)) != Outcome::Unchanged, counts);
                    away |= counts;
                }
                Step::Resume => match resume(&mut room, 1) {
                    Outcome::Resumed(Resumed { attachment, taken, .. }) => {
                        prop_assert!(here && attachment > current);
                        prop_assert_eq!(taken, said[said.len() - 1]);
                        attachments.push(attachment);
                        away = false;
                    }
                    _ => prop_assert!(!here),
                },
                Step::Expire(which) => {
                    let counts = here && *which.get(&attachments) == current && away;
                    let outcome = room.apply(NOW, &Entry::Expire { attachment: *which.get(&attachments) });
                    prop_assert_eq!(outcome != Outcome::Unchanged, counts);
                    here &= !counts;
                }
            }
            prop_assert_eq!(room.is_away(first.member), here && away);
            prop_assert_eq!(room.transcript().lines(), said.len() as u64 + u64::from(!here));
        }
    }
}
