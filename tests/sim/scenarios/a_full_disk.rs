//! The disk of the log is full: the chat goes on, and the log says what is missing.

use std::time::Duration;

use commonroom::server::Config;

use crate::machine::Machine;
use crate::member::Member;
use crate::scenario;
use crate::world::seconds;

#[test]
fn a_full_disk_stops_nobody_and_its_cost_is_told_to_the_operator_and_in_the_log() {
    let machine = Machine::default();
    let mut world = scenario::begin_with_log(machine.log.clone());
    machine.start_server_in(&mut world, Config::default(), seconds(8));
    world.add(Member::new("Dinesh").says(seconds(2), "one").says(seconds(4), "three"));
    world.add(Member::new("Alex").connects(seconds(1)).says(seconds(3), "two").says(seconds(6), "four"));
    world.run_until(Duration::from_millis(2_500));
    world.disk_fails("the disk is full");
    machine.disk.leave_free(Some(30));
    world.run_until(seconds(5));
    assert_eq!(world.screen("Alex").last().map(String::as_str), Some("Dinesh: three"));
    assert_eq!(
        machine.stderr(),
        ["cannot write the log server.log: no space left on device; the chat goes on without it"],
        "once"
    );
    world.disk_works();
    machine.disk.leave_free(None);
    world.run_until(seconds(9));
    assert_eq!(
        machine.stderr()[1..],
        ["2 lines were not written to the log server.log: no space left on device"]
    );
    scenario::end_with_log(&world, &machine.disk.files().concat());
}
