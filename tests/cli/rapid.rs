//! Rapid sending: a burst far beyond what anyone types.

use std::fmt::Write as _;
use std::io::Write as _;

use super::support::{Server, UNLIMITED};

/// The report's edge case: its server merges 996 of 1,000 messages that are sent without a pause.
#[test]
fn ten_thousand_lines_in_one_burst_reach_all_five_in_order_and_once() {
    const LINES: usize = 10_000;
    let server = Server::start_with(&UNLIMITED);
    let mut members: Vec<_> = (0..5).map(|index| server.join(&format!("member{index}"))).collect();
    let burst = (0..LINES).fold(String::new(), |mut burst, number| {
        writeln!(burst, "{number}").expect("memory");
        burst
    });
    let mut sender = members[0].stream.get_ref().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_all(burst.as_bytes()).unwrap());
        for member in &mut members {
            scope.spawn(move || {
                member.expect("member0: 0");
                for number in 1..LINES {
                    member.expect_next(&format!("member0: {number}"));
                }
            });
        }
    });
}

/// More than the log's retention: without back-pressure the others would fall off its end.
#[test]
fn a_burst_beyond_the_retention_loses_nobody() {
    let server = Server::start_with(&UNLIMITED);
    let mut dinesh = server.join("Dinesh");
    let mut alex = server.join("Alex");
    let line = format!("{}\n", "x".repeat(1_000));
    let lines = 4 * commonroom::server::limits::RETENTION_BYTES / line.len();
    let mut sender = alex.stream.get_ref().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..lines {
                sender.write_all(line.as_bytes()).unwrap();
            }
            sender.write_all(b"the end\n").unwrap();
        });
        for member in [&mut dinesh, &mut alex] {
            scope.spawn(move || {
                let received = std::iter::from_fn(|| member.line())
                    .take_while(|line| line != "Alex: the end")
                    .filter(|line| line.starts_with("Alex: x"))
                    .count();
                assert_eq!(received, lines);
            });
        }
    });
}
