//! The words of a message: fixed ones, names of resources, numbers and times. No text of the tenant's and no error of a run, which may
//! quote one, leaves this machine with a message.

use std::time::Duration;

use crate::model::concern::{Concern, Subject};
use crate::model::format;
use crate::model::notification::{Event, Notification};

/// Where the runbook is.
const RUNBOOK: &str = "https://github.com/blueconic-sync/blueconic-sync/blob/main/docs/operations.md";

/// What is so, as a sentence without a full stop.
pub(super) fn summary(notification: &Notification) -> String {
    let subject = &notification.subject;
    let what = what(subject.concern, notification.amount);
    let about = about(subject);
    let lasted = (notification.now - notification.began_at)
        .to_std()
        .map(format::rough)
        .unwrap_or_default();
    match notification.event {
        Event::Began => format!("{about}: {what}"),
        Event::Lasts => format!("{about}: still so after {lasted}: {what}"),
        Event::Ended => format!("{about}: well again after {lasted}: {}", was(subject.concern)),
    }
}

/// What to do about it; none once all is well.
pub(super) fn advice(notification: &Notification) -> Option<&'static str> {
    let advice = match notification.subject.concern {
        Concern::Failed => {
            "`blueconic-sync status` says why, and what to do; the schedule tries again by itself"
        }
        Concern::NeedsApproval => {
            "compare with the tenant; if the rows are really gone, approve with the command that `blueconic-sync status` names"
        }
        Concern::Stale => "`blueconic-sync status` shows which run fails or takes too long",
        Concern::Gap => "nothing, if a wider scan closes it: see blueconic.gaps",
        Concern::GapForGood => {
            "see blueconic.gaps; read audit events more often, so that it does not happen again"
        }
        Concern::Rejects => "sync.rejects has each element with the reason",
        Concern::Reauthorization => "run `blueconic-sync login`",
        Concern::Drift => {
            "run `blueconic-sync check --drift`, and look for a newer release of blueconic-sync"
        }
        Concern::Budget => {
            "nothing, if fewer full walks will do until the month ends; else raise the limit, or let full walks come less often"
        }
    };
    (notification.event != Event::Ended).then_some(advice)
}

/// The part of the runbook about a concern.
pub(super) fn runbook(concern: Concern) -> String {
    let anchor = match concern {
        Concern::Failed => "runs-and-what-their-status-asks-of-you",
        Concern::NeedsApproval => "needs_approval",
        Concern::Stale => "stale-tables",
        Concern::Gap | Concern::GapForGood => "gaps",
        Concern::Rejects => "partial",
        Concern::Reauthorization => "the-token",
        Concern::Drift => "drift",
        Concern::Budget => "cost-and-budget",
    };
    format!("{RUNBOOK}#{anchor}")
}

/// The resource and its scope; the program's name for the service as a whole.
fn about(subject: &Subject) -> String {
    match (&*subject.resource, &*subject.scope) {
        ("", _) => "blueconic-sync".to_owned(),
        (resource, "") => resource.to_owned(),
        (resource, scope) => format!("{resource}/{scope}"),
    }
}

fn what(concern: Concern, amount: i64) -> String {
    let count = format::count(amount);
    match concern {
        Concern::Failed => "the last run failed".to_owned(),
        Concern::NeedsApproval => {
            "a run would remove more rows than allowed, and waits for a person".to_owned()
        }
        Concern::Stale => {
            let goal = Duration::from_secs(u64::try_from(amount).unwrap_or_default());
            format!(
                "the table is further behind the tenant than its goal of {}",
                format::rough(goal)
            )
        }
        Concern::Gap => format!("events may be missing in {count} range(s) of time"),
        Concern::GapForGood => format!("events are missing for good in {count} range(s) of time"),
        Concern::Rejects => format!("{count} element(s) could not be loaded"),
        Concern::Reauthorization => {
            "the authorization at the tenant has ended, and only a person can renew it".to_owned()
        }
        Concern::Drift => format!("the tenant's release lacks {count} thing(s) that this program uses"),
        Concern::Budget => format!("{count}% of what this month may cost are used"),
    }
}

/// What ended, for the message that all is well.
const fn was(concern: Concern) -> &'static str {
    match concern {
        Concern::Failed => "the last run did not fail",
        Concern::NeedsApproval => "no removal waits for a person",
        Concern::Stale => "the table is within its goal",
        Concern::Gap => "every gap that a scan can close is closed",
        Concern::GapForGood => "no gap is left",
        Concern::Rejects => "every element is loaded",
        Concern::Reauthorization => "the authorization is valid",
        Concern::Drift => "the tenant has everything that is used",
        Concern::Budget => "another month has begun, or the limit was raised",
    }
}
