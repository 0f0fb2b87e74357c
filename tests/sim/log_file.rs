//! The log cannot be opened, the disk fills or hangs, the log is rotated, another server wants it: the
//! chat goes on, and every lost line is counted. The same on the real binary is in
//! `tests/cli/log_file.rs` and `tests/cli/start_and_stop.rs`.

use std::time::Duration;

use commonroom::journal::WAITING_BYTES;
use commonroom::server::{Config, Limits, Rate};
use tokio::time::sleep;

use super::log_faults::account;
use super::machine::Machine;
use super::member::{Act, Member};
use super::world::{Physics, SERVER, World, listen_address, seconds};

#[test]
fn a_server_whose_log_cannot_be_opened_does_not_start_and_says_why() {
    let machine = Machine::default();
    machine.disk.remove_directory();
    let mut world = World::with_log(Physics::default(), machine.log.clone());
    machine.start_server_in(&mut world, Config::default(), seconds(10));
    world.add(Member::new("Dinesh").connects(seconds(1)));
    world.run_until(seconds(2));
    assert_eq!(machine.stderr(), ["cannot open the log server.log: No such file or directory"]);
    assert_eq!(world.server_log(), "");
    assert!(world.memberships().is_empty(), "nobody can connect");
}

#[test]
fn a_second_server_on_the_same_port_or_log_is_refused_and_the_first_goes_on() {
    let machine = Machine::default();
    let mut world = World::with_log(Physics::default(), machine.log.clone());
    let port_in_use = "cannot listen on 0.0.0.0:5555: the port is in use";
    let log_in_use = "cannot open the log server.log: another server writes to it";
    world.within(|sim| {
        let machine = machine.clone();
        sim.host(SERVER, move || {
            let run = |after, address: &str, lasts| {
                let (machine, address) = (machine.clone(), address.to_owned());
                async move {
                    sleep(after).await;
                    machine.run_server(&address, Config::default(), sleep(lasts)).await;
                }
            };
            let first = run(seconds(0), &listen_address(), seconds(4));
            let on_its_port = run(seconds(1), &listen_address(), seconds(1));
            let on_its_log = run(seconds(2), "0.0.0.0:7777", seconds(1));
            let afterwards = run(seconds(5), &listen_address(), seconds(1));
            async move {
                tokio::join!(first, on_its_port, on_its_log, afterwards);
                Ok(())
            }
        });
    });
    world.add(Member::new("Dinesh").says(seconds(3), "still here"));
    world.run_until(seconds(7));
    assert_eq!(machine.stderr(), [port_in_use, log_in_use]);
    assert!(world.screen("Dinesh").contains(&"Dinesh: still here".to_owned()));
    let starts = machine.disk.files().concat().matches("Server started\n").count();
    assert_eq!(starts, 2, "another may start when the first has ended");
}

#[test]
fn a_line_that_a_full_disk_has_torn_is_not_continued_by_the_next_server() {
    let machine = Machine::default();
    let mut world = World::with_log(Physics::default(), machine.log.clone());
    machine.disk.leave_free(Some(100));
    world.within(|sim| {
        let machine = machine.clone();
        sim.host(SERVER, move || {
            let machine = machine.clone();
            async move {
                machine.run_server(&listen_address(), Config::default(), sleep(seconds(2))).await;
                machine.disk.leave_free(None);
                machine.run_server(&listen_address(), Config::default(), sleep(seconds(2))).await;
                Ok(())
            }
        });
    });
    world.add(Member::new("Dinesh"));
    world.run_until(seconds(5));
    let log = &machine.disk.files()[0];
    let lines: Vec<&str> = log.lines().collect();
    assert!(
        world.server_log().contains(lines[1]) && !world.server_log().contains(&format!("{}\n", lines[1]))
    );
    assert!(lines[2].ends_with(" - INFO - Server started"), "{log}");
}

#[test]
fn a_log_that_hangs_holds_nobody_up_and_lines_that_do_not_fit_into_memory_are_counted() {
    let talk = |hangs: bool| {
        let machine = Machine::default();
        let mut world = World::with_log(Physics::default(), machine.log.clone());
        let limits = Limits { rate: Rate { messages_per_second: 0, burst_messages: 1 }, ..Limits::default() };
        machine.start_server_in(&mut world, Config { limits, ..Config::default() }, seconds(8));
        let (lines, padding) = (WAITING_BYTES / 1_000 + 500, 490);
        world.add(Member::new("Flooder").then(seconds(2), Act::Talk { lines, padding }));
        world.add(Member::new("Dinesh").says(seconds(3), "still here").says(seconds(6), "and now"));
        world.run_until(seconds(1));
        machine.disk.hang(hangs);
        world.run_until(seconds(5));
        machine.disk.hang(false);
        world.run_until(seconds(9));
        (world, machine)
    };
    let ((undisturbed, fine), (world, machine)) = (talk(false), talk(true));
    assert_eq!(world.heard(), undisturbed.heard(), "everybody hears the same at the same time");
    assert_eq!(fine.disk.files().concat(), undisturbed.server_log());
    let reason = "lines were not written: they came faster than they could be written\n";
    assert!(machine.disk.files().concat().contains(reason));
    account(&world.server_log(), &machine).expect("each line is written or counted");
}

#[test]
fn sighup_at_any_moment_loses_no_line_and_puts_none_into_the_wrong_file() {
    // The thread that writes sleeps for five of these milliseconds.
    for moment in 0..12 {
        let machine = Machine::default();
        let mut world = World::with_log(Physics::default(), machine.log.clone());
        machine.start_server_in(&mut world, Config::default(), seconds(3));
        let talk =
            |dinesh: Member, number: u64| dinesh.says(Duration::from_millis(1_000 + 2 * number), "talk");
        world.add((0..20).fold(Member::new("Dinesh"), talk));
        world.run_until(Duration::from_millis(1_005));
        machine.disk.rotate();
        world.run_until(Duration::from_millis(1_010 + moment));
        let before = world.server_log();
        machine.log.reopen();
        world.run_until(seconds(4));
        let files = machine.disk.files();
        assert_eq!(files[0], before, "{moment} ms later");
        assert_eq!(files.concat(), world.server_log(), "{moment} ms later");
        assert!(files.len() == 2 && files[1].ends_with("Server stopped\n"), "{files:?}");
        assert_eq!(machine.stderr(), [""; 0]);
    }
}
