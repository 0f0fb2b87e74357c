//! What must never be, kept true: the invariants of `docs/architecture.md` as a test.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files want a reason, which stands here.
const LONG_FILES: [(&str, &str); 3] = [
    (
        "src/journal/writer.rs",
        "a queue and its thread, which only together keep nobody waiting; nearly half are tests",
    ),
    ("src/protocol/framing.rs", "two framings and the choice between them, and as many lines of tests"),
    ("src/room/mod.rs", "the room is one thing; more than half of the file are its tests"),
];
const LONG_LINES: usize = 400;

/// The generator asks one poll about thousands of sockets, and looks at the clock of the machine
/// that it measures: it is never simulated. Its sockets stay in one file.
const GENERATOR: &str = "src/tools/load";
const GENERATOR_SOCKETS: &str = "src/tools/load/connection.rs";

#[test]
fn protocol_and_room_know_no_runtime_no_socket_and_no_clock() {
    for file in rust_files("src/protocol").chain(rust_files("src/room")) {
        for forbidden in ["tokio", "std::net", "std::time", "Instant", "jiff", "tracing", "async "] {
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
fn nothing_but_the_net_module_names_a_socket() {
    for file in rust_files("src").filter(|file| !file.is("src/net/mod.rs") && !file.is(GENERATOR_SOCKETS)) {
        for forbidden in ["TcpStream", "TcpListener", "TcpSocket", "UdpSocket", "UnixStream", "tokio::net"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn nothing_but_the_file_system_module_opens_a_file_to_write_to_it() {
    for mut file in rust_files("src").filter(|file| !file.is("src/journal/file_system.rs")) {
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
        for forbidden in ["unbounded", "read_to_end", "read_to_string", "mpsc::channel()"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn whatever_could_make_a_simulation_differ_from_itself_is_absent() {
    for file in rust_files("src").chain(rust_files("tests/sim")) {
        for forbidden in ["HashMap", "HashSet", "sync::watch", "tokio::fs", "SystemTime::now"] {
            file.must_not_contain(forbidden);
        }
        if !file.is_below(GENERATOR) {
            file.must_not_contain("std::time::Instant");
        }
        for (number, _) in file.lines().filter(|(_, line)| line.contains("select! {")) {
            let next = file.lines().find(|&(other, _)| other == number + 1);
            assert!(
                next.is_some_and(|(_, line)| line.trim() == "biased;"),
                "{}:{number}: a select! without `biased;` takes its branches in random order",
                file.path.display()
            );
        }
    }
}

#[test]
fn tests_wait_for_what_they_await_and_none_is_switched_off() {
    for file in rust_files("tests").filter(|file| !file.is("tests/tidy.rs")) {
        for forbidden in ["thread::sleep", "#[ignore", "tokio::net", "std::net::UdpSocket"] {
            file.must_not_contain(forbidden);
        }
    }
}

#[test]
fn a_file_that_passes_400_lines_has_a_reason() {
    for file in rust_files("src").chain(rust_files("tests")) {
        let lines = file.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| file.is(path));
        assert!(lines <= LONG_LINES || excused, "{} has {lines} lines", file.path.display());
    }
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let tests: String = rust_files("tests").chain(rust_files("src")).map(|file| file.text).collect();
    let mut named = 0;
    for document in files_below(&root().join("docs"), "md") {
        let text = fs::read_to_string(&document).expect("a readable document");
        for name in text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("test:")) {
            named += 1;
            assert!(
                tests.contains(&format!("fn {name}(")),
                "{} names the test {name}, which is not there",
                document.display()
            );
        }
    }
    assert!(named > 0, "no document names a test: the check would be in vain");
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
        if let Some(begin) = self.text.find("#[cfg(test)]") {
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
            panic!("{}:{number}: {forbidden:?} must not stand here", self.path.display());
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(below: &str) -> impl Iterator<Item = SourceFile> + use<> {
    let paths = files_below(&root().join(below), "rs");
    assert!(!paths.is_empty(), "{below} has no sources: the check would be in vain");
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
