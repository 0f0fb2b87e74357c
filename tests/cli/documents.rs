//! The transcripts of `docs/protocol.md`, byte for byte against the real server.

use std::io::Read as _;

use super::support::{Peer, Server};

#[test]
fn every_transcript_in_the_protocol_is_what_happens() {
    let document = include_str!("../../docs/protocol.md");
    let transcripts: Vec<&str> =
        document.split("```transcript").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!transcripts.is_empty());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    for transcript in transcripts {
        // The word is followed by the password of the room, if it has one.
        let (password, lines) = transcript.split_once('\n').expect("a line that begins it");
        std::fs::write(&file, password.trim()).unwrap();
        let arguments = ["--password-file", file.to_str().unwrap()];
        let server = Server::start_with(if password.is_empty() { &[] } else { &arguments });
        let mut peer = server.connect();
        for line in lines.lines() {
            follow(&mut peer, line);
        }
    }
}

#[track_caller]
fn follow(peer: &mut Peer, line: &str) {
    match line.split_once(' ') {
        Some(("S", "end")) => {
            let mut rest = String::new();
            peer.stream.read_to_string(&mut rest).expect("the end before the deadline");
            assert_eq!(rest, "", "nothing more comes");
        }
        Some(("S", sent)) => peer.expect_bytes(&unescape(sent)),
        Some(("C", sent)) => peer.send(&unescape(sent)),
        _ => panic!("not a line of a transcript: {line}"),
    }
}

fn unescape(quoted: &str) -> String {
    let text = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("quoted");
    text.replace("\\n", "\n").replace("\\r", "\r").replace("\\x07", "\u{7}")
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let command = "cargo install just --locked && just test";
    let has_it = |text: &str| text.lines().any(|line| line == command);
    assert!(has_it(include_str!("../../README.md")));
    assert!(has_it(include_str!("../../.ci/run")));
}
