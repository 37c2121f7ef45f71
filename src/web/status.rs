//! The state as `status --json` prints it, read for showing. Whatever is missing or has another shape is simply not
//! shown: a page that tells half is better than none.

use serde_json::Value;

use crate::model::Time;

/// The whole state.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) tenant: Option<String>,
    pub(super) resources: Vec<Resource>,
    pub(super) token: Option<Token>,
}

/// A resource in one scope.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) watermark: Option<Time>,
    pub(super) complete_as_of: Option<Time>,
    pub(super) last_success_at: Option<Time>,
    pub(super) lag_seconds: Option<f64>,
    pub(super) open_gaps: Option<i64>,
    /// Those among them that no scan can close.
    pub(super) lasting_gaps: i64,
    pub(super) next_run_at: Option<Time>,
    pub(super) holder: Option<String>,
    pub(super) run: Option<Run>,
}

/// The last run, in the columns of `sync.runs`.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) status: String,
    pub(super) started_at: Option<Time>,
    pub(super) finished_at: Option<Time>,
    pub(super) error: Option<String>,
    pub(super) hint: Option<String>,
    columns: Value,
}

/// The access token's state; never the token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) status: String,
    pub(super) expires_at: Option<Time>,
    /// What a person has to do.
    pub(super) hint: Option<String>,
}

impl Status {
    /// Reads the state.
    pub(super) fn read(value: &Value, now: Time) -> Self {
        let schedule = list(value, "schedule");
        Self {
            tenant: text(value, "tenant").or_else(|| text(value.get("tenant")?, "url")),
            resources: list(value, "resources")
                .iter()
                .map(|resource| Resource::read(resource, schedule, now))
                .collect(),
            token: value
                .get("token")
                .filter(|token| token.is_object())
                .map(Token::read),
        }
    }
}

impl Resource {
    fn read(value: &Value, schedule: &[Value], now: Time) -> Self {
        let (name, scope) = (
            text(value, "resource").unwrap_or_else(|| "(without a name)".to_owned()),
            text(value, "scope").unwrap_or_default(),
        );
        let run = value.get("last_run").filter(|run| run.is_object()).map(Run::read);
        Self {
            watermark: time(value, "watermark"),
            complete_as_of: time(value, "complete_as_of"),
            last_success_at: time(value, "last_success_at").or_else(|| run.as_ref()?.succeeded_at()),
            lag_seconds: value.get("lag_seconds").and_then(Value::as_f64),
            open_gaps: value.get("open_gaps").and_then(count_of_gaps),
            lasting_gaps: value.get("lasting_gaps").and_then(Value::as_i64).unwrap_or(0),
            next_run_at: time(value, "next_run_at").or_else(|| planned(schedule, &name, &scope)),
            holder: value.get("lease").and_then(|lease| holder(lease, now)),
            run,
            name,
            scope,
        }
    }
}

impl Run {
    fn read(value: &Value) -> Self {
        Self {
            status: text(value, "status").unwrap_or_else(|| "unknown".to_owned()),
            started_at: time(value, "started_at"),
            finished_at: time(value, "finished_at"),
            error: text(value, "error").filter(|error| !error.is_empty()),
            hint: text(value, "hint").filter(|hint| !hint.is_empty()),
            columns: value.clone(),
        }
    }

    /// A counter of `sync.runs`.
    pub(super) fn count(&self, column: &str) -> Option<i64> {
        let value = self.columns.get(column)?;
        // A bigint beyond what JavaScript can count may come as text.
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    fn succeeded_at(&self) -> Option<Time> {
        self.finished_at.filter(|_| self.status == "succeeded")
    }
}

impl Token {
    fn read(value: &Value) -> Self {
        Self {
            status: text(value, "status").unwrap_or_else(|| "unknown".to_owned()),
            expires_at: time(value, "expires_at"),
            hint: text(value, "hint"),
        }
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn time(value: &Value, key: &str) -> Option<Time> {
    value.get(key)?.as_str()?.parse().ok()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn count_of_gaps(value: &Value) -> Option<i64> {
    value
        .as_array()
        .map_or_else(|| value.as_i64(), |gaps| i64::try_from(gaps.len()).ok())
}

/// A lease that is held; one that has lapsed is held by nobody.
fn holder(lease: &Value, now: Time) -> Option<String> {
    let lapsed = time(lease, "expires_at").is_some_and(|until| until < now);
    text(lease, "holder").filter(|_| !lapsed)
}

/// The soonest of the jobs of a slot.
fn planned(schedule: &[Value], name: &str, scope: &str) -> Option<Time> {
    schedule
        .iter()
        .filter(|job| text(job, "resource").as_deref() == Some(name))
        .filter(|job| text(job, "scope").as_deref() == Some(scope))
        .filter_map(|job| time(job, "next_run_at"))
        .min()
}
