//! The status page: first whether anything needs a person, then each resource with its last 30 days, then the schedule, gaps, rejects and
//! sizes. No scripts, no assets, one inline stylesheet. It reloads itself where its address asks for that, sooner while something runs: a
//! page that does so unasked takes the place of the reader away.

use maud::{Markup, html};

use super::card::{self, card};
use super::chart::sample;
use super::days::SlotDays;
use super::frame::{Frame, section};
use super::html::Text;
use super::severity::{class, verdict};
use super::view::View;
use super::{gaps, next_day, rejects, sizes, usage};
use crate::model::Time;
use crate::model::fault::{Fault, Outcome};
use crate::model::format;
use crate::model::overview::Overview;
use crate::model::severity::Severity;
use crate::model::status::{Status, Token, TokenStatus};

/// The query that makes the page reload itself.
pub(super) const RELOADING: &str = "reload";

/// The page of a state that could be read; what stands beside the state may be missing.
pub(super) fn render(status: &Status, overview: &Outcome<Overview>, reloads: bool, view: View<'_>) -> String {
    let is_running = |resource| Severity::of(resource) == Severity::Running;
    let refresh_seconds = if status.resources.iter().any(is_running) {
        5
    } else {
        30
    };
    let head = html! {
        (banner(status, view))
        (contents(reloads, refresh_seconds, status.usage.is_some(), overview.is_ok()))
    };
    let main = html! {
        section id="resources" aria-labelledby="resources-heading" {
            h2 id="resources-heading" { "Resources" }
            @if overview.is_ok() { (legend()) }
            div class="cards" { (cards(status, overview, view)) }
        }
        @if let Some(usage) = &status.usage { (usage::card(usage, overview.as_ref().ok(), view.now)) }
        @match overview {
            Ok(overview) => (beside(status, overview, view)),
            Err(fault) => {
                (section("missing", "What is missing here", &html! {
                    p { "The last 30 days, the schedule, gaps and rejects could not be read." }
                    (card::trouble(Severity::Attention, Some(&fault.sentence()), fault.hint.as_deref()))
                }))
            }
        }
    };
    let frame = Frame {
        title: "blueconic-sync",
        root: "",
        refresh_seconds: reloads.then_some(refresh_seconds),
        severity: verdict(status).0,
        now: view.now,
    };
    frame.page(&head, &main)
}

/// The page when the state could not be read.
pub(super) fn unreadable(fault: &Fault, reloads: bool, now: Time) -> String {
    let severity = Severity::Person;
    let frame = Frame {
        title: "blueconic-sync",
        root: "",
        refresh_seconds: reloads.then_some(10),
        severity,
        now,
    };
    let head = html! {
        h1 { "blueconic-sync" }
        p class="verdict" { "The state cannot be read" }
    };
    let main = html! {
        div class={ "card " (class(severity)) } {
            (card::trouble(severity, Some(&fault.sentence()), fault.hint.as_deref()))
        }
    };
    frame.page(&head, &main)
}

fn cards(status: &Status, overview: &Outcome<Overview>, view: View<'_>) -> Markup {
    html! {
        @for (position, resource) in status.resources.iter().enumerate() {
            @let days = overview.as_ref().ok()
                .map(|overview| SlotDays::of(&overview.days, &resource.resource, resource.scope, view));
            (card(&card_id(position), resource, days.as_ref(), view))
        }
    }
}

/// The element of the resource at a position of the status.
fn card_id(position: usize) -> String {
    format!("resource-{}", position + 1)
}

/// What stands beside the resources, one section each.
fn beside(status: &Status, overview: &Overview, view: View<'_>) -> Markup {
    html! {
        div class="panels" {
            (section("schedule", "Next 24 hours", &next_day::section(&overview.jobs, view)))
            div {
                (section("gaps", "Gaps", &gaps::section(&overview.gaps, view)))
                (section("rejects", "Rejected elements", &rejects::section(&overview.rejects, view)))
                (section("sizes", "Table sizes", &sizes::section(&status.tables)))
            }
        }
    }
}

/// The links within the page, and how to make it reload itself.
fn contents(reloads: bool, refresh_seconds: u32, has_usage: bool, is_whole: bool) -> Markup {
    html! {
        nav aria-label="Sections" {
            ul {
                li { a href="#resources" { "Resources" } }
                @if has_usage { li { a href="#usage" { "Usage" } } }
                @if is_whole {
                    li { a href="#schedule" { "Next 24 hours" } }
                    li { a href="#gaps" { "Gaps" } }
                    li { a href="#rejects" { "Rejects" } }
                    li { a href="#sizes" { "Sizes" } }
                }
                li { a href="runs" { "Runs" } }
                li {
                    @if reloads {
                        a href="./" { "Stop reloading" }
                    } @else {
                        a href={ "?" (RELOADING) } { "Reload every " (refresh_seconds) " s" }
                    }
                }
            }
        }
    }
}

/// What the forms in a strip mean.
fn legend() -> Markup {
    let forms = [
        (Some(Severity::Good), "all succeeded"),
        (Some(Severity::Attention), "some partial or interrupted"),
        (Some(Severity::Person), "some failed or need approval"),
        (Some(Severity::Idle), "not available"),
        (None, "no run"),
    ];
    html! {
        p class="legend" {
            "A bar is a day (UTC): "
            @for (position, (form, words)) in forms.into_iter().enumerate() {
                @if position > 0 { ", " }
                span { (sample(form)) " " (words) }
            }
        }
    }
}

fn banner(status: &Status, view: View<'_>) -> Markup {
    let (_, sentence) = verdict(status);
    html! {
        h1 { "blueconic-sync" }
        @if let Some(tenant) = &status.tenant {
            p class="tenant" { bdi { (Text(tenant)) } }
        }
        p class="verdict" { (sentence) }
        (culprits(status, view))
        @if let Some(token) = &status.token {
            p class={ "token " (class(Severity::of_token(token))) } {
                (token_sentence(token, view.now))
                @if let Some(hint) = &token.hint { ": " bdi { (Text(hint)) } }
            }
        }
    }
}

/// The names of the resources that the verdict is about, with links to them.
fn culprits(status: &Status, view: View<'_>) -> Markup {
    let worst = Severity::worst(status);
    let all = status.resources.iter().enumerate();
    let alike = all.filter(|(_, resource)| Severity::of(resource) == worst);
    html! {
        @if worst >= Severity::Attention {
            p class="culprits" {
                @for (number, (position, resource)) in alike.enumerate() {
                    @if number > 0 { " · " }
                    a href={ "#" (card_id(position)) } {
                        bdi { (Text(view.full_name(&resource.resource, resource.scope))) }
                    }
                }
            }
        }
    }
}

fn token_sentence(token: &Token, now: Time) -> String {
    let state = match token.status {
        TokenStatus::Valid => "Token valid",
        TokenStatus::Refreshing => "Token being renewed",
        TokenStatus::Failed => "Token could not be renewed",
        TokenStatus::ReauthRequired => "Token must be authorized again by a person",
    };
    match token.expires_at {
        Some(at) if at < now => format!("{state}, expired {}", format::relative(at, now)),
        Some(at) => format!("{state}, expires {}", format::relative(at, now)),
        None => state.to_owned(),
    }
}
