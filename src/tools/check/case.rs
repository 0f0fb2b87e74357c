//! A case of the table, and how it is run.

use std::fmt;
use std::pin::Pin;

use super::resumable::why_there_are_no_sessions;
use super::subject::{Need, Observation, Subject};
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
    pub(super) run: Run<S>,
}

pub(super) type Run<S> = for<'a> fn(&'a mut S) -> Pin<Box<dyn Future<Output = Result<(), Observation>> + 'a>>;

/// Where a case comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The report's test table.
    Report,
    /// The edge cases that the report names.
    Edge,
    /// Cases that the report's own server fails.
    Robustness,
    /// Sessions that outlive their connections.
    Session,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Report => "Test case",
            Self::Edge => "Edge case",
            Self::Robustness => "Robustness",
            Self::Session => "Session",
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
    Skipped(Observation),
}

impl<S> Case<S> {
    /// Whether the case is part of the table for a framing. The report's knows no sessions.
    #[must_use]
    pub fn is_for(&self, framing: Framing) -> bool {
        self.needs != Need::Sessions || framing == Framing::Lines
    }
}

/// Prepares a subject for a case and runs it.
pub async fn check<S: Subject>(case: &Case<S>, subject: &mut S) -> Verdict {
    if !case.is_for(subject.framing()) {
        return Verdict::Skipped("sessions are for lines: --framing lines".to_owned());
    }
    if !subject.offers(case.needs) {
        return Verdict::Skipped(case.needs.hint().to_owned());
    }
    match run(case, subject).await {
        Ok(None) => Verdict::Passed,
        Ok(Some(reason)) => Verdict::Skipped(reason),
        Err(observation) => Verdict::Failed(observation),
    }
}

/// Runs a case, unless the subject turns out not to have what it needs. Returns why it was not run.
async fn run<S: Subject>(case: &Case<S>, subject: &mut S) -> Result<Option<Observation>, Observation> {
    subject.renew().await?;
    if case.needs == Need::Sessions
        && let Some(reason) = why_there_are_no_sessions(subject).await?
    {
        return Ok(Some(reason));
    }
    (case.run)(subject).await.map(|()| None)
}
