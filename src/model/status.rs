//! The state of the service, read in one place. How these types serialize is the contract of `status --json` and of
//! `/status.json`; the status page, the metrics and the `status` command show the same value.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Time;
use super::drift::DriftStatus;
use super::position::Scope;
use super::probe::Report;
use super::timetable::{JobStatus, Pause, Service};
use super::usage::Usage;

/// The state of the service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The tenant's address; none before the first run.
    pub tenant: Option<String>,
    /// Each resource in each scope, in the order in which they are shown.
    pub resources: Vec<ResourceStatus>,
    /// The access token's state; none before the first request for a token.
    pub token: Option<Token>,
    /// The tables for analysts.
    pub tables: Vec<TableSize>,
    /// The typed columns of profile properties; absent while they are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed_columns: Option<ColumnStatus>,
    /// Values of audit events that the tenant renamed.
    pub audit_renames: Vec<AuditRename>,
    /// How the tenant's API differs from what is used; none before its document was read.
    #[serde(default)]
    pub drift: Option<DriftStatus>,
    /// The report of the last probe; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Report>,
    /// The processes that keep the schedule and were seen within a day.
    #[serde(default)]
    pub services: Vec<Service>,
    /// What reading costs in this month.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// A resource in one scope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// The resource's name, which is its table's.
    pub resource: String,
    /// The scope.
    pub scope: Scope,
    /// The time up to which changes were read; none if it lies ahead of the database's clock.
    pub watermark: Option<Time>,
    /// How far the stored watermark lies ahead of the database's clock. Such a watermark is ignored, and the next run replaces it.
    pub watermark_ahead_seconds: Option<f64>,
    /// The table holds everything that the tenant had at this time.
    pub complete_as_of: Option<Time>,
    /// The position of an open walk, as in `sync.cursors.position`.
    pub position: Option<serde_json::Value>,
    /// The run that started last.
    pub last_run: Option<Run>,
    /// The age of `complete_as_of`.
    pub lag_seconds: Option<f64>,
    /// Time ranges that are known to be incomplete.
    pub open_gaps: i64,
    /// The open gaps that no scan can close, since the tenant no longer has the events or never returned them.
    pub lasting_gaps: i64,
    /// Elements that could not be loaded and that no later reading has brought (`sync.rejects`).
    #[serde(default)]
    pub open_rejects: i64,
    /// Rows that the last complete full walk missed and about which no look-up has decided yet; in the scope `full` alone.
    #[serde(default)]
    pub sweep_backlog: i64,
    /// The timelines of profiles; in the scope `full` alone, and none until a complete walk has read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timelines: Option<Timelines>,
    /// The lease; none before the first run.
    pub lease: Option<Lease>,
    /// When the schedule runs it next: the earliest time of its jobs, or that of a request.
    pub next_run_at: Option<Time>,
    /// The jobs that run it, by name; empty until a service has scheduled them.
    #[serde(default)]
    pub jobs: Vec<JobStatus>,
    /// The pause that holds its jobs.
    #[serde(default)]
    pub pause: Option<Pause>,
}

/// The state of the typed columns of profile properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStatus {
    /// How many columns there are, with those of properties that are gone.
    pub columns: i64,
    /// How many tables hold them.
    pub tables: i32,
    /// Whether columns of profiles that were stored before are still to be filled.
    pub is_filling: bool,
    /// A change that was put off; none: the columns follow the tenant's catalogue.
    pub postponed: Option<Postponed>,
    /// What others read that no longer follows the tenant.
    pub stale_uses: Vec<ColumnUse>,
}

/// A change that was put off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    /// When that was.
    pub at: Time,
    /// Why, as a sentence.
    pub why: String,
}

/// A view outside the service's schemas that reads a typed column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnUse {
    /// Its quoted name with its schema.
    pub relation: String,
    /// The column.
    pub column: String,
    /// Why the column no longer follows the tenant.
    pub why: StaleColumn,
}

/// Why a column no longer follows the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleColumn {
    /// The tenant no longer lists the property: the column is null.
    Gone,
    /// The property has another type by now: a column of that type has what fits it.
    Retyped,
}

/// The state of `blueconic.timeline_events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timelines {
    /// The table holds every event that the tenant listed at this time.
    pub complete_as_of: Time,
    /// Profiles whose timelines may be incomplete: those in `blueconic.timeline_gaps`.
    pub profiles_with_gaps: i64,
}

impl ResourceStatus {
    /// The time of the last success, if the last run succeeded.
    pub fn last_success_at(&self) -> Option<Time> {
        let run = self.last_run.as_ref()?;
        run.finished_at.filter(|_| run.status == RunStatus::Succeeded)
    }

    /// The process that holds the lease now; none if the lease has lapsed.
    pub fn holder(&self) -> Option<&str> {
        let lease = self.lease.as_ref().filter(|lease| lease.held)?;
        Some(&lease.holder)
    }

    /// The job that runs next.
    pub fn next_job(&self) -> Option<&JobStatus> {
        self.jobs.iter().min_by_key(|job| job.next_run_at)
    }

    /// Whether some of the open gaps can still be closed.
    pub fn has_closable_gaps(&self) -> bool {
        self.open_gaps > self.lasting_gaps
    }
}

/// A run: the columns of `sync.runs`. Counts are rows unless the name says another unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each column has its comment in the database")]
pub struct Run {
    pub id: Uuid,
    pub resource: String,
    pub mode: Scope,
    pub status: RunStatus,
    pub started_at: Time,
    pub finished_at: Option<Time>,
    pub source_total: Option<i64>,
    pub rows_read: i64,
    pub rows_distinct: i64,
    pub rows_inserted: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_removed: i64,
    pub rows_rejected: i64,
    pub rows_rehashed: i64,
    pub rows_suppressed: i64,
    pub rows_repeated: i64,
    pub rows_elsewhere: i64,
    pub rows_missed: i64,
    pub rows_late: i64,
    pub late_by_seconds: Option<i64>,
    pub replaced_characters: i64,
    pub unexplained: Option<i64>,
    pub page_fill_percent: Option<i64>,
    pub pages: i64,
    pub requests: i64,
    pub retries: i64,
    pub bytes_read: i64,
    pub position_from: Option<serde_json::Value>,
    pub position_to: Option<serde_json::Value>,
    pub error: Option<String>,
    pub hint: Option<String>,
    #[serde(default)]
    pub tenant_release: Option<String>,
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// What started a run; the words of `sync.runs.cause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A job was due.
    Schedule,
    /// A person asked for a run (`run-now`).
    Request,
    /// A command, such as `backfill`.
    Command,
}

/// The state of a run; the words of `sync.runs.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The run is open.
    Running,
    /// Everything was loaded.
    Succeeded,
    /// The run reached its end, but something could not be loaded or explained.
    Partial,
    /// The run stopped before its end.
    Failed,
    /// A shutdown stopped the run; the next run continues.
    Interrupted,
    /// A person must approve the removals.
    NeedsApproval,
    /// The tenant has no such list, or the token may not read it; it is requested again after five minutes, then once a day.
    Skipped,
}

impl RunStatus {
    /// All of them, in the order in which the metrics show them.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Succeeded,
        Self::Partial,
        Self::Failed,
        Self::Interrupted,
        Self::NeedsApproval,
        Self::Skipped,
    ];

    /// The word in `sync.runs.status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::NeedsApproval => "needs_approval",
            Self::Skipped => "skipped",
        }
    }
}

/// The lease of a resource and scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Host, process and a random part of who holds it, or held it last.
    pub holder: String,
    /// Counts up with each holder.
    pub fence: i64,
    /// The end of the lease, by the database's clock.
    pub expires_at: Time,
    /// The run that it is held for.
    pub run_id: Option<Uuid>,
    /// Whether it is held now, by the database's clock.
    pub held: bool,
}

/// The state of the access token; never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// `client_credentials` or `authorization_code`.
    pub grant_type: String,
    /// The state.
    pub status: TokenStatus,
    /// When the token expires.
    pub expires_at: Option<Time>,
    /// When the token was issued.
    pub issued_at: Option<Time>,
    /// Why the last request for a token failed.
    pub last_error: Option<String>,
    /// What a person has to do.
    pub hint: Option<String>,
}

/// The state of an access token; the words of `sync.tokens.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It may be used until it expires.
    Valid,
    /// A process is requesting the next token.
    Refreshing,
    /// The last request for a token failed; the next one may succeed.
    Failed,
    /// Only a person can renew the authorization.
    ReauthRequired,
}

impl TokenStatus {
    /// All of them, in the order in which the metrics show them.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Refreshing, Self::Failed, Self::ReauthRequired];

    /// The word in `sync.tokens.status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Refreshing => "refreshing",
            Self::Failed => "failed",
            Self::ReauthRequired => "reauth_required",
        }
    }

    /// Reads the word. The table's check allows no other ones.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// The size of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSize {
    /// The table.
    pub name: String,
    /// The planner's estimate of rows. A table that was never analyzed is counted; none if that would take long.
    pub rows_estimated: Option<i64>,
    /// Bytes, indexes included.
    pub bytes: i64,
    /// Bytes of the indexes.
    pub index_bytes: i64,
}

/// A value of audit events that the tenant renamed. Values that may name a person are withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRename {
    /// The column of `blueconic.audit_events`.
    pub field: String,
    /// The value that stored events keep.
    pub old_value: Option<String>,
    /// The value that the tenant writes since then.
    pub new_value: Option<String>,
    /// When a run noticed it.
    pub noticed_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_in_json_are_those_of_the_tables() {
        for status in RunStatus::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
        }
        for status in TokenStatus::ALL {
            assert_eq!(serde_json::json!(status), status.as_str());
            assert_eq!(TokenStatus::of(status.as_str()), Some(status));
        }
        assert_eq!(TokenStatus::of("unheard of"), None);
    }
}
