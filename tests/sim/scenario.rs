//! The beginning and the end that all named scenarios share.
//!
//! A scenario is a file of `tests/sim/scenarios/`. The name of the file is its name, and the first
//! paragraph in it is its row in the table of `docs/simulation.md`.

use std::fs;
use std::panic::Location;
use std::path::{Path, PathBuf};

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

/// The same, with the lines of `server.log` also written to `log`.
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

/// Shows the picture of the calling file's scenario. Compares its log with the reviewed snapshot, and the
/// picture with the one in `docs/timelines` if a document shows it.
#[track_caller]
pub fn end(world: &World) {
    end_with_log(world, &world.server_log());
}

/// The same, with `log` as the content of the log.
#[track_caller]
pub fn end_with_log(world: &World, log: &str) {
    let timeline = world.timeline().expect("scenarios are recorded");
    println!("{}\n{log}", timeline.to_text(110));
    if seed().is_some() {
        println!("{}", world.events());
        return;
    }
    let file = Path::new(Location::caller().file());
    let name = file.file_stem().and_then(|name| name.to_str()).expect("the name of a source file");
    snapshot(&format!("server_log_of_{name}"), log);
    compare_picture(&format!("timelines/{name}.svg"), &timeline.to_svg());
}

#[track_caller]
fn compare_picture(name: &str, picture: &str) {
    let documents = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
    let path = documents.join(name);
    if !path.exists() && !is_shown_in(&documents, name) {
        return;
    }
    if std::env::var_os("SIM_DRAW").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a writable repository");
        fs::write(&path, picture).expect("a writable repository");
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|drawn| drawn == picture),
        "docs/{name} is not what the code draws now; `just timelines` draws it"
    );
}

/// Whether the README or a document contains the picture.
fn is_shown_in(documents: &Path, name: &str) -> bool {
    let mut texts =
        fs::read_dir(documents).expect("the documents").map(|entry| entry.expect("an entry").path());
    let shows = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "md")
            && fs::read_to_string(path).expect("a readable document").contains(&format!("{name})"))
    };
    shows(&documents.join("../README.md")) || texts.any(|path| shows(&path))
}

fn seed() -> Option<u64> {
    std::env::var("SIM_SEED").ok().map(|seed| seed.parse().expect("SIM_SEED is a number"))
}
