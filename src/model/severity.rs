//! How urgently a state needs attention: the one judgement that the status page and the messages share.

use std::cmp::max;

use super::status::{ResourceStatus, RunStatus, Status, Token, TokenStatus};

/// The severity of a state, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
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
    /// The severity of a resource: that of its last run, of its closable gaps, or of a pause that somebody has to end. Gaps that can
    /// never be closed do not count.
    pub fn of(resource: &ResourceStatus) -> Self {
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
    pub fn of_run(resource: &ResourceStatus) -> Self {
        let status = resource.last_run.as_ref().map(|run| run.status);
        status.map_or(Self::Idle, Self::of_status)
    }

    /// The severity of a run.
    pub const fn of_status(status: RunStatus) -> Self {
        match status {
            RunStatus::Skipped => Self::Idle,
            RunStatus::Succeeded => Self::Good,
            RunStatus::Running => Self::Running,
            RunStatus::Partial | RunStatus::Interrupted => Self::Attention,
            RunStatus::Failed | RunStatus::NeedsApproval => Self::Person,
        }
    }

    /// The severity of the token. An expired token is not a fault, since tokens are requested when they are needed.
    pub const fn of_token(token: &Token) -> Self {
        match token.status {
            TokenStatus::Valid | TokenStatus::Refreshing => Self::Idle,
            TokenStatus::Failed => Self::Attention,
            TokenStatus::ReauthRequired => Self::Person,
        }
    }

    /// The worst of all resources.
    pub fn worst(status: &Status) -> Self {
        let all = status.resources.iter().map(Self::of);
        all.max().unwrap_or(Self::Idle)
    }
}
