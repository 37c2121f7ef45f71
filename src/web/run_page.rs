//! The page of one run: how it ended and what to do, what became of each element that it read, and its rejects by reason.

use bytesize::ByteSize;
use maud::{Markup, html};

use super::frame::{Frame, home, section};
use super::html::{Long, Text};
use super::rejects;
use super::severity::class;
use super::view::{View, runs_of, state};
use crate::model::description::Reading;
use crate::model::format;
use crate::model::overview::RunDetail;
use crate::model::severity::Severity;
use crate::model::status::{Cause, Run, RunStatus};

/// The way from this page to the root.
const ROOT: &str = "../";

/// The page.
pub(super) fn render(detail: &RunDetail, view: View<'_>) -> String {
    let run = &detail.run;
    let name = view.full_name(&run.resource, run.mode);
    let severity = Severity::of_status(run.status);
    let title = format!("{}: run of {name}", state(run.status));
    let main = html! {
        (end(run, severity))
        div class="panels" {
            (section("elements", "What it read", &ledger(run, view)))
            (section("work", "Requests and rows", &work(run)))
        }
        @if run.rows_rejected > 0 || !detail.rejects.is_empty() {
            (section("rejects", "Rejected elements", &rejected(detail)))
        }
    };
    let frame = Frame {
        title: &title,
        root: ROOT,
        refresh_seconds: None,
        severity,
        now: view.now,
    };
    frame.page(&head(run, &name, severity, view), &main)
}

fn head(run: &Run, name: &str, severity: Severity, view: View<'_>) -> Markup {
    html! {
        nav aria-label="Up" {
            ul {
                li { a href=(home(ROOT)) { "← Status" } }
                li { a href=(runs_of(ROOT, &run.resource, run.mode)) { "All runs of " bdi { (Text(name)) } } }
            }
        }
        h1 { "Run of " bdi { (Text(name)) } }
        p class="verdict" { span class=(class(severity)) { (state(run.status)) } }
        p {
            "Began " (view.moment(run.started_at))
            @if let Some(ended) = run.finished_at {
                ", took " (format::rounded((ended - run.started_at).to_std().unwrap_or_default()))
            }
            ". Started by " (cause(run.cause)) "."
        }
        p class="tenant" {
            "Id " code { (run.id) }
            @if let Some(release) = &run.tenant_release { ", release of the tenant " bdi { (Text(release)) } }
        }
    }
}

const fn cause(cause: Option<Cause>) -> &'static str {
    match cause {
        Some(Cause::Schedule) => "a job of the schedule",
        Some(Cause::Request) => "a person, with run-now",
        Some(Cause::Command) => "a command",
        None => "what is not recorded: it began with an earlier version",
    }
}

/// The error and what to do, in full.
fn end(run: &Run, severity: Severity) -> Markup {
    html! {
        @if let Some(error) = &run.error {
            (section("error", "What went wrong", &html! {
                p class={ "words " (class(severity)) } { bdi { (Long(error)) } }
            }))
        }
        @if let Some(hint) = &run.hint {
            (section("hint", if run.error.is_some() { "What to do" } else { "What to know" }, &html! {
                p class="words" { bdi { (Long(hint)) } }
            }))
        }
    }
}

/// A count with its meaning.
type Line = (&'static str, i64, &'static str);

/// What became of each element: the counts add up to what was read.
fn ledger(run: &Run, view: View<'_>) -> Markup {
    let known = view.registry.named(&run.resource);
    let is_feed = known.is_some_and(|known| matches!(known.reading, Reading::Feed(())));
    let suppressed = "persons who were erased";
    let mut lines: Vec<Line> = vec![
        ("inserted", run.rows_inserted, "new rows"),
        ("updated", run.rows_updated, "rows whose content changed"),
        ("unchanged", run.rows_unchanged, "the same as the row, or older"),
        ("rejected", run.rows_rejected, "could not be loaded"),
        ("repeated", run.rows_repeated, "further copies in one batch"),
        (
            "elsewhere",
            run.rows_elsewhere,
            "no row of this table, such as merged-away profiles",
        ),
    ];
    if !is_feed {
        lines.push(("left out", run.rows_suppressed, suppressed));
    }
    let accounted = lines
        .iter()
        .fold(0_i128, |sum, (_, count, _)| sum + i128::from(*count));
    let left = i128::from(run.rows_read) - accounted;
    html! {
        table class="data ledger" {
            caption { "Each element that was read is in exactly one of these counts" }
            thead { tr { th scope="col" { "Count" } th scope="col" class="number" { "Elements" } } }
            tbody {
                @for line in lines { (row(line)) }
                @if left != 0 && run.status != RunStatus::Running {
                    tr class="attention" { th scope="row" { "in no count" } td class="number" { (format::count(left)) } }
                }
            }
            tfoot { tr { th scope="row" { "read" } td class="number" { (format::count(run.rows_read)) } } }
        }
    }
}

fn row((label, count, meaning): Line) -> Markup {
    html! {
        tr class=[(count == 0).then_some("none")] {
            th scope="row" { (label) " " small { (meaning) } }
            td class="number" { (format::count(count)) }
        }
    }
}

fn work(run: &Run) -> Markup {
    let mut lines: Vec<Line> = vec![
        ("removed", run.rows_removed, "rows, by merges and by the sweep"),
        (
            "missed",
            run.rows_missed,
            "not listed, and the tenant still has them",
        ),
        ("late", run.rows_late, "changed before the increment's watermark"),
        (
            "rehashed",
            run.rows_rehashed,
            "rows of which only the hash changed",
        ),
        (
            "replaced characters",
            run.replaced_characters,
            "that PostgreSQL cannot store",
        ),
        ("pages", run.pages, "that ended whole"),
        ("requests", run.requests, "to the tenant"),
        ("retries", run.retries, "requests that repeated an earlier one"),
    ];
    if let Some(total) = run.source_total {
        lines.insert(0, ("at the tenant", total, "elements, as it says"));
    }
    if let Some(unexplained) = run.unexplained {
        lines.insert(
            1,
            (
                "unexplained",
                unexplained,
                "what the tenant says less what was read",
            ),
        );
    }
    html! {
        table class="data ledger" {
            caption { "Beside the elements" }
            thead { tr { th scope="col" { "Count" } th scope="col" class="number" { "Number" } } }
            tbody {
                @for line in lines { (row(line)) }
                tr {
                    th scope="row" { "read " small { "bytes of bodies, unpacked" } }
                    td class="number" { (ByteSize::b(run.bytes_read.unsigned_abs()).display().iec()) }
                }
                @if let Some(fill) = run.page_fill_percent {
                    tr {
                        th scope="row" { "page fill " small { "new events, in percent of a page" } }
                        td class="number" { (format::count(fill)) "%" }
                    }
                }
            }
        }
    }
}

fn rejected(detail: &RunDetail) -> Markup {
    let recorded = detail
        .rejects
        .iter()
        .fold(0_i64, |sum, one| sum.saturating_add(one.count));
    html! {
        @if !detail.rejects.is_empty() { (rejects::of_run(&detail.rejects)) }
        @if recorded < detail.run.rows_rejected {
            p class="when" {
                (format::count(recorded)) " of " (format::count(detail.run.rows_rejected))
                " are on record for this run. Others were met again by a later run, are no longer kept, or were beyond what is stored."
            }
        }
        p class="when" {
            "Ids and contents do not stand here: " code { "select * from sync.rejects where run_id = '" (detail.run.id) "'" }
        }
    }
}
