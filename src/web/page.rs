//! The status page: first whether anything needs a person, then each resource. No scripts, no assets, one inline
//! stylesheet; it reloads itself, sooner while something runs.

use maud::{Markup, html};

use super::card::{self, card};
use super::html::{Text, document};
use super::severity::{class, verdict};
use super::usage;
use crate::model::Time;
use crate::model::description::Registry;
use crate::model::fault::Fault;
use crate::model::format;
use crate::model::severity::Severity;
use crate::model::status::{Status, Token, TokenStatus};

/// The stylesheet; the content security policy has its hash.
pub(super) const STYLE: &str = include_str!("page.css");

/// The page of a state that could be read.
pub(super) fn render(status: &Status, registry: Registry, now: Time) -> String {
    let is_running = |resource| Severity::of(resource) == Severity::Running;
    let refresh_seconds = if status.resources.iter().any(is_running) {
        5
    } else {
        30
    };
    frame(
        refresh_seconds,
        now,
        &html! {
            (banner(status, registry, now))
            main {
                @for resource in &status.resources { (card(resource, registry, now)) }
                @if let Some(usage) = &status.usage { (usage::card(usage)) }
            }
        },
    )
}

/// The page when the state could not be read.
pub(super) fn unreadable(fault: &Fault, now: Time) -> String {
    let severity = Severity::Person;
    frame(
        10,
        now,
        &html! {
            header class=(class(severity)) {
                h1 { "blueconic-sync" }
                p class="verdict" { "The state cannot be read" }
            }
            main {
                section class={ "card " (class(severity)) } {
                    (card::trouble(severity, Some(&fault.sentence()), fault.hint.as_deref()))
                }
            }
        },
    )
}

fn frame(refresh_seconds: u32, now: Time, body: &Markup) -> String {
    let body = html! {
        (body)
        footer {
            p { "As of " (format::moment(now)) " UTC · blueconic-sync " (env!("CARGO_PKG_VERSION")) }
            p { a href="status.json" { "status.json" } " " a href="metrics" { "metrics" } }
        }
    };
    document("blueconic-sync", Some(refresh_seconds), STYLE, &body)
}

fn banner(status: &Status, registry: Registry, now: Time) -> Markup {
    let (severity, sentence) = verdict(status);
    html! {
        header class=(class(severity)) {
            h1 { "blueconic-sync" }
            @if let Some(tenant) = &status.tenant {
                p class="tenant" { bdi { (Text(tenant)) } }
            }
            p class="verdict" { (sentence) }
            (culprits(status, registry))
            @if let Some(token) = &status.token {
                p class={ "token " (class(Severity::of_token(token))) } {
                    (token_sentence(token, now))
                    @if let Some(hint) = &token.hint { ": " bdi { (Text(hint)) } }
                }
            }
        }
    }
}

/// The names of the resources that the verdict is about.
fn culprits(status: &Status, registry: Registry) -> Markup {
    let worst = Severity::worst(status);
    let alike = status.resources.iter().filter(|it| Severity::of(it) == worst);
    html! {
        @if worst >= Severity::Attention {
            p class="culprits" {
                @for (position, resource) in alike.enumerate() {
                    @if position > 0 { " · " }
                    bdi { (Text(card::full_name(resource, registry))) }
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
