//! What the status page shows besides the state: the last 30 days of runs, the schedule of the next day, gaps, rejects by reason, and
//! single runs. None of it holds an id or a value of a person.

use serde::Deserialize;
use uuid::Uuid;

use super::Time;
use super::position::Scope;
use super::status::{Run, RunStatus};
use super::timetable::Pause;

/// A day, in UTC.
pub type Day = chrono::NaiveDate;

/// What the status page shows besides the state.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The last 30 days, in the order of slots and days. A day without an ended run has no entry.
    pub days: Vec<RunDay>,
    /// The jobs of the schedule, by name.
    pub jobs: Vec<PlannedJob>,
    /// Open gaps, the latest first; at most 100.
    pub gaps: Vec<OpenGap>,
    /// Open rejects by resource and reason.
    pub rejects: Vec<OpenRejects>,
    /// What reading cost in the last twelve months, the oldest first, the current one included.
    pub months: Vec<MonthOfUsage>,
}

/// A month of the ledger of usage. Nothing was sent in one without an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthOfUsage {
    /// Its first day, in UTC.
    pub month: Day,
    /// Requests to the API.
    pub requests: i64,
    /// Bytes of bodies as they came.
    pub bytes_received: i64,
    /// Profiles that runs read.
    pub profiles_read: i64,
}

/// The runs of one day, of one slot, that ended in one way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RunDay {
    /// The resource.
    pub resource: String,
    /// The scope.
    pub mode: Scope,
    /// The day on which they began.
    pub day: Day,
    /// How they ended.
    pub status: RunStatus,
    /// How many there were.
    pub runs: i64,
    /// How long they took in all.
    pub seconds: f64,
    /// How long the longest of them took.
    pub longest_seconds: f64,
    /// Elements read.
    pub rows_read: i64,
    /// Rows inserted or updated.
    pub rows_written: i64,
    /// Rows removed.
    pub rows_removed: i64,
    /// Elements that could not be loaded.
    pub rows_rejected: i64,
}

/// A job, and when it starts within the next day.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedJob {
    /// Its name.
    pub job: String,
    /// Its cron expression.
    pub cron: String,
    /// The IANA zone that the expression means.
    pub time_zone: String,
    /// When it runs next.
    pub next_run_at: Time,
    /// Whether a process runs it now.
    pub is_running: bool,
    /// Whether a person asked for a run.
    pub is_requested: bool,
    /// The pause that holds it.
    pub pause: Option<Pause>,
    /// When it starts within the next day, by its expression; none: the expression is not known here.
    pub starts: Option<Starts>,
}

/// Starts within the next day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    /// The first of them, in order.
    pub times: Vec<Time>,
    /// Whether there are more than these.
    pub and_more: bool,
}

/// A time range in which a table may lack rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGap {
    /// The table.
    pub resource: String,
    /// The beginning, exclusive.
    pub from: Time,
    /// The end, inclusive.
    pub to: Time,
    /// The word of `sync.gaps.reason`.
    pub reason: String,
    /// Whether no scan can close it.
    pub is_lasting: bool,
}

/// Open rejects of a resource with one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRejects {
    /// The resource.
    pub resource: String,
    /// The word of `sync.rejects.reason`.
    pub reason: String,
    /// How many there are.
    pub count: i64,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Of this resource; none: of all.
    pub resource: Option<String>,
    /// In this scope; none: in both.
    pub scope: Option<Scope>,
    /// Those that began before this run; none: the latest.
    pub before: Option<Uuid>,
}

/// Some runs, the latest first.
#[derive(Debug, Clone, Default)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Whether there are older ones.
    pub has_older: bool,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(
    missing_docs,
    reason = "each is a column of `sync.runs`, which has its comment in the database"
)]
pub struct RunSummary {
    pub id: Uuid,
    pub resource: String,
    pub mode: Scope,
    pub status: RunStatus,
    pub started_at: Time,
    pub finished_at: Option<Time>,
    pub rows_read: i64,
    pub rows_written: i64,
    pub rows_removed: i64,
    pub rows_rejected: i64,
}

/// One run with its rejects.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDetail {
    /// The run.
    pub run: Run,
    /// The rejects that it was the last to meet, by reason and field.
    pub rejects: Vec<RunRejects>,
}

/// Rejects of a run with one reason, about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRejects {
    /// The word of `sync.rejects.reason`.
    pub reason: String,
    /// The name of the field, where one is at fault.
    pub field: Option<String>,
    /// How many there are.
    pub count: i64,
    /// How many of them have loaded since.
    pub resolved: i64,
}
