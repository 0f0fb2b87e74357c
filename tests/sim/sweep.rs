//! The sweep runs many plans, each drawn from a seed, and checks them. A failing plan shrinks to the
//! smallest one that still fails, and is reported with the command that replays it.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::drawing::plans;
use super::history::{History, most_retained_bytes};
use super::ledger::Ledger;
use super::oracles::{ALWAYS, AT_THE_END, check};
use super::plan::{HEALED, Plan};
use super::regressions;
use super::support::progress::Progress;
use super::world::{SERVER, World, seconds};

/// How many seeds are run, unless `SIM_SEEDS` is set. Everything in the ledger must happen in as many.
const SEEDS: u64 = 1_000;

/// How many seeds should be enough for each fault to meet each act.
const MANY_SEEDS: u64 = 10_000;

/// How many smaller plans are tried when one fails, unless `SIM_SHRINKS` is set.
const SHRINKS: u64 = 2_000;

/// A run that has kept every promise.
pub struct Outcome {
    pub history: History,
    /// Events from inside the server and the network.
    pub events: String,
    pub simulated: Duration,
}

/// Runs a plan, and checks the promises after each simulated second. If the run is traced and one is broken, what
/// has happened is told as well.
pub fn run(plan: &Plan, traced: bool) -> Result<Outcome, String> {
    let mut world = plan.world(traced);
    run_in(&mut world, plan).map_err(|broken| {
        if traced { format!("{}{}{broken}", world.events(), world.server_log()) } else { broken }
    })
}

/// The same, in a given world of that plan.
pub fn run_in(world: &mut World, plan: &Plan) -> Result<Outcome, String> {
    let store = world.store();
    let mut changes = plan.changes().into_iter().peekable();
    let mut history = History::new(plan.terms(), store.is_some());
    let (mut events_read, mut log_read, mut runs) = (0, 0, true);
    loop {
        history.now += seconds(1);
        while let Some((at, change)) = changes.next_if(|&(at, _)| at <= history.now) {
            world.run_until(at);
            change.apply(plan, world);
        }
        world.run_until(history.now);
        // There may be megabytes: only what is new is read.
        let (events, log) = (world.events_from(events_read), world.server_log_from(log_read));
        (events_read, log_read) = (events_read + events.len(), log_read + log.len());
        history.read(&log, store.as_ref());
        history.retained_bytes = history.retained_bytes.max(most_retained_bytes(&events));
        history.memberships = world.memberships();
        history.healed = (history.now > HEALED).then_some(HEALED);
        let running = is_running(world, &history);
        history.is_running = std::mem::replace(&mut runs, running) && running;
        check(&ALWAYS, &history)?;
        if history.healed.is_none() {
            continue;
        }
        let alive = check(&AT_THE_END, &history);
        if alive.is_ok() {
            return Ok(Outcome { simulated: history.now, history, events: world.events() });
        }
        if history.now >= HEALED + plan.liveness() {
            return alive.map(|()| unreachable!("a promise was broken just now"));
        }
    }
}

/// Whether the server is there, and was not asked to end.
fn is_running(world: &mut World, history: &History) -> bool {
    let starts = history.epochs.iter().flat_map(|epoch| &epoch.starts);
    let ends = world.asked_to_stop().is_some_and(|asked| starts.max().is_none_or(|start| *start < asked));
    let stored = history.stored.as_ref();
    let serves = stored.is_none_or(|stored| stored.runs.last().is_some_and(|run| run.goes_on));
    serves && !ends && world.within(|sim| sim.is_host_running(SERVER))
}

/// The plan that is drawn from a seed.
pub fn plan_of(seed: u64) -> Plan {
    tree_of(seed).current()
}

/// The same, with all that it can shrink to.
fn tree_of(seed: u64) -> impl ValueTree<Value = Plan> {
    plans().new_tree(&mut runner(seed)).expect("every seed has a plan")
}

pub fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let shrinks = variable("SIM_SHRINKS").unwrap_or(SHRINKS).try_into().unwrap_or(u32::MAX);
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: shrinks, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Runs the plan of a seed, and shrinks it if it fails.
fn run_seed(seed: u64, ledger: &mut Ledger) -> Result<Duration, String> {
    let noted = std::cell::RefCell::new((Ledger::default(), Duration::ZERO));
    // Not `TestRunner::run`, which draws another plan than the one that is replayed.
    let result = runner(seed).run_one(tree_of(seed), |plan| {
        let outcome = run(&plan, false).map_err(TestCaseError::fail)?;
        let mut noted = noted.borrow_mut();
        noted.0.note(&plan, &outcome.history, &outcome.events);
        noted.1 = outcome.simulated;
        Ok(())
    });
    match result {
        Ok(_) => {
            let (noted, simulated) = noted.into_inner();
            ledger.add(&noted);
            Ok(simulated)
        }
        Err(TestError::Fail(reason, plan)) => Err(format!(
            "seed {seed} fails: {reason}\nthe smallest plan that still fails:\n{plan:#?}\n\
             it is kept as {}\nreplay it with: just sim sweep {seed}",
            regressions::keep(&format!("seed-{seed}"), &plan)
        )),
        Err(TestError::Abort(reason)) => Err(format!("seed {seed} cannot be drawn: {reason}")),
    }
}

#[test]
fn every_promise_holds_for_every_seed() {
    if let Some(seed) = variable("SIM_SEED") {
        return replay(seed);
    }
    let seeds = variable("SIM_SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    let (ledger, simulated) = sweep(seeds).unwrap_or_else(|failure| panic!("{failure}"));
    let real = begun.elapsed();
    println!(
        "{seeds} seeds in {:.1} s: {:.1} seeds/s, {:.2} simulated hours, {:.0} × real time\n{ledger}",
        real.as_secs_f64(),
        f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / real.as_secs_f64(),
        simulated.as_secs_f64() / 3_600.0,
        simulated.as_secs_f64() / real.as_secs_f64(),
    );
    if seeds >= MANY_SEEDS {
        println!("pairs of a fault and an act that never happened: {:#?}", ledger.missing_pairs());
    }
    if seeds >= SEEDS {
        assert_eq!(ledger.missing(), [""; 0], "this never happened in {seeds} seeds");
    }
}

/// Runs the first `seeds` seeds, on one thread per processor.
fn sweep(seeds: u64) -> Result<(Ledger, Duration), String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Progress::of(seeds, "seeds");
    let swept: Vec<_> = std::thread::scope(|scope| {
        let sweeps: Vec<_> = (0_u64..)
            .take(threads)
            .map(|first| {
                let progress = &progress;
                scope.spawn(move || sweep_some((first..seeds).step_by(threads), progress))
            })
            .collect();
        sweeps.into_iter().map(|sweep| sweep.join().expect("a sweep fails by its result")).collect()
    });
    swept.into_iter().try_fold((Ledger::default(), Duration::ZERO), |(mut ledger, simulated), swept| {
        let (other, further) = swept?;
        ledger.add(&other);
        Ok((ledger, simulated + further))
    })
}

fn sweep_some(some: impl Iterator<Item = u64>, progress: &Progress) -> Result<(Ledger, Duration), String> {
    let mut ledger = Ledger::default();
    let mut simulated = Duration::ZERO;
    for seed in some {
        simulated += run_seed(seed, &mut ledger)?;
        progress.advance();
    }
    Ok((ledger, simulated))
}

/// Runs one seed, and prints everything that happens.
fn replay(seed: u64) {
    let plan = plan_of(seed);
    println!("{plan:#?}");
    let outcome = run(&plan, true).unwrap_or_else(|broken| {
        // Running the seed again shrinks its plan.
        panic!("{}", run_seed(seed, &mut Ledger::default()).err().unwrap_or(broken))
    });
    println!("{}\nseed {seed} keeps every promise", outcome.events);
}

pub fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
