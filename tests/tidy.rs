//! The invariants of `docs/architecture.md` that neither a lint nor `clippy.toml` can check.

#[path = "broken/mistakes.rs"]
mod mistakes;

use std::fs;
use std::path::{Path, PathBuf};

use mistakes::BROKEN;

/// Files over [`LONG_LINES`] lines, each with its reason.
const LONG_FILES: [(&str, &str); 1] =
    [("src/client/session/tests.rs", "nothing but the tests of one state machine")];
const LONG_LINES: usize = 400;

/// The load generator polls thousands of sockets at once, and reads the clock of the machine that it
/// measures, so it is never simulated. Its sockets stay in two files.
const GENERATOR: &str = "src/tools/load";
const GENERATOR_SOCKETS: [&str; 2] = ["src/tools/load/connection.rs", "src/tools/load/poller.rs"];

#[test]
fn protocol_and_room_know_no_runtime_no_socket_and_no_clock() {
    for file in rust_files("src/protocol").chain(rust_files("src/room")) {
        for forbidden in ["tokio", "net::Tcp", "SystemTime", "Instant", "jiff", "tracing", "async "] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn the_clients_session_knows_no_runtime_no_socket_and_no_clock() {
    for file in rust_files("src/client/session") {
        for forbidden in ["tokio", "std::net", "std::io", "Instant", "jiff", "tracing", "async ", ".await"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn nothing_but_the_tcp_file_names_a_socket() {
    let allowed =
        |file: &SourceFile| file.is("src/net/tcp.rs") || GENERATOR_SOCKETS.iter().any(|path| file.is(path));
    for file in rust_files("src").filter(|file| !allowed(file)) {
        for forbidden in ["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "UnixStream", "tokio::net"] {
            file.must_not_contain(forbidden);
        }
    }
}

/// The files that open files to write to them: the log, the mark of a store, and the sessions of clients.
const WRITERS: [&str; 3] =
    ["src/journal/file_system.rs", "src/commit_log/sqlite/mark.rs", "src/terminal/token_file.rs"];

#[test]
fn nothing_but_the_log_the_mark_and_the_token_file_opens_a_file_to_write_to_it() {
    for mut file in rust_files("src").filter(|file| !WRITERS.iter().any(|path| file.is(path))) {
        file.forget_tests();
        for forbidden in ["OpenOptions", "File::create", "fs::write", "fs::rename", "fs::remove"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn nothing_is_unbounded() {
    for mut file in rust_files("src") {
        file.forget_tests();
        for forbidden in ["read_to_end", "read_to_string", "mpsc::channel()"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn nothing_that_could_make_a_simulation_nondeterministic_is_used() {
    for file in rust_files("src").chain(rust_files("tests/sim")) {
        file.must_not_contain("tokio::fs");
        if !file.is_below(GENERATOR) {
            file.must_not_contain("std::time::Instant");
        }
        for (number, _) in file.lines().filter(|(_, line)| line.contains("select! {")) {
            let next = file.lines().find(|&(other, _)| other == number + 1);
            assert!(
                next.is_some_and(|(_, line)| line.trim() == "biased;"),
                "{}:{number}: a select! without `biased;` polls its branches in random order",
                file.path.display()
            );
        }
    }
}

#[test]
fn no_test_is_ignored_or_uses_a_socket_of_tokio() {
    for file in rust_files("tests").filter(|file| !file.is("tests/tidy.rs")) {
        for forbidden in ["#[ignore", "tokio::net"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn a_file_over_400_lines_has_a_reason() {
    for file in rust_files("src").chain(rust_files("tests")) {
        let lines = file.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| file.is(path));
        assert!(lines <= LONG_LINES || excused, "{} has {lines} lines", file.path.display());
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests: String = rust_files("tests").chain(rust_files("src")).map(|file| file.text).collect();
    let mut named = 0;
    for document in files_below(&root().join("docs"), "md") {
        let text = fs::read_to_string(&document).expect("a readable document");
        for name in text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("test:")) {
            named += 1;
            assert!(
                tests.contains(&format!("fn {name}(")),
                "{} names the test {name}, which does not exist",
                document.display()
            );
        }
    }
    assert!(named > 0, "no document names a test, so nothing was checked");
}

/// A scenario is added by adding its file. This test writes the lists that follow from the files.
#[test]
fn the_scenarios_are_registered_and_listed_as_their_files_say() {
    let directory = root().join("tests/sim/scenarios");
    let (mut modules, mut rows) = (Vec::new(), Vec::new());
    for file in rust_files("tests/sim/scenarios").filter(|file| !file.is("tests/sim/scenarios/mod.rs")) {
        let name = file.path.file_stem().and_then(|name| name.to_str()).expect("the name of a source file");
        let paragraph = file.text.lines().map_while(|line| line.strip_prefix("//! "));
        let sentence = paragraph.collect::<Vec<_>>().join(" ");
        assert!(sentence.ends_with('.'), "{} begins with no sentence about it", file.path.display());
        modules.push(format!("mod {name};\n"));
        rows.push(format!("| `{name}` | {} |\n", sentence.trim_end_matches('.')));
    }
    let stale = [
        is_rewritten(&directory.join("mod.rs"), "\n\n", &modules.concat()),
        is_rewritten(
            &root().join("docs/simulation.md"),
            "| `just sim` | what happens |\n|---|---|\n",
            &rows.concat(),
        ),
    ];
    assert_eq!(stale, [None, None], "these did not agree with the files, and now do: run the tests again");
}

/// Replaces the text between `heading` and the next empty line. Returns the file if that changed it.
fn is_rewritten(path: &Path, heading: &str, wanted: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(path).expect("a readable file");
    let (before, after) = text.split_once(heading).expect("the heading");
    let end = if after.starts_with('\n') { 0 } else { after.find("\n\n").map_or(after.len(), |end| end + 1) };
    let rewritten = [before, heading, wanted, &after[end..]].concat();
    (rewritten != text).then(|| {
        fs::write(path, rewritten).expect("a writable repository");
        path.to_owned()
    })
}

/// The broken servers themselves are built and run by `just broken`.
#[test]
fn every_mistake_of_the_broken_servers_fits_the_code_exactly_once() {
    let changes = |broken: &mistakes::Broken| {
        let right = |path: &Path| fs::read_to_string(path).expect("a readable source");
        match broken.sources(&root()) {
            Ok(sources) if sources.iter().all(|source| source.text != right(&source.path)) => None,
            Ok(_) => Some(format!("The mistake of the server that {} changes nothing.", broken.name)),
            Err(why) => Some(why),
        }
    };
    let stale: Vec<String> = BROKEN.iter().filter_map(changes).collect();
    assert!(stale.is_empty(), "\n{}\n", stale.join("\n\n"));
}

#[test]
fn every_test_and_promise_that_must_catch_a_broken_server_exists() {
    let sources: Vec<SourceFile> = rust_files("tests/sim").collect();
    for mistakes::CaughtBy { test, seeds, says } in BROKEN.iter().map(|broken| &broken.caught_by) {
        let (module, function) = test.split_once("::").expect("a module and a function");
        let file = format!("tests/sim/{module}.rs");
        let source = sources.iter().find(|source| source.is(&file)).unwrap_or_else(|| panic!("no {file}"));
        assert!(source.text.contains(&format!("fn {function}(")), "{file} has no {function}");
        assert!(
            sources.iter().any(|source| source.text.contains(says)),
            "nothing in tests/sim says {says:?}"
        );
        assert!(*seeds > 0);
    }
}

#[test]
fn the_timelines_are_those_that_documents_show() {
    let directory = root().join("docs/timelines");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let drawn: Vec<String> = files_below(&directory, "svg").iter().map(|path| name(path)).collect();
    let mut shown = Vec::new();
    for document in files_below(&root().join("docs"), "md").into_iter().chain([root().join("README.md")]) {
        let text = fs::read_to_string(&document).expect("a readable document");
        let pictures = text.split("![").skip(1).filter_map(|rest| rest.split_once("](")?.1.split(')').next());
        shown.extend(pictures.map(|picture| name(Path::new(picture))));
    }
    shown.sort();
    assert!(!shown.is_empty(), "no document shows a picture: the check would be in vain");
    assert_eq!(drawn, shown, "on the left docs/timelines, on the right what documents show");
}

#[test]
fn no_snapshot_waits_for_review() {
    let waiting = files_below(&root().join("snapshots"), "new");
    assert!(waiting.is_empty(), "look at them with `just review`: {waiting:?}");
}

struct SourceFile {
    path: PathBuf,
    text: String,
}

impl SourceFile {
    fn is(&self, path: &str) -> bool {
        self.path == root().join(path)
    }

    fn is_below(&self, directory: &str) -> bool {
        self.path.starts_with(root().join(directory))
    }

    fn forget_tests(&mut self) {
        let is_in_tests = self.path.parent().is_some_and(|directory| directory.ends_with("tests"));
        if is_in_tests || self.path.ends_with("tests.rs") {
            self.text.clear();
        } else if let Some(begin) = self.text.find("#[cfg(test)]") {
            self.text.truncate(begin);
        }
    }

    /// Lines with their numbers, without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |line: &&str| !line.trim_start().starts_with("//");
        (1..).zip(self.text.lines()).filter(move |(_, line)| code(line))
    }

    #[track_caller]
    fn must_not_contain(&self, forbidden: &str) {
        if let Some((number, _)) = self.lines().find(|(_, line)| line.contains(forbidden)) {
            panic!("{}:{number}: {forbidden:?} must not occur here", self.path.display());
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(below: &str) -> impl Iterator<Item = SourceFile> + use<> {
    let paths = files_below(&root().join(below), "rs");
    assert!(!paths.is_empty(), "{below} has no sources, so nothing was checked");
    paths
        .into_iter()
        .map(|path| SourceFile { text: fs::read_to_string(&path).expect("a readable source"), path })
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}
