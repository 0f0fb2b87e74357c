use super::*;

const NOW: Timestamp = Timestamp(0);

fn room() -> Room {
    Room::new(Bounds { retention_bytes: 1 << 20, kept_private_bytes: 1 << 10 })
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).expect("a valid nickname")
}

fn join(room: &mut Room, name: &str) -> Outcome {
    room.apply(NOW, &Entry::Join { nickname: nickname(name), from: ([127, 0, 0, 1], 5).into() })
}

fn joined(room: &mut Room, name: &str) -> Attachment {
    match join(room, name) {
        Outcome::Joined(attachment) => attachment,
        other => panic!("{other:?}"),
    }
}

fn from(attachment: Attachment) -> Origin {
    Origin { attachment, number: None }
}

fn say(room: &mut Room, attachment: Attachment, text: &str) -> Outcome {
    let text = Text::parse(text).expect("a valid text");
    room.apply(NOW, &Entry::Say { by: from(attachment), text })
}

fn rename(room: &mut Room, attachment: Attachment, name: &str) -> Outcome {
    room.apply(NOW, &Entry::Rename { by: from(attachment), nickname: nickname(name) })
}

fn leave(room: &mut Room, attachment: Attachment) -> Outcome {
    room.apply(NOW, &Entry::Leave { attachment, reason: DisconnectReason::Quit })
}

fn left(name: &str) -> Outcome {
    Outcome::Left { nickname: nickname(name), reason: DisconnectReason::Quit, session: None }
}

fn lines(room: &Room) -> Vec<String> {
    let transcript = room.transcript();
    let bytes = transcript.read(0, transcript.end(), usize::MAX).expect("everything is retained");
    String::from_utf8(bytes.to_vec()).expect("lines are UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn every_change_that_everyone_is_told_of_is_one_line() {
    let mut room = room();
    let dinesh = joined(&mut room, "Dinesh");
    assert_eq!(say(&mut room, dinesh, "anyone?"), Outcome::Said(nickname("Dinesh")));
    let act = Entry::Act { by: from(dinesh), text: Text::parse("waves").unwrap() };
    assert_eq!(room.apply(NOW, &act), Outcome::Said(nickname("Dinesh")));
    assert_eq!(rename(&mut room, dinesh, "Gilfoyle"), Outcome::Renamed(nickname("Dinesh")));
    assert_eq!(leave(&mut room, dinesh), left("Gilfoyle"));
    assert_eq!(
        lines(&room),
        [
            "Dinesh joined the chat!",
            "Dinesh: anyone?",
            "* Dinesh waves",
            "Dinesh is now known as Gilfoyle.",
            "Gilfoyle left the chat."
        ]
    );
}

#[test]
fn a_whisper_is_in_no_transcript_and_needs_two_members() {
    let mut room = room();
    let dinesh = joined(&mut room, "Dinesh");
    let alex = joined(&mut room, "Alex");
    assert_eq!(room.find("ALEX"), Some(alex.member));
    let whisper = Entry::Whisper { by: from(dinesh), to: alex.member, text: Text::parse("psst").unwrap() };
    let end = room.transcript().end();
    assert_eq!(
        room.apply(NOW, &whisper),
        Outcome::Whispered { from: nickname("Dinesh"), to: nickname("Alex") }
    );
    assert_eq!(room.transcript().end(), end);
    leave(&mut room, alex);
    assert_eq!(room.find("Alex"), None);
    assert_eq!(room.apply(NOW, &whisper), Outcome::Refused(Refusal::NobodyOfThatName));
}

#[test]
fn a_nickname_is_taken_while_its_member_is_here_and_free_afterwards() {
    let mut room = room();
    let alex = joined(&mut room, "Alex");
    for taken in ["Alex", "ALEX"] {
        assert_eq!(join(&mut room, taken), Outcome::Refused(Refusal::NicknameTaken), "{taken}");
    }
    leave(&mut room, alex);
    joined(&mut room, "Alex");
    assert_eq!(room.members().len(), 1);
}

#[test]
fn a_new_nickname_is_taken_and_the_old_one_is_free() {
    let mut room = room();
    joined(&mut room, "Dinesh");
    let alex = joined(&mut room, "Alex");
    assert_eq!(rename(&mut room, alex, "dinesh"), Outcome::Refused(Refusal::NicknameTaken));
    let own = Outcome::Refused(Refusal::OwnNickname);
    assert_eq!(rename(&mut room, alex, "Alex"), own, "every line is answered");
    assert_eq!(rename(&mut room, alex, "ALEX"), Outcome::Renamed(nickname("Alex")), "but its case is");
    assert_eq!(join(&mut room, "Alex"), Outcome::Refused(Refusal::NicknameTaken));
    assert_eq!(rename(&mut room, alex, "Sascha"), Outcome::Renamed(nickname("ALEX")));
    joined(&mut room, "Alex");
    say(&mut room, alex, "it is me");
    assert_eq!(lines(&room).last().map(String::as_str), Some("Sascha: it is me"));
}

#[test]
fn entries_of_a_member_that_has_left_change_nothing() {
    let mut room = room();
    let dinesh = joined(&mut room, "Dinesh");
    joined(&mut room, "Alex");
    leave(&mut room, dinesh);
    let end = room.transcript().end();
    assert_eq!(leave(&mut room, dinesh), Outcome::Unchanged);
    assert_eq!(say(&mut room, dinesh, "from beyond"), Outcome::Unchanged);
    assert_eq!(rename(&mut room, dinesh, "Ghost"), Outcome::Unchanged);
    assert_eq!(room.transcript().end(), end);
    joined(&mut room, "Ghost");
}
