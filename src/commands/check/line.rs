//! A line of what `check` prints: what was tried, how it went, and what to do.

use serde_json::{Value, json};

use crate::commands::exit::Exit;
use crate::model::fault::{Fault, Kind};

/// One line of the table.
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) state: &'static str,
    pub(super) detail: String,
    pub(super) hint: Option<String>,
    pub(super) exit: Exit,
}

impl Line {
    /// As `--json` prints it.
    pub(super) fn json(&self) -> Value {
        json!({ "what": self.what, "state": self.state, "detail": self.detail, "hint": self.hint })
    }

    /// A line for something that works.
    pub(super) fn ok(what: &'static str, detail: String) -> Self {
        Self {
            what,
            state: "ok",
            detail,
            hint: None,
            exit: Exit::Done,
        }
    }

    /// A line for something that was not tried, since something before it fails.
    pub(super) fn untried(what: &'static str, detail: String) -> Self {
        Self {
            state: "not tried",
            ..Self::ok(what, detail)
        }
    }

    /// A line for something that works but deserves attention.
    pub(super) fn warning(what: &'static str, detail: String, hint: String) -> Self {
        Self {
            what,
            state: "warning",
            detail,
            hint: Some(hint),
            exit: Exit::Done,
        }
    }

    /// A line for something that fails.
    pub(super) fn of(what: &'static str, fault: &Fault) -> Self {
        let state = match &fault.kind {
            Kind::Denied { .. } => "denied",
            Kind::Settings => "wrong",
            Kind::Transient => "unreachable",
            Kind::Person => "needs you",
            _ => "failed",
        };
        let detail = match &fault.kind {
            Kind::Denied { scope } => format!("the scope `{scope}` is missing"),
            _ => fault.sentence(),
        };
        Self {
            what,
            state,
            detail,
            hint: fault.hint.clone(),
            exit: Exit::of_fault(fault),
        }
    }
}
