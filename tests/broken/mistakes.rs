//! The deliberately broken servers that the tests must catch.

use std::fs;
use std::path::{Path, PathBuf};

/// A server that breaks a promise.
pub struct Broken {
    /// Completes "a server that …".
    pub name: &'static str,
    pub mistakes: &'static [Mistake],
    pub caught_by: CaughtBy,
}

/// A change of the source. Production code has no hooks for it, so the code is found by its text.
pub struct Mistake {
    /// Occurs exactly once in `src/`.
    pub right: &'static str,
    /// Replaces it.
    pub wrong: &'static str,
}

/// How a broken server is noticed.
pub struct CaughtBy {
    /// A test of `tests/sim`.
    pub test: &'static str,
    /// How many seeds it may need.
    pub seeds: u64,
    /// Appears in the message of that test.
    pub says: &'static str,
}

const SWEEP: &str = "sweep::every_promise_holds_for_every_seed";

const LOG_FAULTS: &str =
    "log_faults::each_line_is_in_the_log_or_counted_where_it_is_missing_and_no_member_notices_for_every_seed";

pub const BROKEN: &[Broken] = &[
    Broken {
        name: "skips the drain",
        mistakes: &[Mistake {
            right: "state.readers.end(attachment, until);\n            state.is_due(attachment);",
            wrong: "state.readers.remove(attachment);",
        }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 1_000,
            says: "members who leave in order are sent everything that was said before",
        },
    },
    Broken {
        name: "lets chance choose between hearing and sending",
        mistakes: &[Mistake {
            right: "biased;\n            reason = self.input.listen(",
            wrong: "reason = self.input.listen(",
        }],
        caught_by: CaughtBy {
            test: "determinism::two_processes_with_the_same_seeds_do_exactly_the_same",
            seeds: 100,
            says: "the first line that differs",
        },
    },
    Broken {
        name: "announces a leaving twice",
        mistakes: &[Mistake {
            right: "self.transcript.append(at, Broadcast::Left(&nickname));",
            wrong: "self.transcript.append(at, Broadcast::Left(&nickname));
        self.transcript.append(at, Broadcast::Left(&nickname));",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 20, says: "everyone sees one order" },
    },
    Broken {
        name: "sets the cursor one byte too far back",
        mistakes: &[Mistake {
            right: "self.cursor += part as Position;",
            wrong: "self.cursor += part as Position - Position::from(part > 8_000);",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 200, says: "everyone sees one order" },
    },
    Broken {
        name: "keeps the log for ever",
        mistakes: &[Mistake { right: "self.retire();", wrong: "" }],
        caught_by: CaughtBy { test: SWEEP, seeds: 200, says: "the log is kept within its bound" },
    },
    Broken {
        name: "waits for the slowest before it goes on",
        mistakes: &[
            Mistake {
                right: "if self.member.quits {",
                wrong: "Box::pin(self.hub.wait_for_the_slowest()).await;
            if self.member.quits {",
            },
            Mistake {
                right: "/// Slows a sender down",
                wrong: "/// Broken on purpose.
    pub(super) async fn wait_for_the_slowest(&self) {
        while self.somebody_is_behind() {
            sleep(BACK_PRESSURE_PAUSE).await;
        }
    }

    fn somebody_is_behind(&self) -> bool {
        let State { room, readers, .. } = &mut *self.lock();
        readers.somebody_is_behind_by(0, room.transcript().end(), |_| false)
    }

    /// Slows a sender down",
            },
        ],
        caught_by: CaughtBy { test: SWEEP, seeds: 1_000, says: "nobody's slowness delays another" },
    },
    Broken {
        name: "gathers for three seconds before it sends more",
        mistakes: &[Mistake {
            right: "while self.lock().deliver() {",
            wrong: "while { tokio::time::sleep(std::time::Duration::from_secs(3)).await; self.lock().deliver() } {",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 1_000, says: "nobody's slowness delays another" },
    },
    Broken {
        name: "lets two have one nickname",
        mistakes: &[Mistake {
            right: "keys.iter().any(|key| self.holders",
            wrong: "self.holders.len() > 1_000 && keys.iter().any(|key| self.holders",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "a nickname belongs to one member at a time" },
    },
    Broken {
        name: "says the unfinished last line of a connection that broke",
        mistakes: &[Mistake {
            right: "Ok(Ok(false)) => return DisconnectReason::Closed,",
            wrong: "Ok(Ok(false)) => {
                self.connection.decoder.push(b\"\\n\");
                self.hub.handle_messages(&mut self.member, self.connection);
                return DisconnectReason::Closed;
            }",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 300, says: "nothing is said that nobody said" },
    },
    Broken {
        name: "keeps a member whose connection was reset",
        mistakes: &[Mistake {
            right: "self.deliveries.hub.part(self.deliveries.attachment, self.input.connection.peer.ip(), reason);",
            wrong: "if reason == DisconnectReason::Reset {
            return Ending::Broken;
        }
        self.deliveries.hub.part(self.deliveries.attachment, self.input.connection.peer.ip(), reason);",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 200, says: "the roster equals the live members" },
    },
    Broken {
        name: "tells a newcomer that it is connected before it is",
        mistakes: &[Mistake {
            right: "private.map_or(end, |at| at.position.min(end))",
            wrong: "private.map_or(end, |_| cursor)",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 20, says: "everyone sees one order" },
    },
    Broken {
        name: "never drops a member that takes nothing",
        mistakes: &[Mistake {
            right: "hub.limits().write_timeout, writable",
            wrong: "hub.limits().write_timeout * 100, writable",
        }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 300,
            says: "every live member receives something fresh from every other",
        },
    },
    Broken {
        name: "loses a message now and then",
        mistakes: &[Mistake {
            right: "Ok(Command::Say(text)) =>",
            wrong: "Ok(Command::Say(_)) if room.transcript().end() % 16 == 7 => Decision::Ignore,
        Ok(Command::Say(text)) =>",
        }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 20,
            says: "each sender's messages are accepted in its order, without a gap",
        },
    },
    Broken {
        name: PANICS,
        mistakes: &[Mistake {
            right: "Err(refusal) => Decision::Refuse(refusal),",
            wrong: "Err(refusal) => panic!(\"{refusal}\"),",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "no internal error" },
    },
    Broken {
        name: "counts connections that are gone",
        mistakes: &[Mistake { right: "Kind::Member => self.members -= 1,", wrong: "Kind::Member => {}" }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 200,
            says: "every live member receives something fresh from every other",
        },
    },
    Broken {
        name: "listens to a connection that was replaced",
        mistakes: &[Mistake {
            right: "session.attachment == by.attachment.number\n                    && number.is_none_or",
            wrong: "number.is_none_or",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 300, says: "nothing from a replaced connection is taken" },
    },
    Broken {
        name: "shows what is not stored yet",
        mistakes: &[Mistake {
            right: "self.unstored.as_ref().map_or(Point::END, |unstored| unstored.horizon)",
            wrong: "self.unstored.as_ref().map_or(Point::END, |_| Point::END)",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 300, says: "nothing is shown before it is stored" },
    },
    Broken {
        name: "tries a failed sync again",
        mistakes: &[Mistake {
            right: "Err(AppendError::Failed(error)) => return Err(error),",
            wrong: "Err(AppendError::Failed(_)) => sleep(STORE_PAUSE).await,",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 1_000, says: "a store is used as it must be" },
    },
    Broken {
        name: "says that it has taken one more line",
        mistakes: &[Mistake {
            right: "            taken: session.taken,\n            missing",
            wrong: "            taken: session.taken + 1,\n            missing",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 300, says: "what was taken is in server.log" },
    },
    Broken {
        name: "leaves out the first line that was missed",
        mistakes: &[Mistake {
            right: "transcript.position_after(read_lines)",
            wrong: "transcript.position_after(read_lines + 1)",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "everyone sees one order" },
    },
    Broken {
        name: "forgets private lines when a session goes on",
        mistakes: &[Mistake {
            right: "for (after, line) in self.room.kept(attachment.member) {",
            wrong: "for (after, line) in self.room.kept(attachment.member).skip(1_000_000) {",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 1_000, says: "nobody misses a private line" },
    },
    Broken {
        name: "tells private lines again that were counted",
        mistakes: &[Mistake { right: "kept.count(private_lines)", wrong: "kept.count(0)" }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 300,
            says: "each speaker is heard in its order, and nothing twice",
        },
    },
    Broken {
        name: "tells private lines that were missed too late",
        mistakes: &[Mistake {
            right: "self.readers.tell(attachment, Point { position, record }, &line);",
            wrong: "let position = position.max(transcript.end());\n            self.readers.tell(attachment, Point { position, record }, &line);",
        }],
        caught_by: CaughtBy {
            test: SWEEP,
            seeds: 1_000,
            says: "one room explains what everybody saw, in real time",
        },
    },
    Broken {
        name: "tells everybody what is private",
        mistakes: &[Mistake {
            right: "self.tell_connection(self.room.attachment(*to), &Notice::WhisperFrom(from, *text));",
            wrong: "let all: Vec<Attachment> = self.room.members().map(|(id, _)| self.room.attachment(id)).collect();
        all.into_iter().for_each(|id| self.tell_connection(id, &Notice::WhisperFrom(from, *text)));
        let _ = to;",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "a private line is heard by one member alone" },
    },
    Broken {
        name: "keeps sessions for ever",
        mistakes: &[Mistake {
            right: "state.timers.lost(attachment, address_of(address), now + grace);",
            wrong: "state.timers.lost(attachment, address_of(address), now + grace * 1_000);",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "nobody leaves or joins within a grace" },
    },
    Broken {
        name: "lets a member go before the grace has passed",
        mistakes: &[Mistake {
            right: "state.timers.lost(attachment, address_of(address), now + grace);",
            wrong: "state.timers.lost(attachment, address_of(address), now + grace / 2);",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "nobody leaves or joins within a grace" },
    },
    Broken {
        name: "takes nothing more from a session that goes on",
        mistakes: &[Mistake {
            right: "number.is_none_or(|number| number > session.taken)",
            wrong: "number.is_none_or(|number| number > session.taken && session.attachment == 0)",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 100, says: "every line comes to something" },
    },
    Broken {
        name: "has clients that take half a line for a whole one",
        mistakes: &[Mistake {
            right: "attachment.incoming.end();",
            wrong: "attachment.incoming.push(b\"\\n\");",
        }],
        caught_by: CaughtBy { test: SWEEP, seeds: 300, says: "everyone sees one order" },
    },
    Broken {
        name: "forgets what a full disk has cost",
        mistakes: &[Mistake { right: "missing.lines += lines;", wrong: "" }],
        caught_by: CaughtBy { test: LOG_FAULTS, seeds: 20, says: "is expected, the log has" },
    },
    Broken {
        name: "begins each new log with a blank line",
        mistakes: &[Mistake { right: "self.file_system.is_torn(&self.path)", wrong: "true" }],
        caught_by: CaughtBy { test: LOG_FAULTS, seeds: 20, says: "is expected, the log has" },
    },
    Broken {
        name: "continues a line that was torn",
        mistakes: &[Mistake {
            right: "if self.torn {\n            write",
            wrong: "if false {\n            write",
        }],
        caught_by: CaughtBy { test: LOG_FAULTS, seeds: 100, says: "is expected, the log has" },
    },
    Broken {
        name: "reopens the log before what was said by then is written",
        mistakes: &[Mistake { right: "Some(state.batch.lines.len())", wrong: "Some(0)" }],
        caught_by: CaughtBy {
            test: "log_file::sighup_at_any_moment_loses_no_line_and_puts_none_into_the_wrong_file",
            seeds: 1,
            says: "ms later",
        },
    },
];

/// The one with which a real server is built, too.
pub const PANICS: &str = "panics on what it refuses";

impl Broken {
    /// The sources of `package` that it changes, with its mistakes in them.
    pub fn sources(&self, package: &Path) -> Result<Vec<Source>, String> {
        let mut sources = read_sources(&package.join("src"));
        for mistake in self.mistakes {
            mistake.make(&mut sources).map_err(|why| {
                format!(
                    "The mistake of the server that {} no longer fits the code: {why}\n\
                     It looks for this text:\n\n{}\n\n\
                     Adapt it in tests/broken/mistakes.rs, so that it breaks the same promise again.",
                    self.name, mistake.right
                )
            })?;
        }
        sources.retain(|source| source.changed);
        Ok(sources)
    }
}

impl Mistake {
    fn make(&self, sources: &mut [Source]) -> Result<(), String> {
        let occurrences = |source: &Source| source.text.matches(self.right).count();
        let mut found: Vec<_> = sources.iter_mut().filter(|source| occurrences(source) > 0).collect();
        let number: usize = found.iter().map(|source| occurrences(source)).sum();
        let [source] = found.as_mut_slice() else {
            let paths: Vec<_> = found.iter().map(|source| source.path.display().to_string()).collect();
            return Err(format!("its text occurs in {} files, not in one: {paths:?}.", paths.len()));
        };
        if number != 1 {
            return Err(format!("its text occurs {number} times in {}, not once.", source.path.display()));
        }
        source.text = source.text.replace(self.right, self.wrong);
        source.changed = true;
        Ok(())
    }
}

/// A file of Rust.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    changed: bool,
}

fn read_sources(directory: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources.extend(read_sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            sources.push(Source { path, text, changed: false });
        }
    }
    sources
}
