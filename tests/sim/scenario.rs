//! What all named scenarios have in common: how their world begins, and what is kept of it.

use std::path::PathBuf;

use commonroom::journal::Handle;
use jiff::civil::DateTime;

use super::support::snapshot::snapshot;
use super::world::{Physics, World};

/// The world in which a scenario takes place. `SIM_SEED` gives it another seed, and then everything
/// that happens is printed instead of being compared.
pub fn begin() -> World {
    begin_at(Physics::default().begin)
}

/// The same, with another time on its clock.
pub fn begin_at(begin: DateTime) -> World {
    World::with(physics(begin))
}

/// The same, where the lines of `server.log` are also written to `log`.
pub fn begin_with_log(log: Handle) -> World {
    World::with_log(physics(Physics::default().begin), log)
}

fn physics(begin: DateTime) -> Physics {
    let seed = seed();
    Physics {
        seed: seed.unwrap_or_default(),
        begin,
        traced: seed.is_some(),
        recorded: true,
        ..Physics::default()
    }
}

/// Shows the picture of a scenario that is over, and compares its log with what has been reviewed; so
/// too its picture, if a document shows it.
#[track_caller]
pub fn end(world: &World, name: &str) {
    end_with_log(world, name, &world.server_log());
}

/// The same, where `log` is what has become of the log.
#[track_caller]
pub fn end_with_log(world: &World, name: &str, log: &str) {
    let timeline = world.timeline().expect("scenarios are recorded");
    println!("{}\n{log}", timeline.to_text(110));
    if seed().is_some() {
        println!("{}", world.events());
        return;
    }
    snapshot(&format!("server_log_of_{name}"), log);
    compare_picture(&format!("{name}.svg"), &timeline.to_svg());
}

/// Compares with the picture in `docs/timelines`, where there is one: tests/tidy.rs sees to it that
/// these are the ones that documents show.
#[track_caller]
fn compare_picture(name: &str, picture: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/timelines").join(name);
    let Ok(drawn) = std::fs::read_to_string(&path) else { return };
    if std::env::var_os("SIM_DRAW").is_some() {
        std::fs::write(&path, picture).expect("a writable repository");
        return;
    }
    assert!(
        drawn == picture,
        "docs/timelines/{name} is not what the code draws now; `just timelines` draws it"
    );
}

fn seed() -> Option<u64> {
    std::env::var("SIM_SEED").ok().map(|seed| seed.parse().expect("SIM_SEED is a number"))
}
