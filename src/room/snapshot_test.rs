//! A room that is put together from a snapshot and the entries after it is the room that never stopped.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::protocol::SECRET_BYTES;

/// Small, so that lines and private lines are dropped.
const BOUNDS: Bounds = Bounds { retention_bytes: 2_000, kept_private_bytes: 60 };

const NAMES: [&str; 4] = ["Alex", "alex", "Dinesh", "Zoë"];

const TEXTS: [&str; 3] = ["hi", "über alles", "a text that is longer than the others"];

/// An entry as a log has it.
struct Recorded {
    at: Timestamp,
    head: Vec<u8>,
    text: String,
}

/// Some entry of one of the connections so far.
fn entry<'a>(room: &Room, kind: u8, who: Index, what: Index, number: u64) -> Entry<'a> {
    let attachments: Vec<_> = room.members().map(|(member, _)| room.attachment(member)).collect();
    let attachment = attachments.get(who.index(attachments.len() + 1)).copied().unwrap_or(Attachment::FIRST);
    let number = room.progress(attachment.member).map(|progress| progress.taken + number % 3);
    let by = Origin { attachment, number };
    let nickname = || Nickname::parse(NAMES[what.index(NAMES.len())]).unwrap();
    let text = Text::parse(TEXTS[what.index(TEXTS.len())]).unwrap();
    let session = SessionId(what.index(4) as u128);
    let from = ([127, 0, 0, 1], 5).into();
    let reason = *what.get(&DisconnectReason::ALL);
    match kind {
        0..2 => Entry::Join { nickname: nickname(), from },
        2..4 => Entry::Say { by, text },
        4 => Entry::Act { by, text },
        5 => Entry::Whisper { by, to: who.get(&[Attachment::FIRST, attachment]).member, text },
        6 => Entry::Rename { by, nickname: nickname() },
        7 => Entry::Answer { by, lines: "-- one\n-- two" },
        8 | 9 => Entry::Begin { attachment, session, secret: Token::new(session, [7; SECRET_BYTES]).hash() },
        10 => Entry::Detach { attachment, reason },
        11 => Entry::Resume { session, from, private_lines: what.index(9) as u64 },
        12 => Entry::Expire { attachment },
        13 => Entry::Forget { session },
        14 => Entry::Leave { attachment, reason },
        _ => Entry::Start,
    }
}

fn text_of(transcript: &Transcript) -> String {
    let lines: Vec<_> = transcript.latest().map(|(at, line)| format!("{} {line}", at.seconds())).collect();
    lines.join("\n")
}

proptest! {
    #[test]
    fn a_room_from_a_snapshot_and_the_entries_after_it_is_the_same_room(
        steps in prop::collection::vec((0..16_u8, any::<Index>(), any::<Index>(), 0..3_u64), 1..120),
        cut in any::<Index>(),
    ) {
        let cut = cut.index(steps.len());
        let mut room = Room::new(BOUNDS);
        let (mut recorded, mut kept) = (Vec::new(), None);
        for (index, &(kind, who, what, number)) in steps.iter().enumerate() {
            if index == cut {
                let mut lines: Vec<_> =
                    room.transcript().latest().map(|(at, line)| (at, line.to_owned())).collect();
                lines.reverse();
                kept = Some((room.snapshot(), lines));
                recorded.clear();
            }
            let entry = entry(&room, kind, who, what, number);
            let (at, (head, text)) = (Timestamp(index as u64 * 700), entry.encode());
            let before = room.snapshot();
            let outcome = room.apply(at, &entry);
            prop_assert!(outcome != Outcome::Unchanged || before == room.snapshot(), "{entry:?} changes something");
            recorded.push(Recorded { at, head, text: text.to_owned() });
        }
        let (snapshot, lines) = kept.unwrap();
        let lines = lines.iter().map(|(at, line)| (*at, line.as_str()));
        let mut again = Room::restore(BOUNDS, &snapshot, lines).unwrap();
        for Recorded { at, head, text } in &recorded {
            again.apply(*at, &Entry::decode(head, text).unwrap());
        }
        prop_assert_eq!(again.snapshot(), room.snapshot());
        // Where a chunk begins may differ, and so what is still retained.
        let (text, other) = (text_of(again.transcript()), text_of(room.transcript()));
        prop_assert!(text.starts_with(&other) || other.starts_with(&text));
        for length in 0..snapshot.len() {
            prop_assert!(Room::restore(BOUNDS, &snapshot[..length], [].into_iter()).is_err());
        }
    }

    #[test]
    fn no_bytes_make_restoring_panic(bytes: Vec<u8>) {
        let _ = Room::restore(BOUNDS, &[&[1], &bytes[..]].concat(), [].into_iter());
    }
}
