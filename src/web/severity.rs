//! How urgently a state needs attention.

use std::cmp::max;

use crate::model::status::{ResourceStatus, RunStatus, Status, Token, TokenStatus};

/// The severity of a state, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Nothing has happened yet.
    Idle,
    /// All is well.
    Good,
    /// A run is open.
    Running,
    /// Somebody should look at it.
    Attention,
    /// Only a person can help.
    Person,
}

impl Severity {
    /// The class in the stylesheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Good => "good",
            Self::Running => "running",
            Self::Attention => "attention",
            Self::Person => "person",
        }
    }

    /// The severity of a resource: that of its last run, of its closable gaps, or of a pause that somebody has to end. Gaps that can
    /// never be closed do not count.
    pub(super) fn of(resource: &ResourceStatus) -> Self {
        let is_held = resource
            .pause
            .as_ref()
            .is_some_and(|pause| pause.ends_at.is_none());
        let gaps = if is_held || resource.has_closable_gaps() {
            Self::Attention
        } else {
            Self::Idle
        };
        max(Self::of_run(resource), gaps)
    }

    /// The severity of a resource's last run.
    pub(super) fn of_run(resource: &ResourceStatus) -> Self {
        match resource.last_run.as_ref().map(|run| run.status) {
            None | Some(RunStatus::Skipped) => Self::Idle,
            Some(RunStatus::Succeeded) => Self::Good,
            Some(RunStatus::Running) => Self::Running,
            Some(RunStatus::Partial | RunStatus::Interrupted) => Self::Attention,
            Some(RunStatus::Failed | RunStatus::NeedsApproval) => Self::Person,
        }
    }

    /// The severity of the token. An expired token is not a fault, since tokens are requested when they are needed.
    pub(super) const fn of_token(token: &Token) -> Self {
        match token.status {
            TokenStatus::Valid | TokenStatus::Refreshing => Self::Idle,
            TokenStatus::Failed => Self::Attention,
            TokenStatus::ReauthRequired => Self::Person,
        }
    }

    /// The worst of all resources.
    pub(super) fn worst(status: &Status) -> Self {
        let all = status.resources.iter().map(Self::of);
        all.max().unwrap_or(Self::Idle)
    }
}

/// The overall severity, with a sentence.
pub(super) fn verdict(status: &Status) -> (Severity, String) {
    let token = status.token.as_ref().map_or(Severity::Idle, Severity::of_token);
    let worst = max(Severity::worst(status), token);
    let all = status.resources.len();
    let count = |severity| {
        let alike = status.resources.iter().filter(|it| Severity::of(it) == severity);
        alike.count()
    };
    let good = count(Severity::Good);
    let sentence = match (worst, count(worst)) {
        (Severity::Person, 0) => "The token needs a person".to_owned(),
        (Severity::Person, some) => format!("{} a person", need(some, all)),
        (Severity::Attention, 0) => "The token needs attention".to_owned(),
        (Severity::Attention, some) => format!("{} attention", need(some, all)),
        (Severity::Running, some) => format!("{} running", resources(some, all)),
        _ if all > 0 && good == all => "All is well".to_owned(),
        _ if good > 0 => "All that ran is well".to_owned(),
        _ => "Nothing has run yet".to_owned(),
    };
    (worst, sentence)
}

/// `1 of 5 resources needs`, `2 of 5 resources need`.
fn need(some: usize, all: usize) -> String {
    let verb = if some == 1 { "needs" } else { "need" };
    format!("{} {verb}", resources(some, all))
}

/// `1 of 5 resources`, `1 of 1 resource`.
fn resources(some: usize, all: usize) -> String {
    let noun = if all == 1 { "resource" } else { "resources" };
    format!("{some} of {all} {noun}")
}
