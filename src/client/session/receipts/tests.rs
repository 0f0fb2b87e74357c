use super::*;

const NICKNAME: &str = "bot";

fn receipts(framing: Framing, texts: &[&str]) -> Receipts {
    let mut receipts = Receipts::new(framing);
    for text in texts {
        receipts.say_text(text, Duration::ZERO);
    }
    send_all(&mut receipts);
    receipts
}

fn send_all(receipts: &mut Receipts) {
    while receipts.send_next(None, Duration::ZERO).is_some() {}
}

fn typed(lines: &[&str]) -> Receipts {
    let mut receipts = Receipts::new(Framing::Lines);
    for line in lines {
        receipts.say_line(line, Duration::ZERO);
    }
    send_all(&mut receipts);
    receipts
}

fn unconfirmed(receipts: &Receipts) -> Vec<&str> {
    receipts.unconfirmed().collect()
}

#[test]
fn a_text_is_confirmed_by_its_own_echo_only() {
    let mut receipts = receipts(Framing::Lines, &["hello", "world"]);
    assert_eq!(receipts.hear("bot joined the chat!", NICKNAME), Receipt::None);
    assert_eq!(receipts.hear("Alex: hello", NICKNAME), Receipt::None);
    assert_eq!(receipts.hear("bot: hello, you", NICKNAME), Receipt::None);
    assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::None, "not before its turn");
    assert_eq!(unconfirmed(&receipts), ["hello", "world"]);
    assert_eq!(receipts.hear("bot: hello", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("bot: world", NICKNAME), Receipt::None);
    assert_eq!((unconfirmed(&receipts).len(), receipts.bytes()), (0, 0));
}

#[test]
fn a_refusal_is_about_the_oldest_text() {
    let mut receipts = receipts(Framing::Lines, &["one", "two", "three"]);
    assert_eq!(receipts.hear("bot: one", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("-- Not sent: because.", NICKNAME), Receipt::Refused("two".to_owned()));
    assert_eq!(receipts.hear("bot: three", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("-- Not sent: because.", NICKNAME), Receipt::None);
}

#[test]
fn echoes_that_the_reports_server_merges_or_cuts_are_found() {
    let mut receipts = receipts(Framing::Report, &["one", "zwölf", "three"]);
    assert_eq!(receipts.hear("bot joined the chat!Connected to server!", NICKNAME), Receipt::None);
    assert_eq!(receipts.hear("Alex: hibot: onebot: zw", NICKNAME), Receipt::Confirmed);
    assert_eq!(unconfirmed(&receipts), ["zwölf", "three"]);
    assert_eq!(receipts.hear("ölfbot: thr", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("ee", NICKNAME), Receipt::Confirmed);
    assert_eq!(unconfirmed(&receipts).len(), 0);
}

#[test]
fn each_command_is_confirmed_by_its_own_answer() {
    for (line, answer) in [
        ("/me waves", "* bot waves"),
        ("/msg Alex psst", "-- You to Alex: psst"),
        ("/nick robot", "bot is now known as robot."),
        ("/who", "-- Here now (1): bot"),
        ("/ping 7", "-- pong 7"),
        ("/help", "-- /who  who is here"),
        ("/search hello", "-- Nothing like that was said."),
        ("/search hello", "-- Found 1 line:"),
        ("/history 2", "-- Found 2 lines:"),
        ("//quoted", "bot: /quoted"),
        ("/unheard of", "-- Not sent: no such command; /help lists them."),
    ] {
        let mut receipts = typed(&[line]);
        for other in ["Alex: hello", "* Alex waves", "-- Alex to you: psst", "* bot yawns", "-- pong 8"] {
            assert_eq!(receipts.hear(other, NICKNAME), Receipt::None, "{line}: {other}");
        }
        assert_ne!(receipts.hear(answer, NICKNAME), Receipt::None, "{line}: {answer}");
        assert_eq!(unconfirmed(&receipts).len(), 0, "{line}");
    }
}

#[test]
fn an_answer_of_several_lines_is_one_answer() {
    let mut receipts = typed(&["/search hello", "/search world", "/history", "hello"]);
    let found =
        ["-- Found 2 lines:", "-- 2026-11-24 18:07 bot: hello", "-- 2026-11-24 18:07 * bot says hello"];
    assert_eq!(receipts.hear(found[0], NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear(found[1], NICKNAME), Receipt::None);
    assert_eq!(receipts.hear(found[2], NICKNAME), Receipt::None);
    let refused =
        receipts.hear("-- Not sent: this cannot be looked up at the moment; try again later.", NICKNAME);
    assert_eq!(refused, Receipt::Refused("/search world".to_owned()));
    assert_eq!(receipts.hear("-- Found 1 line:", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("-- 2026-11-24 18:07 bot: hello", NICKNAME), Receipt::None);
    assert_eq!(unconfirmed(&receipts), ["hello"], "what was said then is not its echo");
    assert_eq!(receipts.hear("bot: hello", NICKNAME), Receipt::Confirmed);
}

#[test]
fn a_refused_command_is_not_taken_for_a_refused_text() {
    let mut receipts = typed(&["/msg Nobody psst", "hello"]);
    let refused = receipts.hear("-- Not sent: nobody of that name is here.", NICKNAME);
    assert_eq!(refused, Receipt::Refused("/msg Nobody psst".to_owned()));
    assert_eq!(unconfirmed(&receipts), ["hello"]);
}

#[test]
fn a_server_that_says_commands_verbatim_or_passes_over_them_confirms_the_texts() {
    let mut receipts = typed(&["/me waves", "/who", "hello", "/help", "again"]);
    assert_eq!(receipts.hear("bot: /me waves", NICKNAME), Receipt::Confirmed);
    assert_eq!(receipts.hear("bot: hello", NICKNAME), Receipt::Confirmed);
    assert_eq!(unconfirmed(&receipts), ["/help", "again"]);
}

#[test]
fn a_line_that_the_server_passes_over_is_neither_on_its_way_nor_confirmed() {
    let mut receipts = receipts(Framing::Lines, &["one", "two"]);
    receipts.pinged();
    receipts.say_text("three", Duration::ZERO);
    send_all(&mut receipts);
    assert_eq!(receipts.in_flight(), 3);
    assert_eq!(receipts.hear("bot: one", NICKNAME), Receipt::Confirmed);
    receipts.ponged();
    assert_eq!((receipts.in_flight(), unconfirmed(&receipts)), (1, vec!["two", "three"]));
    assert_eq!(receipts.hear("bot: two", NICKNAME), Receipt::Confirmed);
    assert_eq!((receipts.in_flight(), unconfirmed(&receipts)), (1, vec!["three"]));
}

#[test]
fn nothing_is_expected_for_a_line_without_an_answer() {
    assert_eq!(unconfirmed(&typed(&["", "  ", "/quit"])).len(), 0);
    let mut report = Receipts::new(Framing::Report);
    report.say_line("/who", Duration::ZERO);
    send_all(&mut report);
    assert_eq!(unconfirmed(&report).len(), 0);
}
