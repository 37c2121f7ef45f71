//! The page with runs, the latest first: of all resources, or of one with its last 30 days as a table.

use std::time::Duration;

use maud::{Markup, html};

use super::days::SlotDays;
use super::frame::{Frame, home, section};
use super::html::Text;
use super::severity::class;
use super::view::{View, runs_of, state};
use crate::model::format;
use crate::model::overview::{RunList, RunQuery, RunSummary};
use crate::model::severity::Severity;

/// The page. `days` are those of the slot, if the query names one.
pub(super) fn render(
    query: &RunQuery,
    list: &RunList,
    days: Option<&SlotDays<'_>>,
    view: View<'_>,
) -> String {
    let name = name(query, view);
    let title = format!("Runs of {name}");
    let head = html! {
        nav aria-label="Up" { a href=(home("")) { "← Status" } }
        h1 { "Runs of " bdi { (Text(&name)) } }
        @if query.before.is_some() {
            p class="tenant" { "Older runs. " a href=(address(query)) { "To the latest" } }
        }
    };
    let main = html! {
        @if let Some(days) = days {
            (section("month", "Last 30 days", &html! {
                (days.charts(&name))
                details { summary { "The days as a table" } div class="wide" role="region" aria-label="Days" tabindex="0" { (days.table()) } }
            }))
        }
        (section("runs", "Runs", &table(query, list, view)))
    };
    let frame = Frame {
        title: &title,
        root: "",
        refresh_seconds: None,
        severity: Severity::Idle,
        now: view.now,
    };
    frame.page(&head, &main)
}

fn name(query: &RunQuery, view: View<'_>) -> String {
    match (&query.resource, query.scope) {
        (None, _) => "all resources".to_owned(),
        (Some(resource), None) => view.title(resource).to_owned(),
        (Some(resource), Some(scope)) => view.full_name(resource, scope),
    }
}

/// The address of the latest runs of a query.
fn address(query: &RunQuery) -> String {
    match (&query.resource, query.scope) {
        (Some(resource), Some(scope)) => runs_of("", resource, scope),
        (Some(resource), None) => {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            format!("runs?{}", pairs.append_pair("resource", resource).finish())
        }
        (None, _) => "runs".to_owned(),
    }
}

fn table(query: &RunQuery, list: &RunList, view: View<'_>) -> Markup {
    let Some(oldest) = list.runs.last() else {
        return html! { p class="when" { "There is no run here." } };
    };
    let address = address(query);
    let joint = if address.contains('?') { '&' } else { '?' };
    html! {
        table class="data" {
            caption { "The latest first; the time of a run's start leads to its page" }
            thead {
                tr {
                    th scope="col" { "Began (UTC)" }
                    th scope="col" { "Outcome" }
                    th scope="col" class="number" { "Took" }
                    th scope="col" class="number" { "Written" }
                }
            }
            tbody { @for run in &list.runs { (row(run, query.resource.is_none(), view)) } }
        }
        @if list.has_older {
            p class="more" { a href={ (address) (joint) "before=" (oldest.id) } { "Older runs" } }
        }
    }
}

fn row(run: &RunSummary, names_resource: bool, view: View<'_>) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ "runs/" (run.id) } { (format::moment(run.started_at)) }
                @if names_resource { br; small { (Text(view.full_name(&run.resource, run.mode))) } }
            }
            td class=(class(Severity::of_status(run.status))) { (state(run.status)) }
            td class="number" { (took(run)) }
            td class="number" {
                (format::count(run.rows_written))
                @if run.rows_rejected > 0 {
                    br; small class=(class(Severity::Attention)) { (format::count(run.rows_rejected)) " rejected" }
                }
            }
        }
    }
}

fn took(run: &RunSummary) -> String {
    let took = run.finished_at.map(|ended| (ended - run.started_at).to_std());
    took.map_or_else(
        || "–".to_owned(),
        |took| format::rounded(took.unwrap_or(Duration::ZERO)),
    )
}
