//! How the status page shows a severity: the class of the stylesheet, and the sentence at the top.

use std::cmp::max;

use crate::model::severity::Severity;
use crate::model::status::Status;

/// The class of a severity in the stylesheet.
pub(super) const fn class(severity: Severity) -> &'static str {
    match severity {
        Severity::Idle => "idle",
        Severity::Good => "good",
        Severity::Running => "running",
        Severity::Attention => "attention",
        Severity::Person => "person",
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
