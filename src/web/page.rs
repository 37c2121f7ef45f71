//! The status page: what an operator wants to know at a glance, first whether anything needs a person. No scripts, no
//! assets, one stylesheet inside; it loads itself anew, sooner while something runs.

use std::time::Duration;

use super::html::Html;
use super::words;
use crate::model::Time;
use crate::model::description::Registry;
use crate::model::fault::Fault;
use crate::model::status::{ResourceStatus, Run, RunStatus, Status, Token, TokenStatus};

/// The stylesheet; its hash stands in the content security policy.
pub(super) const STYLE: &str = include_str!("page.css");

/// What a state of things means to the reader, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mood {
    Quiet,
    Well,
    Busy,
    Watch,
    Bad,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Well => "well",
            Self::Busy => "busy",
            Self::Watch => "watch",
            Self::Bad => "bad",
        }
    }
}

/// The page of a state that could be read.
pub(super) fn render(status: &Status, registry: Registry, now: Time) -> String {
    let running = status.resources.iter().any(|it| mood_of(it) == Mood::Busy);
    let mut html = Html::default();
    head(&mut html, if running { 5 } else { 30 });
    banner(&mut html, status, registry, now);
    html.raw("<main>");
    for resource in &status.resources {
        card(&mut html, resource, registry, now);
    }
    html.raw("</main>");
    foot(&mut html, now);
    html.into_string()
}

/// The page when the state could not be read.
pub(super) fn unreadable(fault: &Fault, now: Time) -> String {
    let mut html = Html::default();
    head(&mut html, 10);
    html.raw("<header class=\"bad\"><h1>blueconic-sync</h1><p class=\"verdict\">The state cannot be read</p></header>");
    html.raw("<main><section class=\"card bad\">");
    trouble(
        &mut html,
        Mood::Bad,
        Some(&fault.sentence()),
        fault.hint.as_deref(),
    );
    html.raw("</section></main>");
    foot(&mut html, now);
    html.into_string()
}

fn head(html: &mut Html, refresh_seconds: u32) {
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        .raw("<meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"refresh\" content=\"")
        .text(refresh_seconds)
        .raw("\"><title>blueconic-sync</title><style>")
        .raw(STYLE)
        .raw("</style></head><body>");
}

fn foot(html: &mut Html, now: Time) {
    html.raw("<footer><p>As of ")
        .text(words::absolute(now))
        .raw(" · blueconic-sync ")
        .text(env!("CARGO_PKG_VERSION"))
        .raw("</p><p><a href=\"status.json\">status.json</a> <a href=\"metrics\">metrics</a></p>")
        .raw("</footer></body></html>");
}

// ---------------------------------------------------------------------------------------------- the banner

fn banner(html: &mut Html, status: &Status, registry: Registry, now: Time) {
    let (mood, verdict) = verdict(status, now);
    html.raw("<header class=\"")
        .text(mood.class())
        .raw("\"><h1>blueconic-sync</h1>");
    if let Some(tenant) = &status.tenant {
        html.raw("<p class=\"tenant\"><bdi>")
            .text(tenant)
            .raw("</bdi></p>");
    }
    html.raw("<p class=\"verdict\">").text(verdict).raw("</p>");
    culprits(html, status, registry);
    if let Some(token) = &status.token {
        let (mood, sentence) = token_sentence(token, now);
        html.raw("<p class=\"token ")
            .text(mood.class())
            .raw("\">")
            .text(sentence);
        if let Some(hint) = &token.hint {
            html.raw(": <bdi>").text(hint).raw("</bdi>");
        }
        html.raw("</p>");
    }
    html.raw("</header>");
}

fn verdict(status: &Status, now: Time) -> (Mood, String) {
    let token = status
        .token
        .as_ref()
        .map_or(Mood::Quiet, |token| token_sentence(token, now).0);
    let moods: Vec<Mood> = status.resources.iter().map(mood_of).collect();
    let count = |mood| moods.iter().filter(|it| **it == mood).count();
    let worst = moods.iter().copied().chain([token]).max().unwrap_or(Mood::Quiet);
    let all = moods.len();
    let text = match worst {
        Mood::Bad if count(Mood::Bad) == 0 => "The token needs a person".to_owned(),
        Mood::Bad => format!("{} a person", of_all("need", count(Mood::Bad), all)),
        Mood::Watch if count(Mood::Watch) == 0 => "The token wants a look".to_owned(),
        Mood::Watch => format!("{} a look", of_all("want", count(Mood::Watch), all)),
        Mood::Busy => format!("{} of {all} running", count(Mood::Busy)),
        _ if all > 0 && count(Mood::Well) == all => "All is well".to_owned(),
        _ if count(Mood::Well) > 0 => "All that ran is well".to_owned(),
        _ => "Nothing has run yet".to_owned(),
    };
    (worst, text)
}

/// `1 of 5 needs`, `2 of 5 need`.
fn of_all(verb: &str, some: usize, all: usize) -> String {
    let ending = if some == 1 { "s" } else { "" };
    format!("{some} of {all} {verb}{ending}")
}

/// The names of those that the verdict is about.
fn culprits(html: &mut Html, status: &Status, registry: Registry) {
    let worst = status.resources.iter().map(mood_of).max().unwrap_or(Mood::Quiet);
    if worst < Mood::Watch {
        return;
    }
    let mut before = "<p class=\"culprits\">";
    for it in status.resources.iter().filter(|it| mood_of(it) == worst) {
        html.raw(before)
            .raw("<bdi>")
            .text(full_name(it, registry))
            .raw("</bdi>");
        before = " · ";
    }
    html.raw("</p>");
}

fn full_name(resource: &ResourceStatus, registry: Registry) -> String {
    let name = words::resource(registry, &resource.resource);
    match words::scope(registry, &resource.resource, resource.scope) {
        Some(scope) => format!("{name}, {scope}"),
        None => name,
    }
}

fn token_sentence(token: &Token, now: Time) -> (Mood, String) {
    let expiry = token.expires_at.map(|at| {
        let verb = if at < now { "expired" } else { "expires" };
        format!(", {verb} {}", words::relative(at, now))
    });
    let expiry = expiry.unwrap_or_default();
    match token.status {
        // It is asked for when it is wanted, so one that has expired is no fault.
        TokenStatus::Valid => (Mood::Quiet, format!("Token valid{expiry}")),
        TokenStatus::Refreshing => (Mood::Quiet, format!("Token being renewed{expiry}")),
        TokenStatus::Failed => (Mood::Watch, format!("Token could not be renewed{expiry}")),
        TokenStatus::ReauthRequired => (
            Mood::Bad,
            format!("Token must be authorized again by a person{expiry}"),
        ),
    }
}

// ---------------------------------------------------------------------------------------------- a resource

fn mood_of(resource: &ResourceStatus) -> Mood {
    // What can never be closed is a fact, not something to watch.
    let gaps = if resource.has_closable_gaps() {
        Mood::Watch
    } else {
        Mood::Quiet
    };
    mood_of_run(resource).max(gaps)
}

fn mood_of_run(resource: &ResourceStatus) -> Mood {
    match resource.last_run.as_ref().map(|run| run.status) {
        None => Mood::Quiet,
        Some(RunStatus::Succeeded) => Mood::Well,
        Some(RunStatus::Running) => Mood::Busy,
        Some(RunStatus::Failed | RunStatus::NeedsApproval) => Mood::Bad,
        Some(RunStatus::Partial | RunStatus::Interrupted) => Mood::Watch,
    }
}

fn status_word(resource: &ResourceStatus) -> &'static str {
    match resource.last_run.as_ref().map(|run| run.status) {
        None => "Never ran",
        Some(RunStatus::Succeeded) => "Succeeded",
        Some(RunStatus::Running) => "Running",
        Some(RunStatus::Partial) => "Partial",
        Some(RunStatus::Failed) => "Failed",
        Some(RunStatus::Interrupted) => "Interrupted",
        Some(RunStatus::NeedsApproval) => "Needs approval",
    }
}

fn card(html: &mut Html, resource: &ResourceStatus, registry: Registry, now: Time) {
    html.raw("<section class=\"card ")
        .text(mood_of(resource).class())
        .raw("\"><div class=\"title\"><h2><bdi>");
    html.text(words::resource(registry, &resource.resource))
        .raw("</bdi>");
    if let Some(scope) = words::scope(registry, &resource.resource, resource.scope) {
        html.raw(" <small><bdi>").text(scope).raw("</bdi></small>");
    }
    html.raw("</h2><p class=\"status ")
        .text(mood_of_run(resource).class())
        .raw("\"><bdi>");
    html.text(status_word(resource)).raw("</bdi></p></div>");
    match &resource.last_run {
        Some(run) => ran(html, mood_of_run(resource), run, now),
        None => _ = html.raw("<p class=\"when\">It runs as soon as its turn comes.</p>"),
    }
    facts(html, resource, now);
    html.raw("</section>");
}

fn ran(html: &mut Html, mood: Mood, run: &Run, now: Time) {
    html.raw("<p class=\"when\">");
    let since = |from: Time, to: Time| words::duration((to - from).to_std().unwrap_or_default());
    match (run.started_at, run.finished_at) {
        (started, Some(ended)) => {
            html.raw("Ended ");
            moment(html, ended, now);
            html.raw(", took ").text(since(started, ended));
        }
        (started, None) => {
            html.raw("Began ");
            moment(html, started, now);
        }
    }
    html.raw("</p>");
    progress(html, run);
    trouble(html, mood, run.error.as_deref(), run.hint.as_deref());
    html.raw("<dl class=\"counts\">");
    for (count, label) in [
        (run.rows_read, "read"),
        (run.rows_inserted, "inserted"),
        (run.rows_updated, "updated"),
        (run.rows_unchanged, "unchanged"),
        (run.rows_removed, "removed"),
        (run.rows_rejected, "rejected"),
    ] {
        let class = match count {
            0 => "none",
            1.. if label == "rejected" => "watch",
            _ => "some",
        };
        let shown = words::number(count);
        html.raw("<div class=\"")
            .text(class)
            .raw("\"><dt>")
            .text(label)
            .raw("</dt><dd>")
            .text(shown)
            .raw("</dd></div>");
    }
    html.raw("</dl>");
}

/// A bar while it runs, where the tenant has said how much there is.
fn progress(html: &mut Html, run: &Run) {
    if let (RunStatus::Running, Some(total @ 1..)) = (run.status, run.source_total) {
        let read = run.rows_read.clamp(0, total);
        html.raw("<progress max=\"")
            .text(total)
            .raw("\" value=\"")
            .text(read)
            .raw("\"></progress><p class=\"when\">");
        html.text(words::number(read))
            .raw(" of ")
            .text(words::number(total))
            .raw("</p>");
    }
}

fn trouble(html: &mut Html, mood: Mood, error: Option<&str>, hint: Option<&str>) {
    if error.is_none() && hint.is_none() {
        return;
    }
    html.raw("<div class=\"trouble ").text(mood.class()).raw("\">");
    if let Some(error) = error {
        html.raw("<p><bdi>").text(error).raw("</bdi></p>");
    }
    if let Some(hint) = hint {
        html.raw("<p class=\"hint\"><bdi>").text(hint).raw("</bdi></p>");
    }
    html.raw("</div>");
}

fn facts(html: &mut Html, resource: &ResourceStatus, now: Time) {
    html.raw("<dl class=\"facts\">");
    let time = |html: &mut Html, label: &'static str, at: Option<Time>| {
        if let Some(at) = at {
            html.raw("<dt>").raw(label).raw("</dt><dd>");
            moment(html, at, now);
            html.raw("</dd>");
        }
    };
    time(html, "Complete as of", resource.complete_as_of);
    if resource.complete_as_of.is_none() {
        time(html, "Watermark", resource.watermark);
    }
    if let Some(lag) = resource.lag_seconds {
        let lag = Duration::try_from_secs_f64(lag).unwrap_or_default();
        html.raw("<dt>Lag</dt><dd>")
            .text(words::roughly(lag))
            .raw("</dd>");
    }
    match resource.open_gaps {
        gaps @ 1.. if !resource.has_closable_gaps() => {
            html.raw("<dt>Open gaps</dt><dd>")
                .text(words::number(gaps))
                .raw(" for good</dd>");
        }
        gaps @ 1.. => {
            html.raw("<dt>Open gaps</dt><dd class=\"watch\">")
                .text(words::number(gaps))
                .raw("</dd>");
        }
        _ => _ = html.raw("<dt>Open gaps</dt><dd>none</dd>"),
    }
    if resource.next_run_at.is_some_and(|at| at <= now) {
        html.raw("<dt>Next run</dt><dd>due now</dd>");
    } else {
        time(html, "Next run", resource.next_run_at);
    }
    if let Some(holder) = resource.holder() {
        html.raw("<dt>Held by</dt><dd><bdi>")
            .text(holder)
            .raw("</bdi></dd>");
    }
    html.raw("</dl>");
}

fn moment(html: &mut Html, at: Time, now: Time) {
    html.raw("<time datetime=\"")
        .text(at.to_rfc3339())
        .raw("\" title=\"")
        .text(words::absolute(at))
        .raw("\">")
        .text(words::relative(at, now))
        .raw(" <small>")
        .text(words::clock(at, now))
        .raw("</small></time>");
}
