//! The spans of traces: one for each run, page and batch. They are disabled, at the cost of a comparison, unless traces are sent
//! (`log.traces_url`) or the log is filtered at `trace`. No field holds an id or a value of the tenant's data.

use tracing::Span;
use tracing::field::Empty;

use super::batch::Written;
use super::lease::Lease;
use super::ledger::{Ledger, RunReport};

/// The target of these spans, and of nothing else.
pub const TARGET: &str = "blueconic_sync::spans";

/// The span of a run.
pub fn run(lease: &Lease) -> Span {
    let slot = lease.slot;
    tracing::trace_span!(
        target: TARGET,
        "run",
        otel.name = %format_args!("run {}", slot.lease_name()),
        otel.status_code = Empty,
        resource = slot.resource,
        scope = slot.scope.as_str(),
        run_id = %lease.run_id,
        status = Empty,
        rows_read = Empty,
        rows_inserted = Empty,
        rows_updated = Empty,
        rows_removed = Empty,
        rows_rejected = Empty,
        pages = Empty,
        requests = Empty,
        bytes_read = Empty,
    )
}

/// Writes down how a run has ended.
pub fn run_ended(span: &Span, report: &RunReport) {
    if span.is_disabled() {
        return;
    }
    let Ledger { status, counts, .. } = &report.ledger;
    if report.fault.is_some() {
        span.record("otel.status_code", "ERROR");
    }
    span.record("status", status.as_str());
    for (field, count) in [
        ("rows_read", counts.read),
        ("rows_inserted", counts.inserted),
        ("rows_updated", counts.updated),
        ("rows_removed", counts.removed),
        ("rows_rejected", counts.rejected),
        ("pages", counts.pages),
        ("requests", counts.requests),
        ("bytes_read", counts.bytes_read),
    ] {
        span.record(field, count);
    }
}

/// The span of a page: from its request, with all its retries, until the page is dropped. `call` is the call without ids.
pub fn page(call: &str) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "page",
        otel.name = call,
        otel.kind = "client",
        otel.status_code = Empty,
        elements = Empty,
    )
}

/// Writes down that the page did not come whole.
pub fn page_failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Writes down that the page came whole.
pub fn page_ended(span: &Span, elements: u64) {
    span.record("elements", elements);
}

/// The span of a batch that is loaded into a table.
pub fn batch(table: &str, rows: usize) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "batch",
        otel.name = %format_args!("batch of {table}"),
        otel.status_code = Empty,
        table,
        rows,
        inserted = Empty,
        updated = Empty,
    )
}

/// Writes down what a batch wrote; none if it failed.
pub fn batch_ended(span: &Span, written: Option<&Written>) {
    match written {
        Some(written) => {
            span.record("inserted", written.inserted);
            span.record("updated", written.updated);
        }
        None => {
            span.record("otel.status_code", "ERROR");
        }
    }
}
