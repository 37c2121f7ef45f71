//! The answer to a question: what was found and what follows, or why there is no answer. No text of the tenant reaches one.

use crate::model::fault::{Fault, Kind};
use crate::model::probe::Proposal;

/// The result of asking a question.
pub(super) type Answer = Result<Found, Unanswered>;

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Whether the tenant is as assumed.
    pub(super) is_as_assumed: bool,
    /// What was found.
    pub(super) answer: String,
    /// What follows.
    pub(super) follows: String,
    /// The settings that it proposes.
    pub(super) proposals: Vec<Proposal>,
}

impl Found {
    /// The tenant is as assumed.
    pub(super) fn as_assumed(found: impl Into<String>) -> Self {
        Self {
            is_as_assumed: true,
            answer: found.into(),
            follows: "nothing: the program works so".to_owned(),
            proposals: Vec::new(),
        }
    }

    /// The tenant is not as assumed.
    pub(super) fn differs(found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self {
            is_as_assumed: false,
            follows: follows.into(),
            ..Self::as_assumed(found)
        }
    }

    /// With another sentence on what follows.
    pub(super) fn so(mut self, follows: impl Into<String>) -> Self {
        self.follows = follows.into();
        self
    }

    /// With a setting, if there is one to propose.
    pub(super) fn propose(mut self, proposal: impl IntoIterator<Item = Proposal>) -> Self {
        self.proposals.extend(proposal);
        self
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// This question alone.
    Because(String),
    /// No further question can be asked.
    Spent(&'static str),
}

impl Unanswered {
    /// This question has no answer.
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }

    /// No whole answer came. What the fault says is left out: it may repeat what the tenant said.
    pub(super) fn fault(fault: &Fault) -> Self {
        Self::because(match &fault.kind {
            Kind::Transient | Kind::Strained => "no whole answer came (connection, time-out or a cut body)",
            Kind::Person => "the authorization has ended: sign in and probe again",
            Kind::Denied { .. } => "the tenant denies it",
            _ => "the answer could not be read",
        })
    }

    /// A status that is no answer to the question.
    pub(super) fn status(status: u16, scope: &str) -> Self {
        Self::because(match status {
            401 | 403 => format!("the scope `{scope}` is missing (HTTP {status})"),
            _ => format!("the tenant answers HTTP {status}"),
        })
    }
}
