//! The state in Prometheus' text format (version 0.0.4). A family's samples stand together under one heading, as the
//! format demands. A value that is not known has no sample: an alert on `absent()` can tell it from zero.

use std::fmt::{Display, Write};

use crate::model::Time;
use crate::model::drift::{DriftStatus, Severity};
use crate::model::position::Scope;
use crate::model::status::{ResourceStatus, Run, RunStatus, Status, TokenStatus};

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
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
pub(super) fn render(process: Process, status: Option<&Status>) -> String {
    let mut page = Page::default();
    page.family("build_info", "The version that runs; always 1.")
        .sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("start_time_seconds", "When the process began, in Unix time.")
        .sample("start_time_seconds", &[], seconds(process.started_at));
    page.family("heartbeat_age_seconds", "Since the schedule last came round.")
        .sample("heartbeat_age_seconds", &[], process.heartbeat_age_seconds);
    page.family(
        "database_up",
        "Whether the state could be read from the database.",
    )
    .sample("database_up", &[], u8::from(status.is_some()));
    if let Some(status) = status {
        resources(&mut page, &status.resources);
        runs(&mut page, &status.resources);
        token(&mut page, status);
        page.family("services", "Processes that keep the schedule of this database.")
            .sample(
                "services",
                &[],
                status.services.iter().filter(|it| it.is_alive).count(),
            );
        if let Some(found) = &status.drift {
            drift(&mut page, found);
        }
    }
    page.0
}

fn resources(page: &mut Page, resources: &[ResourceStatus]) {
    page.each(
        resources,
        "last_success_timestamp_seconds",
        "When a run last succeeded, in Unix time.",
        |it| it.last_success_at().map(seconds),
    );
    page.each(
        resources,
        "complete_as_of_timestamp_seconds",
        "Complete through, in Unix time.",
        |it| it.complete_as_of.map(seconds),
    );
    page.each(
        resources,
        "lag_seconds",
        "How far the tables are behind the tenant.",
        |it| it.lag_seconds,
    );
    page.each(
        resources,
        "open_gaps",
        "Spans of time that are known to be incomplete.",
        |it| Some(it.open_gaps),
    );
    page.each(
        resources,
        "sweep_backlog_rows",
        "Rows that the last complete walk missed and about which no look-up has decided yet.",
        |it| (it.scope == Scope::Full).then_some(it.sweep_backlog),
    );
    page.each(
        resources,
        "next_run_timestamp_seconds",
        "When it runs next, in Unix time.",
        |it| it.next_run_at.map(seconds),
    );
    page.each(
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
    page.family(
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
            page.sample("last_run_status", &labels, u8::from(run.status == status));
        }
    }
    page.family("last_run_rows", "Rows of the last run, by what became of them.");
    for (it, run) in ran() {
        for (kind, rows) in rows(run) {
            let labels = [
                ("resource", &*it.resource),
                ("scope", it.scope.as_str()),
                ("kind", kind),
            ];
            page.sample("last_run_rows", &labels, rows);
        }
    }
    for (metric, help, count) in COUNTERS {
        page.each(resources, metric, help, |it| count(it.last_run.as_ref()?));
    }
    page.each(
        resources,
        "last_run_duration_seconds",
        "How long the last run took.",
        |it| it.last_run.as_ref().and_then(duration),
    );
}

fn token(page: &mut Page, status: &Status) {
    let Some(token) = &status.token else { return };
    page.family(
        "token_status",
        "1 for the status of the tenant's token, 0 for the others.",
    );
    for status in TokenStatus::ALL {
        page.sample(
            "token_status",
            &[("status", status.as_str())],
            u8::from(token.status == status),
        );
    }
    if let Some(expires_at) = token.expires_at {
        page.family(
            "token_expiry_timestamp_seconds",
            "When the tenant's token expires, in Unix time.",
        )
        .sample("token_expiry_timestamp_seconds", &[], seconds(expires_at));
    }
}

fn drift(page: &mut Page, found: &DriftStatus) {
    if let Some(release) = &found.release {
        page.family("tenant_release_info", "The release of the tenant; always 1.")
            .sample("tenant_release_info", &[("release", release)], 1);
    }
    page.family(
        "tenant_document_timestamp_seconds",
        "When the tenant's own document was last read, in Unix time.",
    )
    .sample("tenant_document_timestamp_seconds", &[], seconds(found.read_at));
    page.family(
        "drift_findings",
        "Differences between the tenant's document and what is used, by severity.",
    );
    for (severity, count) in Severity::ALL
        .into_iter()
        .zip([found.breaks, found.loses, found.notes])
    {
        page.sample("drift_findings", &[("severity", severity.as_str())], count);
    }
    page.family(
        "drift_unknown_in_data",
        "Different fields and values that elements had and neither this program nor the tenant's document knows.",
    )
    .sample("drift_unknown_in_data", &[], found.unknown_in_data);
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

/// Lines in the format.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Starts a family. All families are gauges, since the counts of a run start at zero with each run.
    fn family(&mut self, name: &str, help: &str) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(
            self.0,
            "# HELP blueconic_sync_{name} {help}\n# TYPE blueconic_sync_{name} gauge\n"
        );
        self
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.0, "blueconic_sync_{name}{labels} {value}");
        self
    }

    /// A family with at most one sample for each resource and scope.
    fn each<V: Display>(
        &mut self,
        resources: &[ResourceStatus],
        name: &str,
        help: &str,
        value: impl Fn(&ResourceStatus) -> Option<V>,
    ) {
        self.family(name, help);
        for it in resources {
            if let Some(value) = value(it) {
                self.sample(
                    name,
                    &[("resource", &*it.resource), ("scope", it.scope.as_str())],
                    value,
                );
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
