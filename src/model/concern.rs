//! What is wrong with the service, or of no concern any more, by its state. Each verdict follows from what the status page judges by, too
//! ([`super::severity`]). Where a state says nothing, as while a run is open, there is no verdict, and the last one stands.

use std::collections::BTreeMap;
use std::time::Duration;

use super::position::Scope;
use super::severity::Severity;
use super::status::{ResourceStatus, RunStatus, Status, TokenStatus};
use super::usage::WARN_PERCENT;

/// How far the table of each resource may be behind the tenant, by the name of the resource.
pub type Goals = BTreeMap<&'static str, Duration>;

/// Something that a person should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// The last run failed.
    Failed,
    /// A person must approve removals.
    NeedsApproval,
    /// The table is further behind the tenant than its goal.
    Stale,
    /// Events may be missing, and a later scan may find them.
    Gap,
    /// Events are missing for good.
    GapForGood,
    /// Elements could not be loaded.
    Rejects,
    /// A person must sign in again.
    Reauthorization,
    /// The tenant's release lacks what this program uses.
    Drift,
    /// Most of what a month may cost is used.
    Budget,
}

impl Concern {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::NeedsApproval,
        Self::Stale,
        Self::Gap,
        Self::GapForGood,
        Self::Rejects,
        Self::Reauthorization,
        Self::Drift,
        Self::Budget,
    ];

    /// The word in `sync.notifications.concern`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NeedsApproval => "needs_approval",
            Self::Stale => "stale",
            Self::Gap => "gap",
            Self::GapForGood => "gap_for_good",
            Self::Rejects => "rejects",
            Self::Reauthorization => "reauthorization",
            Self::Drift => "drift",
            Self::Budget => "budget",
        }
    }

    /// Reads the word. The table's check allows no other ones.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|concern| concern.as_str() == word)
    }

    /// Whether it can end. What is lost for good is told once, and again when more is lost.
    pub const fn can_end(self) -> bool {
        !matches!(self, Self::GapForGood)
    }
}

/// A concern about a resource, or about the service as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The concern.
    pub concern: Concern,
    /// The resource; empty: the service as a whole.
    pub resource: String,
    /// The scope of a run; empty: the resource as a whole.
    pub scope: String,
}

/// What a state says about a concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What it is about.
    pub subject: Subject,
    /// How much of it there is: gaps, elements, findings, of [`Concern::Stale`] the goal in seconds, of [`Concern::Budget`] the used share in
    /// percent; 1 where nothing is counted. None: all is well.
    pub amount: Option<i64>,
}

/// What a state says about every concern of which it says something.
pub fn verdicts(status: &Status, goals: &Goals) -> Vec<Verdict> {
    let mut found = Vec::new();
    for resource in &status.resources {
        of_run(resource, &mut found);
    }
    // A resource in two scopes has one table.
    let mut tables: BTreeMap<&str, &ResourceStatus> = BTreeMap::new();
    for resource in &status.resources {
        let known = tables.entry(&resource.resource).or_insert(resource);
        if resource.next_run_at.is_some() {
            *known = resource;
        }
    }
    for table in tables.into_values() {
        of_table(table, goals, &mut found);
    }
    of_service(status, &mut found);
    found
}

/// The concerns about the runs of a slot. A slot that the schedule does not have is of no concern.
fn of_run(resource: &ResourceStatus, found: &mut Vec<Verdict>) {
    let (failed, approval) = match resource.last_run.as_ref().map(|run| run.status) {
        _ if resource.next_run_at.is_none() => (Some(false), Some(false)),
        // An open run, or one that was stopped, does not say how it would have ended.
        None | Some(RunStatus::Running | RunStatus::Interrupted) => (None, None),
        // Removals wait for approval until a run gets as far again.
        Some(RunStatus::Failed) => (Some(true), None),
        Some(RunStatus::NeedsApproval) => (Some(false), Some(true)),
        Some(RunStatus::Succeeded | RunStatus::Partial | RunStatus::Skipped) => (Some(false), Some(false)),
    };
    for (concern, verdict) in [(Concern::Failed, failed), (Concern::NeedsApproval, approval)] {
        if let Some(is_so) = verdict {
            found.push(Verdict {
                subject: subject(concern, &resource.resource, Some(resource.scope)),
                amount: is_so.then_some(1),
            });
        }
    }
}

/// The concerns about a table.
fn of_table(table: &ResourceStatus, goals: &Goals, found: &mut Vec<Verdict>) {
    let counted = |count: i64| (count > 0).then_some(count);
    let mut add = |concern, amount| {
        found.push(Verdict {
            subject: subject(concern, &table.resource, None),
            amount,
        });
    };
    let goal = goals.get(table.resource.as_str());
    // Nobody keeps a table current that the schedule does not have.
    match (goal.filter(|_| table.next_run_at.is_some()), table.lag_seconds) {
        (None, _) => add(Concern::Stale, None),
        // A table that was never complete is not late yet; a run that fails is told by itself.
        (Some(_), None) => {}
        (Some(goal), Some(lag)) => {
            let goal_seconds = i64::try_from(goal.as_secs()).unwrap_or(i64::MAX);
            add(Concern::Stale, (lag > goal.as_secs_f64()).then_some(goal_seconds));
        }
    }
    add(Concern::Gap, counted(table.open_gaps - table.lasting_gaps));
    add(Concern::GapForGood, counted(table.lasting_gaps));
    add(Concern::Rejects, counted(table.open_rejects));
}

/// The concerns about the service as a whole.
fn of_service(status: &Status, found: &mut Vec<Verdict>) {
    // A token that is being renewed, or could not be renewed once, does not say whether the authorization has ended.
    let is_said = |token: &TokenStatus| matches!(token, TokenStatus::Valid | TokenStatus::ReauthRequired);
    if let Some(token) = status.token.as_ref().filter(|token| is_said(&token.status)) {
        found.push(Verdict {
            subject: subject(Concern::Reauthorization, "", None),
            amount: (Severity::of_token(token) == Severity::Person).then_some(1),
        });
    }
    if let Some(drift) = &status.drift {
        found.push(Verdict {
            subject: subject(Concern::Drift, "", None),
            amount: (drift.breaks > 0).then_some(drift.breaks),
        });
    }
    if let Some(usage) = &status.usage {
        let share = usage.percent();
        found.push(Verdict {
            subject: subject(Concern::Budget, "", None),
            amount: share.filter(|share| share.unsigned_abs() >= WARN_PERCENT),
        });
    }
}

fn subject(concern: Concern, resource: &str, scope: Option<Scope>) -> Subject {
    Subject {
        concern,
        resource: resource.to_owned(),
        scope: scope.map_or("", Scope::as_str).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::model::status::{Run, Token};

    fn slot(status: RunStatus) -> ResourceStatus {
        let run = serde_json::json!({
            "id": uuid::Uuid::nil(), "resource": "profiles", "mode": "full", "status": status.as_str(),
            "started_at": "2026-01-01T00:00:00Z", "finished_at": null, "source_total": null, "rows_read": 0,
            "rows_distinct": 0, "rows_inserted": 0, "rows_updated": 0, "rows_unchanged": 0, "rows_removed": 0,
            "rows_rejected": 0, "rows_rehashed": 0, "rows_suppressed": 0, "rows_repeated": 0, "rows_elsewhere": 0,
            "rows_missed": 0, "rows_late": 0, "late_by_seconds": null, "replaced_characters": 0, "unexplained": null,
            "page_fill_percent": null, "pages": 0, "requests": 0, "retries": 0, "bytes_read": 0,
            "position_from": null, "position_to": null, "error": null, "hint": null
        });
        ResourceStatus {
            resource: "profiles".to_owned(),
            scope: Scope::Full,
            watermark: None,
            watermark_ahead_seconds: None,
            complete_as_of: None,
            position: None,
            last_run: Some(serde_json::from_value::<Run>(run).unwrap()),
            lag_seconds: Some(3601.0),
            open_gaps: 3,
            lasting_gaps: 1,
            open_rejects: 2,
            sweep_backlog: 0,
            timelines: None,
            lease: None,
            next_run_at: Some("2026-01-01T00:10:00Z".parse().unwrap()),
            jobs: Vec::new(),
            pause: None,
        }
    }

    /// What is said of a concern: nothing, that all is well (none), or how much there is.
    fn said(status: &Status, goals: &Goals, concern: Concern) -> Vec<Option<i64>> {
        let all = verdicts(status, goals).into_iter();
        all.filter(|verdict| verdict.subject.concern == concern)
            .map(|verdict| verdict.amount)
            .collect()
    }

    fn of(resource: ResourceStatus, concern: Concern) -> Vec<Option<i64>> {
        let status = Status {
            resources: vec![resource],
            ..Status::default()
        };
        said(
            &status,
            &Goals::from([("profiles", Duration::from_hours(1))]),
            concern,
        )
    }

    #[test]
    fn a_run_is_a_concern_exactly_when_the_page_calls_for_a_person() {
        for status in RunStatus::ALL {
            let resource = slot(status);
            let told = [Concern::Failed, Concern::NeedsApproval].map(|concern| of(resource.clone(), concern));
            assert_eq!(
                told.contains(&vec![Some(1)]),
                Severity::of_run(&resource) == Severity::Person,
                "{status:?}"
            );
        }
        // The next attempt does not say that all is well before it has ended.
        for status in [RunStatus::Running, RunStatus::Interrupted] {
            assert_eq!(of(slot(status), Concern::Failed), []);
        }
        assert_eq!(of(slot(RunStatus::Failed), Concern::NeedsApproval), []);
        let unscheduled = ResourceStatus {
            next_run_at: None,
            ..slot(RunStatus::Failed)
        };
        assert_eq!(of(unscheduled, Concern::Failed), [None]);
    }

    #[test]
    fn a_table_is_stale_from_its_goal_on() {
        let behind = |lag| ResourceStatus {
            lag_seconds: lag,
            ..slot(RunStatus::Succeeded)
        };
        for (lag, stale) in [
            (Some(3601.0), vec![Some(3600)]),
            (Some(3600.0), vec![None]),
            (None, vec![]),
        ] {
            assert_eq!(of(behind(lag), Concern::Stale), stale, "{lag:?}");
        }
        let status = Status {
            resources: vec![behind(Some(1e9))],
            ..Status::default()
        };
        assert_eq!(said(&status, &Goals::new(), Concern::Stale), [None]);
    }

    #[test]
    fn both_scopes_of_a_table_are_one_concern_about_it() {
        let increment = ResourceStatus {
            scope: Scope::Increment,
            ..slot(RunStatus::Succeeded)
        };
        let status = Status {
            resources: vec![slot(RunStatus::Succeeded), increment],
            ..Status::default()
        };
        let goals = Goals::new();
        assert_eq!(said(&status, &goals, Concern::Gap), [Some(2)]);
        assert_eq!(said(&status, &goals, Concern::GapForGood), [Some(1)]);
        assert_eq!(said(&status, &goals, Concern::Rejects), [Some(2)]);
    }

    #[test]
    fn a_token_that_is_being_renewed_says_nothing() {
        for status in TokenStatus::ALL {
            let token = Token {
                grant_type: "authorization_code".to_owned(),
                status,
                expires_at: None,
                issued_at: None,
                last_error: None,
                hint: None,
            };
            let status = Status {
                token: Some(token),
                ..Status::default()
            };
            let told = said(&status, &Goals::new(), Concern::Reauthorization);
            let expected = match status.token.as_ref().unwrap().status {
                TokenStatus::Valid => vec![None],
                TokenStatus::ReauthRequired => vec![Some(1)],
                TokenStatus::Refreshing | TokenStatus::Failed => vec![],
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn most_of_a_limit_is_a_concern_until_another_month_begins() {
        let month = |used, limit| {
            let usage = serde_json::json!({
                "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z",
                "requests": { "used": used, "forecast": null, "limit": limit },
                "bytes_received": { "used": 5, "forecast": null, "limit": null },
                "bytes_unpacked": 5, "profiles_read": 5, "last_month": null, "costs": [], "put_off": []
            });
            let status = Status {
                usage: Some(serde_json::from_value(usage).unwrap()),
                ..Status::default()
            };
            said(&status, &Goals::new(), Concern::Budget)
        };
        assert_eq!(month(799, Some(1000)), [None]);
        assert_eq!(month(800, Some(1000)), [Some(80)]);
        assert_eq!(month(1200, Some(1000)), [Some(120)]);
        assert_eq!(month(1200, None), [None]);
        assert_eq!(said(&Status::default(), &Goals::new(), Concern::Budget), []);
    }

    #[test]
    fn every_word_is_read_again() {
        for concern in Concern::ALL {
            assert_eq!(Concern::of(concern.as_str()), Some(concern));
        }
        assert_eq!(Concern::of("unheard of"), None);
    }
}
