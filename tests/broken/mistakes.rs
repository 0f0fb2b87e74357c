//! What is broken in each of the servers that the simulation must catch.

/// A server that breaks a promise.
pub struct Broken {
    pub name: &'static str,
    /// In which files, what stands there, exactly once, and what a mistake would make of it.
    pub mistakes: &'static [(&'static str, &'static str, &'static str)],
    /// Which test catches it, within how many seeds, and what it says.
    pub caught_by: (&'static str, u64, &'static str),
}

const LOG_FAULTS: &str =
    "log_faults::each_line_is_in_the_log_or_counted_where_it_is_missing_and_no_member_notices_for_every_seed";

const SWEEP: &str = "sweep::every_promise_holds_for_every_seed";

pub const BROKEN: &[Broken] = &[
    Broken {
        name: "skips the drain",
        mistakes: &[(
            "src/server/session.rs",
            "                let rest = deliver(outgoing, &place);",
            "                let rest = async { Ok::<(), DisconnectReason>(()) };",
        )],
        caught_by: (SWEEP, 200, "who leaves in order is sent everything that was said before"),
    },
    Broken {
        name: "lets chance choose between hearing and sending",
        mistakes: &[(
            "src/server/session.rs",
            "            biased;\n            departure = listen(",
            "            departure = listen(",
        )],
        caught_by: (
            "determinism::two_processes_with_the_same_seeds_do_exactly_the_same",
            100,
            "the first line that differs",
        ),
    },
    Broken {
        name: "announces a leaving twice",
        mistakes: &[(
            "src/room/mod.rs",
            "        self.log.append(Broadcast::Left(&nickname));",
            "        self.log.append(Broadcast::Left(&nickname));\n        self.log.append(Broadcast::Left(&nickname));",
        )],
        caught_by: (SWEEP, 20, "everyone sees one order"),
    },
    Broken {
        name: "sets the cursor one byte too far back",
        mistakes: &[(
            "src/room/mod.rs",
            "                *cursor += part as Position;",
            "                *cursor += part as Position - Position::from(part > 8_000);",
        )],
        caught_by: (SWEEP, 200, "everyone sees one order"),
    },
    Broken {
        name: "keeps the log for ever",
        mistakes: &[("src/room/transcript.rs", "        self.retire();\n", "")],
        caught_by: (SWEEP, 200, "the log is kept within its bound"),
    },
    Broken {
        name: "waits for the slowest before it goes on",
        mistakes: &[
            (
                "src/server/session.rs",
                "            Handled::All => {}\n",
                "            Handled::All => Box::pin(place.room.wait_for_the_slowest()).await,\n",
            ),
            (
                "src/server/hub.rs",
                "    /// Slows a sender down",
                "    /// Broken on purpose.\n    pub(super) async fn wait_for_the_slowest(&self) {\n        \
     while self.lock().room.somebody_is_behind_by(0, |_| false) {\n            sleep(BACK_PRESSURE_PAUSE).await;\n        }\n    }\n\n    \
     /// Slows a sender down",
            ),
        ],
        caught_by: (SWEEP, 1_000, "nobody's slowness delays another"),
    },
    Broken {
        name: "gathers for three seconds before it sends more",
        mistakes: &[(
            "src/server/session.rs",
            "        if wrote == Wrote::Everything {\n            return Ok(());\n        }\n",
            "        if wrote == Wrote::Everything {\n            return Ok(());\n        }\n        sleep(std::time::Duration::from_secs(3)).await;\n",
        )],
        caught_by: (SWEEP, 1_000, "nobody's slowness delays another"),
    },
    Broken {
        name: "lets two have one nickname",
        mistakes: &[(
            "src/room/mod.rs",
            "        if keys.iter().any(|key| self.roster.contains_key(key)) {",
            "        if self.roster.len() > 1_000 {",
        )],
        caught_by: (SWEEP, 100, "a nickname belongs to one member at a time"),
    },
    Broken {
        name: "says the unfinished last line of a connection that broke",
        mistakes: &[(
            "src/server/session.rs",
            "            Ok(Ok(false)) => return DisconnectReason::Wish,",
            "            Ok(Ok(false)) => {\n                incoming.decoder.push(b\"\\n\");\n                \
                place.room.handle_messages(member, &mut incoming.decoder);\n                return DisconnectReason::Wish;\n            }",
        )],
        caught_by: (SWEEP, 300, "nothing is said that nobody said"),
    },
    Broken {
        name: "keeps a member whose connection was reset",
        mistakes: &[(
            "src/server/session.rs",
            "        place.room.leave(id, departure);\n",
            "        if departure == DisconnectReason::Reset {\n            std::mem::forget(place);\n            return false;\n        }\n        \
     place.room.leave(id, departure);\n",
        )],
        caught_by: (SWEEP, 200, "the roster equals the live members"),
    },
    Broken {
        name: "tells a newcomer that it is connected before it is",
        mistakes: &[(
            "src/room/mod.rs",
            "            let stop = private.peek().map_or(end, |&&(position, _)| position.min(end));",
            "            let stop = if private.peek().is_none() { end } else { cursor };",
        )],
        caught_by: (SWEEP, 20, "everyone sees one order"),
    },
    Broken {
        name: "never drops who takes nothing",
        mistakes: &[(
            "src/server/session.rs",
            "timeout(place.room.limits().write_timeout, writable)",
            "timeout(place.room.limits().write_timeout * 100, writable)",
        )],
        caught_by: (SWEEP, 300, "every live member receives something fresh from every other"),
    },
    Broken {
        name: "loses a message now and then",
        mistakes: &[(
            "src/server/hub.rs",
            "        Ok(Command::Say(text)) => {",
            "        Ok(Command::Say(_)) if room.end() % 16 == 7 => Ok(()),\n        Ok(Command::Say(text)) => {",
        )],
        caught_by: (SWEEP, 20, "each sender's messages are accepted in its order, without a gap"),
    },
    Broken {
        name: "panics on what it refuses",
        mistakes: &[(
            "src/server/hub.rs",
            "        Err(refusal) => Err(refusal),",
            "        Err(refusal) => panic!(\"{refusal}\"),",
        )],
        caught_by: (SWEEP, 100, "no internal error"),
    },
    Broken {
        name: "counts connections that are gone",
        mistakes: &[(
            "src/server/mod.rs",
            "            Some(ended) = sessions.join_next() => {",
            "            Some(ended) = sessions.join_next(), if sessions.len() > 1_000 => {",
        )],
        caught_by: (SWEEP, 200, "every live member receives something fresh from every other"),
    },
    Broken {
        name: "forgets what a full disk has cost",
        mistakes: &[("src/journal/file.rs", "            missing.lines += lines;\n", "")],
        caught_by: (LOG_FAULTS, 20, "where Some("),
    },
    Broken {
        name: "begins each new log with a blank line",
        mistakes: &[(
            "src/journal/file.rs",
            "            self.gaps.torn = self.file_system.is_torn(&self.path);",
            "            self.gaps.torn = true;",
        )],
        caught_by: (LOG_FAULTS, 20, "where Some("),
    },
    Broken {
        name: "continues a line that was torn",
        mistakes: &[(
            "src/journal/file.rs",
            "        if self.torn {\n            write",
            "        if false {\n            write",
        )],
        caught_by: (LOG_FAULTS, 100, "where Some("),
    },
    Broken {
        name: "reopens the log before what was said by then is written",
        mistakes: &[(
            "src/journal/writer.rs",
            "state.batch.reopen_at = Some(state.batch.lines.len());",
            "state.batch.reopen_at = Some(0);",
        )],
        caught_by: (
            "log_file::sighup_at_any_moment_loses_no_line_and_puts_none_into_the_wrong_file",
            1,
            "ms later",
        ),
    },
];
