//! Exit codes: a contract with scripts and orchestrators.

use crate::model::fault::{Fault, Kind};
use crate::model::ledger::RunReport;
use crate::model::status::RunStatus;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is done.
    Done,
    /// It failed.
    Failed,
    /// Usage or settings are wrong.
    Settings,
    /// Some elements were rejected, a difference is unexplained, or a resource was denied.
    Partial,
    /// A person must act.
    Person,
    /// It was interrupted.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Settings => 2,
            Self::Partial => 3,
            Self::Person => 4,
            Self::Interrupted => 130,
        }
    }

    /// The word for a summary.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => RunStatus::Succeeded.as_str(),
            Self::Failed | Self::Settings => RunStatus::Failed.as_str(),
            Self::Partial => RunStatus::Partial.as_str(),
            Self::Person => RunStatus::NeedsApproval.as_str(),
            Self::Interrupted => RunStatus::Interrupted.as_str(),
        }
    }

    /// Of several outcomes the first of interrupted, settings, person, failed, partial, done counts.
    #[must_use]
    pub fn worst(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let order = [
            Self::Interrupted,
            Self::Settings,
            Self::Person,
            Self::Failed,
            Self::Partial,
        ];
        let outcomes: Vec<Self> = outcomes.into_iter().collect();
        order
            .into_iter()
            .find(|exit| outcomes.contains(exit))
            .unwrap_or(Self::Done)
    }

    /// The exit code for a fault.
    pub fn of_fault(fault: &Fault) -> Self {
        match fault.kind {
            Kind::Settings => Self::Settings,
            Kind::Person => Self::Person,
            Kind::Denied { .. } => Self::Partial,
            Kind::Interrupted => Self::Interrupted,
            Kind::Transient
            | Kind::CursorRefused
            | Kind::Strained
            | Kind::CommitsLost
            | Kind::ColumnsChanged
            | Kind::Absent
            | Kind::Fenced
            | Kind::Held
            | Kind::Final => Self::Failed,
        }
    }

    /// The exit code for a run.
    pub fn of_run(report: &RunReport) -> Self {
        match (&report.fault, report.ledger.status) {
            (Some(fault), _) => Self::of_fault(fault),
            (None, RunStatus::Succeeded | RunStatus::Skipped) => Self::Done,
            (None, RunStatus::Partial) => Self::Partial,
            (None, RunStatus::NeedsApproval) => Self::Person,
            (None, RunStatus::Interrupted) => Self::Interrupted,
            (None, RunStatus::Failed | RunStatus::Running) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_outcomes_the_gravest_counts() {
        let all = [
            Exit::Done,
            Exit::Partial,
            Exit::Failed,
            Exit::Person,
            Exit::Settings,
            Exit::Interrupted,
        ];
        let codes: Vec<u8> = (0..all.len())
            .map(|end| Exit::worst(all[..=end].to_vec()).code())
            .collect();
        assert_eq!(codes, [0, 3, 1, 4, 2, 130]);
    }
}
