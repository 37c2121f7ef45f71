//! The metrics: the state, which is read from the database, and what this process has counted. A value that is not known has no sample: an
//! alert on `absent()` can tell it from zero.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use super::exposition::{Format, Page};
use super::process;
use super::usage_metrics as usage;
use crate::model::Time;
use crate::model::concern::Goals;
use crate::model::drift::{DriftStatus, Severity};
use crate::model::metrics::{CLASSES, EndedRuns, Messages, RESULTS, Traffic};
use crate::model::position::Scope;
use crate::model::status::{ResourceStatus, Run, RunStatus, Status, TokenStatus};
use crate::version::{COMMIT, TARGET, VERSION};

/// What a process counts, and what its settings say of the tables.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The requests to the tenant.
    pub traffic: Arc<Traffic>,
    /// The runs that have ended.
    pub runs: Arc<EndedRuns>,
    /// The messages about what is wrong.
    pub messages: Arc<Messages>,
    /// How far each table may be behind the tenant, by the settings of the moment.
    pub goals: CurrentGoals,
}

/// The goals of the settings in use, which a reload replaces. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct CurrentGoals(Arc<RwLock<Goals>>);

impl CurrentGoals {
    /// Uses these from now on.
    pub fn set(&self, goals: Goals) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = goals;
    }

    pub(super) fn get(&self) -> Goals {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counts of rows by their results, with their labels.
fn rows(run: &Run) -> [(&'static str, i64); 13] {
    [
        ("read", run.rows_read),
        ("distinct", run.rows_distinct),
        ("inserted", run.rows_inserted),
        ("updated", run.rows_updated),
        ("unchanged", run.rows_unchanged),
        ("removed", run.rows_removed),
        ("rejected", run.rows_rejected),
        ("rehashed", run.rows_rehashed),
        ("suppressed", run.rows_suppressed),
        ("repeated", run.rows_repeated),
        ("elsewhere", run.rows_elsewhere),
        ("missed", run.rows_missed),
        ("late", run.rows_late),
    ]
}

/// A metric's name, its help, and how it is read from a run.
type RunMetric = (&'static str, &'static str, fn(&Run) -> Option<i64>);

/// The other counters of a run.
const COUNTERS: [RunMetric; 7] = [
    (
        "last_run_pages",
        "Pages that ended whole in the last run.",
        |run| Some(run.pages),
    ),
    ("last_run_requests", "Requests of the last run.", |run| {
        Some(run.requests)
    }),
    (
        "last_run_retries",
        "Requests of the last run that repeated an earlier one.",
        |run| Some(run.retries),
    ),
    (
        "last_run_read_bytes",
        "Decompressed bytes of bodies that the last run read.",
        |run| Some(run.bytes_read),
    ),
    (
        "source_total_rows",
        "What the tenant said it has, in the last run.",
        |run| run.source_total,
    ),
    (
        "last_run_page_fill_percent",
        "Audit events since the watermark in percent of a page; beyond 100 a tenant that answers newest first hides some.",
        |run| run.page_fill_percent,
    ),
    (
        "last_run_late_seconds",
        "How far before the increment's watermark the worst row was dated that only the last full walk found changed.",
        |run| run.late_by_seconds,
    ),
];

/// The state of the process itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) started_at: Time,
    pub(super) heartbeat_age_seconds: f64,
}

/// Renders all metrics; without a status, only those of the process.
pub(super) fn render(
    format: Format,
    process: Process,
    measured: &Measured,
    status: Option<&Status>,
) -> String {
    let mut page = Page::new(format);
    page.gauge(
        "build_info",
        "The version that runs, its commit and its platform; always 1.",
    )
    .sample(&[("version", VERSION), ("commit", COMMIT), ("target", TARGET)], 1);
    page.gauge("start_time_seconds", "When the process began, in Unix time.")
        .sample(&[], seconds(process.started_at));
    page.gauge("heartbeat_age_seconds", "Since the schedule last came round.")
        .sample(&[], process.heartbeat_age_seconds);
    page.gauge(
        "database_up",
        "Whether the state could be read from the database.",
    )
    .sample(&[], u8::from(status.is_some()));
    process::add(&mut page, seconds(process.started_at));
    traffic(&mut page, &measured.traffic);
    ended(&mut page, &measured.runs);
    messages(&mut page, &measured.messages);
    let mut goals = page.gauge(
        "fresh_within_seconds",
        "How far the table may be behind the tenant, where the settings say so.",
    );
    for (resource, goal) in &measured.goals.get() {
        goals.sample(&[("resource", *resource)], goal.as_secs());
    }
    if let Some(status) = status {
        resources(&mut page, &status.resources);
        runs(&mut page, &status.resources);
        token(&mut page, status);
        page.gauge("services", "Processes that keep the schedule of this database.")
            .sample(&[], status.services.iter().filter(|it| it.is_alive).count());
        if let Some(found) = &status.drift {
            drift(&mut page, found);
        }
        if let Some(found) = &status.usage {
            usage::add(&mut page, found);
        }
    }
    page.end()
}

fn traffic(page: &mut Page, traffic: &Traffic) {
    let mut requests = page.counter(
        "requests_total",
        "Requests to the tenant, by the class of the answer; none: nothing answered.",
    );
    for (class, counter) in CLASSES.into_iter().zip(&traffic.requests) {
        requests.sample(&[("class", class)], counter.read());
    }
    page.counter("request_retries_total", "Requests that repeated an earlier one.")
        .sample(&[], traffic.retries.read());
    page.counter(
        "throttle_wait_seconds_total",
        "How long requests waited for the rate limit, for a free place, and for the tenant's Retry-After.",
    )
    .sample(&[], traffic.throttled.seconds());
    page.counter("received_bytes_total", "Bytes of bodies as they came.")
        .sample(&[], traffic.received.read());
    page.counter("unpacked_bytes_total", "Bytes of bodies after unpacking.")
        .sample(&[], traffic.unpacked.read());
    page.histogram(
        "request_duration_seconds",
        "The time from a request to the headers of its answer.",
    )
    .buckets(&[], &traffic.duration.read());
    page.histogram("page_elements", "Elements of each page that ended whole.")
        .buckets(&[], &traffic.page.read());
}

fn ended(page: &mut Page, runs: &EndedRuns) {
    let slots = runs.read();
    let mut family = page.counter("runs_total", "Runs of this process that have ended, by status.");
    for slot in &slots {
        for (status, count) in RunStatus::ALL.into_iter().zip(slot.statuses) {
            // No run ends as one that runs.
            if status != RunStatus::Running {
                let labels = [
                    ("resource", slot.resource),
                    ("scope", slot.scope),
                    ("status", status.as_str()),
                ];
                family.sample(&labels, count);
            }
        }
    }
    let mut family = page.counter(
        "rows_total",
        "Rows of the runs of this process that have ended, by what became of them.",
    );
    for slot in &slots {
        for ((result, _), count) in RESULTS.into_iter().zip(slot.rows) {
            let labels = [
                ("resource", slot.resource),
                ("scope", slot.scope),
                ("result", result),
            ];
            family.sample(&labels, count);
        }
    }
    let mut family = page.histogram(
        "run_duration_seconds",
        "How long the runs of this process took that have ended.",
    );
    for slot in &slots {
        family.buckets(
            &[("resource", slot.resource), ("scope", slot.scope)],
            &slot.duration,
        );
    }
}

fn messages(page: &mut Page, messages: &Messages) {
    page.counter(
        "messages_total",
        "Messages to the webhook and signs of life, by outcome.",
    )
    .sample(&[("outcome", "sent")], messages.sent.read())
    .sample(&[("outcome", "failed")], messages.failed.read());
}

fn resources(page: &mut Page, resources: &[ResourceStatus]) {
    each(
        page,
        resources,
        "last_success_timestamp_seconds",
        "When a run last succeeded, in Unix time.",
        |it| it.last_success_at().map(seconds),
    );
    each(
        page,
        resources,
        "complete_as_of_timestamp_seconds",
        "Complete through, in Unix time.",
        |it| it.complete_as_of.map(seconds),
    );
    each(
        page,
        resources,
        "lag_seconds",
        "How far the tables are behind the tenant.",
        |it| it.lag_seconds,
    );
    each(
        page,
        resources,
        "open_gaps",
        "Spans of time that are known to be incomplete.",
        |it| Some(it.open_gaps),
    );
    each(
        page,
        resources,
        "lasting_gaps",
        "Those among the open gaps that no scan can close.",
        |it| Some(it.lasting_gaps),
    );
    each(
        page,
        resources,
        "open_rejects",
        "Elements that could not be loaded and that no later reading has brought.",
        |it| Some(it.open_rejects),
    );
    each(
        page,
        resources,
        "sweep_backlog_rows",
        "Rows that the last complete walk missed and about which no look-up has decided yet.",
        |it| (it.scope == Scope::Full).then_some(it.sweep_backlog),
    );
    each(
        page,
        resources,
        "next_run_timestamp_seconds",
        "When it runs next, in Unix time.",
        |it| it.next_run_at.map(seconds),
    );
    each(
        page,
        resources,
        "paused",
        "1 while a person holds its jobs, else 0.",
        |it| Some(u8::from(it.pause.is_some())),
    );
}

fn runs(page: &mut Page, resources: &[ResourceStatus]) {
    let ran = || {
        resources
            .iter()
            .filter_map(|it| Some((it, it.last_run.as_ref()?)))
    };
    let mut family = page.gauge(
        "last_run_status",
        "1 for the status of the last run, 0 for the others.",
    );
    for (it, run) in ran() {
        for status in RunStatus::ALL {
            let labels = [
                ("resource", &*it.resource),
                ("scope", it.scope.as_str()),
                ("status", status.as_str()),
            ];
            family.sample(&labels, u8::from(run.status == status));
        }
    }
    let mut family = page.gauge("last_run_rows", "Rows of the last run, by what became of them.");
    for (it, run) in ran() {
        for (kind, rows) in rows(run) {
            let labels = [
                ("resource", &*it.resource),
                ("scope", it.scope.as_str()),
                ("kind", kind),
            ];
            family.sample(&labels, rows);
        }
    }
    for (metric, help, count) in COUNTERS {
        each(page, resources, metric, help, |it| count(it.last_run.as_ref()?));
    }
    each(
        page,
        resources,
        "last_run_duration_seconds",
        "How long the last run took.",
        |it| it.last_run.as_ref().and_then(duration),
    );
}

fn token(page: &mut Page, status: &Status) {
    let Some(token) = &status.token else { return };
    let mut family = page.gauge(
        "token_status",
        "1 for the status of the tenant's token, 0 for the others.",
    );
    for status in TokenStatus::ALL {
        family.sample(&[("status", status.as_str())], u8::from(token.status == status));
    }
    if let Some(expires_at) = token.expires_at {
        page.gauge(
            "token_expiry_timestamp_seconds",
            "When the tenant's token expires, in Unix time.",
        )
        .sample(&[], seconds(expires_at));
    }
}

fn drift(page: &mut Page, found: &DriftStatus) {
    if let Some(release) = &found.release {
        page.gauge("tenant_release_info", "The release of the tenant; always 1.")
            .sample(&[("release", release)], 1);
    }
    page.gauge(
        "tenant_document_timestamp_seconds",
        "When the tenant's own document was last read, in Unix time.",
    )
    .sample(&[], seconds(found.read_at));
    let mut family = page.gauge(
        "drift_findings",
        "Differences between the tenant's document and what is used, by severity.",
    );
    for (severity, count) in Severity::ALL
        .into_iter()
        .zip([found.breaks, found.loses, found.notes])
    {
        family.sample(&[("severity", severity.as_str())], count);
    }
    page.gauge(
        "drift_unknown_in_data",
        "Different fields and values that elements had and neither this program nor the tenant's document knows.",
    )
    .sample(&[], found.unknown_in_data);
}

fn duration(run: &Run) -> Option<f64> {
    let time = (run.finished_at? - run.started_at).to_std().ok()?;
    Some(time.as_secs_f64())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of Unix time fit into 53 bits for 285,000 years"
)]
fn seconds(time: Time) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

/// A family of gauges with at most one sample for each resource and scope.
fn each<V: Display>(
    page: &mut Page,
    resources: &[ResourceStatus],
    name: &str,
    help: &str,
    value: impl Fn(&ResourceStatus) -> Option<V>,
) {
    let mut family = page.gauge(name, help);
    for it in resources {
        if let Some(value) = value(it) {
            family.sample(
                &[("resource", &*it.resource), ("scope", it.scope.as_str())],
                value,
            );
        }
    }
}
