use std::time::Duration;

use super::rows::ROW_LIMIT;
use super::{Mark, MarkKind, Message, Shade, ShadeKind, Timeline};
use crate::support::snapshot::snapshot;

#[test]
fn a_picture_shows_everything_that_can_happen() {
    snapshot("timeline_of_everything", &everything().to_text(100));
}

#[test]
fn a_picture_that_would_be_too_long_leaves_out_messages_and_nothing_else() {
    let timeline = chatter(1000);
    let text = timeline.to_text(60);
    let middle: Vec<&str> = text.lines().filter(|line| !line.contains("hello")).collect();
    snapshot("timeline_of_a_long_run", &middle.join("\n"));
    for picture in [text, timeline.to_svg()] {
        assert!(picture.matches("hello").count() <= ROW_LIMIT);
        assert!(picture.contains("evicted"), "a picture must show rare events");
    }
}

#[test]
fn messages_that_are_left_out_are_counted() {
    let text = chatter(1000).to_text(60);
    let shown = text.matches("hello").count();
    let counts = text.lines().filter_map(|line| line.split_once(" messages left out"));
    let left_out: usize =
        counts.filter_map(|(before, _)| before.split_whitespace().last()?.parse::<usize>().ok()).sum();
    assert_eq!(shown + left_out, 1000);
}

#[test]
fn the_same_data_give_the_same_picture() {
    assert_eq!(everything().to_text(100), everything().to_text(100));
    assert_eq!(everything().to_svg(), everything().to_svg());
}

#[test]
fn every_host_has_its_name_and_a_line_through_the_whole_picture() {
    for hosts in [1, 2, 3, 8] {
        let hosts: Vec<String> = (0..hosts).map(|host| format!("host-{host}")).collect();
        let marks = vec![mark("host-0", 1, MarkKind::Join, ""), mark("host-0", 2000, MarkKind::Leave, "")];
        let timeline = Timeline { hosts: hosts.clone(), marks, ..Timeline::default() };
        let (text, svg) = (timeline.to_text(80), timeline.to_svg());
        assert!(hosts.iter().all(|host| text.contains(host) && svg.contains(host)));
        assert_eq!(svg.matches("<use href=\"#host\"").count(), hosts.len());
        for line in text.lines().skip(1) {
            let lines = line.chars().filter(|character| "┬│┊●○".contains(*character)).count();
            assert_eq!(lines, hosts.len(), "{line}");
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 200] {
        for line in everything().to_text(width).lines() {
            assert!(line.chars().count() <= width, "{line}");
        }
    }
}

#[test]
fn text_that_looks_like_markup_is_text() {
    let messages = vec![message(("a<b", "c&d"), (0, Some(1)), "</text><script>\"&amp;\"")];
    let timeline = Timeline { hosts: vec!["a<b".into(), "c&d".into()], messages, ..Timeline::default() };
    let svg = timeline.to_svg();
    assert!(svg.contains("a&lt;b") && svg.contains("c&amp;d"));
    assert!(svg.contains("&lt;/text&gt;&lt;script&gt;&quot;&amp;amp;&quot;"));
    assert!(!svg.contains("<script"));
}

#[test]
fn text_that_would_disturb_the_picture_is_made_visible() {
    let label = "\x1b[2J\r\n\u{202e}\u{9b}\u{ffff}";
    let messages = vec![message(("a", "b"), (0, Some(1)), label)];
    let timeline = Timeline { hosts: vec!["a".into(), "b".into()], messages, ..Timeline::default() };
    for picture in [timeline.to_text(100), timeline.to_svg()] {
        assert!(picture.contains("␛[2J␍␊\u{fffd}\u{fffd}\u{fffd}"), "{picture}");
    }
}

#[test]
fn a_long_label_ends_in_an_ellipsis() {
    let messages = vec![message(("a", "b"), (0, Some(1)), &"long ".repeat(100))];
    let timeline = Timeline { hosts: vec!["a".into(), "b".into()], messages, ..Timeline::default() };
    assert!(timeline.to_svg().contains("long…</text>"));
    assert!(timeline.to_text(80).contains("… "));
}

#[test]
fn a_message_that_another_one_overtakes_arrives_in_a_row_of_its_own() {
    let hosts = ["a", "b", "server"].map(String::from).to_vec();
    let slow = message(("a", "server"), (0, Some(5)), "slow");
    let fast = message(("b", "server"), (1, Some(2)), "fast");
    let timeline = Timeline { hosts, messages: vec![slow, fast], ..Timeline::default() };
    let text = timeline.to_text(100);
    let labels: Vec<&str> = text.split_whitespace().filter(|word| ["slow", "fast"].contains(word)).collect();
    assert_eq!(labels, ["slow", "fast", "slow"]);
}

#[test]
fn an_empty_timeline_is_a_picture_as_well() {
    let nothing = Timeline::default();
    assert!(nothing.to_svg().ends_with("</svg>\n"));
    assert_eq!(nothing.to_text(0).trim(), "");
}

/// Joins, chat, a partition, an eviction, a hold, a crash and a restart, and a host that writes to itself.
fn everything() -> Timeline {
    let hosts = ["alex", "server", "bo"].map(String::from).to_vec();
    let mut messages = Vec::new();
    let mut say = |hosts, times, label: &str| messages.push(message(hosts, times, label));
    say(("alex", "server"), (3, Some(4)), "Alex");
    say(("server", "alex"), (4, Some(5)), "Alex has joined the chat");
    say(("bo", "server"), (1000, Some(1001)), "Bo");
    say(("server", "alex"), (1001, Some(1002)), "Bo has joined the chat");
    say(("server", "bo"), (1001, Some(1002)), "Bo has joined the chat");
    say(("alex", "server"), (2000, Some(2001)), "Hello, Bo & everybody <else>!");
    say(("server", "alex"), (2001, Some(2002)), "Alex: Hello, Bo & everybody <else>!");
    say(("server", "bo"), (2001, Some(2002)), "Alex: Hello, Bo & everybody <else>!");
    say(("alex", "bo"), (2500, Some(2501)), "past the server");
    say(("bo", "bo"), (2600, Some(2601)), "to myself");
    say(("bo", "server"), (6000, None), "Does anybody hear me?");
    say(("server", "bo"), (6500, None), "Alex: Bo?");
    say(("alex", "server"), (612_000, Some(617_000)), "from before the hold");
    say(("server", "bo"), (612_500, Some(612_501)), "Bo, are you there?");
    say(("alex", "server"), (630_000, None), "to a server that is not there");
    say(("server", "alex"), (650_500, None), "only one way works");
    say(("alex", "server"), (650_600, Some(650_601)), "this is it");
    Timeline { hosts, messages, shades: shades(), marks: marks() }
}

fn shades() -> Vec<Shade> {
    let shade = |(one, other): (&str, &str), begin, end: Option<u64>, kind| Shade {
        between: (one.to_owned(), other.to_owned()),
        begin: Duration::from_millis(begin),
        end: end.map(Duration::from_millis),
        kind,
    };
    vec![
        shade(("server", "bo"), 5000, Some(605_000), ShadeKind::Partition),
        shade(("alex", "server"), 611_000, Some(617_000), ShadeKind::Hold),
        shade(("server", "server"), 620_000, Some(640_000), ShadeKind::Crash),
        shade(("server", "alex"), 650_000, None, ShadeKind::OneWayPartition),
    ]
}

fn marks() -> Vec<Mark> {
    vec![
        mark("alex", 4, MarkKind::Join, "Alex joins"),
        mark("bo", 1001, MarkKind::Join, ""),
        mark("bo", 605_000, MarkKind::Eviction, "evicted (stalled)"),
        mark("alex", 618_000, MarkKind::Leave, ""),
        mark("server", 620_000, MarkKind::Crash, ""),
        mark("server", 640_000, MarkKind::Restart, ""),
        mark("alex", 641_000, MarkKind::Other, "gives up"),
    ]
}

/// `count` messages, and an eviction in their middle.
fn chatter(count: u64) -> Timeline {
    let hosts = ["alex", "server"].map(String::from).to_vec();
    let messages = (0..count).map(|number| {
        let sent = number * 250;
        message(("alex", "server"), (sent, Some(sent + 1)), "hello")
    });
    let marks = vec![mark("alex", count * 125, MarkKind::Eviction, "")];
    Timeline { hosts, messages: messages.collect(), marks, ..Timeline::default() }
}

fn message((from, to): (&str, &str), (sent, delivered): (u64, Option<u64>), label: &str) -> Message {
    Message {
        from: from.to_owned(),
        to: to.to_owned(),
        sent: Duration::from_millis(sent),
        delivered: delivered.map(Duration::from_millis),
        label: label.to_owned(),
    }
}

fn mark(host: &str, at: u64, kind: MarkKind, label: &str) -> Mark {
    Mark { host: host.to_owned(), at: Duration::from_millis(at), kind, label: label.to_owned() }
}
