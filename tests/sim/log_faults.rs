//! A sweep of the faults of a log: many sequences, each drawn from a seed. In all of them, each line is in
//! the log or counted in the place where it is missing, and no member notices.

use std::cell::Cell;
use std::time::Duration;

use commonroom::server::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError};

use super::machine::Machine;
use super::member::Member;
use super::support::progress::Progress;
use super::sweep::{runner, variable};
use super::world::{Physics, World, seconds};

/// How many seeds are run, unless `SIM_SEEDS` is set.
const SEEDS: u64 = 100;

/// The time from which the disk works, in milliseconds.
const HEALED: u64 = 2_000;

/// The longest duration of a fault, in milliseconds.
const LONGEST: u64 = 300;

/// How often each of two members talks, in milliseconds.
const TALKS_EVERY: usize = 12;

/// A fault of the disk, with its begin and its duration in milliseconds.
#[derive(Clone, Debug)]
struct Fault {
    at: u64,
    lasts: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// There is room for this many more bytes.
    Full(usize),
    Hangs,
    NoDirectory,
    /// The log is removed. It may be created at once.
    Removed,
    /// The log is rotated; the signal comes at the end.
    Rotated,
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let kind = prop_oneof![
        (0..600_usize).prop_map(Kind::Full),
        Just(Kind::Hangs),
        Just(Kind::NoDirectory),
        Just(Kind::Removed),
        Just(Kind::Rotated),
    ];
    // Faults begin after the log has been opened: otherwise the server would not start.
    let times = (1..HEALED - LONGEST, 1..LONGEST);
    vec((times, kind).prop_map(|((at, lasts), kind)| Fault { at, lasts, kind }), 1..12)
}

#[test]
fn each_line_is_in_the_log_or_counted_where_it_is_missing_and_no_member_notices_for_every_seed() {
    let (undisturbed, machine) = run(&[]);
    assert_eq!(machine.disk.files(), [undisturbed.server_log()]);
    let seeds = match variable("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("SIM_SEEDS").unwrap_or(SEEDS),
    };
    let total = Cell::new(Account::default());
    let progress = Progress::of(seeds.end - seeds.start, "seeds");
    for seed in seeds.clone() {
        let result = runner(seed).run(&faults(), |faults| {
            let (world, machine) = run(&faults);
            let account = account(&world.server_log(), &machine).map_err(TestCaseError::fail)?;
            prop_assert!(world.heard() == undisturbed.heard(), "a member has noticed");
            total.set(total.get().and(account));
            Ok(())
        });
        if let Err(TestError::Fail(reason, faults)) = result {
            panic!(
                "seed {seed} fails: {reason}\nthe smallest faults that still do it:\n{faults:#?}\n\
                 replay it with: just sim log_faults {seed}"
            );
        }
        progress.advance();
    }
    let Account { written, missing, torn, files } = total.get();
    let summary = format!("{written} lines written to {files} files, {missing} counted, {torn} torn");
    println!("{} seeds of faults of the disk: {summary}", seeds.end - seeds.start);
    if seeds.end - seeds.start >= SEEDS {
        assert!(missing > 0 && torn > 0 && files > written / 10_000, "this has tested little: {summary}");
    }
}

/// Two members talk while the faults happen, and for a while after.
fn run(faults: &[Fault]) -> (World, Machine) {
    let machine = Machine::default();
    let mut world = World::with_log(Physics::default(), machine.log.clone());
    machine.start_server_in(&mut world, Config::default(), Duration::from_millis(HEALED + 500));
    for (nickname, first) in [("Dinesh", 0), ("Alex", 3)] {
        let times = (first..HEALED + 200).step_by(TALKS_EVERY);
        let says = |member: Member, at| member.says(Duration::from_millis(at), &format!("it is {at}"));
        world.add(times.fold(Member::new(nickname), says));
    }
    let begins = faults.iter().map(|fault| (fault.at, true, fault.kind));
    let ends = faults.iter().map(|fault| (fault.at + fault.lasts, false, fault.kind));
    let mut changes: Vec<_> = begins.chain(ends).collect();
    changes.sort_by_key(|&(at, ..)| at);
    for (at, begins, kind) in changes {
        world.run_until(Duration::from_millis(at));
        change(&machine, kind, begins);
    }
    world.run_until(seconds(3));
    (world, machine)
}

fn change(machine: &Machine, kind: Kind, begins: bool) {
    let disk = &machine.disk;
    match (kind, begins) {
        (Kind::Full(bytes), true) => disk.leave_free(Some(bytes)),
        (Kind::Full(_), false) => disk.leave_free(None),
        (Kind::Hangs, hangs) => disk.hang(hangs),
        (Kind::NoDirectory, true) => disk.remove_directory(),
        (Kind::NoDirectory, false) => disk.create_directory(),
        (Kind::Removed, true) => disk.remove_log(),
        (Kind::Removed, false) => {}
        (Kind::Rotated, true) => disk.rotate(),
        (Kind::Rotated, false) => machine.log.reopen(),
    }
}

/// The possible reasons for missing lines.
const REASONS: [&str; 3] =
    ["no space left on device", "No such file or directory", "they came faster than they could be written"];

/// The fate of the lines of a log, and the number of its files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    written: usize,
    /// Counted where they are missing.
    missing: usize,
    /// How many lines, missing ones or counts, were written in part.
    torn: usize,
    files: usize,
}

impl Account {
    fn and(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            missing: self.missing + other.missing,
            torn: self.torn + other.torn,
            files: self.files + other.files,
        }
    }
}

/// Accounts for each line of the journal, in order.
pub fn account(journal: &str, machine: &Machine) -> Result<Account, String> {
    let mut account = Account::default();
    let mut lines = journal.lines().peekable();
    for file in machine.disk.files() {
        account.files += 1;
        for line in file.lines() {
            if lines.next_if_eq(&line).is_some() {
                account.written += 1;
            } else if let Some(missing) = counted(line) {
                account.missing += missing;
                // The missing lines are the next ones, since they are counted in their place.
                lines.by_ref().nth(missing - 1).ok_or("more lines are missing than there are")?;
            } else if !line.is_empty()
                && (lines.peek().is_some_and(|next| next.starts_with(line)) || is_torn_count(line))
            {
                account.torn += 1;
            } else {
                return Err(format!("where {:?} is expected, the log has {line:?}", lines.peek()));
            }
        }
    }
    if let Some(line) = lines.next() {
        return Err(format!("{line:?} and the lines after it are neither written nor counted"));
    }
    let told: usize = machine.stderr().iter().filter_map(|sentence| told(sentence)).sum();
    if told != account.missing {
        return Err(format!("the log counts {} lines, and the operator was told {told}", account.missing));
    }
    Ok(account)
}

/// How many lines a line of the log counts. If it was torn, another one after it counts them again.
fn counted(line: &str) -> Option<usize> {
    let (what, reason) = line.split_once(" - WARNING - ")?.1.split_once(" not written: ")?;
    REASONS.contains(&reason).then(|| number_of_lines(what))?
}

/// How many lines a sentence for the operator counts.
fn told(sentence: &str) -> Option<usize> {
    number_of_lines(sentence.split_once(" not written to the log ")?.0)
}

/// The number in `1 line was` or `2 lines were`.
fn number_of_lines(text: &str) -> Option<usize> {
    text.strip_suffix(" line was").or(text.strip_suffix(" lines were"))?.parse().ok()
}

/// Whether a line is the beginning of a count. Counts are the only warnings in these logs.
fn is_torn_count(line: &str) -> bool {
    let shape = |text: &str| text.replace(|digit: char| digit.is_ascii_digit(), "0");
    let (begin, line) = (shape("2026-02-23 03:00:00,000 - WARNING - "), shape(line));
    begin.starts_with(&line) || line.starts_with(&begin)
}
