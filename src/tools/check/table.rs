//! The table: every case with its title and what is expected.

use super::case::{Case, Kind, Run};
use super::subject::{Need, Subject};
use super::{edge, messages, report, robustness, sessions};
use crate::protocol::Framing;

/// All cases.
#[must_use]
pub fn cases<S: Subject>() -> Vec<Case<S>> {
    [report_cases(), edge_cases(), robustness_cases(), message_cases(), session_cases()]
        .into_iter()
        .flatten()
        .collect()
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
    let case = robust;
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
    let case = robust;
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

/// A case that the report's own server fails.
fn robust<S>(
    name: &'static str,
    title: &'static str,
    expected: &'static str,
    needs: Need,
    run: Run<S>,
) -> Case<S> {
    Case { name, title, expected, kind: Kind::Robustness, needs, run }
}

fn session_cases<S: Subject>() -> Vec<Case<S>> {
    let case = |name, title, expected, run| Case {
        name,
        title,
        expected,
        kind: Kind::Session,
        needs: Need::Sessions,
        run,
    };
    vec![
        case("session-begins", "A session is asked for", "Its token, epoch and position", |subject| {
            Box::pin(sessions::begins(subject))
        }),
        case("session-pong", "A ping in a session", "The pong says what was taken", |subject| {
            Box::pin(sessions::pong(subject))
        }),
        case("session-sent-again", "A numbered line sent twice", "It is said once", |subject| {
            Box::pin(sessions::sent_again(subject))
        }),
        case("session-catches-up", "A resumed session", "What it missed, in order, once", |subject| {
            Box::pin(sessions::catches_up(subject))
        }),
        case("session-unnoticed", "A loss and a return", "Nobody is told of it", |subject| {
            Box::pin(sessions::unnoticed(subject))
        }),
        case(
            "session-taken-over",
            "Two connections, one session",
            "The older one can say nothing more",
            |subject| Box::pin(sessions::taken_over(subject)),
        ),
        case("session-quit", "A session ends with /quit", "Refused, with what was taken", |subject| {
            Box::pin(sessions::quit(subject))
        }),
        case("session-wrong-secret", "A wrong secret", "Refused; the session goes on", |subject| {
            Box::pin(sessions::wrong_secret(subject))
        }),
    ]
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
