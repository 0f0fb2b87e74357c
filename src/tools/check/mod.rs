//! The report's test table as code, run against any server on any network.
//!
//! [`cases`] is the table: the eight test cases and five edge cases of the report, and robustness cases
//! that its own server fails. Each case is written once, as an async function
//! over a [`Subject`], and [`check`] runs one. `chat-check` runs them against a process; the
//! simulation and the tests of the real binaries run the same ones.
//!
//! # What is tolerated
//!
//! The report's protocol has no delimiters, so several messages may arrive in one read, and one message
//! in several reads. No server can avoid that, and none is blamed for it: an expected text may be anywhere in
//! what arrived after the previous match. Two messages with nothing between them pass; a message that is
//! missing, torn apart by another one, or under a wrong name fails. A server may send other things, word
//! its refusals as it likes, and either refuse a long message or deliver it whole.

mod edge;
mod messages;
mod peer;
pub mod process;
mod report;
pub mod results;
mod robustness;
mod subject;

use std::fmt;
use std::pin::Pin;

pub use subject::{Connection, Need, Observation, Subject};

use crate::protocol::Framing;

/// A case of the table.
pub struct Case<S> {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its title in the report.
    pub title: &'static str,
    /// The expected result, in the words of the report if there are any.
    pub expected: &'static str,
    /// Where it comes from.
    pub kind: Kind,
    /// What it needs.
    pub needs: Need,
    run: Run<S>,
}

type Run<S> = for<'a> fn(&'a mut S) -> Pin<Box<dyn Future<Output = Result<(), Observation>> + 'a>>;

/// Where a case comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The report's test table.
    Report,
    /// The edge cases that the report names.
    Edge,
    /// Cases that the report's own server fails.
    Robustness,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Report => "Test case",
            Self::Edge => "Edge case",
            Self::Robustness => "Robustness",
        })
    }
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed(Observation),
    /// Not run, and why.
    Skipped(&'static str),
}

/// Prepares a subject for a case and runs it.
pub async fn check<S: Subject>(case: &Case<S>, subject: &mut S) -> Verdict {
    if !subject.offers(case.needs) {
        return Verdict::Skipped(match case.needs {
            Need::Nothing | Need::Control => "it needs control over the server: --server COMMAND",
            Need::Log => "it needs the server's log: --log FILE",
            Need::CpuTime => "it needs a server that it has started, on Linux: --server COMMAND",
        });
    }
    if let Err(observation) = subject.renew().await {
        return Verdict::Failed(observation);
    }
    match (case.run)(subject).await {
        Ok(()) => Verdict::Passed,
        Err(observation) => Verdict::Failed(observation),
    }
}

/// The deviations that a framing makes acceptable, in a sentence for the reader of the table.
#[must_use]
pub fn tolerance(framing: Framing) -> &'static str {
    match framing {
        Framing::Report => {
            "Nothing marks the end of a message in the report's framing: messages that arrive merged or in \
             pieces pass; one that is missing, torn apart by another, or under a wrong name fails."
        }
        Framing::Lines => {
            "Lines leave nothing to tolerate. How a refusal is worded, and whether a long message is \
             refused or delivered whole, is up to the server."
        }
    }
}

/// The table.
#[must_use]
pub fn cases<S: Subject>() -> Vec<Case<S>> {
    [report_cases(), edge_cases(), robustness_cases(), message_cases()].into_iter().flatten().collect()
}

fn report_cases<S: Subject>() -> Vec<Case<S>> {
    let case =
        |name, title, expected, needs, run| Case { name, title, expected, kind: Kind::Report, needs, run };
    vec![
        case("server-startup", "Server startup", "Server listens on port 5555", Need::Nothing, |subject| {
            Box::pin(report::server_startup(subject))
        }),
        case(
            "single-client-connection",
            "Single client connection",
            "Client connects successfully",
            Need::Nothing,
            |subject| Box::pin(report::single_client_connection(subject)),
        ),
        case(
            "multiple-clients",
            "Multiple clients",
            "Concurrent connections allowed",
            Need::Nothing,
            |subject| Box::pin(report::multiple_clients(subject)),
        ),
        case(
            "message-broadcast",
            "Message broadcast",
            "All clients receive message",
            Need::Nothing,
            |subject| Box::pin(report::message_broadcast(subject)),
        ),
        case(
            "graceful-disconnection",
            "Graceful disconnection",
            "Leave message displayed",
            Need::Nothing,
            |subject| Box::pin(report::graceful_disconnection(subject)),
        ),
        case("abrupt-termination", "Abrupt termination", "Server remains stable", Need::Nothing, |subject| {
            Box::pin(report::abrupt_termination(subject))
        }),
        case(
            "logging-verification",
            "Logging verification",
            "Events recorded in server.log",
            Need::Log,
            |subject| Box::pin(report::logging_verification(subject)),
        ),
        case(
            "stress-test",
            "Stress test (5 clients)",
            "No crash or message loss",
            Need::Nothing,
            |subject| Box::pin(report::stress_test(subject)),
        ),
    ]
}

fn edge_cases<S: Subject>() -> Vec<Case<S>> {
    let case =
        |name, title, expected, needs, run| Case { name, title, expected, kind: Kind::Edge, needs, run };
    vec![
        case(
            "rapid-message-sending",
            "Rapid message sending",
            "All of them arrive, in order",
            Need::Nothing,
            |subject| Box::pin(edge::rapid_message_sending(subject)),
        ),
        case(
            "invalid-port-connection",
            "Invalid port connection",
            "Refused; the server goes on",
            Need::Nothing,
            |subject| Box::pin(edge::invalid_port_connection(subject)),
        ),
        case(
            "port-conflict",
            "Port conflict",
            "The second ends, the first goes on",
            Need::Control,
            |subject| Box::pin(edge::port_conflict(subject)),
        ),
        case(
            "server-restart",
            "Server restart",
            "Ends on Ctrl-C, has its port again",
            Need::Control,
            |subject| Box::pin(edge::server_restart(subject)),
        ),
        case(
            "client-forced-shutdown",
            "Client forced shutdown (Ctrl+C)",
            "Announced once; it can come back",
            Need::Nothing,
            |subject| Box::pin(edge::client_forced_shutdown(subject)),
        ),
    ]
}

fn robustness_cases<S: Subject>() -> Vec<Case<S>> {
    let case = |name, title, expected, needs, run| Case {
        name,
        title,
        expected,
        kind: Kind::Robustness,
        needs,
        run,
    };
    vec![
        case("silent-client", "A client says nothing", "Others join and talk", Need::Nothing, |subject| {
            Box::pin(robustness::silent_client(subject))
        }),
        case("stalled-reader", "A client stops reading", "Others talk on", Need::Nothing, |subject| {
            Box::pin(robustness::stalled_reader(subject))
        }),
        case(
            "orderly-close",
            "An orderly close",
            "The server is idle afterwards",
            Need::CpuTime,
            |subject| Box::pin(robustness::orderly_close(subject)),
        ),
        case(
            "leave-during-broadcast",
            "Leaves during broadcasts",
            "Those who stay get everything",
            Need::Nothing,
            |subject| Box::pin(robustness::leave_during_broadcast(subject)),
        ),
        case(
            "vanishing-clients",
            "200 clients connect and vanish",
            "The next one gets in",
            Need::Nothing,
            |subject| Box::pin(robustness::vanishing_clients(subject)),
        ),
        case(
            "nickname-taken",
            "A nickname already taken",
            "Who leaves is named rightly",
            Need::Nothing,
            |subject| Box::pin(robustness::nickname_taken(subject)),
        ),
        case("nickname-newline", "A newline in a nickname", "No line is forged", Need::Nothing, |subject| {
            Box::pin(robustness::nickname_with_newline(subject))
        }),
        case(
            "nickname-control-characters",
            "Control characters in a nickname",
            "They reach no terminal",
            Need::Nothing,
            |subject| Box::pin(robustness::nickname_with_control_characters(subject)),
        ),
        case(
            "nickname-not-utf8",
            "A nickname that is not UTF-8",
            "Others get text; the next one in",
            Need::Nothing,
            |subject| Box::pin(robustness::nickname_not_utf8(subject)),
        ),
    ]
}

fn message_cases<S: Subject>() -> Vec<Case<S>> {
    let case = |name, title, expected, needs, run| Case {
        name,
        title,
        expected,
        kind: Kind::Robustness,
        needs,
        run,
    };
    vec![
        case(
            "message-not-utf8",
            "A message that is not UTF-8",
            "Others get text and talk on",
            Need::Nothing,
            |subject| Box::pin(messages::not_utf8(subject)),
        ),
        case(
            "message-1025-bytes",
            "A message of 1,025 bytes",
            "Whole, or not at all",
            Need::Nothing,
            |subject| Box::pin(messages::long(subject)),
        ),
        case(
            "message-100-kb",
            "100 kB while another talks",
            "Whole, or not at all",
            Need::Nothing,
            |subject| Box::pin(messages::very_long(subject)),
        ),
        case(
            "message-unfinished",
            "100 kB without an end",
            "Others talk on; it leaves once",
            Need::Nothing,
            |subject| Box::pin(messages::unfinished(subject)),
        ),
        case(
            "cut-character",
            "A character cut in two",
            "Whole; its sender stays",
            Need::Nothing,
            |subject| Box::pin(messages::cut_character(subject)),
        ),
        case(
            "two-messages-one-segment",
            "Two messages in one segment",
            "Both arrive, in order",
            Need::Nothing,
            |subject| Box::pin(messages::two_in_one_segment(subject)),
        ),
        case(
            "foreign-name",
            "A message under another's name",
            "It does not appear so",
            Need::Nothing,
            |subject| Box::pin(messages::foreign_name(subject)),
        ),
    ]
}
