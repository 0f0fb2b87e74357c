//! The report's own `server.log`, replayed to the millisecond.

use std::time::Duration;

use commonroom::server::Config;
use commonroom::server::limits::SILENCE;
use jiff::civil::{DateTime, date};

use crate::member::Member;
use crate::scenario;
use crate::world::LATENCY;

/// The time of the first line in the report's log.
const BEGIN: DateTime = date(2026, 2, 23).at(2, 55, 16, 769_000_000);

/// How long before its line in the log a report-framed client must connect: its connection request, the
/// server's `NICK` and its nickname each take one latency, and then there is silence.
const HANDSHAKE: Duration = LATENCY.saturating_mul(3).saturating_add(SILENCE);

/// The time of an event in the report's log, since its beginning.
fn at(hour: i8, minute: i8, second: i8, millisecond: i32) -> Duration {
    let time = date(2026, 2, 23).at(hour, minute, second, millisecond * 1_000_000);
    time.duration_since(BEGIN).try_into().expect("after the beginning")
}

#[test]
fn the_log_in_the_report_is_reproduced() {
    let restarted = at(2, 57, 7, 178);
    let mut world = scenario::begin_at(BEGIN);
    world.start_server(Config::default());
    for (nickname, joined, said, text) in [
        ("Dinesh", at(2, 58, 31, 231), at(3, 3, 9, 559), "exit"),
        ("Alex", at(2, 59, 0, 988), at(2, 59, 37, 533), "Hello everyone"),
    ] {
        let before = |at: Duration, earlier| at.checked_sub(earlier).expect("after the beginning");
        let (connects, types) = (before(joined, HANDSHAKE), before(said, LATENCY));
        world.add(Member::new(nickname).report_framed().connects(connects).says(types, text));
    }
    // The report's log has a second start and no stop in between: a crash.
    world.run_until(restarted);
    world.crash_server();
    world.restart_server();
    world.run_until(at(3, 4, 0, 0));

    scenario::end(&world);
    let alex = world.screen("Alex");
    assert_eq!(
        alex,
        ["Alex joined the chat!", "Connected to server!", "Alex: Hello everyone", "Dinesh: exit"]
    );
}
