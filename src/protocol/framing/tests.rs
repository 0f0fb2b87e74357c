//! Bytes in any pieces, in either framing.

use proptest::prelude::*;

use super::*;

/// The messages that a decoder makes of the given reads.
fn decode(mut decoder: Decoder, reads: &[&[u8]]) -> Vec<Result<String, Refusal>> {
    let mut messages = Vec::new();
    for read in reads {
        decoder.push(read);
        take_all(&mut decoder, &mut messages);
    }
    messages
}

fn take_all(decoder: &mut Decoder, messages: &mut Vec<Result<String, Refusal>>) {
    while let Some(message) = decoder.next_message() {
        messages.push(message.map(str::to_owned));
    }
}

fn said(texts: &[&str]) -> Vec<Result<String, Refusal>> {
    texts.iter().map(|&text| Ok(text.to_owned())).collect()
}

fn report_client(nickname: &str) -> Decoder {
    let mut decoder = Decoder::with_framing(Framing::Report);
    decoder.set_report_prefix(&format!("{nickname}: "));
    decoder
}

#[test]
fn a_full_read_does_not_end_a_message_of_the_reports_client() {
    let mut decoder = Decoder::with_framing(Framing::Report);
    decoder.push_cut(b"Alex: the first ha");
    assert_eq!(decoder.next_message(), None);
    decoder.push(b"lf and the second");
    assert_eq!(decoder.next_message(), Some(Ok("Alex: the first half and the second")));
    decoder.push_cut(b"Alex: as long as a read");
    assert_eq!(decoder.next_message(), None);
    assert_eq!(decoder.patience(), Patience::Silence);
    decoder.quiet();
    assert_eq!(decoder.next_message(), Some(Ok("Alex: as long as a read")));
}

#[test]
fn a_newline_after_the_nickname_makes_the_connection_line_framed() {
    let mut decoder = Decoder::new();
    decoder.push(b"Alex\r\nhello\nwor");
    assert_eq!(decoder.next_message(), Some(Ok("Alex")));
    assert_eq!(decoder.framing(), Some(Framing::Lines));
    assert_eq!(decoder.next_message(), Some(Ok("hello")));
    assert_eq!(decoder.next_message(), None);
    assert_eq!(decoder.patience(), Patience::Endless, "a line waits for its newline, however long it takes");
    decoder.push(b"ld\n");
    assert_eq!(decoder.next_message(), Some(Ok("world")));
}

#[test]
fn silence_after_the_nickname_makes_the_connection_report_framed() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.patience(), Patience::Endless, "silence before the first byte decides nothing");
    decoder.push(b"Al");
    assert_eq!(decoder.next_message(), None);
    decoder.push(b"ex");
    assert_eq!(decoder.next_message(), None);
    assert_eq!(decoder.patience(), Patience::Silence);
    decoder.quiet();
    assert_eq!(decoder.next_message(), Some(Ok("Alex")));
    assert_eq!(decoder.framing(), Some(Framing::Report));
}

#[test]
fn a_nickname_that_is_typed_waits_for_its_newline() {
    let mut decoder = Decoder::new();
    for (key, patience) in [(b"A", Patience::Moment), (b"l", Patience::Endless)] {
        decoder.push(key);
        assert_eq!(decoder.next_message(), None);
        assert_eq!(decoder.patience(), patience);
        decoder.pause();
    }
    decoder.quiet();
    decoder.push(b"ex\n");
    assert_eq!(decoder.next_message(), Some(Ok("Alex")));
    assert_eq!(decoder.framing(), Some(Framing::Lines));
}

#[test]
fn a_nickname_of_one_letter_ends_with_a_long_silence() {
    let mut decoder = Decoder::new();
    decoder.push(b"A");
    decoder.pause();
    assert_eq!(decoder.patience(), Patience::LongSilence);
    decoder.quiet();
    assert_eq!(decoder.next_message(), Some(Ok("A")));
    assert_eq!(decoder.framing(), Some(Framing::Report));
}

#[test]
fn a_report_client_that_does_not_wait_is_understood_without_silence() {
    assert_eq!(decode(Decoder::new(), &[b"AlexAlex: hello"]), said(&["Alex", "Alex: hello"]));
}

#[test]
fn in_the_reports_framing_one_read_is_one_message() {
    assert_eq!(
        decode(report_client("Alex"), &[b"Alex: one", b"two", b"Alex: three"]),
        said(&["Alex: one", "two", "Alex: three"])
    );
}

#[test]
fn messages_of_a_report_client_that_share_a_read_are_told_apart_by_its_prefix() {
    assert_eq!(
        decode(report_client("Alex"), &[b"Alex: oneAlex: twoAlex: ", b"Alex: a\nAlex: b\n"]),
        said(&["Alex: one", "Alex: two", "Alex: ", "Alex: a", "Alex: b"])
    );
}

#[test]
fn a_character_cut_by_the_end_of_a_read_is_completed_by_the_next() {
    let bytes = "Alex: na\u{ef}ve".as_bytes();
    for cut in 9..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        let joined: String = decode(report_client("Alex"), &[head, tail])
            .into_iter()
            .map(|message| message.expect("no half character"))
            .collect();
        assert_eq!(joined, "Alex: na\u{ef}ve");
    }
}

#[test]
fn a_character_that_is_never_completed_is_refused_after_silence() {
    let mut decoder = report_client("Alex");
    decoder.push(b"Alex: \xe2\x82");
    assert_eq!(decoder.next_message(), None);
    decoder.quiet();
    assert_eq!(decoder.next_message(), Some(Err(Refusal::NotUtf8)));
    assert_eq!(decoder.next_message(), None);
}

#[test]
fn an_over_long_line_is_refused_once_and_discarded_up_to_its_newline() {
    let long = vec![b'x'; LINE_BYTES + 1];
    let mut decoder = Decoder::with_framing(Framing::Lines);
    for _ in 0..100 {
        decoder.push(&long);
        while decoder.next_message().is_some() {}
        assert!(decoder.buffer.len() <= LINE_BYTES, "the flood is not kept");
    }
    assert_eq!(
        decode(decoder, &[b"xxx\nshort\n"]),
        said(&["short"]),
        "the rest of the long line is not a message"
    );
    let mut reads: Vec<&[u8]> = vec![&long; 10];
    reads.push(b"\nshort\n");
    let mut expected = vec![Err(Refusal::TooLong)];
    expected.extend(said(&["short"]));
    assert_eq!(decode(Decoder::with_framing(Framing::Lines), &reads), expected);
}

#[test]
fn an_over_long_nickname_is_refused_when_its_end_decides_the_framing() {
    let long = vec![b'x'; 3 * LINE_BYTES];
    let mut expected = vec![Err(Refusal::TooLong)];
    expected.extend(said(&["Alex"]));
    assert_eq!(decode(Decoder::new(), &[&long, &long, b"\nAlex\n"]), expected);

    let mut decoder = Decoder::new();
    decoder.push(&long);
    assert_eq!(decoder.next_message(), None);
    decoder.quiet();
    assert_eq!(decoder.next_message(), Some(Err(Refusal::TooLong)));
    assert_eq!(decoder.framing(), Some(Framing::Report));
}

#[test]
fn an_over_long_report_message_is_refused_once_and_discarded_up_to_silence() {
    let mut decoder = report_client("Alex");
    let mut messages = Vec::new();
    for _ in 0..10 {
        decoder.push(&vec![b'x'; LINE_BYTES + 1]);
        take_all(&mut decoder, &mut messages);
    }
    decoder.push(b"its end");
    take_all(&mut decoder, &mut messages);
    decoder.quiet();
    decoder.push(b"Alex: the next");
    take_all(&mut decoder, &mut messages);
    let mut expected = vec![Err(Refusal::TooLong)];
    expected.extend(said(&["Alex: the next"]));
    assert_eq!(messages, expected);
}

#[test]
fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
    let mut line = vec![b'x'; LINE_BYTES];
    line.push(b'\n');
    assert!(decode(Decoder::with_framing(Framing::Lines), &[&line])[0].is_ok());
    line.insert(0, b'x');
    assert_eq!(decode(Decoder::with_framing(Framing::Lines), &[&line]), [Err(Refusal::TooLong)]);
}

#[test]
fn invalid_utf8_is_refused_in_its_place_and_decoding_goes_on() {
    let expected = [said(&["a"]), vec![Err(Refusal::NotUtf8)], said(&["b"])].concat();
    assert_eq!(decode(Decoder::with_framing(Framing::Lines), &[b"a\n\xff\nb\n"]), expected);
}

/// Bytes that bring out the interesting cases: newlines, prefixes, broken characters, length.
fn interesting_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"Alex: ".to_vec()),
        Just("\u{1f600}".as_bytes().to_vec()),
        Just(vec![b'x'; LINE_BYTES - 3]),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut positions: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    positions.extend([0, bytes.len()]);
    positions.sort_unstable();
    positions.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #[test]
    fn lines_are_the_same_however_the_network_cuts_them(
        bytes in interesting_bytes(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let pieces = cut(&bytes, &cuts);
        let reads: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(
            decode(Decoder::with_framing(Framing::Lines), &reads),
            decode(Decoder::with_framing(Framing::Lines), &[&bytes])
        );
    }

    #[test]
    fn no_input_panics_or_is_held_beyond_the_bound(
        bytes in interesting_bytes(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        framing in prop_oneof![Just(None), Just(Some(Framing::Lines)), Just(Some(Framing::Report))],
        quiet in any::<u16>(),
    ) {
        let mut decoder = framing.map_or_else(Decoder::new, Decoder::with_framing);
        decoder.set_report_prefix("Alex: ");
        for (index, piece) in cut(&bytes, &cuts).iter().enumerate() {
            decoder.push(piece);
            while let Some(message) = decoder.next_message() {
                if let Ok(text) = message {
                    prop_assert!(text.len() <= LINE_BYTES);
                    prop_assert!(!text.contains('\n'));
                }
            }
            prop_assert!(decoder.pending().len() <= LINE_BYTES + 1);
            if quiet >> (index % 16) & 1 == 1 {
                decoder.quiet();
                while decoder.next_message().is_some() {}
                prop_assert_eq!(decoder.patience(), Patience::Endless, "silence leaves nothing half-way");
            }
        }
    }
}

#[test]
fn a_line_has_room_for_a_text_a_number_a_prefix_and_a_command() {
    assert_eq!(LINE_BYTES, 1_536);
}

#[test]
fn the_longest_line_is_taken_whole_and_a_longer_one_is_refused() {
    for framing in [Framing::Lines, Framing::Report] {
        let mut decoder = Decoder::with_framing(framing).with_line_bytes(10);
        decoder.push(b"0123456789\n");
        assert_eq!(decoder.next_message(), Some(Ok("0123456789")), "{framing:?}");
        decoder.push(b"0123456789a\n");
        assert_eq!(decoder.next_message(), Some(Err(Refusal::TooLong)), "{framing:?}");
    }
    let mut decoder = Decoder::with_framing(Framing::Lines).with_line_bytes(10);
    decoder.push(b"0123456789");
    assert_eq!(decoder.next_message(), None, "it may end here");
    assert_eq!(decoder.held_bytes(), 10);
    decoder.push(b"\n");
    assert_eq!(decoder.next_message(), Some(Ok("0123456789")));
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn only_the_beginning_of_a_character_is_waited_for_at_the_end_of_a_read() {
    let waits = |bytes: &[u8]| {
        let mut decoder = Decoder::with_framing(Framing::Report);
        decoder.push(bytes);
        decoder.next_message().is_none()
    };
    assert!(waits(b"caf\xc3"));
    assert!(!waits("café".as_bytes()));
    assert!(!waits(b"\xc3caf"), "what is broken before the end stays broken");
    assert!(!waits(b"caf\xff"), "no character begins so");
}

#[test]
fn a_nickname_is_doubled_only_if_both_halves_are_the_same() {
    assert_eq!(doubled_nickname(b"AlexAlex: hi"), Some(4));
    assert_eq!(doubled_nickname(b"AlexBlex: hi"), None);
    assert_eq!(doubled_nickname(b": hi"), None);
}
